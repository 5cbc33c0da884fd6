"""Rows of which only the order is known: each patient's lie two grains apart, in order of a number."""

from __future__ import annotations

import polars as pl

from salus.formats.csv_source import ROWS_APART, Source, Table
from salus.intake.verdicts import SUBJECT, Check, set_aside_repeats

ORDER_NUMBER = "\x1forder number"
REPEATED = "the patient has this number already on line"


def order_number(table: Table) -> pl.Expr:
    """The number that orders a patient's rows; null where it is no whole number."""
    return pl.col(table.order).cast(pl.Int64, strict=False)


def not_ordered(table: Table) -> Check:
    """Without its number a row has no place among the patient's others."""
    return Check(
        table.order, "the number that orders the rows is not a whole number", pl.col(ORDER_NUMBER).is_null()
    )


def same_number(rows: pl.DataFrame, table: Table) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Set aside rows that have the number of an earlier row of the same patient."""
    subject = pl.col(table.subject).cast(pl.Int64, strict=False)
    numbered = rows.with_columns(subject.alias(SUBJECT), order_number(table).alias(ORDER_NUMBER))
    whole = pl.col(SUBJECT).is_not_null() & pl.col(ORDER_NUMBER).is_not_null()
    kept, repeats = set_aside_repeats(
        numbered.filter(whole), [SUBJECT, ORDER_NUMBER], column=table.order, reason=REPEATED
    )
    return pl.concat([kept, numbered.filter(~whole)]).select(rows.columns), repeats


def in_order(source: Source) -> pl.Expr:
    """The moment of each row: time zero for a patient's first, two grains later for the next, and so on."""
    place = pl.col(ORDER_NUMBER).rank("ordinal").over(SUBJECT).cast(pl.Int64) - 1
    step = pl.lit(ROWS_APART * source.grain.step, dtype=pl.Duration("us"))
    return pl.lit(source.zero, dtype=pl.Datetime("us")) + place * step

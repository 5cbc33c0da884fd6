"""Long tables: one fact a row, named by the variable column."""

from __future__ import annotations

import polars as pl

from salus.formats.csv_source import Column, Fact, Source, Table, Use
from salus.outlet.csv_cells import (
    BEFORE_ZERO,
    OTHER_TIME,
    WrittenTable,
    before_zero,
    fact_cell,
    fact_trouble,
    guarded,
    is_dated,
    is_guarded,
    is_rounded,
    missing_cell,
    time_rounded,
    time_text,
)

ZERO_TYPE = pl.Datetime("us")


def long_rows(events: pl.DataFrame, table: Table, source: Source) -> WrittenTable:
    """Write every event (with its number ``event``) that one of the table's facts can say."""
    parts = [
        _fact_rows(events, fact, order, table=table, source=source) for order, fact in enumerate(table.facts)
    ]
    everyone = events.select("subject_id").unique()
    always = [
        _always_rows(everyone, parts[order], fact, order, source=source)
        for order, fact in enumerate(table.facts)
        if fact.always
    ]
    tried = pl.concat(parts)
    good = pl.concat([tried.filter(pl.col("reason").is_null()), *always])
    rows = good.sort("subject_id", "row_time", "order", "event", nulls_last=False)
    return WrittenTable(
        rows.select("subject_id", *(_column(column, source) for column in table.columns)),
        tried.select("event", "reason", "rounded", "guarded"),
    )


def _fact_rows(events: pl.DataFrame, fact: Fact, order: int, *, table: Table, source: Source) -> pl.DataFrame:
    has_value, has_unit = table.column(Use.VALUE) is not None, table.column(Use.UNIT) is not None
    column = table.column(Use.TIME)
    form = column.form if column else ""
    zero = pl.lit(source.zero, dtype=ZERO_TYPE)
    row_time = pl.col("time") if is_dated(fact) else zero
    wrong = pl.col("time").is_not_null() if fact.static else pl.col("time").is_null()
    if is_dated(fact) and not form:
        wrong = pl.col("time").ne_missing(zero)
    late = time_rounded(row_time, form, source) if form else pl.lit(False)
    return events.filter(pl.col("code").is_in(fact.codes)).select(
        "event",
        "subject_id",
        row_time.alias("row_time"),
        pl.lit(order).alias("order"),
        pl.lit(fact.name).alias("variable"),
        fact_cell(fact, source).alias("cell"),
        "unit",
        "known_time",
        pl.coalesce(
            fact_trouble(fact, source, has_value=has_value, has_unit=has_unit),
            pl.when(wrong).then(pl.lit(OTHER_TIME)),
            pl.when(before_zero(row_time, form, source.zero)).then(pl.lit(BEFORE_ZERO)),
        ).alias("reason"),
        (late | is_rounded(fact, source.zero)).fill_null(False).alias("rounded"),
        is_guarded(fact).alias("guarded"),
    )


def _always_rows(
    everyone: pl.DataFrame, written: pl.DataFrame, fact: Fact, order: int, *, source: Source
) -> pl.DataFrame:
    """The row at time zero that says "not recorded", for those without the fact at that moment."""
    zero = pl.lit(source.zero, dtype=ZERO_TYPE)
    have = written.filter(pl.col("reason").is_null() & (pl.col("row_time") == zero))
    empty = everyone.join(have, on="subject_id", how="anti")
    return empty.select(
        pl.lit(None, dtype=written.schema["event"]).alias("event"),
        "subject_id",
        zero.alias("row_time"),
        pl.lit(order).alias("order"),
        pl.lit(fact.name).alias("variable"),
        pl.lit(missing_cell(fact.missing, source)).alias("cell"),
        pl.lit(None, dtype=pl.String).alias("unit"),
        zero.alias("known_time"),
        pl.lit(None, dtype=pl.String).alias("reason"),
        pl.lit(False).alias("rounded"),
        pl.lit(False).alias("guarded"),
    )


def _column(column: Column, source: Source) -> pl.Expr:
    blank = pl.lit((source.missing or ("",))[0])
    known = {
        Use.SUBJECT: pl.col("subject_id").cast(pl.String),
        Use.VARIABLE: pl.col("variable"),
        Use.VALUE: pl.col("cell"),
        Use.UNIT: guarded(pl.col("unit")),
        Use.TIME: time_text(pl.col("row_time"), column.form, source),
        Use.KNOWN_TIME: time_text(pl.col("known_time"), column.form, source),
    }
    written = known.get(column.use, pl.lit(None, dtype=pl.String))
    if column.use is Use.IGNORE and column.write == "subject":
        written = pl.col("subject_id").cast(pl.String)
    return pl.coalesce(written, blank).alias(column.name)

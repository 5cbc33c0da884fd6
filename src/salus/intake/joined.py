"""Rows get the columns of another file by a key; a row whose key is not there just once is rejected."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from salus.formats.csv_source import Join, Table
from salus.intake.csv_file import FILE, LINE, RawTable, read_brought, read_table
from salus.timeline.columns import REJECTED_COLUMNS

COUNT = "\x1fcount"
KEY = "\x1fkey"


def read_whole(folder: Path, table: Table, *, fetch: str = "") -> RawTable:
    """All rows of a table with the columns of its joins; raises as :func:`salus.intake.csv_file.read_table`."""
    raw = read_table(folder, table, fetch=fetch)
    rows, rejected = raw.rows, [raw.rejected]
    for join in table.joins:
        rows, alone = joined_rows(rows, join, read_brought(folder, table, join, fetch=fetch))
        rejected.append(alone)
    ordered = rows.select([*(column.name for column in table.columns), LINE, FILE])
    return RawTable(rows=ordered, rejected=pl.concat(rejected))


def joined_rows(rows: pl.DataFrame, join: Join, others: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """``rows`` with the columns that ``join`` brings from ``others``, and the rejections of the rest.

    All cells are texts; keys are compared letter by letter, and a key of 07 is not 7.
    """
    brought = [pl.col(name).first() for name in join.columns if name != join.key]
    told = others.rename({join.key: KEY}).group_by(KEY).agg(pl.len().alias(COUNT), *brought)
    if join.key in join.columns:
        told = told.with_columns(pl.col(KEY).alias(join.key))
    found = rows.join(told, left_on=join.by, right_on=KEY, how="left", maintain_order="left")
    whole = found.filter(pl.col(COUNT) == 1).drop(COUNT)
    alone = found.filter(pl.col(COUNT).is_null() | (pl.col(COUNT) > 1))
    why = (
        pl.when(pl.col(COUNT).is_null())
        .then(pl.lit(f"'{join.file}' has no row with this key"))
        .otherwise(pl.lit(f"'{join.file}' has several rows with this key"))
    )
    rejected = alone.select(
        pl.col(FILE).alias("file"),
        pl.col(LINE).alias("line"),
        pl.lit(join.by).alias("column"),
        why.alias("reason"),
    )
    return whole, rejected.cast(pl.Schema(REJECTED_COLUMNS))

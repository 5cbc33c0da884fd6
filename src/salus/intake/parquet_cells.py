"""A Parquet file as the cells of a CSV file would be: texts, with nothing for what is not there."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from salus.errors import InputUnreadable
from salus.formats.csv_source import Table

PARQUET = ".parquet"
PLAIN = "%Y-%m-%dT%H:%M:%S%.f"


def read_parquet_cells(content: bytes, table: Table, *, path: Path) -> pl.DataFrame:
    """All columns as texts. Raises InputUnreadable (SAL-105) for what is no Parquet, or no table of plain cells."""
    forms = {column.name: column.form for column in table.columns if "%" in column.form}
    return cells_of(read_parquet(content, path=path), forms, path=path)


def read_parquet(content: bytes, *, path: Path) -> pl.DataFrame:
    """The file's table as it is. Raises InputUnreadable (SAL-105)."""
    try:
        return pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputUnreadable(
            f"'{path.name}' is cut short or no Parquet file", where=str(path), fix="write the file again"
        ) from error


def cells_of(rows: pl.DataFrame, forms: Mapping[str, str], *, path: Path) -> pl.DataFrame:
    """Every column as texts; ``forms``: the pattern of those that hold times. Raises InputUnreadable (SAL-105)."""
    return rows.select(_text(rows[name], forms.get(name, ""), path=path).alias(name) for name in rows.columns)


def _text(cells: pl.Series, form: str, *, path: Path) -> pl.Series:
    kind = cells.dtype
    if kind.is_nested() or kind in (pl.Binary, pl.Object, pl.Duration):
        raise InputUnreadable(
            f"column '{cells.name}' of '{path.name}' holds {kind}, which is no plain cell",
            where=str(path),
            fix="write it as a number, a text, a date or a time",
        )
    if isinstance(kind, pl.Datetime):
        text = _time_text(cells, kind, form, path=path)
    elif kind == pl.Date:
        text = cells.dt.strftime(form or "%Y-%m-%d")
    elif kind.is_float():
        text = cells.cast(pl.String).str.replace(
            r"\.0$", ""
        )  # 7.0: so pandas writes a whole number beside gaps
    else:
        text = cells.cast(pl.String)
    return text.fill_null("")


def _time_text(cells: pl.Series, kind: pl.Datetime, form: str, *, path: Path) -> pl.Series:
    if kind.time_zone and form and "%z" not in form:
        raise InputUnreadable(
            f"the times of '{cells.name}' in '{path.name}' have a zone, which their pattern leaves out",
            where=str(path),
            fix=f"declare it as '{form}%z'",
        )
    if kind.time_zone:
        cells = cells.dt.convert_time_zone("UTC")
    return cells.dt.strftime(form or PLAIN)

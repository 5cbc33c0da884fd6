"""Texts of cells become numbers and times; what cannot be read becomes null, never a guess."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from salus.formats.csv_source import Fact, NotRecorded, Source
from salus.formats.source_times import in_utc

MICROSECONDS = {"day": 86_400_000_000, "hour": 3_600_000_000, "minute": 60_000_000, "second": 1_000_000}
CLOCK = "hh:mm"
FARTHEST_YEARS = 200  # relative times beyond this are typing errors, not medicine
LARGEST = 3.4e38  # of a 32-bit float


def as_number(cell: pl.Expr) -> pl.Expr:
    """A finite number that a 32-bit float can hold, or null."""
    number = cell.cast(pl.Float64, strict=False)
    return pl.when(number.is_finite() & (number.abs() < LARGEST)).then(number)


def is_missing(cell: pl.Expr, missing: NotRecorded, everywhere: tuple[str, ...]) -> pl.Expr:
    """Whether a cell means "not recorded": by its text, or as a number under the declared limit."""
    texts = list(everywhere) + [spelling for text in missing.cells for spelling in spellings(text)]
    found = cell.is_in(texts) if texts else pl.lit(False)
    if missing.below is not None:
        found = found | (as_number(cell) < missing.below).fill_null(False)
    return found


def spellings(text: str) -> tuple[str, ...]:
    """The ways programs write the same cell: a whole number may come as ``1`` or ``1.0``."""
    return (text, f"{text}.0") if text.removeprefix("-").isdigit() else (text,)


def value_codes(fact: Fact) -> dict[str, str]:
    """Cell → code of a categorical fact, in each spelling; of an open category as written."""
    if fact.each:
        return dict(fact.values)
    return {spelling: code for cell, code in fact.values for spelling in spellings(cell)}


def parse_times(cells: pl.Series, form: str, source: Source) -> pl.Series:
    """Read a column of times into UTC; each distinct text is read once."""
    distinct = cells.unique()
    times = pl.select(_times(pl.lit(distinct), form, source)).to_series()
    return cells.replace_strict(distinct, times, return_dtype=pl.Datetime("us"))


def _times(cell: pl.Expr, form: str, source: Source) -> pl.Expr:
    if form == CLOCK:
        parts = cell.str.extract_groups(r"^(\d{1,6}):([0-5]\d)$")
        minutes = parts.struct[0].cast(pl.Int64) * 60 + parts.struct[1].cast(pl.Int64)
        return relative_time(minutes.cast(pl.Float64), "minute", source.zero)
    if form in MICROSECONDS:
        return relative_time(as_number(cell), form, source.zero)
    return in_utc(cell, form, source.zone)


def relative_time(number: pl.Expr, unit: str, zero: datetime | None) -> pl.Expr:
    """``number`` units after time zero, or null where that is beyond any patient's life."""
    far = FARTHEST_YEARS * 366 * MICROSECONDS["day"]
    offset = (number * MICROSECONDS[unit]).round()
    sane = pl.when(offset.abs() <= far).then(offset).cast(pl.Int64)
    return pl.lit(zero, dtype=pl.Datetime("us")) + sane.cast(pl.Duration("us"))


def birth_time(years: pl.Expr, zero: datetime | None) -> pl.Expr:
    """Birth, from age in years at time zero (a year is 365.25 days)."""
    return relative_time(-years * 365.25, "day", zero)

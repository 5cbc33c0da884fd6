"""How one event is written into a cell of a source's CSV file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

import polars as pl

from salus.formats.categories import category_code
from salus.formats.csv_source import Fact, NotRecorded, Source
from salus.formats.source_times import in_utc, in_zone
from salus.formats.source_units import SAME, to_code_unit

YEAR = timedelta(days=365.25)
UNITS = {
    "day": timedelta(days=1),
    "hour": timedelta(hours=1),
    "minute": timedelta(minutes=1),
    "second": timedelta(seconds=1),
}
CLOCK = "hh:mm"
RISKY = r"^[=+\-@\t\r]"  # a spreadsheet would run such a text as a formula

NO_PLACE = "the source has no place for this code"
NO_VALUE = "no value, where the source needs one"
EXTRA_VALUE = "a value, where the source has none"
OTHER_UNIT = "another unit than the source's"
OTHER_TIME = "at another time than the source can say"
SECOND = "more than one, where the source has room for one"
BEFORE_ZERO = "before time zero, which the source's clock cannot say"


@dataclass(frozen=True, slots=True)
class WrittenTable:
    """One table's rows (all cells as text, with ``subject_id``) and what became of each event given to it.

    ``fate`` has a row for each event tried: ``event``, ``reason`` (null: written), ``rounded``, ``guarded``.
    """

    rows: pl.DataFrame
    fate: pl.DataFrame


def missing_cell(missing: NotRecorded, source: Source) -> str:
    """The cell that means "not recorded": the first declared, or the next whole number below the limit."""
    if not missing.cells and missing.below is not None:
        return str(ceil(missing.below) - 1)
    return (missing.cells or source.missing or ("",))[0]


def is_dated(fact: Fact) -> bool:
    """Whether the fact's own time is the time of its row."""
    return not fact.static and not fact.age


def number_text() -> pl.Expr:
    """The shortest decimal that reads back as the same 32-bit number; whole numbers without a point."""
    return pl.col("numeric_value").cast(pl.String).str.replace(r"\.0$", "")


def guarded(text: pl.Expr) -> pl.Expr:
    """Put an apostrophe before a text that a spreadsheet would take for a formula."""
    return pl.when(text.str.contains(RISKY)).then("'" + text).otherwise(text)


def value_text() -> pl.Expr:
    """An event's number, or else its text made harmless."""
    return pl.coalesce(number_text(), guarded(pl.col("text_value")))


def own_unit_text(factor: float, offset: float) -> pl.Expr:
    """The number in the source's own unit: as short as reads back as the same 32-bit number, else with all digits."""
    exact = (pl.col("numeric_value").cast(pl.Float64) - offset) / factor
    short = exact.cast(pl.Float32)
    again = (short.cast(pl.String).cast(pl.Float64) * factor + offset).cast(pl.Float32)
    text = (
        pl.when(again == pl.col("numeric_value")).then(short.cast(pl.String)).otherwise(exact.cast(pl.String))
    )
    return text.str.replace(r"\.0$", "")


def fact_cell(fact: Fact, source: Source) -> pl.Expr:
    """The cell that says ``fact`` for an event of one of its codes."""
    zero = source.zero
    if fact.is_category:
        cells: dict[str, str] = {}
        for cell, code in fact.values:
            cells.setdefault(code, cell)
        told = pl.col("code").replace_strict(cells, default=None, return_dtype=pl.String)
        return guarded(told) if fact.each else told
    if fact.is_subject:
        return pl.col("subject_id").cast(pl.String)
    if fact.age:
        return (_since(pl.col("time"), zero, negative=True) // _us(YEAR)).cast(pl.String)
    factor, offset = to_code_unit(fact, source)
    if (factor, offset) != SAME:
        return pl.coalesce(own_unit_text(factor, offset), guarded(pl.col("text_value")))
    return value_text()


def fact_trouble(fact: Fact, source: Source, *, has_value: bool, has_unit: bool) -> pl.Expr:
    """Why an event of this fact's codes cannot be written as it (null: it can), times aside."""
    carries = pl.col("numeric_value").is_not_null() | pl.col("text_value").is_not_null()
    if fact.is_category or fact.is_subject or fact.age or not has_value:
        return pl.when(carries).then(pl.lit(EXTRA_VALUE))
    unit = next((entry.unit for entry in source.codes if entry.code == fact.code), "")
    other = pl.col("unit").fill_null("") != unit
    wrong_unit = pl.col("numeric_value").is_not_null() & other if not has_unit else pl.lit(False)
    return pl.when(~carries).then(pl.lit(NO_VALUE)).when(wrong_unit).then(pl.lit(OTHER_UNIT))


def is_rounded(fact: Fact, zero: datetime | None) -> pl.Expr:
    """Whether an age is not the whole number of years that is written."""
    return _since(pl.col("time"), zero, negative=True) % _us(YEAR) != 0 if fact.age else pl.lit(False)


def is_guarded(fact: Fact | None = None) -> pl.Expr:
    """Whether the event's text, or the cell of an open category, is changed by an apostrophe."""
    text = pl.col("numeric_value").is_null() & pl.col("text_value").str.contains(RISKY)
    if fact is not None and fact.each:
        text = text | pl.col("code").str.strip_prefix(category_code(fact.each, "")).str.contains(RISKY)
    return text.fill_null(False)


def time_text(time: pl.Expr, form: str, source: Source) -> pl.Expr:
    """Write a time as the source does: whole units since time zero, a clock beyond 24:00, or a pattern in its zone."""
    zero = source.zero
    if form == CLOCK:
        minutes = _since(time, zero) // _us(UNITS["minute"])
        two = [part.cast(pl.String).str.zfill(2) for part in (minutes // 60, minutes % 60)]
        return two[0] + ":" + two[1]
    if form in UNITS:
        return (_since(time, zero) // _us(UNITS[form])).cast(pl.String)
    return in_zone(time, form, source.zone)


def time_rounded(time: pl.Expr, form: str, source: Source) -> pl.Expr:
    """Whether the written time says less than the event's own time, or two times (when clocks go back)."""
    zero = source.zero
    if form == CLOCK or form in UNITS:
        return (_since(time, zero) % _us(UNITS.get(form, UNITS["minute"])) != 0).fill_null(False)
    again = in_utc(time_text(time, form, source), form, source.zone)
    return again.ne_missing(time) & time.is_not_null()


def before_zero(time: pl.Expr, form: str, zero: datetime | None) -> pl.Expr:
    """Whether a clock that starts at time zero cannot say this time."""
    return (time < zero).fill_null(False) if form == CLOCK and zero is not None else pl.lit(False)


def _us(length: timedelta) -> int:
    return length // timedelta(microseconds=1)


def _since(time: pl.Expr, zero: datetime | None, *, negative: bool = False) -> pl.Expr:
    gone = (time - pl.lit(zero, dtype=pl.Datetime("us"))).dt.total_microseconds()
    return -gone if negative else gone

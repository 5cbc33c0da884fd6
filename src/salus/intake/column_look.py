"""What the cells of a column look like: whole numbers, numbers, dates, a choice among few, a list of codes, free text.

A look at part of a file decides nothing: it is the material of a draft that a person finishes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum

import polars as pl

from salus.formats.categories import is_category

NOT_RECORDED = ("", "NA", "N/A", "NULL", "null", "NaN", "nan", "?", "-", ".")
"""Cells that nearly always mean "not recorded"."""
PATTERNS = (
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%Y%m%d",
)
"""Ways to write a date, the commonest first; day before month and month before day cannot always be told apart."""
MOST_DATES_WRONG = 0.01
CLOCK = r"^\d{1,4}:[0-5]\d$"
CODED = r"^[A-Z]?\d[0-9A-Z]{0,4}([.-][0-9A-Z]{1,6})?$"
"""How codes of diagnoses, drugs and tests are written: a letter or none, digits, perhaps a point and more."""
MOST_DECIMALS = 6
NEARLY_ALL, ENOUGH_CELLS = 0.95, 20
"""From this share of numbers on, among so many cells, the rest are typing errors: a row each is rejected."""
FEW_CELLS, MANY_CELLS = 30, 200
"""Different cells a choice may have, and beyond how many a text is no choice."""
LETTERS = re.compile(r"[^0-9A-Za-z]+")


class Look(StrEnum):
    """What a column looks like."""

    EMPTY = "empty"
    CONSTANT = "constant"
    WHOLE = "whole numbers"
    NUMBER = "numbers"
    DATE = "dates"
    CLOCK = "hours and minutes"
    CHOICE = "a choice"
    CODES = "a list of codes"
    TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnLook:
    """What was seen of one column. ``different``: how many different cells; ``filled``: share that is recorded.

    ``pattern``: how its dates are written, and ``others`` ways that fit as well; ``missing``: cells it has that nearly
    always mean "not recorded"; ``odd``: how many cells of a column of
    numbers are none; ``counted``: the rows numbered 1, 2, 3 …; ``single``: no cell twice.
    """

    name: str
    look: Look
    different: int
    filled: float
    decimals: int = 0
    pattern: str = ""
    others: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    odd: int = 0
    counted: bool = False
    single: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """The parts of its name in small letters.

        >>> ColumnLook(name="PatientID_2", look=Look.WHOLE, different=1, filled=1.0).words
        ('patient', 'id', '2')
        """
        spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", self.name)
        return tuple(part.lower() for part in LETTERS.split(spaced) if part)

    def named(self, *wanted: str) -> bool:
        """Whether its name has one of these parts."""
        return any(word in self.words for word in wanted)


def look_at(name: str, cells: pl.Series) -> ColumnLook:
    """Look at one column of texts."""
    texts = cells.fill_null("")
    values = texts.filter(~texts.is_in(list(NOT_RECORDED)))
    seen = ColumnLook(
        name=name,
        look=Look.EMPTY,
        different=values.n_unique(),
        filled=len(values) / max(len(texts), 1),
        missing=tuple(word for word in NOT_RECORDED if word and bool((texts == word).any())),
        single=len(values) > 1 and values.n_unique() == len(values),
    )
    if not len(values):
        return seen
    numbers = values.cast(pl.Float64, strict=False)
    if numbers.is_not_null().all() and numbers.is_finite().all():
        counted = texts.equals(pl.Series([str(place + 1) for place in range(len(texts))]), check_names=False)
        return replace(_number(values, seen), counted=counted)
    if numbers.is_finite().sum() >= NEARLY_ALL * len(values) and len(values) >= ENOUGH_CELLS:
        odd = len(values) - int(numbers.is_finite().sum())
        return replace(_number(values.filter(numbers.is_finite().fill_null(False)), seen), odd=odd)
    if patterns := patterns_of(values):
        return replace(seen, look=Look.DATE, pattern=patterns[0], others=patterns[1:])
    return replace(seen, look=_look_of_texts(values, seen.different))


def _number(values: pl.Series, seen: ColumnLook) -> ColumnLook:
    patterns = patterns_of(values) if (values.str.len_chars() == len("20240131")).all() else ()
    if patterns:
        return replace(seen, look=Look.DATE, pattern=patterns[0], others=patterns[1:])
    after = values.str.extract(r"\.(\d+)$").drop_nulls().str.strip_chars_end("0")
    decimals = min(max(after.str.len_chars().to_list(), default=0), MOST_DECIMALS)
    return replace(seen, look=Look.NUMBER if decimals else Look.WHOLE, decimals=decimals)


def _look_of_texts(values: pl.Series, different: int) -> Look:
    if values.str.contains(CLOCK).all():
        return Look.CLOCK
    if different == 1 and len(values) > 1:
        return Look.CONSTANT
    if different > FEW_CELLS and values.str.contains(CODED).sum() > 0.9 * len(values):
        return Look.CODES
    if different == len(values) > 1:
        return Look.TEXT  # what nobody shares is no choice
    few = different <= FEW_CELLS or (different <= MANY_CELLS and different < len(values) / 20)
    return Look.CHOICE if few and all(map(is_category, values.unique())) else Look.TEXT


def patterns_of(values: pl.Series) -> tuple[str, ...]:
    """The ways of writing a date by which nearly all cells are one between 1850 and 2150.

    >>> patterns_of(pl.Series(["03/04/2020", "05/06/2021"]))
    ('%d/%m/%Y', '%m/%d/%Y')
    """
    found = []
    for pattern in PATTERNS:
        years = values.str.to_datetime(pattern, strict=False).dt.year()
        read = years.drop_nulls()
        if years.null_count() <= MOST_DATES_WRONG * len(values) and read.is_between(1850, 2150).all():
            found.append(pattern)
    return tuple(found)

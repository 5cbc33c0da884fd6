"""How dates pass: as they are, moved by the patient's own shift, as a year, or not at all.

A date that tells less than a day ("2019-03", "2019") is moved as its middle day would be (the 15th, the 2nd of July)
and tells no more afterwards than before: to pass it unmoved beside moved ones would give the shift away.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from salus.deidentify.field_books import Fate
from salus.deidentify.key import Key

MIDDLE_DAY, MIDDLE_MONTH, MIDDLE_OF_YEAR = 15, 7, 2
ISO = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)([T ]\d\d:\d\d(?::\d\d(?:\.\d{1,12})?)?(?:Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)
HL7 = re.compile(
    r"(\d{4})(?:(\d\d)(?:(\d\d)((?:\d\d(?:\d\d(?:\d\d(?:\.\d{1,4})?)?)?)?(?:[+-]\d{4})?)?)?)?", re.ASCII
)


class DateHow(StrEnum):
    """What a policy lets become of dates."""

    KEEP = "keep"
    SHIFT = "shift"
    YEAR = "year"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class DateRule:
    """One rule for dates: how, and by how many days at most they move."""

    how: DateHow
    most_days: int = 0
    keep_weekday: bool = False

    def shift(self, key: Key, patient: str) -> timedelta | None:
        """By how much this patient's dates move; None where dates do not move or nobody knows whose they are."""
        if self.how is not DateHow.SHIFT or not patient:
            return None
        return key.date_shift(patient, most_days=self.most_days, keep_weekday=self.keep_weekday)

    def iso(self, text: str, shift: timedelta | None) -> tuple[str | None, Fate]:
        """A FHIR date or dateTime, or the same with a blank in the middle, and what became of it.

        >>> rule = DateRule(how=DateHow.SHIFT, most_days=365)
        >>> rule.iso("2019-03-30T23:15:00+01:00", timedelta(days=2))[0]
        '2019-04-01T23:15:00+01:00'
        >>> rule.iso("2019-03", timedelta(days=20))[0], rule.iso("2019", timedelta(days=20))[0]
        ('2019-04', '2019')
        """
        return self._passed(ISO.fullmatch(text), shift, "-")

    def hl7(self, text: str, shift: timedelta | None) -> tuple[str | None, Fate]:
        """A date or time of HL7 v2.

        >>> DateRule(how=DateHow.SHIFT, most_days=365).hl7("201903302315+0100", timedelta(days=2))[0]
        '201904012315+0100'
        """
        return self._passed(HL7.fullmatch(text), shift, "")

    def _passed(
        self, found: re.Match[str] | None, shift: timedelta | None, between: str
    ) -> tuple[str | None, Fate]:
        if found is None or self.how is DateHow.REMOVE:
            return None, Fate.REMOVED
        if self.how is DateHow.KEEP:
            return found.group(0), Fate.KEPT
        day = _day(found)
        if day is None:
            return None, Fate.REMOVED
        if self.how is DateHow.YEAR:
            return found.group(1), Fate.GENERALISED
        if shift is None:
            return None, Fate.REMOVED
        try:
            moved = day + shift
        except OverflowError:
            return None, Fate.REMOVED
        told = [f"{moved.year:04}", f"{moved.month:02}", f"{moved.day:02}"]
        parts = 1 + (found.group(2) is not None) + (found.group(3) is not None)
        return between.join(told[:parts]) + (found.group(4) or ""), Fate.SHIFTED


def _day(found: re.Match[str]) -> date | None:
    """The day a date tells, or the middle one of what it tells; None where there is no such day."""
    year, month, day = (int(part) if part else None for part in found.group(1, 2, 3))
    try:
        if month is None:
            return date(year or 0, MIDDLE_MONTH, MIDDLE_OF_YEAR)
        return date(year or 0, month, day or MIDDLE_DAY)
    except ValueError:
        return None


def year_of(text: str) -> int | None:
    """The year that a date of any of the formats begins with.

    >>> year_of("1950-03"), year_of("19500301"), year_of("unknown")
    (1950, 1950, None)
    """
    return int(text[:4]) if len(text) >= 4 and text[:4].isascii() and text[:4].isdigit() else None

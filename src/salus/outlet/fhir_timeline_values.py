"""Values, moments and texts of a timeline as FHIR R4 writes them: what is written is read as the same again."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from salus.formats.fhir_r4 import UCUM
from salus.formats.fhir_systems import is_code
from salus.timeline.label import COMPLETED
from salus.units import KNOWN_UNITS

Resource = dict[str, object]
BOUND = re.compile(r"(<=|>=|<|>)(-?\d+(?:\.\d+)?(?:e[+-]\d+)?)", re.ASCII)
WRITABLE = re.compile(r"[\t\n\r -~\u00a0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")
LONGEST_TEXT = 1 << 20
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One row of a timeline, in order: ``place`` is its number among the patient's rows."""

    place: int
    time: datetime | None
    known: datetime | None
    code: str
    number: float | None
    text: str | None
    unit: str | None
    source: str

    @classmethod
    def of(cls, place: int, row: tuple[Any, ...]) -> Event:
        """A row: subject, time, known time, code, number, text, unit, source."""
        _, time, known, code, number, text, unit, source = row
        return cls(
            place=place,
            time=time,
            known=known,
            code=code,
            number=number,
            text=text,
            unit=unit,
            source=source or "",
        )

    @property
    def is_completed(self) -> bool:
        """Whether a model drew it into a real record."""
        return self.source.partition("/")[0] == COMPLETED

    @property
    def is_bare(self) -> bool:
        """Whether it says that something happened and nothing of how much."""
        return self.number is None and self.text is None and self.unit is None


@dataclass(frozen=True, slots=True)
class Clock:
    """How moments are written: by whose clocks days begin, and whether the timeline tells no more than days."""

    zone: ZoneInfo
    only_days: bool

    def moment(self, time: datetime) -> str:
        """A dateTime: in UTC, or the day where days are all that is told.

        >>> [Clock(ZoneInfo("UTC"), days).moment(datetime(2026, 3, 1)) for days in (False, True)]
        ['2026-03-01T00:00:00Z', '2026-03-01']
        """
        day = self.day(time) if self.only_days else None
        return day if day is not None else instant(time)

    def day(self, time: datetime) -> str | None:
        """The day that begins at a moment; None where none does."""
        local = self._local(time)
        begins = datetime(local.year, local.month, local.day, tzinfo=self.zone).astimezone(UTC)
        return f"{local:%Y-%m-%d}" if begins.replace(tzinfo=None) == time else None

    def day_of(self, time: datetime) -> str:
        """The day that a moment is in."""
        return self._local(time).date().isoformat()

    def _local(self, time: datetime) -> datetime:
        return time.replace(tzinfo=UTC).astimezone(self.zone)


def instant(time: datetime) -> str:
    """A moment in UTC, to the microsecond where it has any.

    >>> instant(datetime(2026, 3, 1, 8)), instant(datetime(2026, 3, 1, 8, 0, 0, 120))
    ('2026-03-01T08:00:00Z', '2026-03-01T08:00:00.000120Z')
    """
    return f"{time.isoformat()}Z"


def amount(number: float | None, unit: str | None) -> Resource:
    """A Quantity; a unit that is no UCUM that we know is written as it is printed.

    >>> amount(5.9, "mmol/L")
    {'value': 5.9, 'unit': 'mmol/L', 'system': 'http://unitsofmeasure.org', 'code': 'mmol/L'}
    >>> amount(2.0, "puffs")
    {'value': 2, 'unit': 'puffs'}
    """
    told: Resource = {} if number is None else {"value": shortest(number)}
    if unit is not None:
        told["unit"] = unit
        if unit in KNOWN_UNITS:
            told |= {"system": UCUM, "code": unit}
    return told


def shortest(number: float) -> float | int:
    """The shortest number that a 32-bit float is read from, whole where it is.

    >>> shortest(6.099999904632568), shortest(140.0), shortest(1e-07)
    (6.1, 140, 1e-07)
    """
    short = float(str(np.float32(number)))
    return int(short) if short.is_integer() and abs(short) < 1e9 else short


def bound(text: str) -> tuple[str, float] | None:
    """The comparator and number of a text that is a bound as intake writes one.

    >>> bound("<5"), bound(">=0.25"), bound("<05"), bound("< 5")
    (('<', 5.0), ('>=', 0.25), None, None)
    """
    found = BOUND.fullmatch(text)
    if found is None or found[2] != f"{float(found[2]):g}":
        return None
    return found[1], float(found[2])


def is_string(text: str) -> bool:
    """Whether R4 takes a text: not empty, not only space, no control characters.

    >>> is_string("two\\nlines"), is_string(" "), is_string("bell\\x07")
    (True, False, False)
    """
    return bool(text.strip()) and len(text) <= LONGEST_TEXT and WRITABLE.fullmatch(text) is not None


def is_number(number: float | None) -> bool:
    """Whether FHIR can write it: it has no infinities."""
    return number is None or math.isfinite(number)


def is_unit(unit: str | None) -> bool:
    """Whether a unit is read as it is written."""
    return unit is None or is_code(unit)

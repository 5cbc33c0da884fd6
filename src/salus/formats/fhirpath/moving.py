"""A date or time moved by an amount of time: as precise as it was written, and no more."""

from __future__ import annotations

import calendar
import re
from datetime import datetime, timedelta
from decimal import Decimal

WRITTEN = re.compile(
    r"(?P<date>\d{4}(?:-\d{2}){0,2})?T?(?P<clock>\d{2}(?::\d{2}){0,2}(?:\.\d+)?)?(?P<zone>Z|[+-]\d{2}:\d{2})?"
)
MONTHS = {"year": 12, "month": 1}
MILLISECONDS = {"week": 604_800_000, "day": 86_400_000, "hour": 3_600_000, "minute": 60_000, "second": 1000}
OF_UCUM = {"wk": "week", "d": "day", "h": "hour", "min": "minute", "s": "second", "ms": "millisecond"}
DAY = MILLISECONDS["day"]


def milliseconds(unit: str) -> int | None:
    """How long a unit of time is; None where it is no such unit, or a year or month, which are not always as long.

    >>> milliseconds("wk"), milliseconds("month")
    (604800000, None)
    """
    name = OF_UCUM.get(unit, unit)
    return 1 if name == "millisecond" else MILLISECONDS.get(name)


def moved(text: str, value: Decimal, unit: str) -> str | None:
    """The moment so many units later; None where the unit is none of the calendar, or the year none that there is.

    >>> moved("1973-12-25", Decimal("7.7"), "day"), moved("2024-01-31", Decimal(1), "month")
    ('1974-01-01', '2024-02-29')
    """
    found, number = WRITTEN.fullmatch(text), int(value)
    if found is None:
        return None
    date, clock, zone = found["date"], found["clock"], found["zone"] or ""
    try:
        if unit in MONTHS and date:
            return _by_months(date, number * MONTHS[unit]) + text[len(date) :]
        length = milliseconds(unit)
        if length is None:
            return None
        if not date:
            return _clock(clock or "", number * length)
        if not clock:
            return _by_days(date, int(number * length / DAY)) + text[len(date) :]
        day, later = _later(date, clock, number * length)
        return f"{day}T{later}{zone}"
    except (ValueError, OverflowError):
        return None


def _by_months(date: str, months: int) -> str:
    parts = [int(part) for part in date.split("-")]
    if len(parts) == 1:
        return f"{_year(parts[0] + int(months / 12)):04d}"
    year, month = divmod(parts[0] * 12 + parts[1] - 1 + months, 12)
    told = f"{_year(year):04d}-{month + 1:02d}"
    if len(parts) == 2:
        return told
    return f"{told}-{min(parts[2], calendar.monthrange(year, month + 1)[1]):02d}"


def _year(year: int) -> int:
    if not 1 <= year <= 9999:
        raise ValueError
    return year


def _by_days(date: str, days: int) -> str:
    parts = date.split("-")
    if len(parts) < 3:
        return _by_months(date, int(days / 30) if len(parts) == 2 else int(days / 365) * 12)
    return f"{datetime.fromisoformat(date) + timedelta(days=days):%Y-%m-%d}".rjust(10, "0")


def _later(date: str, clock: str, length: int) -> tuple[str, str]:
    whole = datetime.fromisoformat(f"{date}T{(clock + ':00')[:5] if len(clock) < 5 else clock[:8]}")
    fraction = Decimal(f"0{clock[8:]}") if len(clock) > 8 else Decimal(0)
    then = whole + timedelta(milliseconds=length + int(fraction * 1000))
    return f"{then:%Y-%m-%d}".rjust(10, "0"), _as_precise(then, clock)


def _clock(clock: str, length: int) -> str:
    return _later("2000-01-01", clock, length)[1]


def _as_precise(then: datetime, clock: str) -> str:
    told = f"{then:%H:%M:%S}"[: min(len(clock), 8)]
    return told + f".{then.microsecond // 1000:03d}" if len(clock) > 8 else told

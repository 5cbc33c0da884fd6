"""Dates and times of any precision: compared as far as both say, and their boundaries."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from fractions import Fraction

DATE_TIME = re.compile(
    r"(\d{4})(?:-(\d{2})(?:-(\d{2})(?:T(?:(\d{2})(?::(\d{2})(?::(\d{2})(?:\.(\d+))?)?)?)?(Z|[+-]\d{2}:\d{2})?)?)?)?"
)
TIME = re.compile(r"T?(\d{2})(?::(\d{2})(?::(\d{2})(?:\.(\d+))?)?)?")
LENGTHS = {4: 4, 6: 7, 8: 10, 10: 13, 12: 16, 14: 19, 17: 23}
MOST_DIGITS = 31
EARLIEST, LATEST = "+14:00", "-12:00"
"""The zones in which a day begins first and ends last."""


@dataclass(frozen=True, slots=True)
class Read:
    """The parts that were written (year, month … seconds with their fraction), and the zone in minutes."""

    parts: tuple[Fraction, ...]
    zone: int | None


def read_moment(text: str, kind: str) -> Read | None:
    """Read what is written; None where it is no date or time."""
    found = (TIME if kind == "time" else DATE_TIME).fullmatch(text)
    if found is None:
        return None
    groups = list(found.groups())
    written = groups.pop() if kind != "time" else None
    fraction = groups.pop()
    parts = [Fraction(part) for part in groups if part is not None]
    if fraction is not None:
        parts[-1] += Fraction(int(fraction), 10 ** len(fraction))
    zone = None
    if written is not None:
        sign = -1 if written[0] == "-" else 1
        zone = 0 if written == "Z" else sign * (int(written[1:3]) * 60 + int(written[4:6]))
    return Read(tuple(parts), zone)


def compare(left: tuple[str, str], right: tuple[str, str]) -> int | None:
    """-1, 0 or 1 as (text, kind) is before, at or after another; None where they do not say enough.

    >>> compare(("2012", "date"), ("2013-01", "date")), compare(("2012", "date"), ("2012-01", "date"))
    (-1, None)
    """
    a, b = read_moment(*left), read_moment(*right)
    if a is None or b is None or (left[1] == "time") != (right[1] == "time"):
        return None
    if a.zone is not None and b.zone is not None and a.zone != b.zone and len(a.parts) > 3 < len(b.parts):
        a, b = _in_utc(a), _in_utc(b)
    elif (a.zone is None) != (b.zone is None) and len(a.parts) > 3 < len(b.parts):
        return None
    for one, other in zip(a.parts, b.parts, strict=False):
        if one != other:
            return -1 if one < other else 1
    return 0 if len(a.parts) == len(b.parts) else None


def _in_utc(read: Read) -> Read:
    whole = [int(part) for part in read.parts]
    minutes = whole[4] if len(whole) > 4 else 0
    try:
        moment = datetime(whole[0], whole[1], whole[2], whole[3], minutes) - timedelta(minutes=read.zone or 0)
    except (ValueError, OverflowError):
        return read
    parts = (moment.year, moment.month, moment.day, moment.hour, moment.minute)
    return Read((*map(Fraction, parts), *read.parts[5:])[: max(len(read.parts), 5)], 0)


def boundary(text: str, kind: str, *, high: bool) -> str | None:
    """The first or last moment that a partial date or time can mean.

    >>> boundary("1970-06", "date", high=True), boundary("12:34", "time", high=False)
    ('1970-06-30', '12:34:00.000')
    """
    read = read_moment(text, kind)
    if read is None:
        return None
    parts, known = [int(part) for part in read.parts], len(read.parts)
    clock = parts[3:] if kind != "time" else parts
    thousandth = int((read.parts[-1] % 1) * 1000) if read.parts[-1] % 1 else None
    if kind == "time":
        return _clock(clock, thousandth, high)
    month = parts[1] if known > 1 else 12 if high else 1
    last = calendar.monthrange(max(parts[0], 1), month)[1]
    day = f"{parts[0]:04d}-{month:02d}-{parts[2] if known > 2 else last if high else 1:02d}"
    if kind == "date":
        return day
    zone = (LATEST if high else EARLIEST) if read.zone is None else _zone(read.zone)
    return f"{day}T{_clock(clock, thousandth, high)}{zone}"


def cut_to(text: str, kind: str, digits: int) -> str | None:
    """The same with so many digits: 4 of a year, 6 with the month … 17 with milliseconds; None: no such number.

    >>> cut_to("2014-01-01T08:00:00.000Z", "dateTime", 8), cut_to("10:30:00.000", "time", 4)
    ('2014-01-01', '10:30')
    """
    lengths = {2: 2, 4: 5, 6: 8, 9: 12} if kind == "time" else LENGTHS
    if digits not in lengths or (kind == "date" and digits > 8):
        return None
    if digits < 10 or kind == "time":
        return text[: lengths[digits]]
    zone = "Z" if text.endswith("Z") else text[-6:]
    return text[: lengths[digits]] + zone


def round_to(value: Decimal, digits: int, *, high: bool) -> Decimal | None:
    """The bound of what a number can mean, to so many digits after the point, away from it; None: too many digits."""
    if not 0 <= digits <= MOST_DIGITS:
        return None
    exponent = value.as_tuple().exponent
    half = Decimal(5).scaleb((exponent if isinstance(exponent, int) else 0) - 1)
    with localcontext(prec=400):  # the largest 64-bit number has 309 digits
        bound = value + half if high else value - half
        return bound.quantize(Decimal(1).scaleb(-digits), ROUND_CEILING if high else ROUND_FLOOR)


def _clock(parts: list[int], thousandth: int | None, high: bool) -> str:
    full = [*parts, *([23, 59, 59] if high else [0, 0, 0])[len(parts) :]]
    if thousandth is None:
        thousandth = 0 if not high else 999
    return "{:02d}:{:02d}:{:02d}.{:03d}".format(*full, thousandth)


def _zone(minutes: int) -> str:
    if minutes == 0:
        return "Z"
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"

"""FHIR's dates and times as moments in UTC; each text is read once."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

WRITTEN = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?"
    r"(Z|[+-](?:0\d|1[0-4]):[0-5]\d)?)?)?)?",
    re.ASCII,
)
NONE, PARTIAL, STRANGE, OUTSIDE = -(2**63), -(2**63) + 1, -(2**63) + 2, -(2**63) + 3
"""In place of microseconds since 1970: nothing was told, not to the day, no date, or outside of what is plausible."""
LATEST_CODE = OUTSIDE
YEARS = range(1850, 2201)
WITH_ZONE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3}(?:\d{3})?)?(?:Z|[+-](?:0\d|1[0-4]):[0-5]\d)", re.ASCII
)
USUAL_LENGTHS = frozenset((20, 24, 25, 27, 29, 32))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _usual(text: str) -> int | None:
    """A moment to the second or finer with its zone, as most are written; None: it is to be looked at closely.

    >>> _usual("1970-01-01T01:00:01+01:00"), _usual("1970-01-01"), _usual("1970-01-01T00:00:60Z")
    (1000000, None, None)
    """
    if len(text) not in USUAL_LENGTHS or WITH_ZONE.fullmatch(text) is None:
        return None
    try:
        since = datetime.fromisoformat(text) - EPOCH
    except (ValueError, OverflowError):
        return None
    if int(text[:4]) not in YEARS:
        return None
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


class Times(dict[str | None, int]):
    """Microseconds since 1970 by what is written; ``zone`` is that of texts that name none.

    A date is the beginning of its day. With ``middle`` a year or month is its middle (births).
    """

    def __init__(self, zone: str = "UTC", *, middle: bool = False) -> None:
        super().__init__({None: NONE, "": NONE})
        self.zone, self.middle = ZoneInfo(zone), middle

    def __missing__(self, text: str | None) -> int:
        if len(self) > 1 << 20:  # the distinct times of one part; beyond that memory matters more than time
            self.clear()
            self.update({None: NONE, "": NONE})
        moment = self._read(text or "")
        self[text] = moment
        return moment

    def _read(self, text: str) -> int:
        quick = _usual(text)
        if quick is not None:
            return quick
        found = WRITTEN.fullmatch(text)
        if found is None:
            return STRANGE
        year, month, day, *clock = found.groups()
        if int(year) not in YEARS:
            return OUTSIDE
        if day is None and not self.middle:
            return PARTIAL
        try:
            return self._moment(int(year), month, day, clock)
        except (ValueError, OverflowError):
            return STRANGE

    def _moment(self, year: int, month: str | None, day: str | None, clock: list[str | None]) -> int:
        hour, minute, second, fraction, offset = clock
        if month is None:
            date = datetime(year, 7, 1)
        elif day is None:
            date = datetime(year, int(month), monthrange(year, int(month))[1] // 2)
        else:
            date = datetime(year, int(month), int(day))
        seconds = min(int(second or 0), 59)  # 60 is a leap second
        parts = timedelta(hours=int(hour or 0), minutes=int(minute or 0), seconds=seconds)
        if int(hour or 0) > 23 or int(minute or 0) > 59 or int(second or 0) > 60:
            raise ValueError
        parts += timedelta(microseconds=int((fraction or "0").ljust(6, "0")[:6]))
        moment = self._placed(date + parts, offset)
        return (moment - EPOCH) // timedelta(microseconds=1)

    def _placed(self, local: datetime, offset: str | None) -> datetime:
        if offset is None:
            return local.replace(tzinfo=self.zone).astimezone(UTC)
        if offset == "Z":
            return local.replace(tzinfo=UTC)
        minutes = int(offset[1:3]) * 60 + int(offset[4:6])
        sign = -1 if offset[0] == "-" else 1
        return local.replace(tzinfo=UTC) - timedelta(minutes=sign * minutes)

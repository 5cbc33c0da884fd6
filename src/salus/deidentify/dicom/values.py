"""Single values of DICOM: is it what its type says, which dummy stands in its place, and how a date moves.

What a type does not allow does not pass: a name in a field of numbers is no number.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

MIDDLE_DAY, MIDDLE_MONTH, MIDDLE_OF_YEAR = 15, 7, 2
DUMMY_TEXT, DUMMY_DATE, DUMMY_TIME = "REMOVED", "19000101", "000000"
OLDEST = 89
FORMS = {
    "DS": re.compile(r" *[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})? *", re.ASCII),
    "IS": re.compile(r" *[+-]?\d{1,12} *", re.ASCII),
    "CS": re.compile(r"[A-Z0-9 _]{0,16}"),
    "AS": re.compile(r"\d{3}[DWMY]", re.ASCII),
    "DA": re.compile(r"(\d{4})(?:\.(\d\d)\.|(\d\d))(\d\d)", re.ASCII),
    "TM": re.compile(r"\d\d(:?[0-5]\d(:?[0-6]\d(\.\d{1,6})?)?)? *", re.ASCII),
    "DT": re.compile(r"(\d{4})(?:(\d\d)(?:(\d\d)((?:\d\d){0,3}(?:\.\d{1,6})?)?)?)?([+-]\d{4})? *", re.ASCII),
    "UI": re.compile(r"[0-9]+(\.[0-9]+)*"),
}
WORDS = ("LO", "SH", "ST", "LT", "UT", "UC", "PN", "AE", "CS")
DUMMIES: dict[str, str | bytes] = {
    "DA": DUMMY_DATE,
    "TM": DUMMY_TIME,
    "DT": DUMMY_DATE + DUMMY_TIME,
    "AS": "000Y",
    "DS": "0",
    "IS": "0",
    "OB": b"\0\0",
    "UR": "urn:removed",
    **dict.fromkeys(WORDS, DUMMY_TEXT),
}
SIZES = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "UV": 8, "SV": 8, "FL": 4, "FD": 8, "AT": 4}


def is_of(vr: str, text: str) -> bool:
    """Whether every value of a text is what the type says; free words are when they are printable ASCII.

    >>> is_of("DS", r"0.5\\0.5"), is_of("DS", "JANE"), is_of("CS", "AXIAL"), is_of("LO", "Zürich")
    (True, False, True, False)
    """
    if vr not in FORMS:
        return text.isascii() and text.isprintable()
    return all(not part or FORMS[vr].fullmatch(part) for part in text.split("\\"))


def code_string(text: str) -> str:
    r"""A multi-valued code string with what is none replaced.

    >>> code_string("ORIGINAL\\PRIMARY\\Jane Doe")
    'ORIGINAL\\PRIMARY\\REMOVED'
    """
    return "\\".join(part if is_of("CS", part) else DUMMY_TEXT for part in text.split("\\"))


def age(text: str) -> str:
    """An age; above 89 years it is told as 90.

    >>> age("093Y"), age("045Y"), age("006M")
    ('090Y', '045Y', '006M')
    """
    old = FORMS["AS"].fullmatch(text) and text.endswith("Y") and int(text[:3]) > OLDEST
    return f"{OLDEST + 1:03}Y" if old else text


def fits_multiplicity(vr: str, multiplicity: str, length: int) -> bool:
    """Whether binary numbers are as many as the standard says: words could hide in numbers that nobody reads.

    >>> fits_multiplicity("US", "1", 2), fits_multiplicity("US", "1", 40), fits_multiplicity("FL", "1-n", 40)
    (True, False, True)
    """
    size = SIZES.get(vr)
    if size is None:
        return True
    return length % size == 0 and (not multiplicity.isdigit() or length in (0, size * int(multiplicity)))


def shifted(vr: str, text: str, shift: timedelta) -> str | None:
    r"""Dates moved, times of day as they are; None where one of them is no date.

    A date without its day moves as its middle day would, and tells no more afterwards.

    >>> two_days = timedelta(days=2)
    >>> shifted("DA", r"20190330\20191231", two_days), shifted("DT", "20190330231500.5+0100", two_days)
    ('20190401\\20200102', '20190401231500.5+0100')
    >>> shifted("DT", "201903", timedelta(days=20)), shifted("TM", "0815", two_days), shifted("DA", "soon", two_days)
    ('201904', '0815', None)
    """
    if vr == "TM":
        return text if is_of(vr, text) else None
    moved = [_moved(vr, part, shift) if part else "" for part in text.split("\\")]
    told = [part for part in moved if part is not None]
    return "\\".join(told) if len(told) == len(moved) else None


def _moved(vr: str, text: str, shift: timedelta) -> str | None:
    found = FORMS[vr].fullmatch(text.rstrip(" "))
    if found is None:
        return None
    if vr == "DA":
        year, month, day = found[1], found[2] or found[3], found[4]
        rest = zone = ""
    else:
        year, month, day, rest, zone = (part or "" for part in found.groups())
    try:
        moved = date(int(year), *_middle(month, day)) + shift
    except (ValueError, OverflowError):
        return None
    told = f"{moved.year:04}{moved.month:02}{moved.day:02}"
    return told[: 4 + len(month) + len(day)] + rest + zone


def _middle(month: str, day: str) -> tuple[int, int]:
    """Month and day, or the middle of what is told."""
    if not month:
        return MIDDLE_MONTH, MIDDLE_OF_YEAR
    return int(month), int(day) if day else MIDDLE_DAY

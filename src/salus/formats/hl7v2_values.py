"""What OBX-5 says, by the type that OBX-2 names: a number, a bound, words, a code, or nothing, and why not."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from salus.formats.hl7v2 import DELETED, unescape
from salus.formats.hl7v2_codes import ATTACHED, CODED, STAMPS, TEXTS, Coding, read_coded

LARGEST = 3.4e38
"""Of a 32-bit float."""
COMPARATORS = ("<=", ">=", "<", ">")
SIGNS = {"≤": "<=", "≥": ">=", "=": "", "~": "", "": "", **{sign: sign for sign in COMPARATORS}}
NUMBER = re.compile(r"[+-]?(\d+[.]?\d*|[.]\d+)([eE][+-]?\d{1,3})?", re.ASCII)
BOUND = re.compile(rf"(<=|>=|<|>|≤|≥)\s*({NUMBER.pattern})")
EMPTY = "no value"
NO_NUMBER = "not a number that a 32-bit float can hold"
NO_ANSWER = "the answer has neither code nor words"
IS_ATTACHED = "a document is attached or pointed to: it is not opened"
NO_TIME = "the value is no date or time"
NO_TYPE = "no value type of OBX-2 that can be read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One value: at most one of number, bound (as text), words and answer; or the reason why there is none."""

    number: float | None = None
    bound: str | None = None
    words: str | None = None
    answer: Coding | None = None
    reason: str | None = None


def read_value(kind: str, written: str, *, has_unit: bool = False) -> tuple[Said, ...]:
    """Every value of one OBX-5: one for each repetition, except words, whose repetitions are lines.

    >>> read_value("SN", ">^100")[0].bound, read_value("NM", "5.9~6.1")[1].number
    ('>100', 6.1)
    >>> read_value("TX", "no growth~after 48 h")[0].words
    'no growth\\nafter 48 h'
    >>> read_value("NM", "haemolysed")[0].reason
    'not a number that a 32-bit float can hold'
    """
    if written.strip() in ("", DELETED):
        return (Said(reason=EMPTY),)
    if kind == "" or kind in TEXTS:
        return (_text(written, has_unit),)
    read = READERS.get(kind)
    return tuple(map(read, written.split("~"))) if read else (Said(reason=NO_TYPE),)


def as_number(written: str) -> float | None:
    """A finite number that a 32-bit float can hold.

    >>> as_number("5.90"), as_number("1e99"), as_number("0x1F"), as_number("5,9")
    (5.9, None, None, None)
    """
    if not NUMBER.fullmatch(written):
        return None
    number = float(written)
    return number if abs(number) < LARGEST else None


def _number(written: str) -> Said:
    text = unescape(written).strip()
    if text in ("", DELETED):
        return Said(reason=EMPTY)
    if bound := BOUND.fullmatch(text):
        return _bound(SIGNS[bound.group(1)], bound.group(2))
    number = as_number(text)
    return Said(reason=NO_NUMBER) if number is None else Said(number=number)


def _bound(sign: str, written: str) -> Said:
    number = as_number(written)
    return Said(reason=NO_NUMBER) if number is None else Said(bound=f"{sign}{number:g}")


def _structured(written: str) -> Said:
    """SN: comparator, number, separator, number. A ratio, a range and a titre are words."""
    sign, first, between, second = ([unescape(part).strip() for part in written.split("^")] + [""] * 4)[:4]
    if not (sign or first or between or second):
        return Said(reason=EMPTY)
    if sign not in (*SIGNS, "<>") or (between and not second) or (first and as_number(first) is None):
        return Said(reason=NO_NUMBER)
    if between or second:
        return Said(words=f"{SIGNS.get(sign, sign)}{first}{between or ' '}{second}".strip())
    if not first or sign == "<>":
        return Said(reason=NO_NUMBER)
    return _bound(SIGNS[sign], first) if SIGNS[sign] else Said(number=as_number(first))


def _coded(written: str) -> Said:
    answer = read_coded(written)
    if answer is not None:
        return Said(answer=answer)
    parts = [unescape(part).strip() for part in written.split("^")]
    words = next((parts[place] for place in (1, 8, 4, 0) if len(parts) > place and parts[place]), "")
    return Said(words=words) if words and words != DELETED else Said(reason=NO_ANSWER)


def _text(written: str, has_unit: bool) -> Said:
    """Words; a number with a unit is a number, whatever its type says."""
    if has_unit and (number := as_number(written.strip())) is not None:
        return Said(number=number)
    lines = [unescape(line.replace("^", " ")).rstrip() for line in written.split("~")]
    words = "\n".join(lines).strip()
    return Said(words=words) if words else Said(reason=EMPTY)


def _stamp(written: str) -> Said:
    """A date or time in ISO 8601, as exact as it was told."""
    first, _, last = written.partition("^")
    told = [iso_stamp(part) for part in (first, last) if part]
    if not told or None in told:
        return Said(reason=NO_TIME)
    return Said(words="/".join(part for part in told if part))


STAMP = re.compile(r"(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?([.]\d{1,6})?([+-]\d{4})?", re.ASCII)
CLOCK = re.compile(r"(\d\d)(\d\d)?(\d\d)?([.]\d{1,4})?([+-]\d{4})?", re.ASCII)


def iso_stamp(written: str) -> str | None:
    """A date, or date with time, of HL7 in ISO 8601; None where there is no such day or moment.

    >>> iso_stamp("201903"), iso_stamp("20190230"), iso_stamp("201903041530+0100")
    ('2019-03', None, '2019-03-04T15:30+01:00')
    """
    found = STAMP.fullmatch(written)
    if not found:
        return None
    year, month, day, hour, minute, second, rest, zone = (part or "" for part in found.groups())
    try:
        datetime(
            int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0)
        )
    except ValueError:
        return None
    date = "-".join(part for part in (year, month, day) if part)
    clock = ":".join(part for part in (hour, minute or ("00" if hour else ""), second) if part)
    offset = f"{zone[:3]}:{zone[3:]}" if zone and clock else ""
    return f"{date}T{clock}{rest}{offset}" if clock else date


def _clock(written: str) -> Said:
    found = CLOCK.fullmatch(written)
    if not found or int(found.group(1)) > 23 or any(int(found.group(part) or 0) > 59 for part in (2, 3)):
        return Said(reason=NO_TIME)
    return Said(
        words=":".join(part for part in (found.group(1), found.group(2) or "00", found.group(3)) if part)
    )


READERS: dict[str, Callable[[str], Said]] = {
    "NM": _number,
    "SI": _number,
    "SN": _structured,
    "TM": _clock,
    **{kind: _coded for kind in CODED},
    **{kind: _stamp for kind in STAMPS - {"TM"}},
    **{kind: lambda _: Said(reason=IS_ATTACHED) for kind in ATTACHED},
}
RANGE = re.compile(
    rf"({NUMBER.pattern})\s*(?:-|–|to|\.\.)\s*({NUMBER.pattern})(?:\s.*)?",
)


def read_range(written: str) -> tuple[str | None, str | None]:
    """Low and high of a reference range (OBX-7) as they are written; None where it has none or is in words.

    >>> read_range("3.5-5.1"), read_range("< 5.0"), read_range(">=90"), read_range("negative")
    (('3.5', '5.1'), (None, '5.0'), ('90', None), (None, None))
    """
    text = unescape(written.split("~", 1)[0]).strip()
    if found := RANGE.fullmatch(text):
        return found.group(1), found.group(4)
    if found := BOUND.fullmatch(text):
        return (None, found.group(2)) if SIGNS[found.group(1)].startswith("<") else (found.group(2), None)
    return None, None

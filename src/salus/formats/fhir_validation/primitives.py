"""Whether a simple value is written as its type demands: FHIR R4, page datatypes."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal

YEAR = r"(?!0000)[0-9]{4}"
MONTH, DAY = r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12][0-9]|3[01])"
CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
ZONE = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
PATTERNS = {
    "date": rf"{YEAR}(?:-{MONTH}(?:-{DAY})?)?",
    "dateTime": rf"{YEAR}(?:-{MONTH}(?:-{DAY}(?:T{CLOCK}{ZONE})?)?)?",
    "instant": rf"{YEAR}-{MONTH}-{DAY}T{CLOCK}{ZONE}",
    "time": CLOCK,
    "code": r"[^\s]+(?:\s[^\s]+)*",
    "id": r"[A-Za-z0-9\-.]{1,64}",
    "uri": r"\S+",
    "url": r"\S+",
    "canonical": r"\S+",
    "oid": r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+",
    "uuid": r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
}
WRITTEN = {kind: re.compile(pattern) for kind, pattern in PATTERNS.items()}
URIS = ("uri", "url", "canonical")
DATES = ("date", "dateTime", "instant")
LEAST = {"integer": -(2**31), "unsignedInt": 0, "positiveInt": 1}
MOST_INTEGER = 2**31 - 1
MOST_TEXT = 1024 * 1024
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/=\s]")


def trouble_of(kind: str, value: object) -> str:
    """Why a value is none of its type; empty where it is one.

    >>> trouble_of("date", "2019-02-30"), trouble_of("positiveInt", 0), trouble_of("boolean", True)
    ('there is no such day', 'a number out of the range of positiveInt', '')
    """
    if kind == "boolean":
        return "" if isinstance(value, bool) else "true or false is expected, without quotes"
    if kind in LEAST:
        return _integer(kind, value)
    if kind == "decimal":
        fits = isinstance(value, (int, Decimal, float)) and not isinstance(value, bool)
        return "" if fits else "a number is expected, without quotes"
    if not isinstance(value, str):
        return "a text is expected, in quotes"
    if not value:
        return "an empty text: leave the element out"
    return TEXTS.get(kind, _text)(kind, value)


def _integer(kind: str, value: object) -> str:
    if not isinstance(value, int) or isinstance(value, bool):
        return "a whole number is expected, without quotes"
    return "" if LEAST[kind] <= value <= MOST_INTEGER else f"a number out of the range of {kind}"


def _text(kind: str, value: str) -> str:
    if CONTROL.search(value):
        return "a control character in a text"
    if not value.strip():
        return "a text of nothing but spaces"
    return "a text longer than 1 MB" if kind == "string" and len(value) > MOST_TEXT else ""


def _pattern(kind: str, value: str) -> str:
    return "" if WRITTEN[kind].fullmatch(value) else f"not written as the type {kind} demands"


def _moment(kind: str, value: str) -> str:
    told = _pattern(kind, value)
    if told or len(value) < 10:
        return told
    try:
        date.fromisoformat(value[:10])
    except ValueError:
        return "there is no such day"
    return ""


def _uri(kind: str, value: str) -> str:
    for begin, inner in (("urn:oid:", "oid"), ("urn:uuid:", "uuid")):
        if value.startswith(begin) and not WRITTEN[inner].fullmatch(
            value.partition("|")[0].partition("#")[0]
        ):
            return f"a URI that begins with {begin} and is none"
    return _pattern(kind, value)


def _encoded(_: str, value: str) -> str:
    if NOT_BASE64.search(value):
        return "a character that base64 does not have"
    try:
        base64.b64decode(value)
    except (binascii.Error, ValueError):
        return "not base64: its length or its end is wrong"
    return ""


TEXTS: dict[str, Callable[[str, str], str]] = {
    **dict.fromkeys(DATES, _moment),
    **dict.fromkeys(URIS, _uri),
    **dict.fromkeys(("time", "code", "id", "oid", "uuid"), _pattern),
    "base64Binary": _encoded,
}

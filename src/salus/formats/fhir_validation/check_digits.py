"""Whether a code can be one of a licensed system at all: its form and check digit; the codes do not ship."""

from __future__ import annotations

import re
from collections.abc import Callable

LOINC = re.compile(r"[0-9]{1,7}-[0-9]|(?:LA|LP|LL|LG|MTHU)[0-9-]+", re.ASCII)
SNOMED_ID = re.compile(r"[1-9][0-9]{5,17}", re.ASCII)
SNOMED_EXPRESSION = re.compile(r"[\s:+,={}()|<]")
DIHEDRAL = (
    *("0123456789", "1234067895", "2340178956", "3401289567", "4012395678"),
    *("5987604321", "6598710432", "7659821043", "8765932104", "9876543210"),
)
"""Multiplication in the dihedral group of ten: row times column (Verhoeff)."""
TURNS = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)
"""How a digit is exchanged by its place from the right, modulo eight (Verhoeff)."""


def is_snomed(code: str) -> bool:
    """Whether a code is written as a SNOMED CT identifier with its check digit, or as an expression of several.

    >>> is_snomed("73211009"), is_snomed("73211008"), is_snomed("73211009x")
    (True, False, False)
    """
    if SNOMED_EXPRESSION.search(code):
        return True
    if not SNOMED_ID.fullmatch(code):
        return False
    check = 0
    for place, digit in enumerate(reversed(code)):
        check = int(DIHEDRAL[check][int(TURNS[place % 8][int(digit)])])
    return check == 0


def is_loinc(code: str) -> bool:
    """Whether a code is written as a LOINC code with its check digit (modulo 10), or as a part or an answer.

    >>> is_loinc("2823-3"), is_loinc("2823-4"), is_loinc("LA6576-8"), is_loinc("potassium")
    (True, False, True, False)
    """
    if not LOINC.fullmatch(code):
        return False
    digits, _, check = code.partition("-")
    if not digits.isdigit():
        return True
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled // 10 + doubled % 10
    return (10 - total % 10) % 10 == int(check)


MAY_HOLD: dict[str, Callable[[str], bool]] = {
    "http://loinc.org": is_loinc,
    "http://snomed.info/sct": is_snomed,
}
"""Whether a system whose codes do not ship can have a code, by the system's URL."""

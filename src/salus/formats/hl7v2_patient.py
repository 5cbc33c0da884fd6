"""Who a message is about: one identifier of several, with the authority that assigned it."""

from __future__ import annotations

from functools import lru_cache

from salus.formats.hl7v2 import DELETED, unescape

OF_A_PATIENT = ("MR", "PI", "PT", "PN", "U", "")
"""Identifier types that name a patient for good, best first; the types not listed here come after them."""
NOT_OF_A_PATIENT = frozenset(("AN", "VN", "AC", "SS", "DL", "PPN", "CC", "BC"))
"""Accounts, visits, and numbers of other walks of life: never taken as the patient's own."""


@lru_cache(maxsize=1 << 16)
def patient_key(identifiers: str, *older: str) -> str | None:
    """Authority and number of a patient (PID-3, MRG-1), else of fields that older versions used (PID-2, PID-4).

    >>> patient_key("123456789^^^USSSA^SS~0042^^^HOSP&1.2.3&ISO^MR")
    'HOSP|0042'
    >>> patient_key("", "77"), patient_key("^^^HOSP^MR"), patient_key("V1^^^HOSP^VN")
    ('|77', None, None)
    """
    for field in (identifiers, *older):
        found = [key for part in field.split("~") if (key := _ranked(part))]
        if found:
            return min(found, key=lambda key: key[0])[1]
    return None


def all_keys(identifiers: str) -> tuple[str, ...]:
    """Every identifier of a patient that a field holds, the one to take first.

    >>> all_keys("1^^^A^PI~2^^^B^MR")
    ('B|2', 'A|1')
    """
    found = sorted(key for part in identifiers.split("~") if (key := _ranked(part)))
    return tuple(dict.fromkeys(key for _, key in found))


def _ranked(written: str) -> tuple[int, str] | None:
    parts = [*written.split("^"), "", "", "", ""]
    number, kind = unescape(parts[0]).strip(), parts[4].strip()
    if not number or number == DELETED or kind in NOT_OF_A_PATIENT:
        return None
    authority = [unescape(part).strip() for part in parts[3].split("&")]
    name = next((part for part in authority if part), "")
    rank = OF_A_PATIENT.index(kind) if kind in OF_A_PATIENT else len(OF_A_PATIENT)
    return rank, f"{name}|{number}"

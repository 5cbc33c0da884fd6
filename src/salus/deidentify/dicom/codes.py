"""Coded concepts: a public code passes with the meaning its system gives it, a local one becomes a pseudonym.

The words beside a code are free text: somebody typed them once. They pass only where a public table says the same.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sr._concepts_dict import concepts
from pydicom.sr._snomed_dict import mapping

from salus.deidentify.dicom.opening import text_of
from salus.deidentify.dicom.told import Told
from salus.deidentify.dicom.values import DUMMY_TEXT
from salus.deidentify.field_books import Fate
from salus.deidentify.key import Key

CODE, SCHEME, VERSION, MEANING, LONG_CODE, URN_CODE = (
    0x00080100,
    0x00080102,
    0x00080103,
    0x00080104,
    0x00080119,
    0x00080120,
)
OF_A_CODE = (CODE, SCHEME, VERSION, MEANING, LONG_CODE, URN_CODE)
OURS = "99SALUS"
WRITTEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9.\-]{0,15}")
PUBLIC = {
    "SCT": re.compile(r"\d{6,18}"),
    "UCUM": re.compile(r"[\x21-\x7e]{1,16}"),
    "LN": re.compile(r"\d{1,6}-\d"),
} | dict.fromkeys(
    ("DCM", "SRT", "SNM3", "FMA", "MDC", "RADLEX", "I10", "I9C", "ICD10", "UMLS", "BI", "NCIt", "RFC5646"),
    WRITTEN,
)
SORT_OF_CONCEPT = re.compile(r" \([a-z ]+\)$")
"""SNOMED CT ends its names by the sort of thing that is meant: (body structure)."""
VERSION_WRITTEN = re.compile(r"[0-9]{0,8}")


def is_code(item: Dataset) -> bool:
    """Whether an item of a sequence is a coded concept."""
    return any(tag in item for tag in (CODE, LONG_CODE, URN_CODE))


def pass_code(item: Dataset, *, key: Key, told: Told, masked: bool) -> dict[int, Fate]:
    """Treat the attributes of a code in place, and say what became of each."""
    there = [tag for tag in OF_A_CODE if tag in item]
    scheme, code = text_of(item, SCHEME), text_of(item, CODE)
    form = PUBLIC.get(scheme)
    if masked or form is None or not form.fullmatch(code) or told.is_in(code):
        return _as_local(item, there, key)
    fates = dict.fromkeys((tag for tag in there if tag in (CODE, SCHEME)), Fate.KEPT)
    for tag in set(there) & {LONG_CODE, URN_CODE, *([VERSION] * (not _is_version(item)))}:
        del item[tag]
        fates[tag] = Fate.REMOVED
    if VERSION in item:
        fates[VERSION] = Fate.KEPT
    if MEANING in item:
        meaning = known_meaning(scheme, code)
        same = text_of(item, MEANING).casefold() == meaning.casefold()
        fates[MEANING] = Fate.KEPT if same else Fate.REMOVED
        item[MEANING] = DataElement(MEANING, "LO", meaning or code)
    return fates


@lru_cache(1)
def _meanings() -> dict[tuple[str, str], str]:
    tables: Any = concepts
    return {
        (scheme, code): meaning
        for scheme, keywords in tables.items()
        for codes in keywords.values()
        for code, (meaning, _) in codes.items()
    }


def known_meaning(scheme: str, code: str) -> str:
    """What a public table says that a code means; empty where it does not know it.

    >>> known_meaning("DCM", "113100"), known_meaning("SRT", "T-A0100"), known_meaning("DCM", "0")
    ('Basic Application Confidentiality Profile', 'Brain structure', '')
    """
    found = _meanings().get((scheme, code))
    if found is None and scheme in ("SRT", "SNM3"):
        found = _meanings().get(("SCT", mapping["SRT"].get(code, "")))
    return SORT_OF_CONCEPT.sub("", found or "")[:64]


def _is_version(item: Dataset) -> bool:
    return bool(VERSION_WRITTEN.fullmatch(text_of(item, VERSION)))


def _as_local(item: Dataset, there: list[int], key: Key) -> dict[int, Fate]:
    """A code that only some know: a pseudonym says where it is the same."""
    original = next((text for tag in (CODE, LONG_CODE, URN_CODE) if (text := text_of(item, tag))), "")
    told = key.pseudonym(f"code of {text_of(item, SCHEME)}", original)[:16].upper()
    for tag in there:
        del item[tag]
    for tag, vr, text in ((CODE, "SH", told), (SCHEME, "SH", OURS), (MEANING, "LO", DUMMY_TEXT)):
        item[tag] = DataElement(tag, vr, text)
    return {tag: Fate.PSEUDONYM if tag == CODE else Fate.REMOVED for tag in there}

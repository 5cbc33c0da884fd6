"""Which attribute meets which fate: Table E.1-1 of PS3.15 with the options chosen, and an allow-list for all else.

An attribute that the table does not name passes only if it is a number, a code string, a date, a UID, a sequence, or
on one of our lists. A combined action ("X/Z/D") names what is allowed by how much an image needs the attribute; no IOD
is at hand here, so the one that never breaks an image is taken: a dummy before an empty value before removal.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from pydicom.datadict import dictionary_VR
from pydicom.tag import BaseTag

from salus.deidentify.dicom.options import DicomOptions

EDITION = "PS3.15 2026d"
HERE = Path(__file__).parent
TEXT_VRS = frozenset({"LO", "SH", "ST", "LT", "UT", "UC", "PN", "AE", "UR"})
NUMBER_VRS = frozenset({"DS", "IS", "US", "SS", "UL", "SL", "UV", "SV", "FL", "FD", "AT"})
TIME_VRS = frozenset({"DA", "DT", "TM"})
BULK = frozenset(
    (
        0x00281201, 0x00281202, 0x00281203, 0x00281204, 0x00281221, 0x00281222, 0x00281223, 0x00283006,
        0x00660016, 0x00660021, 0x00660022, 0x00660040, 0x00660041, 0x00660042, 0x00660043, 0x00640009,
        0x54000110, 0x54000112, 0x5400100A, 0x54001010, 0x56000010, 0x56000020, 0x300A0664, 0x300A0665, 0x300A066B,
    )
)  # fmt: skip
"""Long binary attributes of numbers: colour tables, surfaces, waveforms, spectra. Pixels have their own rules."""
RETIRED_LENGTHS = frozenset({0x00080001})
CURVES_AND_OVERLAYS = (0x50, 0x60)
"""Groups 50xx and 60xx: what is drawn on an image. All of a group goes, for half of it would be no valid overlay."""


class Action(StrEnum):
    """What becomes of an attribute."""

    KEEP = "K"
    SHIFT = "C"
    PHRASE = "phrase"  # kept where the policy names the whole text, else as the Basic Profile says
    REMOVE = "X"
    EMPTY = "Z"
    DUMMY = "D"
    UID = "U"
    WALK = "walk"  # a sequence whose items are treated one by one
    WALK_MASKED = "walk masked"  # the same; its codes are replaced too


STRONGEST = ("U*", "D", "Z", "X", "U", "K")
ALONE = {"D": Action.DUMMY, "Z": Action.EMPTY, "X": Action.REMOVE, "U": Action.UID, "K": Action.KEEP}
REFERENCES = frozenset({0x00081111})
"""X/Z/D, and a sequence of nothing but references to other objects: they are re-pointed."""


@lru_cache(1)
def table() -> Mapping[int, tuple[str, Mapping[str, str]]]:
    """Table E.1-1: of each tag the action of the Basic Profile, and those of the options.

    >>> table()[0x00100010], table()[0x00080020]
    (('Z', {}), ('Z', {'full_dates': 'K', 'modified_dates': 'C'}))
    """
    read = {}
    for line in (HERE / "profile.txt").read_text(encoding="ascii").splitlines():
        tag, _, rest = line.partition(" ")
        if line.startswith("#") or "XX" in tag:
            continue
        basic, *options = rest.split()
        read[int(tag, 16)] = (basic, dict(option.split("=") for option in options))
    return read


@lru_cache(1)
def allowed_text() -> frozenset[int]:
    """Free words that pass though the table does not name them."""
    lines = (HERE / "allowed_text.txt").read_text(encoding="ascii").splitlines()
    return frozenset(int(line.split()[0], 16) for line in lines if not line.startswith("#"))


@lru_cache(8)
def actions(options: DicomOptions) -> Mapping[int, tuple[Action, Action]]:
    """Of each attribute in the table: what becomes of it, and what else where a phrase is not the policy's."""
    return {tag: _chosen(tag, basic, told, options) for tag, (basic, told) in table().items()}


def _chosen(tag: int, basic: str, told: Mapping[str, str], options: DicomOptions) -> tuple[Action, Action]:
    plain = resolved(tag, basic)
    for column in options.columns:
        code = told.get(column)
        if code == "K":
            return (Action.WALK if _vr(tag) == "SQ" else Action.KEEP), plain
        if code == "C" and column == "modified_dates" and _vr(tag) in TIME_VRS:
            return Action.SHIFT, plain
        if code == "C" and column == "descriptors" and _vr(tag) in TEXT_VRS:
            return Action.PHRASE, plain
    return plain, plain


def resolved(tag: int, code: str) -> Action:
    """One action for a code of the table, the one that leaves an image whole.

    >>> resolved(0x00080080, "X/Z/D"), resolved(0x00080022, "X/Z"), resolved(0x00081140, "X/Z/U*")
    (<Action.DUMMY: 'D'>, <Action.EMPTY: 'Z'>, <Action.WALK: 'walk'>)
    """
    parts = code.split("/")
    if "U*" in parts or tag in REFERENCES:
        return Action.WALK
    if _vr(tag) == "SQ" and "D" in parts:
        return Action.REMOVE if "X" in parts else Action.WALK_MASKED
    return ALONE[next(one for one in STRONGEST if one in parts)]


def unlisted(tag: int, vr: str) -> Action:
    """What becomes of an attribute that the table does not name: what no list allows stays out.

    >>> unlisted(0x00280010, "US"), unlisted(0x00104000 + 1, "LT"), unlisted(0x00080070, "LO")
    (<Action.KEEP: 'K'>, <Action.DUMMY: 'D'>, <Action.KEEP: 'K'>)
    """
    if tag in RETIRED_LENGTHS:
        return Action.REMOVE
    if vr in TEXT_VRS:
        return Action.KEEP if tag in allowed_text() else Action.DUMMY
    if vr in NUMBER_VRS or vr in ("CS", "AS") or tag in BULK:
        return Action.KEEP
    if vr in TIME_VRS:
        return Action.SHIFT
    return {"UI": Action.UID, "SQ": Action.WALK}.get(vr, Action.REMOVE)


def _vr(tag: int) -> str:
    """The value representation that the standard gives a tag; of several the first."""
    try:
        return dictionary_VR(BaseTag(tag)).split(" ")[0]
    except KeyError:
        return "UN"

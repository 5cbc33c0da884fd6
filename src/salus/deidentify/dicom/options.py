"""What may pass of images beyond the Basic Profile: the options of PS3.15 Annex E, as a policy can hold them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from salus.errors import ImageOptionsWrong

FULL_DATES, MODIFIED_DATES = "113106", "113107"


class Dates(StrEnum):
    """What becomes of dates."""

    SHIFT = "shift"  # moved by the patient's own shift, as in every other format
    KEEP = "keep"
    REMOVE = "remove"  # a dummy where an image needs one: the order of times is lost


class Pixels(StrEnum):
    """What becomes of pixels."""

    CLEAN = "clean"  # text burnt in is looked for and blanked
    REFUSE_SUSPECT = "refuse_suspect"  # the same, and kinds of images that often carry text are refused
    DROP = "drop"  # headers only


@dataclass(frozen=True, slots=True, order=True)
class SafePrivate:
    """One private element that may pass: who made it, its group, and the last two hexadecimal digits of its tag."""

    creator: str
    group: int
    element: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientIdRule:
    """How a file says whose image it is: the text that the date shift and the pseudonym hang on.

    ``known``: which id of the records each PatientID stands for, so that images move as the records of the same patient
    do; a PatientID that is not in it is refused. Without it the PatientID is that id. A file without a PatientID moves
    by its study.
    """

    known: Mapping[str, str] | None = field(default=None, repr=False, hash=False)

    def number(self, patient_id: str, study: str) -> str | None:
        """The patient's own id, or None where the rule knows no such patient.

        >>> PatientIdRule(known={"MR 12": "7"}).number("MR 12", "1.2.3"), PatientIdRule().number("", "1.2.3")
        ('7', 'study 1.2.3')
        """
        if self.known is not None:
            return self.known.get(patient_id)
        return patient_id or (f"study {study}" if study else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomOptions:
    """The Basic Profile and what a policy allows beyond it; by default dates move and all else is the profile's.

    ``descriptions``: whole texts that may pass where PS3.15 has a description cleaned ("CT CHEST"); no other does.
    """

    dates: Dates = Dates.SHIFT
    most_days: int = 365
    keep_weekday: bool = False
    keep_patient_characteristics: bool = False
    keep_device: bool = False
    keep_institution: bool = False
    keep_uids: bool = False
    descriptions: frozenset[str] = frozenset()
    safe_private: frozenset[SafePrivate] = frozenset()
    pixels: Pixels = Pixels.CLEAN
    patient: PatientIdRule = PatientIdRule()

    def __post_init__(self) -> None:
        odd = [one for one in self.safe_private if one.group % 2 == 0 or not 0 <= one.element <= 0xFF]
        if odd or any(not one.creator.strip() for one in self.safe_private):
            raise ImageOptionsWrong(
                "a safe private element has an odd group, a creator, and two hexadecimal digits",
                where="safe_private",
                fix='write it as SafePrivate("SIEMENS CSA HEADER", 0x0029, 0x10)',
            )
        if self.dates is Dates.SHIFT and self.most_days < (7 if self.keep_weekday else 1):
            raise ImageOptionsWrong(
                f"dates cannot move by {self.most_days} days at most",
                where="most_days",
                fix="give 1 day or more, 7 or more where the weekday is kept",
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of Table E.1-1 that count instead of the Basic Profile's, the first one first."""
        chosen = {
            "uids": self.keep_uids,
            "device": self.keep_device,
            "institution": self.keep_institution,
            "patient": self.keep_patient_characteristics,
            "full_dates": self.dates is Dates.KEEP,
            "modified_dates": self.dates is Dates.SHIFT,
            "descriptors": bool(self.descriptions),
        }
        return tuple(name for name, is_chosen in chosen.items() if is_chosen)

    @property
    def methods(self) -> tuple[tuple[str, str], ...]:
        """What was done, as codes of PS3.16 CID 7050."""
        done = (
            ("113100", "Basic Application Confidentiality Profile", True),
            ("113101", "Clean Pixel Data Option", self.pixels is not Pixels.DROP),
            ("113105", "Clean Descriptors Option", bool(self.descriptions)),
            (
                FULL_DATES,
                "Retain Longitudinal Temporal Information Full Dates Option",
                self.dates is Dates.KEEP,
            ),
            (
                MODIFIED_DATES,
                "Retain Longitudinal Temporal Information Modified Dates Option",
                self.dates is Dates.SHIFT,
            ),
            ("113108", "Retain Patient Characteristics Option", self.keep_patient_characteristics),
            ("113109", "Retain Device Identity Option", self.keep_device),
            ("113110", "Retain UIDs Option", self.keep_uids),
            ("113111", "Retain Safe Private Option", bool(self.safe_private)),
            ("113112", "Retain Institution Identity Option", self.keep_institution),
        )
        return tuple((code, meaning) for code, meaning, is_done in done if is_done)

"""Why a file does not pass: what cannot be judged stays out, and is counted."""

from __future__ import annotations

from enum import StrEnum

from salus.errors import ImageRefused


class Refusal(StrEnum):
    """Reasons that tell nothing of the patient."""

    NOT_DICOM = "it is no DICOM file"
    CUT_SHORT = "it is cut short"
    BROKEN = "it breaks the rules of DICOM"
    TOO_LARGE = "it is larger than what is taken into memory"
    TOO_DEEP = "its sequences are nested too deeply"
    INDEX = "it is an index of files (DICOMDIR): make a new one of what is written"
    WORDS = "it is a report, a document or drawn text: its words would have to be read"
    KIND_UNKNOWN = "it is of a kind that the standard does not list"
    NOBODY = "the rule for patients does not know whose it is"
    NO_DECODER = "its pixels are compressed in a way that nothing here can decode"
    PIXELS_UNKNOWN = "its pixels are of a form that is not searched for text"
    SUSPECT = "it is of a kind that often carries text in its pixels"
    TWICE = "its instance was written already"
    A_LINK = "it is a link to elsewhere"


FIXES = {
    Refusal.NO_DECODER: "install a decoder (pylibjpeg, Pillow), or let headers pass alone",
    Refusal.SUSPECT: "look at it, and choose to have text blanked if that is enough",
    Refusal.NOBODY: "add the patient to the rule",
}


def refuse(reason: Refusal) -> ImageRefused:
    """The error to raise; it names no file, for a file's name may be a patient's."""
    return ImageRefused(
        f"a file does not pass: {reason.value}",
        where="de-identification of images",
        fix=FIXES.get(reason, "leave it out, or have it made again by what wrote it"),
    )

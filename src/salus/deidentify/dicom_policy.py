"""The part `dicom` of a policy: what may pass of images beyond the Basic Profile of PS3.15, and why."""

from __future__ import annotations

from collections.abc import Callable

from salus.deidentify.dates import DateHow, DateRule
from salus.deidentify.dicom.options import Dates, DicomOptions, Pixels, SafePrivate
from salus.errors import ImageOptionsWrong
from salus.formats.strict_yaml import Section

KEEP, REMOVE, PSEUDONYM = "keep", "remove", "pseudonym"
WORDS = {
    "patient_characteristics": (KEEP, REMOVE),
    "device": (KEEP, REMOVE),
    "institution": (KEEP, REMOVE),
    "uids": (KEEP, PSEUDONYM),
    "pixels": tuple(how.value for how in Pixels),
}
"""What each line can say, in the words of `salus.deidentify.dicom.options`."""
DATES = {
    DateHow.KEEP: Dates.KEEP,
    DateHow.SHIFT: Dates.SHIFT,
    DateHow.YEAR: Dates.REMOVE,
    DateHow.REMOVE: Dates.REMOVE,
}
"""An image cannot tell a year alone: where records keep no more than that, its dates are removed."""
Say = Callable[[str, tuple[str, ...]], str]


def read_dicom(section: Section, dates: DateRule, say: Say) -> DicomOptions:
    """The options of a policy; ``say`` reads one line: its word, which must be one of those given, has a reason.

    Dates follow the policy's rule for all formats, so that an image and a record of one patient move alike.
    """
    said = {name: say(name, words) for name, words in WORDS.items()}
    how = DATES[dates.how]
    private = section.words("safe_private")
    descriptions = frozenset(section.words("descriptions"))
    section.done()
    return DicomOptions(
        dates=how,
        most_days=dates.most_days if how is Dates.SHIFT else 365,
        keep_weekday=dates.keep_weekday,
        keep_patient_characteristics=said["patient_characteristics"] == KEEP,
        keep_device=said["device"] == KEEP,
        keep_institution=said["institution"] == KEEP,
        keep_uids=said["uids"] == KEEP,
        descriptions=descriptions,
        safe_private=frozenset(_private(text) for text in private),
        pixels=Pixels(said["pixels"]),
    )


def _private(text: str) -> SafePrivate:
    """A private element, written `CREATOR, GROUP, ELEMENT` with hexadecimal numbers.

    >>> _private("SIEMENS CSA HEADER, 0029, 10")
    SafePrivate(creator='SIEMENS CSA HEADER', group=41, element=16)
    """
    creator, _, numbers = text.partition(",")
    group, _, element = numbers.partition(",")
    try:
        return SafePrivate(creator.strip(), int(group.strip(), 16), int(element.strip(), 16))
    except ValueError:
        raise ImageOptionsWrong(
            "a safe private element is not written as CREATOR, GROUP, ELEMENT",
            where="policy, dicom.safe_private",
            fix='write it as "SIEMENS CSA HEADER, 0029, 10"',
        ) from None

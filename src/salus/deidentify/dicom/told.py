"""What a file says of who the patient is, looked for wherever words pass: a name in the wrong field goes as well."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from salus.deidentify.dicom.opening import text_of

NAMES = (
    "PatientName", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName", "ReferringPhysicianName",
    "PerformingPhysicianName", "OperatorsName", "PhysiciansOfRecord", "NameOfPhysiciansReadingStudy",
    "RequestingPhysician", "ResponsiblePerson",
)  # fmt: skip
NUMBERS = (
    "PatientID", "OtherPatientIDs", "AccessionNumber", "AdmissionID", "MedicalRecordLocator", "PatientAddress",
    "PatientTelephoneNumbers", "PatientBirthDate", "InsurancePlanIdentification",
)  # fmt: skip
SHORTEST_NAME, SHORTEST_NUMBER, LONG = 3, 4, 5


@dataclass(frozen=True, slots=True)
class Told:
    """Names and numbers that must not come back in a kept value; they show in no representation of the object."""

    words: frozenset[str] = field(default=frozenset(), repr=False)

    def is_in(self, text: str) -> bool:
        """Whether a text holds one of them: a short one as a word of its own, a longer one anywhere.

        >>> told = Told(frozenset({"roe", "musterfrau"}))
        >>> told.is_in("HEAD ROE"), told.is_in("xMusterfraux"), told.is_in("HEROES")
        (True, True, False)
        """
        if not self.words:
            return False
        folded = text.casefold()
        apart = set(re.split(r"[^a-z0-9]+", folded))
        return any(word in apart or (len(word) >= LONG and word in folded) for word in self.words)


def told_by(image: Dataset) -> Told:
    """Collect what a file says of the people in it."""
    names = {part for text in _texts(image, NAMES) for part in re.split(r"[^a-z]+", text)}
    numbers = {part.strip() for text in _texts(image, NUMBERS) for part in text.split("\\")}
    return Told(
        frozenset({one for one in names if len(one) >= SHORTEST_NAME})
        | frozenset({one for one in numbers if len(one) >= SHORTEST_NUMBER})
    )


def _texts(image: Dataset, keywords: Iterable[str]) -> list[str]:
    return [text_of(image, tag_for_keyword(keyword) or 0).casefold() for keyword in keywords]

"""Synthetic patients as FHIR R4: a Patient each, and what their codes allow as Observations and Conditions.

Every resource says that it is test data and carries a visible tag. What FHIR has no place for is counted, by code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from salus.formats.fhir_r4 import (
    OBSERVATION_CATEGORY,
    PSEUDONYM,
    Coding,
    Identifier,
    Reference,
    concept,
    quantity,
    synthetic_meta,
)
from salus.formats.fhir_r4_resources import Condition, Observation, Patient
from salus.outlet.fhir_draft import Draft, identifier, name_of, written_time
from salus.outlet.fhir_timeline_values import shortest

GENDERS = {"F": "female", "M": "male", "FEMALE": "female", "MALE": "male"}
DIAGNOSES = ("DIAGNOSIS", "CONDITION", "ICD9CM", "ICD10", "ICD10CM")
NO_PLACE = ("anchor", "follow_up_end")
"""Roles without a resource of their own: they frame a record and say nothing of the patient."""
VITAL_SIGNS = frozenset(
    f"LOINC//{code}"
    for code in ("85353-1", "9279-1", "8867-4", "2708-6", "8310-5", "8302-2", "29463-7", "39156-5")
)
"""Codes that R4 always takes for vital signs: such an Observation must say so."""
VITAL: Coding = {"system": OBSERVATION_CATEGORY, "code": "vital-signs", "display": "Vital Signs"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticDrafts:
    """What is sent, and how many rows of which code FHIR has no place for."""

    drafts: tuple[Draft, ...]
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Code:
    """What the timeline knows of a code."""

    description: str | None
    role: str
    decimals: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One row of a timeline, typed."""

    time: datetime | None
    code: str
    value: float | None
    text: str | None
    unit: str | None


def synthetic_drafts(rows: pl.DataFrame, codes: pl.DataFrame, *, grain: str, origin: str) -> SyntheticDrafts:
    """Write synthetic rows as resources. ``origin``: digest of what was drawn; the names come from it.

    Read = written + left out: a patient's sex, birth and death go into the Patient, other rows become a resource each.
    """
    known = {
        row["code"]: _Code(
            description=row["description"], role=row["role"] or "event", decimals=row["decimals"]
        )
        for row in codes.to_dicts()
    }
    left_out: Counter[str] = Counter()
    drafts: list[Draft] = []
    for (subject,), frame in rows.group_by("subject_id", maintain_order=True):
        record = _Record(name=name_of(origin, int(subject)), known=known, grain=grain)
        drafts += record.drafts(_typed(frame), number=int(subject))
        left_out.update(record.left_out)
    return SyntheticDrafts(drafts=tuple(drafts), left_out=dict(sorted(left_out.items())))


def _typed(frame: pl.DataFrame) -> Iterator[_Row]:
    columns = ("time", "code", "numeric_value", "text_value", "unit")
    for time, code, value, text, unit in frame.select(columns).iter_rows():
        yield _Row(time=time, code=code, value=value, text=text, unit=unit)


class _Record:
    """One synthetic patient under way to FHIR."""

    def __init__(self, *, name: str, known: Mapping[str, _Code], grain: str) -> None:
        self.name, self.known, self.grain = name, known, grain
        self.left_out: Counter[str] = Counter()
        self._subject: Reference = {"reference": f"urn:uuid:{name}"}

    def drafts(self, rows: Iterable[_Row], *, number: int) -> list[Draft]:
        """The Patient first, then what happened, in its order."""
        known_as: Identifier = {"system": PSEUDONYM, "value": self.name}
        patient: Patient = {
            "resourceType": "Patient",
            "meta": synthetic_meta(),
            "identifier": [known_as],
            "name": [{"use": "anonymous", "text": f"SYNTHETIC {number:06d}"}],
        }
        drafts = [Draft(name=self.name, resource=patient, known_as=known_as)]
        for place, row in enumerate(rows):
            code = self.known.get(row.code, _Code(description=None, role="event", decimals=None))
            if code.role in NO_PLACE:
                self.left_out[row.code] += 1
            elif not self._of_the_patient(patient, row, role=code.role):
                drafts.append(self._happened(row, code, name=name_of(self.name, place)))
        return drafts

    def _of_the_patient(self, patient: Patient, row: _Row, *, role: str) -> bool:
        """Put what belongs into the Patient there; whether it did."""
        head, _, rest = row.code.partition("//")
        if head in ("SEX", "GENDER") and rest.upper() in GENDERS:
            patient["gender"] = GENDERS[rest.upper()]
        elif role == "birth" and row.time is not None:
            patient["birthDate"] = row.time.strftime("%Y-%m-%d")
        elif role == "death" and row.time is not None:
            patient["deceasedDateTime"] = written_time(row.time, self.grain)
        else:
            return False
        return True

    def _happened(self, row: _Row, code: _Code, *, name: str) -> Draft:
        diagnosis = row.code.partition("//")[0] in DIAGNOSES and row.value is None
        make = self._condition if diagnosis else self._observation
        return Draft(name=name, resource=make(row, code, name), known_as=identifier(name))

    def _condition(self, row: _Row, code: _Code, name: str) -> Condition:
        condition: Condition = {
            "resourceType": "Condition",
            "meta": synthetic_meta(),
            "identifier": [identifier(name)],
            "code": concept(row.code, code.description),
            "subject": self._subject,
        }
        if row.time is not None:
            condition["recordedDate"] = written_time(row.time, self.grain)
        return condition

    def _observation(self, row: _Row, code: _Code, name: str) -> Observation:
        observation: Observation = {
            "resourceType": "Observation",
            "meta": synthetic_meta(),
            "identifier": [identifier(name)],
            "status": "final",
            "code": concept(row.code, code.description),
            "subject": self._subject,
        }
        if row.code in VITAL_SIGNS:
            observation["category"] = [{"coding": [VITAL]}]
        if row.time is not None:
            observation["effectiveDateTime"] = written_time(row.time, self.grain)
        if row.value is not None:
            observation["valueQuantity"] = quantity(shown_value(row.value, code.decimals), row.unit or "1")
        elif row.text is not None:
            observation["valueString"] = row.text
        else:
            observation["valueBoolean"] = True
        return observation


def shown_value(value: float, decimals: int | None) -> float:
    """The decimal number that a 32-bit one stands for.

    >>> shown_value(6.099999904632568, 1), shown_value(6.099999904632568, None), shown_value(140.0, 0)
    (6.1, 6.1, 140.0)
    """
    if decimals is not None:
        return round(value, decimals)
    return float(shortest(value))

"""The shapes of FHIR R4 that Salus writes: data types, code systems, and what marks a resource as not from a patient.

Only the elements that Salus fills are here. A resource is a plain dictionary, so that it is JSON as it stands; these
types let the checker see a misspelt element before a server does.
"""

from __future__ import annotations

from typing import Final, TypedDict

LOINC: Final = "http://loinc.org"
UCUM: Final = "http://unitsofmeasure.org"
ACT_REASON: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
OBSERVATION_VALUE: Final = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
DATA_OPERATION: Final = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
PARTICIPANT_TYPE: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
LIFECYCLE: Final = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
AUDIT_EVENT_TYPE: Final = "http://terminology.hl7.org/CodeSystem/audit-event-type"
INTERACTION: Final = "http://hl7.org/fhir/restful-interaction"
OBSERVATION_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/observation-category"

SALUS: Final = "urn:salus"
"""Names of our own begin so: ``urn:salus:code``, ``urn:salus:sha256``."""
TAGS: Final = f"{SALUS}:tag"
DIGEST: Final = f"{SALUS}:sha256"
CODES: Final = f"{SALUS}:code"
PSEUDONYM: Final = f"{SALUS}:patient"
ROW: Final = f"{SALUS}:row"
INTERVAL: Final = f"{SALUS}:monte-carlo-interval"

SYSTEMS: Final = {
    "LOINC": LOINC,
    "SNOMED": "http://snomed.info/sct",
    "ICD10": "http://hl7.org/fhir/sid/icd-10",
    "ICD10CM": "http://hl7.org/fhir/sid/icd-10-cm",
    "ICD9CM": "http://hl7.org/fhir/sid/icd-9-cm",
    "RXNORM": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "ATC": "http://www.whocc.no/atc",
}
"""What the first part of a code names; what is not here belongs to the data set: ``urn:salus:code``."""


class Coding(TypedDict, total=False):
    """One code of one system."""

    system: str
    version: str
    code: str
    display: str


class CodeableConcept(TypedDict, total=False):
    """A meaning: its codes, and in words."""

    coding: list[Coding]
    text: str


class Identifier(TypedDict, total=False):
    """A name that somebody gave."""

    system: str
    value: str


class Reference(TypedDict, total=False):
    """Another resource: where it is, or how it is called."""

    reference: str
    type: str
    identifier: Identifier
    display: str


class Quantity(TypedDict, total=False):
    """A number with its unit."""

    value: float
    unit: str
    system: str
    code: str


class Range(TypedDict, total=False):
    """From a low to a high quantity."""

    low: Quantity
    high: Quantity


class Period(TypedDict, total=False):
    """From a start to an end."""

    start: str
    end: str


class Extension(TypedDict, total=False):
    """What R4 has no element for."""

    url: str
    valueRange: Range
    valueString: str


class Meta(TypedDict, total=False):
    """What is said of a resource rather than in it."""

    versionId: str
    lastUpdated: str
    security: list[Coding]
    tag: list[Coding]


class Annotation(TypedDict):
    """A note."""

    text: str


class Attachment(TypedDict, total=False):
    """Content in base64."""

    contentType: str
    language: str
    data: str
    title: str
    creation: str


TEST_DATA: Final[Coding] = {"system": ACT_REASON, "code": "HTEST", "display": "test health data"}
SYNTHETIC: Final[Coding] = {
    "system": TAGS,
    "code": "SYNTHETIC",
    "display": "SYNTHETIC: drawn by a model, no real patient",
}
COMPLETED: Final[Coding] = {
    "system": TAGS,
    "code": "COMPLETED",
    "display": "COMPLETED: drawn by a model into a real record, not recorded",
}
BY_A_MACHINE: Final[Coding] = {
    "system": OBSERVATION_VALUE,
    "code": "AIAST",
    "display": "Artificial Intelligence asserted",
}


def synthetic_meta() -> Meta:
    """What every synthetic resource carries: the security label of test data, and a tag that people can see."""
    return {"security": [TEST_DATA], "tag": [SYNTHETIC]}


def completed_meta() -> Meta:
    """What a resource carries that a model drew into a real record."""
    return {"security": [BY_A_MACHINE], "tag": [COMPLETED]}


def machine_meta() -> Meta:
    """What a resource about a real patient carries that a machine asserted."""
    return {"security": [BY_A_MACHINE]}


def quantity(value: float, unit: str) -> Quantity:
    """Write a number with its UCUM unit.

    >>> quantity(5.9, "mmol/L")["code"]
    'mmol/L'
    """
    return {"value": value, "unit": unit, "system": UCUM, "code": unit}


def concept(code: str, description: str | None) -> CodeableConcept:
    """Write a timeline's code: in its own system where that is known, in the data set's where not.

    >>> concept("LOINC//2823-3", "Potassium")["coding"]
    [{'system': 'http://loinc.org', 'code': '2823-3'}]
    >>> concept("DIAGNOSIS//DIABETES", "Diabetes mellitus")["coding"]
    [{'system': 'urn:salus:code', 'code': 'DIAGNOSIS//DIABETES', 'display': 'Diabetes mellitus'}]
    """
    head, _, rest = code.partition("//")
    if head in SYSTEMS and rest and "//" not in rest:
        # No display: it would have to be the system's own words, which is a licence we may not have.
        return {"coding": [{"system": SYSTEMS[head], "code": rest}], "text": description or code}
    own: Coding = {"system": CODES, "code": code}
    if description:
        own["display"] = description
    return {"coding": [own], "text": description or code}

"""The resources of FHIR R4 that Salus writes, with the elements that it fills, and the bundle that carries them."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from salus.formats.fhir_r4 import (
    Annotation,
    Attachment,
    CodeableConcept,
    Coding,
    Extension,
    Identifier,
    Meta,
    Period,
    Quantity,
    Reference,
)


class HumanName(TypedDict, total=False):
    """How somebody is called."""

    use: str
    text: str


class Patient(TypedDict, total=False):
    """Somebody, real or drawn."""

    resourceType: Literal["Patient"]
    id: str
    meta: Meta
    identifier: list[Identifier]
    name: list[HumanName]
    gender: str
    birthDate: str
    deceasedBoolean: bool
    deceasedDateTime: str


class Observation(TypedDict, total=False):
    """Something measured or noticed."""

    resourceType: Literal["Observation"]
    id: str
    meta: Meta
    identifier: list[Identifier]
    status: str
    category: list[CodeableConcept]
    code: CodeableConcept
    subject: Reference
    effectiveDateTime: str
    valueQuantity: Quantity
    valueString: str
    valueBoolean: bool


class Condition(TypedDict, total=False):
    """A diagnosis."""

    resourceType: Literal["Condition"]
    id: str
    meta: Meta
    identifier: list[Identifier]
    code: CodeableConcept
    subject: Reference
    recordedDate: str


class Prediction(TypedDict, total=False):
    """What may happen, and how likely it is."""

    extension: list[Extension]
    outcome: CodeableConcept
    probabilityDecimal: float
    whenPeriod: Period
    rationale: str


class RiskAssessment(TypedDict, total=False):
    """A forecast for one patient."""

    resourceType: Literal["RiskAssessment"]
    id: str
    meta: Meta
    identifier: list[Identifier]
    status: str
    method: CodeableConcept
    code: CodeableConcept
    subject: Reference
    occurrenceDateTime: str
    performer: Reference
    basis: list[Reference]
    prediction: list[Prediction]
    note: list[Annotation]


class DocumentContent(TypedDict):
    """What a document holds."""

    attachment: Attachment


class DocumentReference(TypedDict, total=False):
    """A document, for systems that take nothing else."""

    resourceType: Literal["DocumentReference"]
    id: str
    meta: Meta
    identifier: list[Identifier]
    status: str
    docStatus: str
    type: CodeableConcept
    subject: Reference
    date: str
    author: list[Reference]
    description: str
    content: list[DocumentContent]


class DeviceName(TypedDict):
    """A name of a device, and which kind of name it is."""

    name: str
    type: str


class DeviceVersion(TypedDict):
    """A version of a device."""

    value: str


class Device(TypedDict, total=False):
    """A thing that does something: here the model."""

    resourceType: Literal["Device"]
    id: str
    meta: Meta
    identifier: list[Identifier]
    status: str
    manufacturer: str
    deviceName: list[DeviceName]
    type: CodeableConcept
    version: list[DeviceVersion]


class ProvenanceAgent(TypedDict):
    """Who took part, and as what."""

    type: CodeableConcept
    who: Reference


class ProvenanceEntity(TypedDict):
    """What was used."""

    role: str
    what: Reference


class Provenance(TypedDict, total=False):
    """Where something comes from."""

    resourceType: Literal["Provenance"]
    id: str
    meta: Meta
    target: list[Reference]
    occurredDateTime: str
    recorded: str
    reason: list[CodeableConcept]
    activity: CodeableConcept
    agent: list[ProvenanceAgent]
    entity: list[ProvenanceEntity]


class AuditAgent(TypedDict, total=False):
    """Who did what is audited; the one who asked for it is the requestor."""

    who: Reference
    name: str
    requestor: bool


class AuditSource(TypedDict):
    """Who noticed it."""

    observer: Reference


class AuditDetail(TypedDict):
    """A detail in words."""

    type: str
    valueString: str


class AuditEntity(TypedDict, total=False):
    """What it was done to."""

    what: Reference
    description: str
    detail: list[AuditDetail]


class AuditEvent(TypedDict, total=False):
    """A line of the audit trail."""

    resourceType: Literal["AuditEvent"]
    id: str
    meta: Meta
    type: Coding
    subtype: list[Coding]
    action: str
    recorded: str
    outcome: str
    outcomeDesc: str
    agent: list[AuditAgent]
    source: AuditSource
    entity: list[AuditEntity]


Resource = (
    Patient | Observation | Condition | RiskAssessment | DocumentReference | Device | Provenance | AuditEvent
)


class Request(TypedDict, total=False):
    """What a server is to do with an entry."""

    method: str
    url: str
    ifMatch: str
    ifNoneExist: str


class Entry(TypedDict, total=False):
    """One resource of a bundle, with what is to be done."""

    fullUrl: str
    resource: Resource
    request: Request


class Bundle(TypedDict):
    """Resources that are taken together or not at all."""

    resourceType: Literal["Bundle"]
    meta: NotRequired[Meta]
    type: Literal["transaction"]
    entry: list[Entry]

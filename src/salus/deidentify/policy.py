"""What may pass, as a privacy officer wrote it: an allow-list in YAML. What it does not name stays out.

A line of a policy is ``field: action - why``. The actions:

============== ===================================================================================================
``keep``       as it is; a FHIR element of a data type passes by the list of that type
``date``       by the policy's rule for dates: kept, moved by the patient's own shift, made a year, removed
``birth_date`` by the rule for birth dates; of who is older than the highest age told, it is removed
``age``        a number of years; above the highest age told, "90+" (in FHIR: 90 with the comparator >=)
``postcode``   the first digits; where too few people live there, 000
``pseudonym``  what only the key's holder can make again
``reference``  a reference to another record, re-pointed to its pseudonym
``text``       by the rule for free text: removed, scrubbed, kept
``coded``      HL7 v2: codes and their systems, without the words beside them
``by_type``    HL7 v2: OBX-5 as OBX-2 says: numbers, codes, dates, and texts each by their own rule
``remove``     not passed on: the same as not being named, for a reader's sake
============== ===================================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from salus.deidentify.dates import DateRule
from salus.deidentify.dicom.options import DicomOptions

SHIPPED = ("safe-harbor", "limited-data-set", "gdpr-pseudonymisation", "expert-determination")
"""Policies that come with Salus, by their names."""


class Action(StrEnum):
    """What becomes of a field."""

    KEEP = "keep"
    DATE = "date"
    BIRTH_DATE = "birth_date"
    AGE = "age"
    POSTCODE = "postcode"
    PSEUDONYM = "pseudonym"
    REFERENCE = "reference"
    TEXT = "text"
    CODED = "coded"
    BY_TYPE = "by_type"
    REMOVE = "remove"


class TextHow(StrEnum):
    """What a policy lets become of free text."""

    REMOVE = "remove"
    SCRUB = "scrub"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a policy: what becomes of a field, and why."""

    action: Action
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What holds in every format.

    ``oldest``: the highest age that is told (None: any). ``birth``: of birth dates. ``digits``: of a postcode (None:
    all). ``few_people``: beginnings of postcodes that become 000.
    """

    dates: DateRule
    birth: DateRule
    oldest: int | None
    digits: int | None
    few_people: frozenset[str]
    free_text: TextHow


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskAsked:
    """How small a group of patients alike in the quasi-identifiers may be, and which risk is too high."""

    k: int
    quasi_identifiers: tuple[str, ...]
    threshold: float
    suppress: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvTable:
    """One CSV file: the column of the patient, and what may pass of which column."""

    patient: str
    delimiter: str
    columns: Mapping[str, Rule]


Table = Mapping[str, Rule]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """An allow-list with its reasons. ``digest``: SHA-256 of the file."""

    name: str
    title: str
    version: str
    basis: str
    does_not_promise: str
    rules: Rules
    digest: str
    risk: RiskAsked | None = None
    fhir: Mapping[str, Table] = field(default_factory=dict)
    extensions: Table = field(default_factory=dict)
    omop: Mapping[str, Table] = field(default_factory=dict)
    hl7v2: Mapping[str, Table] = field(default_factory=dict)
    csv: Mapping[str, CsvTable] = field(default_factory=dict)
    dicom: DicomOptions | None = None

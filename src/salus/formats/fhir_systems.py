"""Code systems of FHIR and what a timeline calls them, both ways; and the words of a Patient."""

from __future__ import annotations

import re
from typing import Final

from salus.formats.categories import BETWEEN, is_category
from salus.formats.fhir_r4 import SALUS, SYSTEMS
from salus.formats.fhir_validation.check_digits import MAY_HOLD
from salus.formats.hl7v2_codes import ANSWER, LOCAL
from salus.timeline.columns import BIRTH, DEATH

ABSENT: Final = "ABSENT"
DATA_ABSENT: Final = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
ACT_CODE: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CDC_RACE: Final = "urn:oid:2.16.840.1.113883.6.238"
WHY_ABSENT: Final = (
    *("unknown", "asked-unknown", "temp-unknown", "not-asked", "asked-declined", "masked", "not-applicable"),
    *("unsupported", "as-text", "error", "not-a-number", "negative-infinity", "positive-infinity"),
    *("not-performed", "not-permitted"),
)
OWN_SYSTEM: Final = f"{SALUS}:system/"
"""Before the name of a system whose address is not known: ``urn:salus:system/haematology``."""
VALUE: Final = f"{SALUS}:value"
NONE_TOLD: Final = "none"
"""With the system ``VALUE`` why an Observation has no value: what happened is told, and nothing of how much."""
NO_VALUE: Final = f"SALUS_VALUE{BETWEEN}{NONE_TOLD}"
"""What that is read as."""
TEXT_BESIDE: Final = f"{SALUS}:text"
"""The extension that says a text beside a number; the view of observations reads it."""
STATIC: Final = f"{SALUS}:static"
"""The extension that says that an Observation holds for good, at no time."""
BORN: Final = f"{SALUS}:birth"
"""The extension that says a birth at a time of day, which ``birthDate`` cannot."""
KNOWN: Final = f"{SALUS}:known"
END_KNOWN: Final = f"{SALUS}:end-known"
"""Extensions that say since when a begin (or a birth) and an end (or a death) are known, where R4 has no element."""
LONGEST_OWN: Final = 256

NAMES: Final = {
    **{url: name for name, url in SYSTEMS.items()},
    "http://hl7.org/fhir/sid/ndc": "NDC",
    "http://hl7.org/fhir/sid/cvx": "CVX",
    "http://hl7.org/fhir/sid/icd-9-cm/diagnosis": "ICD9CM",
    "http://hl7.org/fhir/sid/icd-9-cm/procedure": "ICD9Proc",
    "http://www.cms.gov/Medicare/Coding/ICD10": "ICD10PCS",
    "http://www.ama-assn.org/go/cpt": "CPT4",
    "https://bluebutton.cms.gov/resources/codesystem/hcpcs": "HCPCS",
    "urn:oid:2.16.840.1.113883.6.1": "LOINC",
    "urn:oid:2.16.840.1.113883.6.96": "SNOMED",
    "urn:oid:2.16.840.1.113883.6.88": "RXNORM",
    CDC_RACE: "CDCREC",
    DATA_ABSENT: ABSENT,
    VALUE: "SALUS_VALUE",
}
"""What a timeline calls a code system."""
SEXES: Final = {"male": "M", "female": "F", "other": "OTHER", "unknown": "UNKNOWN"}
US_CORE: Final = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"
OMB: Final = {
    "American Indian or Alaska Native": "1002-5",
    "Asian": "2028-9",
    "Black or African American": "2054-5",
    "Native Hawaiian or Other Pacific Islander": "2076-8",
    "White": "2106-3",
    "Hispanic or Latino": "2135-2",
    "Not Hispanic or Latino": "2186-5",
}
"""Codes of the words for race and ethnicity that US Core has."""
_URLS: Final = {name: url for url, name in reversed(NAMES.items())}
_PLAIN: Final = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
_CODE: Final = re.compile(r"\S+( \S+)*")


def system_name(url: str | None) -> str:
    """What a timeline calls a code system; of one that it does not know the last part of its address.

    >>> system_name("http://loinc.org"), system_name("https://lab.example.org/codes/haematology"), system_name(None)
    ('LOINC', 'haematology', 'LOCAL')
    """
    if not url:
        return LOCAL
    known = NAMES.get(url)
    if known:
        return known
    last = url.rstrip("/").rpartition("/")[2].rpartition("|")[2]
    return last if is_category(last) and ANSWER not in last else LOCAL


def system_url(name: str) -> str | None:
    """The address that is read as this name; None where there is none, and empty for codes of no system.

    >>> system_url("LOINC"), system_url("haematology"), system_url("LOCAL"), system_url("two words")
    ('http://loinc.org', 'urn:salus:system/haematology', '', None)
    """
    if name == LOCAL:
        return ""
    if name in _URLS:
        return _URLS[name]
    return OWN_SYSTEM + name if _PLAIN.fullmatch(name) and is_category(name) else None


def may_hold(url: str, code: str) -> bool:
    """Whether a system can have a code at all, by its check digit or its list.

    >>> may_hold("http://loinc.org", "2823-3"), may_hold("http://loinc.org", "2823-4"), may_hold("urn:x", "2823-4")
    (True, False, True)
    """
    if url == DATA_ABSENT:
        return code in WHY_ABSENT
    return url not in MAY_HOLD or MAY_HOLD[url](code)


def is_code(text: str) -> bool:
    """Whether R4 takes a text for a code: printable, and no more than one space at a time, none around it.

    >>> is_code("two words"), is_code("two  words"), is_code(" x"), is_code("")
    (True, False, False, False)
    """
    return text.isprintable() and _CODE.fullmatch(text) is not None


def is_own_code(code: str) -> bool:
    """Whether a whole code of a timeline may stand under ``urn:salus:code``; births and deaths stand in a Patient.

    >>> is_own_code("DIAGNOSIS//DIABETES"), is_own_code("MEDS_BIRTH")
    (True, False)
    """
    return len(code) <= LONGEST_OWN and is_code(code) and code not in (BIRTH, DEATH)

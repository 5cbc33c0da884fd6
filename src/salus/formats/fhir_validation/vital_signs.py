"""Vital signs: a temperature and a blood pressure have the codes that R4's profiles (bodytemp, bp) give them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from salus.formats.fhir_validation.looking import Look, Place

Code = tuple[Any, Any]
VITAL: Code = ("http://terminology.hl7.org/CodeSystem/observation-category", "vital-signs")
TEMPERATURE: Code = ("http://loinc.org", "8310-5")
PRESSURE: Code = ("http://loinc.org", "85354-9")
OF_PRESSURE: frozenset[Code] = frozenset((("http://loinc.org", "8480-6"), ("http://loinc.org", "8462-4")))
"""Systolic and diastolic: the components of the profile bp."""
DEGREES = frozenset(("Cel", "[degF]"))
"""The units of the profile bodytemp, which no other vital sign of R4 has."""


def lacks_code(codes: Collection[Code], *, unit: object, parts: Collection[Code]) -> bool:
    """Whether a vital sign is without the code that its unit or the codes of its components call for.

    >>> lacks_code([("http://snomed.info/sct", "276885007")], unit="Cel", parts=[])
    True
    >>> lacks_code([PRESSURE], unit="", parts=list(OF_PRESSURE))
    False
    """
    if unit in DEGREES and TEMPERATURE not in codes:
        return True
    return PRESSURE not in codes and all(one in parts for one in OF_PRESSURE)


def check_vital_sign(look: Look, value: dict[str, Any], place: Place) -> None:
    """An observation of the category vital-signs has the code of its profile, beside any more specific one."""
    categories, amount, components = (value.get(name) for name in ("category", "valueQuantity", "component"))
    if VITAL not in [pair for one in _objects(categories) for pair in _pairs(one)]:
        return
    unit = amount.get("code") if isinstance(amount, dict) else None
    parts = [pair for one in _objects(components) for pair in _pairs(one.get("code"))]
    if lacks_code(_pairs(value.get("code")), unit=unit if isinstance(unit, str) else "", parts=parts):
        words = "a temperature has LOINC 8310-5 too, a blood pressure 85354-9"
        look.noted.error("vital-sign-code", f"{place.where}.code", words)


def _objects(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _pairs(concept: object) -> list[Code]:
    codings = concept.get("coding") if isinstance(concept, dict) else None
    return [(one.get("system"), one.get("code")) for one in _objects(codings)]

"""Vital signs: a body temperature has the code that R4 gives it (profile bodytemp), beside any more specific one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from salus.formats.fhir_validation.looking import Look, Place

VITAL = ("http://terminology.hl7.org/CodeSystem/observation-category", "vital-signs")
TEMPERATURE = ("http://loinc.org", "8310-5")
DEGREES = frozenset(("Cel", "[degF]"))
"""The units of the profile bodytemp, which no other vital sign of R4 has."""


def lacks_code(unit: object, categories: Iterable[tuple[Any, Any]], codes: Iterable[tuple[Any, Any]]) -> bool:
    """Whether a vital sign in degrees is without the code of body temperature.

    >>> lacks_code("Cel", [VITAL], [("http://snomed.info/sct", "276885007")]), lacks_code("Cel", [VITAL], [TEMPERATURE])
    (True, False)
    """
    return unit in DEGREES and VITAL in categories and TEMPERATURE not in codes


def check_vital_sign(look: Look, value: dict[str, Any], place: Place) -> None:
    """An observation of the category vital-signs in degrees has the code of body temperature among its codes."""
    amount = value.get("valueQuantity")
    unit = amount.get("code") if isinstance(amount, dict) else None
    categories = value.get("category")
    told = [pair for one in categories for pair in _pairs(one)] if isinstance(categories, list) else []
    if isinstance(unit, str) and lacks_code(unit, told, _pairs(value.get("code"))):
        look.noted.error("vital-sign-code", f"{place.where}.code", "a body temperature has LOINC 8310-5 too")


def _pairs(concept: object) -> list[tuple[Any, Any]]:
    codings = concept.get("coding") if isinstance(concept, dict) else None
    told = codings if isinstance(codings, list) else []
    return [(one.get("system"), one.get("code")) for one in told if isinstance(one, dict)]

"""Validate one resource of FHIR R4: everything that is asked of it, in the order of the specification."""

from __future__ import annotations

from typing import Any

from salus.formats.fhir_validation.attachments import check_attachment
from salus.formats.fhir_validation.bundles import check_bundle
from salus.formats.fhir_validation.canonical_resources import (
    check_code_system,
    check_profile,
    check_value_set_part,
)
from salus.formats.fhir_validation.definitions import kinds, shape
from salus.formats.fhir_validation.expressions import check_expression
from salus.formats.fhir_validation.extensions import check_extensions
from salus.formats.fhir_validation.issues import Noted
from salus.formats.fhir_validation.looking import Check, Look
from salus.formats.fhir_validation.narrative import check_div
from salus.formats.fhir_validation.profiles import check_profiles
from salus.formats.fhir_validation.reading import read_strictly
from salus.formats.fhir_validation.references import check_canonical, check_contained, check_reference
from salus.formats.fhir_validation.searches import check_search_parameter, check_stated_search
from salus.formats.fhir_validation.terminology import (
    check_bound_coding,
    check_code,
    check_coding,
    check_concept,
)
from salus.formats.fhir_validation.vital_signs import check_vital_sign

BY_TYPE: dict[str, tuple[Check, ...]] = {
    "Attachment": (check_attachment,),
    "Bundle": (check_bundle,),
    "CodeSystem": (check_code_system,),
    "CodeableConcept": (check_concept,),
    "Coding": (check_coding, check_bound_coding),
    "Meta": (check_profiles,),
    "Reference": (check_reference,),
    "StructureDefinition": (check_profile,),
    "CapabilityStatement.rest.resource.searchParam": (check_stated_search,),
    "Expression": (check_expression,),
    "Observation": (check_vital_sign,),
    "SearchParameter": (check_search_parameter,),
    "canonical": (check_canonical,),
    "ValueSet.compose.include": (check_value_set_part,),
    "code": (check_code,),
    "xhtml": (check_div,),
}


def _checks() -> dict[str, tuple[Check, ...]]:
    found = dict(BY_TYPE)
    for kind in kinds():
        form = shape(kind)
        if form is not None and "extension" in form.fields:
            found[kind] = (*found.get(kind, ()), check_extensions)
        if form is not None and "contained" in form.fields:
            found[kind] = (*found.get(kind, ()), check_contained)
    return found


CHECKS = _checks()


def validate(raw: bytes) -> Noted:
    """Say what is wrong with one resource.

    >>> [(one.rule, one.where) for one in validate(b'{"resourceType":"Patient","gender":"m"}').issues]
    [('binding', 'Patient.gender')]
    """
    noted = Noted()
    value = read_strictly(raw, noted)
    if not noted.issues:
        validate_value(value, noted)
    return noted


def validate_frame(raw: bytes) -> Noted:
    """Say what is wrong with a Bundle itself, without the resources in it."""
    noted = Noted()
    value = read_strictly(raw, noted)
    if not noted.issues:
        Look(noted, CHECKS, is_frame=True).resource_at(value, "")
    return noted


def validate_value(value: Any, noted: Noted) -> None:
    """Say what is wrong with a resource that has been read."""
    Look(noted, CHECKS).resource_at(value, "")

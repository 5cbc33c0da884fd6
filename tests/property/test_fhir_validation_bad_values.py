"""Whatever stands where something else belongs, the thorough way says what is wrong and never stops."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from salus.formats.fhir_validation.definitions import kinds, shape
from salus.formats.fhir_validation.validating import validate, validate_frame
from tests.property.test_fhir_validation_ways import RESOURCES, changed, places

FILTER = {"property": "constraint", "op": "=", "value": "<< 73211009"}
MORE: list[dict[str, Any]] = [
    {
        "resourceType": "Bundle",
        "type": "document",
        "link": [{"relation": "self", "url": "https://x.org"}],
        "entry": [
            {
                "fullUrl": "https://x.org/Composition/1",
                "resource": {"resourceType": "Composition", "id": "1"},
            },
            {"fullUrl": "https://x.org/Patient/2", "resource": {"resourceType": "Patient", "id": "2"}},
        ],
    },
    {
        "resourceType": "CodeSystem",
        "status": "draft",
        "content": "complete",
        "count": 1,
        "property": [{"code": "a", "type": "string"}],
        "concept": [{"code": "b", "property": [{"code": "a", "valueString": "c"}]}],
    },
    {
        "resourceType": "ValueSet",
        "status": "draft",
        "compose": {"include": [{"system": "http://snomed.info/sct", "filter": [FILTER]}]},
    },
    {
        "resourceType": "StructureDefinition",
        "url": "http://x.org/p",
        "name": "P",
        "status": "draft",
        "kind": "resource",
        "abstract": False,
        "type": "Patient",
        "derivation": "constraint",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "differential": {"element": [{"id": "Patient.name", "path": "Patient.name"}]},
    },
    {
        "resourceType": "Condition",
        "subject": {"display": "a"},
        "clinicalStatus": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}
            ]
        },
    },
    {
        "resourceType": "SearchParameter",
        "url": "http://x.org/s",
        "name": "S",
        "status": "draft",
        "description": "s",
        "code": "s",
        "base": ["Patient"],
        "type": "token",
        "derivedFrom": "http://hl7.org/fhir/SearchParameter/Organization-name",
    },
    {
        "resourceType": "Observation",
        "status": "final",
        "category": [{"coding": [{"system": "a", "code": "b"}]}],
        "code": {"text": "a"},
        "valueQuantity": {"value": 1, "code": "Cel", "system": "http://unitsofmeasure.org"},
        "contained": [{"resourceType": "Patient", "id": "p"}],
        "note": [{"text": "a"}],
    },
]


def found(told: Any, at: tuple[Any, ...]) -> Any:
    for key in at:
        told = told[key] if isinstance(told, list) else told.get(key)
    return told


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), resource=st.sampled_from([*RESOURCES, *MORE]))
def test_a_value_of_any_kind_anywhere_is_an_issue_at_most(data, resource):
    told = deepcopy(resource)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.sampled_from(places(told) or [("resourceType",)]))
        told = changed(
            told, at, data.draw(JSON | st.sampled_from([[found(told, at)], {"a": found(told, at)}]))
        )
    raw = json.dumps(told).encode()
    assert isinstance(validate(raw).issues, list)
    validate_frame(raw)


RESOURCE_KINDS = sorted(kind for kind in kinds() if shape(kind).is_resource)


@settings(max_examples=300, deadline=None)
@given(kind=st.sampled_from(RESOURCE_KINDS), data=st.data())
def test_any_resource_with_any_members_is_looked_at(kind, data):
    names = sorted(shape(kind).fields)
    members = data.draw(st.dictionaries(st.sampled_from(names), JSON, max_size=4))
    validate(json.dumps({**members, "resourceType": kind}).encode())


@example(b"[" * 5000)
@example(b'{"resourceType":"Patient","extension":' + b'[{"url":"a","extension":' * 400)
@given(st.binary(max_size=40))
def test_any_bytes_are_looked_at(raw):
    assert validate(raw).issues


@pytest.mark.parametrize("depth", [50, 200])
def test_extensions_in_extensions_are_refused_where_they_are_too_deep(depth):
    told: dict[str, Any] = {"url": "http://x.org/e", "valueString": "a"}
    for _ in range(depth):
        told = {"url": "http://x.org/e", "extension": [told]}
    rules = {
        one.rule
        for one in validate(json.dumps({"resourceType": "Patient", "extension": [told]}).encode()).issues
    }
    assert rules == (set() if depth == 50 else {"json-depth"})

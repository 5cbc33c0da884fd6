"""The quick way of validating lets through only what the thorough way finds nothing wrong with, and counts the same."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from salus.formats.fhir_validation.definitions import BY_HAND, Rule, shape
from salus.formats.fhir_validation.invariants import holds
from salus.formats.fhir_validation.quick import QuickWay
from salus.formats.fhir_validation.validating import validate
from salus.formats.fhirpath.values import Item

DIV = '<div xmlns="http://www.w3.org/1999/xhtml">K 5.9</div>'
LOINC = {"system": "http://loinc.org", "code": "2823-3", "display": "Potassium"}
MASS = {"value": 5.9, "unit": "mmol/L", "system": "http://unitsofmeasure.org", "code": "mmol/L"}
PERIOD = {"start": "2026-03-01T08:00:00Z", "end": "2026-03-01T09:00:00Z"}
BORN = {"url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace", "valueAddress": {"city": "Bern"}}
RESOURCES: list[dict[str, Any]] = [
    {
        "resourceType": "Observation",
        "id": "k-1",
        "meta": {"profile": ["http://x.org/p"]},
        "text": {"status": "generated", "div": DIV},
        "contained": [{"resourceType": "Practitioner", "id": "d1", "name": [{"family": "Lee"}]}],
        "extension": [{"url": "http://x.org/e", "valueString": "a"}],
        "status": "final",
        "code": {"coding": [LOINC]},
        "subject": {"reference": "Patient/p1"},
        "performer": [{"reference": "#d1"}],
        "effectivePeriod": PERIOD,
        "issued": "2026-03-01T09:10:00Z",
        "valueQuantity": MASS,
        "referenceRange": [{"low": MASS, "high": MASS}],
    },
    {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [LOINC]},
        "component": [{"code": {"text": "a"}, "valueString": "b"}],
    },
    {
        "resourceType": "Patient",
        "id": "p1",
        "extension": [BORN],
        "identifier": [{"system": "urn:oid:1.2.3", "value": "7", "period": PERIOD}],
        "name": [{"given": ["Ann", "Bea"], "family": "Lee"}],
        "gender": "female",
        "birthDate": "1974-12-25",
        "contact": [{"name": {"text": "Cy"}, "period": PERIOD}],
        "maritalStatus": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "code": "M"}]
        },
    },
    {
        "resourceType": "Condition",
        "clinicalStatus": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "resolved"}
            ]
        },
        "subject": {"reference": "https://x.org/fhir/Patient/p1"},
        "abatementDateTime": "2026-03-02",
        "stage": [{"summary": {"text": "II"}}],
    },
    {
        "resourceType": "Organization",
        "name": "Ward 4",
        "telecom": [{"system": "phone", "value": "1", "use": "work"}],
        "address": [{"use": "work", "line": ["a"]}],
    },
    {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": "aspirin"},
        "subject": {"reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"},
        "dosageInstruction": [
            {
                "timing": {"repeat": {"frequency": 1, "period": 1.0, "periodUnit": "d"}},
                "asNeededBoolean": False,
            }
        ],
    },
]
WORDS: list[Any] = [
    *(None, "", " ", "a", "final", "M", "1974-12-25", "2026-02-29", "2026-02-28T10:00:00Z", 0, -1, 1.5, True),
    *(
        [],
        {},
        [{}],
        [None],
        {"id": "x"},
        {"text": "x"},
        "#",
        "#d1",
        "#d2",
        "Patient/1",
        "Group/1",
        "x y",
        "\x01",
    ),
    *(
        "http://x.org/e|1",
        "urn:oid:1.2.x",
        {"reference": "#d1"},
        [{"url": "http://x.org/e"}],
        "home",
        "phone",
    ),
]
WAY = QuickWay()


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [at] if at else []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        found += places(one, (*at, key))
    return found


def changed(resource: dict[str, Any], at: tuple[Any, ...], how: Any) -> dict[str, Any]:
    told = deepcopy(resource)
    outer: Any = told
    for key in at[:-1]:
        outer = outer[key]
    if how == "away":
        del outer[at[-1]]
    elif isinstance(how, tuple) and isinstance(outer, dict):
        outer[how[0]] = how[1]
    else:
        outer[at[-1]] = how
    return told


def agree(raw: bytes) -> bool:
    if not WAY.passes(raw):
        return False
    counted = list(WAY.checks.tally)
    noted = validate(raw)
    assert not noted.issues
    assert sorted(counted) == sorted(noted.unchecked.elements())
    return True


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda one: one["resourceType"])
def test_a_good_resource_takes_the_quick_way(resource):
    assert agree(json.dumps(resource).encode())


NAMES = sorted(
    {name for one in RESOURCES for place in places(one) for name in place if isinstance(name, str)}
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), resource=st.sampled_from(RESOURCES), times=st.integers(1, 2))
def test_whatever_the_quick_way_lets_through_has_no_issue(data, resource, times):
    for _ in range(times):
        at = data.draw(st.sampled_from(places(resource)))
        how = data.draw(
            st.one_of(
                st.just("away"),
                st.sampled_from(WORDS),
                st.tuples(st.sampled_from(NAMES), st.sampled_from(WORDS)),
            )
        )
        resource = changed(resource, at, how) or RESOURCES[0]
    agree(json.dumps(resource).encode())


@example(b'{"resourceType":"Patient","id":"a","id":"b"}')
@example(b'{"resourceType":"Patient","id" :"a","id":"b"}')
@example(b'{"resourceType":"Patient","name":[{ }]}')
@example(b'{"resourceType":"Patient","resourceType":"Group","id":"a"}')
@example(b'{"resourceType":"Patient","name":[{"id":"n"}]}')
@example(b'{"resourceType":"Patient","name":[{"text":" "}]}')
@given(st.binary(max_size=60))
def test_no_bytes_are_let_through_that_the_thorough_way_refuses(raw):
    agree(raw)


@pytest.mark.parametrize(
    ("kind", "value", "wanted"),
    [
        ("Extension", {"url": "http://x.org", "valueString": "a"}, True),
        ("Extension", {"url": "http://x.org"}, False),
        ("Extension", {"url": "u", "valueString": "a", "extension": [{"url": "b", "valueCode": "c"}]}, False),
        ("Extension", {"url": "u", "extension": [{"url": "b", "valueCode": "c"}]}, True),
        ("Period", {"id": "p"}, False),
        ("Period", {"start": "2026"}, True),
        ("Period", {"extension": [{"url": "http://x.org", "valueString": "a"}]}, True),
    ],
)
def test_ele_1_and_ext_1_by_hand_are_what_fhirpath_says(kind, value, wanted):
    """The rules that are asked of nearly every element are closures of their own: each is the specification's."""
    form = shape(kind)
    assert form is not None
    rules = {rule.key: rule for name in (kind, *form.above) for rule in shape(name).rules}
    rule = rules["ext-1" if kind == "Extension" else "ele-1"]
    assert rule.key in BY_HAND
    free = Rule("free", rule.severity, rule.expression, rule.words)
    assert holds(free, Item(value, kind), None, None) is wanted
    name = "extension" if kind == "Extension" else "identifier"
    told = {"extension": [value]} if name == "extension" else {"identifier": [{"period": value}]}
    found = validate(json.dumps({"resourceType": "Patient", **told}).encode()).issues
    assert (rule.key not in {one.rule for one in found}) is wanted


@pytest.mark.parametrize("told", ["#d1", "#d2", "Practitioner/1"])
def test_ref_1_by_hand_is_what_fhirpath_says(told):
    resource = deepcopy(RESOURCES[0])
    resource["performer"] = [{"reference": told}]
    rule = next(one for one in shape("Reference").rules if one.key == "ref-1")
    whole = Item(resource, "Observation")
    answer = holds(
        Rule("free", rule.severity, rule.expression, rule.words),
        Item({"reference": told}, "Reference"),
        whole,
        whole,
    )
    found = {one.rule for one in validate(json.dumps(resource).encode()).issues}
    assert answer is ("ref-1" not in found) is (told != "#d2")

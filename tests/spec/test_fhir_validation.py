"""What is wrong with a FHIR R4 resource, rule by rule: each case is worked out from the specification's own words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from salus.formats.fhir_validation.validating import validate

CANARY = "987.65"
TEXT = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">K 5.9</div>'}
POTASSIUM: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "k-1",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "2823-3"}]},
    "subject": {"reference": "Patient/p1"},
    "effectiveDateTime": "2026-03-01T08:00:00+00:00",
    "issued": "2026-03-01T09:10:00Z",
    "valueQuantity": {
        "value": 5.9,
        "unit": "mmol/L",
        "system": "http://unitsofmeasure.org",
        "code": "mmol/L",
    },
}


def errors(resource: dict[str, Any] | str) -> list[tuple[str, str]]:
    raw = resource if isinstance(resource, str) else json.dumps(resource)
    return [(one.rule, one.where) for one in validate(raw.encode()).issues if one.severity == "error"]


def changed(**members: Any) -> dict[str, Any]:
    """The potassium with some members in another way; None: without it."""
    told = {**POTASSIUM, **members}
    return {name: value for name, value in told.items() if value is not None}


def test_a_resource_that_is_as_it_should_be_has_no_issue():
    assert not errors(POTASSIUM)
    assert not errors(changed(text=TEXT))


@pytest.mark.parametrize(
    ("members", "wanted"),
    [
        ({"birthDate": "2026"}, ("unknown-element", "Observation.birthDate")),
        ({"colour": "red"}, ("unknown-element", "Observation.(a name that R4 does not have)")),
        ({"status": None}, ("too-few", "Observation.status")),
        ({"code": [POTASSIUM["code"]]}, ("too-many", "Observation.code")),
        ({"valueString": "high"}, ("too-many", "Observation.value")),
        ({"category": {"text": "lab"}}, ("json-list", "Observation.category")),
        ({"category": []}, ("json-empty", "Observation.category")),
        ({"method": {}}, ("ele-1", "Observation.method")),
        ({"method": {"id": "m"}}, ("ele-1", "Observation.method")),
        ({"method": None, "encounter": {"display": ""}}, ("string", "Observation.encounter.display")),
        ({"status": "done"}, ("binding", "Observation.status")),
        ({"issued": "2026-03-01"}, ("instant", "Observation.issued")),
        ({"effectiveDateTime": "2026-02-30"}, ("dateTime", "Observation.effectiveDateTime")),
        ({"effectiveDateTime": "2026-03-01T08:00"}, ("dateTime", "Observation.effectiveDateTime")),
        ({"id": "k_1"}, ("id", "Observation.id")),
        ({"id": "k" * 65}, ("id", "Observation.id")),
        ({"valueQuantity": {"value": "5.9"}}, ("decimal", "Observation.valueQuantity.value")),
        ({"valueQuantity": {"value": 5.9, "code": "mmol/L"}}, ("qty-3", "Observation.valueQuantity")),
        ({"dataAbsentReason": {"text": "clotted"}}, ("obs-6", "Observation")),
        ({"referenceRange": [{"appliesTo": [{"text": "men"}]}]}, ("obs-3", "Observation.referenceRange[0]")),
        ({"subject": {"reference": "p1"}}, ("reference-form", "Observation.subject.reference")),
        ({"subject": {"reference": "Practitioner/p1"}}, ("reference-type", "Observation.subject")),
        ({"subject": {"reference": "#p1"}}, ("ref-1", "Observation.subject.reference")),
        ({"extension": [{"url": "http://x.org/e"}]}, ("ext-1", "Observation.extension[0]")),
        ({"text": {**TEXT, "div": "<div>K</div>"}}, ("txt-1", "Observation.text.div")),
        (
            {"valueQuantity": None, "valuePeriod": {"start": "2026-03-02", "end": "2026-03-01"}},
            ("per-1", "Observation.valuePeriod"),
        ),
        (
            {"code": {"coding": [{"system": "http://loinc.org", "code": "2823-4"}]}},
            ("code-unknown", "Observation.code.coding[0].code"),
        ),
    ],
)
def test_one_thing_wrong_is_one_issue_at_its_place(members, wanted):
    assert errors(changed(**members)) == [wanted]


def test_a_value_beside_its_extension_is_one_element():
    """Where an extension says why there is no value the element is there, unless one of certain codes is required."""
    absent = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}
    assert not errors(changed(effectiveDateTime=None, _effectiveDateTime={"extension": [absent]}))
    assert errors(changed(status=None, _status={"extension": [absent]})) == [
        ("binding", "Observation.status")
    ]
    later = {
        "url": "http://hl7.org/fhir/5.0/StructureDefinition/extension-Observation.status",
        "valueCode": "new",
    }
    assert not errors(changed(status=None, _status={"extension": [later]}))
    name = {"given": ["Ann", None], "_given": [None, {"extension": [absent]}]}
    assert not errors({"resourceType": "Patient", "name": [name]})
    assert errors({"resourceType": "Patient", "name": [{"given": ["Ann", None]}]}) == [
        ("json-null", "Patient.name[0].given[1]")
    ]


def test_what_is_contained_is_referred_to_and_has_no_version():
    inner = {"resourceType": "Practitioner", "id": "d1", "name": [{"family": "Lee"}]}
    good = changed(contained=[inner], performer=[{"reference": "#d1"}])
    assert not errors(good)
    assert errors(changed(contained=[inner])) == [("dom-3", "Observation.contained[0]")]
    dated = {**inner, "meta": {"versionId": "1"}}
    assert errors({**good, "contained": [dated]}) == [("dom-4", "Observation.contained[0]")]


def test_json_is_read_strictly():
    assert errors('{"resourceType":"Patient","id":"a","id":"b"}') == [("json-name-twice", "Patient.id")]
    assert errors('{"resourceType":"Patient","id":null}') == [("json-null", "Patient.id")]
    assert errors('{"resourceType":"Patient",}') == [("json-syntax", "")]
    assert errors('{"resourceType":"Patient","id":NaN}') == [("json-syntax", "")]
    assert errors('{"resourceType":"Unicorn"}') == [("resource-type", "")]


def test_a_script_in_a_narrative_and_a_narrative_without_words_are_refused():
    div = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'
    told = {"<script>x</script>": "txt-1", '<p onclick="x">y</p>': "txt-1", "<p> </p>": "txt-2"}
    for inner, rule in told.items():
        text = {"status": "generated", "div": div.format(inner)}
        assert errors(changed(text=text)) == [(rule, "Observation.text.div")]


def test_the_invariant_of_two_conditions_follows_the_words_of_its_rule():
    """que-12: more than one enableWhen needs enableBehavior; the expression that R4 printed says more than two."""
    when = {"question": "1", "operator": "exists", "answerBoolean": True}
    item = {"linkId": "2", "type": "string", "enableWhen": [when, when]}
    told = {
        "resourceType": "Questionnaire",
        "status": "draft",
        "item": [{"linkId": "1", "type": "string"}, item],
    }
    assert errors(told) == [("que-12", "Questionnaire.item[1]")]


def entry(number: int, resource: dict[str, Any]) -> dict[str, Any]:
    return {"fullUrl": f"https://x.org/fhir/{resource['resourceType']}/{number}", "resource": resource}


def test_a_document_s_references_lead_to_its_entries():
    composition = {
        "resourceType": "Composition",
        "id": "1",
        "status": "final",
        "type": {"text": "letter"},
        "subject": {"reference": "Patient/2"},
        "date": "2026-03-01",
        "author": [{"display": "Dr Lee"}],
        "title": "Letter",
    }
    patient = {"resourceType": "Patient", "id": "2", "gender": "female"}
    bundle = {
        "resourceType": "Bundle",
        "type": "document",
        "identifier": {
            "system": "urn:ietf:rfc:3986",
            "value": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0",
        },
        "timestamp": "2026-03-01T10:00:00Z",
        "entry": [entry(1, composition), entry(2, patient)],
    }
    assert not errors(bundle)
    lost = {**composition, "subject": {"reference": "Patient/3"}}
    assert errors({**bundle, "entry": [entry(1, lost), entry(2, patient)]}) == [
        ("bundle-reference", "Bundle.entry[0].resource.subject"),
        ("bundle-reach", "Bundle.entry[1]"),
    ]
    relative = [entry(1, composition), {**entry(2, patient), "fullUrl": "Patient/2"}]
    assert ("bundle-full-url", "Bundle.entry[1]") in errors({**bundle, "entry": relative})


def test_no_value_of_a_patient_is_told():
    told = [
        changed(status=CANARY),
        changed(valueQuantity={"value": CANARY}),
        changed(**{f"x{CANARY}": 1}),
        changed(AnnaMuster=1),
        changed(subject={"reference": "#a"}, contained=[{"resourceType": CANARY, "id": "a"}]),
        changed(extension=[{"url": f"http://x.org/{CANARY}"}]),
        changed(subject={"reference": CANARY}),
        changed(issued=CANARY),
        changed(text={**TEXT, "div": f"<div>{CANARY}"}),
    ]
    for one in told:
        issues = validate(json.dumps(one).encode()).issues
        assert issues
        assert CANARY not in repr(issues)
        assert "Anna" not in repr(issues)

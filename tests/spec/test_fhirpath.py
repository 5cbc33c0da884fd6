"""What FHIRPath says of one resource: bounds of what numbers and dates can mean, dates moved, extensions of a date."""

from __future__ import annotations

import pytest

from salus.errors import ExpressionWrong
from salus.formats.fhirpath.evaluating import Around, evaluate
from salus.formats.fhirpath.grammar import parse
from salus.formats.fhirpath.values import Item

BORN = {
    "resourceType": "Patient",
    "birthDate": "1974-12-25",
    "_birthDate": {"extension": [{"url": "at", "valueDateTime": "1974-12-25T14:35:45-05:00"}]},
}


def asked(expression: str, resource: dict[str, object] = BORN) -> list[str]:
    this = Item(resource, str(resource["resourceType"]))
    return [str(one.value) for one in evaluate(parse(expression), [this], Around(resource=this))]


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("1.587.lowBoundary()", ["1.58650000"]),
        ("1.587.highBoundary(2)", ["1.59"]),
        ("(-1.587).lowBoundary(0)", ["-2"]),
        ("1.587.lowBoundary(32)", []),
        ("@2014.lowBoundary(6)", ["2014-01"]),
        ("@2014.highBoundary()", ["2014-12-31"]),
        ("@2014-01-01T08:05+08:00.lowBoundary(17)", ["2014-01-01T08:05:00.000+08:00"]),
        ("@T10:30.highBoundary(9)", ["10:30:59.999"]),
        ("@1973-12-25 + 7.7 days", ["1974-01-01"]),
        ("@2024-01-31 + 1 month", ["2024-02-29"]),
        ("@2023-03-31 - 1 month", ["2023-02-28"]),
        ("@2020 + 24 months", ["2022"]),
        ("@1973-12-25T23:30:00.000+10:00 + 1 hour", ["1973-12-26T00:30:00.000+10:00"]),
        ("@T23:30 + 1 hour", ["00:30"]),
        ("8 days > 1 week", ["True"]),
        ("birthDate.extension('at').value.ofType(dateTime)", ["1974-12-25T14:35:45-05:00"]),
        ("birthDate != @T12:14", ["True"]),
        ("%`vs-administrative-gender`", ["http://hl7.org/fhir/ValueSet/administrative-gender"]),
    ],
)
def test_an_expression_gives_what_the_specification_says(expression, answer):
    assert asked(expression) == answer


@pytest.mark.parametrize(
    ("expression", "what"),
    [
        ("@1973-12-25 + 1 'mo'", "'+' of a time and what is no amount of time"),
        ("@9999-12-31 + 1 day", "'+' of a time and what is no amount of time"),
        ("birthDate.ofType(string1)", "there is no type 'string1'"),
        ("Patient.deceasedBoolean", "Patient has no element 'deceasedBoolean'"),
        ("-birthDate", "'-' before what is no number"),
    ],
)
def test_what_cannot_be_answered_is_said(expression, what):
    with pytest.raises(ExpressionWrong) as refused:
        asked(expression)
    assert refused.value.what == what

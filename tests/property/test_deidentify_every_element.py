"""Every element of every FHIR resource that Safe Harbor names, filled: which texts and dates pass is a short list."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from salus.deidentify.fhir_records import FhirRecords
from salus.deidentify.key import Key
from salus.deidentify.passing import Passing
from salus.deidentify.read_policy import read_policy
from salus.formats.r4_elements import element, elements_of, is_complex, is_resource, json_name

TEXT, DAY = "Quillfeather of Quokkaville", "2019-03-17"
DEEPEST = 5
VALUES: dict[str, object] = {
    **dict.fromkeys(("string", "markdown", "xhtml", "base64Binary"), TEXT),
    **dict.fromkeys(("date", "dateTime"), DAY),
    "instant": f"{DAY}T08:00:00Z",
    "time": "08:00:00",
    "boolean": True,
    "decimal": 1.5,
    **dict.fromkeys(("integer", "positiveInt", "unsignedInt"), 3),
}
STRINGS_THAT_PASS = {"state", "country", "unit", "version"}
"""Address.state and country; Quantity.unit and Coding.version, which are of a vocabulary."""
SHIPPED = read_policy("safe-harbor")
RESOURCES = [kind for kind in SHIPPED.fhir if is_resource(kind)]


def filled(kind: str, depth: int = 0) -> dict[str, object]:
    """A value of a type with all its elements, every kind of a choice at once."""
    out: dict[str, object] = {"resourceType": kind} if is_resource(kind) else {}
    for name in elements_of(kind):
        found = element(kind, name)
        assert found is not None
        for of in found.kinds:
            called = json_name(name, of) if found.is_choice else name
            value = one(of, depth)
            if value is not None:
                out[called] = [value, value] if found.is_list else value
                if not is_complex(of):
                    out["_" + called] = {"extension": [{"url": TEXT, "valueString": TEXT}]}
    if kind == "Reference":
        out["reference"] = "Patient/7"
    return out


def one(kind: str, depth: int) -> object:
    if kind == "Resource":
        return {"resourceType": "Organization", "name": TEXT} if depth < DEEPEST else None
    if is_complex(kind):
        return filled(kind, depth + 1) if depth < DEEPEST else None
    return VALUES.get(kind, "code-or-uri")


def leaves(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, name)
    else:
        yield name, value


@pytest.mark.parametrize("kind", RESOURCES)
def test_no_text_but_of_a_short_list_and_no_day_passes(kind: str):
    records = FhirRecords(Passing(SHIPPED, Key(bytes(16)), as_of_year=2026))
    resource = filled(kind) | {"id": "7"}
    del resource["modifierExtension"]  # that alone would reject it
    out = records.passed(resource)
    assert isinstance(out, dict) and len(out) > 3
    told = list(leaves(out))
    assert {name for name, value in told if isinstance(value, str) and TEXT in value} <= STRINGS_THAT_PASS
    assert not [name for name, value in told if isinstance(value, str) and "2019-" in value]
    assert not [key for key in out if key.startswith("_")]

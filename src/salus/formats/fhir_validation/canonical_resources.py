"""Rules of resources that define things: code systems, value sets and profiles; R4, their pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from salus.formats.fhir_validation.definitions import PRIMITIVES, Shape, shape
from salus.formats.fhir_validation.expressions import check_filter
from salus.formats.fhir_validation.looking import Look, Place
from salus.formats.fhir_validation.terminology import ABSOLUTE, check_coding

VALUE_OF = {"code": "valueCode", "Coding": "valueCoding", "string": "valueString", "integer": "valueInteger"}
VALUE_OF |= {"boolean": "valueBoolean", "dateTime": "valueDateTime", "decimal": "valueDecimal"}


def _objects(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def check_value_set_part(look: Look, value: dict[str, Any], place: Place) -> None:
    """What a value set includes is named absolutely, and is in the code system that it is said to be of."""
    system = value.get("system")
    if isinstance(system, str) and not ABSOLUTE.fullmatch(system):
        look.noted.error("coding-system", f"{place.where}.system", "the URI of a code system is absolute")
        return
    for number, one in enumerate(_objects(value.get("filter"))):
        check_filter(look, one, Place(f"{place.where}.filter[{number}]", (str(system),)))
    for number, one in enumerate(_objects(value.get("concept"))):
        where = f"{place.where}.concept[{number}]"
        check_coding(look, {"system": system, "code": one.get("code")}, Place(where, place.names))


def _concepts(value: object) -> Iterator[dict[str, Any]]:
    for one in _objects(value):
        yield one
        yield from _concepts(one.get("concept"))


def check_code_system(look: Look, value: dict[str, Any], place: Place) -> None:
    """A complete code system has as many concepts as it says, and properties as it declares them."""
    concepts = list(_concepts(value.get("concept")))
    if "supplements" in value and value.get("content") != "supplement":
        look.noted.error(
            "codesystem-supplement", f"{place.where}.content", "what supplements is a supplement"
        )
    count = value.get("count")
    if value.get("content") == "complete" and isinstance(count, int) and concepts and count != len(concepts):
        look.noted.error("codesystem-count", f"{place.where}.count", "not the number of its concepts")
    declared = _objects(value.get("property"))
    for name in ("code", "uri"):
        named = Counter(one[name] for one in declared if isinstance(one.get(name), str))
        if any(often > 1 for often in named.values()):
            look.noted.error("codesystem-property", f"{place.where}.property", "a property is declared twice")
    kinds = {str(one.get("code")): VALUE_OF.get(str(one.get("type"))) for one in declared}
    for one in concepts:
        for told in _objects(one.get("property")):
            wanted = kinds.get(str(told.get("code")))
            if wanted is not None and any(key.startswith("value") and key != wanted for key in told):
                where = f"{place.where}.concept.property"
                look.noted.error(
                    "codesystem-property", where, "its value is not of the type that is declared"
                )


def check_profile(look: Look, value: dict[str, Any], place: Place) -> None:
    """What a profile says of elements, it says of elements that its type has."""
    kind, told = value.get("type"), value.get("differential")
    form = shape(kind) if isinstance(kind, str) else None
    if form is None or value.get("derivation") != "constraint" or not isinstance(told, dict):
        return
    for number, one in enumerate(_objects(told.get("element"))):
        path = one.get("path")
        if isinstance(path, str) and not _is_path(path.split("."), form):
            where = f"{place.where}.differential.element[{number}].path"
            look.noted.error("profile-path", where, f"{form.kind} has no such element")


def _is_path(parts: list[str], form: Shape) -> bool:
    if parts[0] != form.kind:
        return False
    at: Shape | None = form
    for part in parts[1:]:
        if at is None:
            return True
        found = _below(at, part)
        if found is None:
            return False
        at = found
        if at.kind in ("Resource", "DomainResource"):
            return True
    return True


def _below(form: Shape, part: str) -> Shape | None:
    bare = part.removesuffix("[x]").partition(":")[0]
    choices = dict(form.choices)
    if bare in choices:
        return shape("DomainResource")
    known = form.fields.get(bare)
    if known is None:
        return None
    return shape("DomainResource") if known.kind in PRIMITIVES or known.choice else shape(known.kind)

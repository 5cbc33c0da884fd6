"""References: how they are written, to what type they may lead, and contained resources (ref-1, dom-2 to dom-5)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from salus.formats.fhir_validation.definitions import PRIMITIVES, kinds, shape
from salus.formats.fhir_validation.looking import Look, Place

ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+")
LOCAL = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?(?:#\S*)?")
OF_R4 = re.compile(r"http://hl7\.org/fhir/([A-Z][A-Za-z]+)/[^/]+")
SEARCHED = re.compile(r"([A-Z][A-Za-z]+)\?\S+")
ON_A_SERVER = re.compile(
    r"https?://\S*/([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?"
)


def check_reference(look: Look, value: dict[str, Any], place: Place) -> None:
    """A reference is written as one, and leads to a type that the element takes."""
    told = value.get("reference")
    kind = _kind_of(look, told, place) if isinstance(told, str) else ""
    said = value.get("type")
    if isinstance(said, str) and said in kinds():
        if kind and kind != said:
            look.noted.error("reference-type", f"{place.where}.type", "another type than the reference's own")
        kind = kind or said
    targets = place.of.targets if place.of else frozenset[str]()
    if kind and targets and kind not in targets:
        look.noted.error("reference-type", place.where, f"not to {kind}: to {', '.join(sorted(targets))}")


def check_canonical(look: Look, told: dict[str, Any], place: Place) -> None:
    """A canonical of a definition of R4 itself is of a type that the element takes."""
    targets = place.of.targets if place.of else frozenset[str]()
    found = OF_R4.fullmatch(told["value"])
    if found is None or not targets or found.group(1) in targets:
        return
    form = shape(found.group(1))
    if form is not None and form.is_resource:
        look.noted.error(
            "canonical-type", place.where, f"not to {form.kind}: to {', '.join(sorted(targets))}"
        )


def _kind_of(look: Look, told: str, place: Place) -> str:
    """The type that a reference says it leads to; empty where it does not say."""
    where = f"{place.where}.reference"
    if told.startswith("#"):
        return _contained(look, told, where)
    local = LOCAL.fullmatch(told) or SEARCHED.fullmatch(told)
    found = local or ON_A_SERVER.fullmatch(told)
    if found is not None:
        form = shape(found.group(1))
        if form is not None and form.is_resource:
            return found.group(1)
        if local is not None:
            look.noted.error("reference-form", where, "to a type that R4 does not have")
        return ""
    if not ABSOLUTE.fullmatch(told):
        look.noted.error("reference-form", where, "neither absolute, nor Type/id, nor #id")
    return ""


def _contained(look: Look, told: str, where: str) -> str:
    root = look.root.value if look.root is not None else {}
    inside = root.get("contained")
    for one in inside if isinstance(inside, list) else ():
        if isinstance(one, dict) and one.get("id") == told[1:]:
            kind = one.get("resourceType")
            return kind if isinstance(kind, str) and kind in kinds() else ""
    if told != "#":
        look.noted.error("ref-1", where, "no contained resource has this id")
    return ""


def check_contained(look: Look, value: dict[str, Any], place: Place) -> None:
    """What a resource contains has no inner resources (dom-2), is referred to (dom-3), has no version (dom-4, 5)."""
    inside = value.get("contained")
    if not isinstance(inside, list):
        return
    referred = {told.removeprefix("#") for told in pointers(value, place.names[0]) if told.startswith("#")}
    for number, one in enumerate(inside):
        if not isinstance(one, dict):
            continue
        where = f"{place.where}.contained[{number}]"
        if "contained" in one:
            look.noted.error("dom-2", where, "a contained resource contains another")
        meta = one.get("meta")
        if isinstance(meta, dict):
            if "versionId" in meta or "lastUpdated" in meta:
                look.noted.error("dom-4", where, "a contained resource has no version and no time of change")
            if "security" in meta:
                look.noted.error("dom-5", where, "a contained resource has no security label")
        known = one.get("id")
        if not isinstance(known, str):
            look.noted.error("dom-3", where, "a contained resource without an id: nothing can refer to it")
        elif known not in referred and "#" not in pointers(one, str(one.get("resourceType"))):
            look.noted.error(
                "dom-3", where, "nothing refers to it, and it does not refer to what contains it"
            )


POINTERS = frozenset(("canonical", "uri", "url"))


def pointers(value: object, kind: str) -> Iterator[str]:
    """All that the references, canonicals and URIs below a value say."""
    if isinstance(value, list):
        for one in value:
            yield from pointers(one, kind)
        return
    if isinstance(value, str) and kind in POINTERS:
        yield value
    if isinstance(value, dict):
        yield from _below(value, str(value.get("resourceType", "")) if kind in ("Resource", "") else kind)


def _below(value: dict[str, Any], kind: str) -> Iterator[str]:
    form = shape(kind)
    for name, inner in value.items() if form is not None else ():
        known = form.fields.get(name.removeprefix("_")) if form is not None else None
        if known is None:
            continue
        if kind == "Reference" and name == "reference" and isinstance(inner, str):
            yield inner
        elif name.startswith("_"):
            yield from pointers(inner, "Element")
        elif known.kind not in PRIMITIVES or known.kind in POINTERS:
            yield from pointers(inner, known.kind)

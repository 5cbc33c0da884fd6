"""Go through a resource element by element: unknown names, how many there are, types, codes, and rules of each type."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from salus.formats.fhir_validation.definitions import (
    PRIMITIVES,
    RESOURCE,
    Field,
    Rule,
    Shape,
    names_of_r4,
    shape,
    value_set,
)
from salus.formats.fhir_validation.invariants import holds
from salus.formats.fhir_validation.issues import Noted
from salus.formats.fhir_validation.primitives import trouble_of
from salus.formats.fhir_validation.reading import Repeated
from salus.formats.fhirpath.values import Item

DEEPEST = 150
NO_SUCH = "R4 has no such element here"
UNTOLD = "(a name that R4 does not have)"
OTHER_VERSION = re.compile(r"http://hl7\.org/fhir/[1-9]\.[0-9]/StructureDefinition/extension-")
TYPELESS = "a resource without a type that R4 has"
Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object stands: its path, the names of that place in definitions, and the element that it is of."""

    where: str
    names: Names
    of: Field | None = None


Check = Callable[["Look", dict[str, Any], Place], None]


@dataclass(slots=True)
class Look:
    """One resource that is looked at, with what is around it. ``checks``: what else is asked of objects, by type.

    ``is_frame``: the resources in it are not looked at.
    """

    noted: Noted
    checks: Mapping[str, tuple[Check, ...]]
    root: Item | None = None
    resource: Item | None = None
    depth: int = 0
    is_frame: bool = False

    def resource_at(self, value: object, where: str) -> None:
        """Look at a whole resource: the one asked about, a contained one or an entry's."""
        kind = value.get("resourceType") if isinstance(value, dict) else None
        form = shape(kind) if isinstance(kind, str) else None
        if not isinstance(value, dict) or form is None or not form.is_resource:
            self.noted.error("resource-type", where, TYPELESS)
            return
        outer, self.resource = self.resource, Item(value, form.kind)
        self.root = outer_root = self.root or self.resource
        inside = ".contained" in where.rpartition(".")[0] or where.rpartition(".")[2].startswith("contained[")
        if not inside:
            self.root = self.resource
        self.object_at(value, form, Place(where or form.kind, (form.kind, "Resource", form.kind)))
        self.resource, self.root = outer, outer_root

    def object_at(self, value: dict[str, Any], form: Shape, place: Place) -> None:
        """Look at an object of a type."""
        self.depth += 1
        if self.depth > DEEPEST:
            self.noted.error("json-depth", place.where, "objects in objects, too deep to be looked at")
            self.depth -= 1
            return
        if type(value) is Repeated:
            for name in value.names:
                self.noted.error("json-name-twice", f"{place.where}.{_safe(name)}", "the name comes twice")
        for name, inner in value.items():
            self._member(value, form, (name, inner), place)
        self._counted(value, form, place)
        if not (value.keys() - {"id", "resourceType"}) and not form.is_resource:
            self.noted.error("ele-1", place.where, "an element without content")
        for check in self.checks.get(form.kind, ()):
            check(self, value, place)
        for rule in form.asked:
            self.ask(rule, Item(value, form.kind), place.where)
        for rule in place.of.rules if place.of is not None else ():
            self.ask(rule, Item(value, form.kind), place.where)
        self.depth -= 1

    def ask(self, rule: Rule, of: Item, where: str) -> None:
        """Evaluate an invariant."""
        answer = holds(rule, of, self.resource, self.root)
        if answer is None:
            self.noted.unchecked[f"rule {rule.key}"] += 1
        elif not answer:
            note = self.noted.error if rule.severity == "error" else self.noted.warning
            note(rule.key, where, rule.words)

    def _member(self, value: dict[str, Any], form: Shape, told: tuple[str, Any], place: Place) -> None:
        name, inner = told
        if name == "resourceType" and form.is_resource:
            return
        bare = name[1:] if name.startswith("_") else name
        known = form.fields.get(bare)
        if known is None or (bare is not name and known.kind not in PRIMITIVES):
            self.noted.error("unknown-element", f"{place.where}.{_safe(name)}", NO_SUCH)
            return
        where = f"{place.where}.{bare}"
        names = (f"{form.kind}.{known.choice + '[x]' if known.choice else known.name}", known.kind)
        inner_place = Place(where, (*names, f"{place.names[-1]}.{known.name}"), known)
        if known.kind in PRIMITIVES:
            if bare is name and not known.is_list and f"_{name}" not in value and type(inner) is not list:
                self._primitive(inner, None, inner_place)
            elif bare is name:
                self._primitives(inner, value.get(f"_{name}"), inner_place)
            elif bare not in value:
                self._primitives(None, inner, inner_place)
        else:
            self._complex(inner, known, inner_place)

    def _counted(self, value: dict[str, Any], form: Shape, place: Place) -> None:
        for bare, names in form.needed:
            if not any(name in value or f"_{name}" in value for name in names):
                self.noted.error("too-few", f"{place.where}.{bare}", "at least one is needed")
        for bare, names in form.choices:
            if sum(name in value or f"_{name}" in value for name in names) > 1:
                self.noted.error("too-many", f"{place.where}.{bare}", "of several types at once")

    def _listed(self, inner: object, place: Place) -> list[Any] | None:
        """The values of an element one by one; None where it is no list though it should be one, or the reverse."""
        known = place.of
        if known is None or not known.is_list:
            if isinstance(inner, list):
                self.noted.error("too-many", place.where, "a list where there is at most one")
                return None
            return [inner]
        if not isinstance(inner, list):
            self.noted.error("json-list", place.where, "a list is expected: there may be several")
            return None
        if not inner:
            self.noted.error("json-empty", place.where, "an empty list: leave the element out")
        return inner

    def _complex(self, inner: object, known: Field, place: Place) -> None:
        for number, one in enumerate(self._listed(inner, place) or ()):
            where = f"{place.where}[{number}]" if known.is_list else place.where
            if known.kind == RESOURCE:
                if not self.is_frame:
                    self.resource_at(one, where)
                continue
            form = shape(known.kind)
            if not isinstance(one, dict):
                told = "null" if one is None else "an object is expected"
                self.noted.error("type", where, told)
            elif form is not None:
                self.object_at(one, form, Place(where, place.names, known))

    def _primitives(self, inner: object, beside: object, place: Place) -> None:
        known = place.of
        assert known is not None
        if not known.is_list:
            values, besides = self._listed(inner, place), self._listed(beside, place)
            if values is not None and besides is not None:
                self._primitive(values[0], besides[0], place)
            return
        values = [] if inner is None and beside is not None else self._listed(inner, place)
        besides = [] if beside is None else self._listed(beside, place)
        if values is None or besides is None:
            return
        if values and besides and len(values) != len(besides):
            self.noted.error("json-beside", place.where, "more or fewer values than what stands beside them")
        for number in range(max(len(values), len(besides))):
            one = values[number] if number < len(values) else None
            other = besides[number] if number < len(besides) else None
            self._primitive(one, other, Place(f"{place.where}[{number}]", place.names, known))

    def _primitive(self, value: object, beside: object, place: Place) -> None:
        known = place.of
        assert known is not None
        if beside is not None:
            form = shape("Element")
            if not isinstance(beside, dict) or form is None:
                self.noted.error("type", place.where, "beside a value stands an object")
            else:
                self.object_at(beside, form, Place(place.where, place.names))
        if value is None:
            self._without(beside, known, place.where)
            return
        trouble = trouble_of(known.kind, value)
        if trouble:
            self.noted.error(known.kind, place.where, trouble)
            return
        if known.codes and isinstance(value, str):
            listed = value_set(known.codes)
            if listed is not None and value not in listed.every:
                self.noted.error("binding", place.where, f"a code that is not in {known.codes}")
        for check in self.checks.get(known.kind, ()):
            check(self, {"value": value}, place)
        for rule in known.rules:
            self.ask(rule, Item(value, known.kind, beside), place.where)

    def _without(self, beside: object, known: Field, where: str) -> None:
        """What is wrong where there is no value but, at best, an extension that says why."""
        if beside is None:
            self.noted.error("json-null", where, "null: leave the element out")
        elif (
            known.codes and known.kind == "code" and value_set(known.codes) and not _of_other_version(beside)
        ):
            self.noted.error("binding", where, f"no code, where one of {known.codes} is required")


def _of_other_version(beside: object) -> bool:
    """Whether the code of another version of FHIR stands in an extension: R4, page versions."""
    found = beside.get("extension") if isinstance(beside, dict) else None
    urls = [one.get("url") for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return any(isinstance(url, str) and OTHER_VERSION.match(url) for url in urls)


def _safe(name: str) -> str:
    """A name is told where some type of R4 has it: any other may be anything, a patient's too."""
    return name if name.removeprefix("_") in names_of_r4() else UNTOLD

"""Types that let only well-formed resources be parsed: names, how many, types, codes, checks of objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ForwardRef, Literal, Union

import msgspec
from msgspec import UNSET, Meta, UnsetType

from salus.formats.fhir_validation.definitions import (
    PRIMITIVES,
    RESOURCE,
    Field,
    Shape,
    shape,
    value_set,
)
from salus.formats.fhir_validation.primitives import CLOCK, LEAST, MOST_INTEGER, PATTERNS, YEAR, ZONE
from salus.formats.fhir_validation.quick_rules import NOT_PARSED, python_name

DAY = r"(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
"""Days that every year has; the 29th of February is left to the thorough way."""
PLAIN_URI = rf"(?:(?!urn:(?:oid|uuid):)\S+|{PATTERNS['oid']}|{PATTERNS['uuid']})"
QUICK = {
    "date": rf"{YEAR}(?:-{DAY}|-(?:0[1-9]|1[0-2]))?",
    "dateTime": rf"{YEAR}(?:-{DAY}(?:T{CLOCK}{ZONE})?|-(?:0[1-9]|1[0-2]))?",
    "instant": rf"{YEAR}-{DAY}T{CLOCK}{ZONE}",
    "uri": PLAIN_URI,
    "url": PLAIN_URI,
    "canonical": PLAIN_URI,
    "base64Binary": r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)",
}
CHECKED = frozenset(
    (
        *(("Coding", "code"), ("Coding", "system"), ("Quantity", "code"), ("Quantity", "system")),
        ("Reference", "reference"),
    )
)
"""Texts that the check of their object looks at, with a memory: a pattern for each would cost its time every time."""
VARIED = frozenset(("Reference", "CodeableConcept", "Coding"))
"""Types whose objects are checked by what the element that they stand in allows."""
Hook = Callable[[Any], None]
Hooks = Callable[[Shape, Field | None], Hook | None]
"""Gives the check of the objects of a type where they stand in an element; it raises NotQuick."""
Key = tuple[str, str, frozenset[str]]


class QuickTypes:
    """The types of one validator, each made when it is first needed; ``hooks`` gives the checks of their objects."""

    def __init__(self, hooks: Hooks) -> None:
        self.hooks = hooks
        self.names: dict[Key, str] = {}
        self.made: dict[str, Any] = {}
        self.waiting: list[tuple[str, Shape, Field | None]] = []

    def of_resource(self, form: Shape) -> Any:
        """The type of the resources of a type."""
        name = self._name(form, None)
        while self.waiting:
            self._define(*self.waiting.pop())
        for made in self.made.values():
            for other in self.made:
                setattr(made, other, self.made[other])
        return self.made[name]

    def _name(self, form: Shape, of: Field | None) -> str:
        varied = of is not None and form.kind in VARIED
        key = (form.kind, of.codes if of and varied else "", of.targets if of and varied else frozenset())
        if key not in self.names:
            self.names[key] = f"Quick{len(self.names)}"
            self.waiting.append((self.names[key], form, of))
        return self.names[key]

    def _define(self, name: str, form: Shape, of: Field | None) -> None:
        members: list[tuple[str, Any] | tuple[str, Any, Any]] = []
        if form.is_resource:
            members.append(("resourceType", Literal[form.kind]))
        needed = {bare for bare, names in form.needed if names == (bare,)}
        for known in form.fields.values():
            kind = self._kind(known, form)
            if kind is None:
                continue
            if known.name in needed:
                members.append((python_name(known.name), kind))
            else:
                members.append((python_name(known.name), Union.__getitem__((kind, UnsetType)), UNSET))
        hook = self.hooks(form, of)
        made = msgspec.defstruct(
            name,
            members,
            kw_only=True,
            forbid_unknown_fields=True,
            omit_defaults=True,
            gc=False,
            rename={python_name(one): one for one in form.fields if python_name(one) != one},
            namespace={"__post_init__": hook} if hook is not None else None,
        )
        self.made[name] = made

    def _kind(self, known: Field, form: Shape) -> Any:
        """The type of an element; None: a resource that has it is left to the thorough way."""
        if known.kind == RESOURCE and known.name == "contained":
            return Annotated[list[msgspec.Raw], Meta(min_length=1)]
        if known.kind == RESOURCE or (
            known.name in NOT_PARSED and not (form.is_resource and known.name == "id")
        ):
            return None
        inner = shape(known.kind)
        if inner is None and known.kind not in PRIMITIVES:
            return None
        one = _primitive(known, form) if inner is None else ForwardRef(self._name(inner, known))
        return Annotated[list.__class_getitem__(one), Meta(min_length=1)] if known.is_list else one


def _primitive(known: Field, form: Shape) -> Any:
    kind = known.kind
    if kind == "boolean":
        return bool
    if kind == "decimal":
        return float
    if kind in LEAST:
        return Annotated[int, Meta(ge=LEAST[kind], le=MOST_INTEGER)]
    listed = value_set(known.codes) if known.codes else None
    if listed is not None and kind == "code":
        return Literal[tuple(sorted(listed.every))]
    if kind in ("string", "markdown"):
        return Annotated[str, Meta(pattern=r"\S")]
    pattern = QUICK.get(kind, PATTERNS.get(kind, ""))
    if not pattern or (form.kind, known.name) in CHECKED:
        return Annotated[str, Meta(min_length=1)]
    return Annotated[str, Meta(pattern=rf"^(?:{pattern})\Z")]

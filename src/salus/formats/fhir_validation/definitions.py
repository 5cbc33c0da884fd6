"""What FHIR R4 says of its types, extensions, value sets and code systems, as far as it ships with Salus.

The tables beside this module are made from the official definitions (benchmarks/r4_rules.py).
"""

from __future__ import annotations

import json
import lzma
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

PRIMITIVES = frozenset(
    (
        *("boolean", "integer", "positiveInt", "unsignedInt", "decimal", "string", "code", "id", "markdown"),
        *(
            "uri",
            "url",
            "canonical",
            "oid",
            "uuid",
            "base64Binary",
            "date",
            "dateTime",
            "instant",
            "time",
            "xhtml",
        ),
    )
)
BY_HAND = frozenset(("ele-1", "ext-1", "ref-1", "dom-2", "dom-3", "dom-4", "dom-5", "txt-1", "txt-2"))
"""Invariants that closures of their own look at: they are asked of nearly every element, or are no FHIRPath."""
UNWISE = frozenset(("dom-6",))
"""Best practice only: a narrative for people, which data for machines seldom has."""
RESOURCE = "Resource"
"""The kind of an element that holds a whole resource of any type."""


@dataclass(frozen=True, slots=True)
class Rule:
    """An invariant of the specification: its key, how grave it is, its FHIRPath, and what it says in words."""

    key: str
    severity: str
    expression: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One element under its name in JSON. ``choice``: its name in the definition where it may be of several types."""

    name: str
    kind: str
    least: int
    is_list: bool
    codes: str = ""
    targets: frozenset[str] = frozenset()
    rules: tuple[Rule, ...] = ()
    choice: str = ""


@dataclass(frozen=True, slots=True)
class Shape:
    """A type: its elements by their names in JSON, those that must be there, its choices, and its invariants.

    ``above``: the types that it is derived from, the nearest first. ``asked``: the invariants left to FHIRPath.
    """

    kind: str
    fields: dict[str, Field]
    needed: tuple[tuple[str, tuple[str, ...]], ...]
    choices: tuple[tuple[str, tuple[str, ...]], ...]
    rules: tuple[Rule, ...]
    above: tuple[str, ...]
    asked: tuple[Rule, ...] = ()

    @property
    def is_resource(self) -> bool:
        """Whether it is a resource of its own and no part of one."""
        return RESOURCE in (self.kind, *self.above) and "." not in self.kind


@dataclass(frozen=True, slots=True)
class CodeSystem:
    """The codes of a system with the words that may be shown for each."""

    codes: dict[str, list[str]]
    version: str
    any_case: bool = False


@dataclass(frozen=True, slots=True)
class ValueSet:
    """Codes by system; ``every`` has them without their systems."""

    pairs: dict[str, frozenset[str]]
    every: frozenset[str]


@dataclass(frozen=True, slots=True)
class KnownExtension:
    """Where an extension of R4 may stand (empty: not said), the types of its value, and the parts it is made of."""

    places: tuple[str, ...]
    kinds: frozenset[str]
    parts: frozenset[str]


@cache
def _table(name: str) -> dict[str, Any]:
    raw = (files("salus.formats.fhir_validation") / name).read_bytes()
    text = (lzma.decompress(raw) if name.endswith(".xz") else raw).decode("utf-8")
    return dict(json.loads(line) for line in text.split("\n")[1:] if line)


def _rules(names: list[str]) -> tuple[Rule, ...]:
    return tuple(Rule(*_table("r4_rules.jsonl")[name]) for name in names)


def kinds() -> frozenset[str]:
    """The names of all types and backbone elements."""
    return frozenset(_table("r4_types.jsonl"))


@cache
def names_of_r4() -> frozenset[str]:
    """The names in JSON of all elements of all types.

    >>> "valueQuantity" in names_of_r4(), "shoeSize" in names_of_r4()
    (True, False)
    """
    forms = (shape(kind) for kind in kinds())
    return frozenset(name for form in forms if form is not None for name in form.fields)


@cache
def shape(kind: str) -> Shape | None:
    """What is said of a type; None where there is no such type.

    >>> shape("Observation").fields["valueQuantity"].choice, shape("Observation").needed[0]
    ('value', ('status', ('status',)))
    """
    told = _table("r4_types.jsonl").get(kind)
    if told is None:
        return None
    above = shape(told["above"])
    rules = _rules(told["rules"])
    fields: dict[str, Field] = {}
    needed: dict[str, tuple[str, ...]] = {}
    choices: dict[str, tuple[str, ...]] = {}
    for name, row in told["elements"].items():
        found = _fields(name, row)
        fields |= {one.name: one for one in found}
        bare = name.removesuffix("[x]")
        if row[0]:
            needed[bare] = tuple(one.name for one in found)
        if name.endswith("[x]"):
            choices[bare] = tuple(one.name for one in found)
    if above is not None:
        fields = above.fields | fields
        needed = {name: names for name, names in above.needed if name not in told["elements"]} | needed
        choices = dict(above.choices) | choices
        rules = above.rules + rules
    names = (above.kind, *above.above) if above is not None else ()
    asked = tuple(rule for rule in rules if rule.key not in BY_HAND | UNWISE)
    return Shape(kind, fields, tuple(needed.items()), tuple(choices.items()), rules, names, asked)


def _fields(name: str, row: list[Any]) -> list[Field]:
    least, most, kinds, *more = row
    about = more[0] if more else {}
    bare = name.removesuffix("[x]")
    is_choice = name.endswith("[x]")
    kinds = [every for kind in kinds for every in (OPEN if kind == "*" else (kind,))]
    return [
        Field(
            name=bare + kind[0].upper() + kind[1:] if is_choice else bare,
            kind=kind,
            least=least,
            is_list=most != 1,
            codes=about.get("codes", "") if kind in CODED else "",
            targets=frozenset(about.get("targets", ()))
            if kind in ("Reference", "canonical")
            else frozenset(),
            rules=_rules(about.get("rules", [])),
            choice=bare if is_choice else "",
        )
        for kind in kinds
    ]


CODED = ("code", "Coding", "CodeableConcept", "Quantity", "string", "uri")
OPEN = (
    *(
        "base64Binary",
        "boolean",
        "canonical",
        "code",
        "date",
        "dateTime",
        "decimal",
        "id",
        "instant",
        "integer",
    ),
    *(
        "markdown",
        "oid",
        "positiveInt",
        "string",
        "time",
        "unsignedInt",
        "uri",
        "url",
        "uuid",
        "Address",
        "Age",
    ),
    *(
        "Annotation",
        "Attachment",
        "CodeableConcept",
        "Coding",
        "ContactPoint",
        "Count",
        "Distance",
        "Duration",
    ),
    *("HumanName", "Identifier", "Money", "Period", "Quantity", "Range", "Ratio", "Reference", "SampledData"),
    *(
        "Signature",
        "Timing",
        "ContactDetail",
        "Contributor",
        "DataRequirement",
        "Expression",
        "Dosage",
        "Meta",
    ),
    *("ParameterDefinition", "RelatedArtifact", "TriggerDefinition", "UsageContext"),
)
"""The types of an element that may be of any type: R4, page datatypes."""


@cache
def code_system(url: str) -> CodeSystem | None:
    """A system all of whose codes ship; None: nothing can be said of its codes.

    >>> code_system("http://hl7.org/fhir/administrative-gender").codes["male"]
    ['Male']
    """
    told = _table("r4_code_systems.jsonl.xz").get(url)
    return None if told is None else CodeSystem(**told)


@cache
def value_set(url: str) -> ValueSet | None:
    """The codes that a required binding allows; None where they do not ship.

    >>> sorted(value_set("http://hl7.org/fhir/ValueSet/administrative-gender").every)
    ['female', 'male', 'other', 'unknown']
    """
    told = _table("r4_value_sets.jsonl").get(url)
    if told is None:
        return None
    pairs: dict[str, frozenset[str]] = {}
    for system, codes in told:
        if codes is None:
            known = code_system(system)
            codes = known.codes if known is not None else ()
        pairs[system] = pairs.get(system, frozenset()) | frozenset(codes)
    return ValueSet(pairs, frozenset().union(*pairs.values()))


@cache
def search_parameter(url: str) -> tuple[str, tuple[str, ...]] | None:
    """The type of a search parameter of R4 and the types of resources that it searches; None: it is none of R4's."""
    told = _table("r4_searches.jsonl").get(url)
    return None if told is None else (told[0], tuple(told[1]))


@cache
def known_extension(url: str) -> KnownExtension | None:
    """What R4 says of an extension of its own; None where it is somebody else's."""
    told = _table("r4_extensions.jsonl").get(url)
    if told is None:
        return None
    return KnownExtension(tuple(told["places"]), frozenset(told["kinds"]), frozenset(told["parts"]))

"""What the elements of FHIR R4 are: of which types, and whether there can be several.

The table ``r4_elements.txt`` beside this module is made from the official definitions (benchmarks/r4_elements.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

COMPLEX = "Element"


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a type. ``is_choice``: its name in JSON ends with its type (``valueQuantity``)."""

    name: str
    kinds: tuple[str, ...]
    is_list: bool

    @property
    def is_choice(self) -> bool:
        """Whether it may be of several types."""
        return len(self.kinds) > 1


@dataclass(frozen=True, slots=True)
class _Type:
    above: str
    elements: dict[str, Element]


@cache
def _table() -> dict[str, _Type]:
    types = {}
    for line in (files("salus.formats") / "r4_elements.txt").read_text(encoding="utf-8").splitlines():
        head, *told = line.split(" ")
        name, _, above = head.partition("<")
        elements = {}
        for one in told:
            called, _, kinds = one.partition(":")
            bare = called.removesuffix("*")
            elements[bare] = Element(bare, tuple(kinds.split("|")), called.endswith("*"))
        types[name] = _Type(above, elements)
    return types


def element(kind: str, name: str) -> Element | None:
    """The element of a type, its own or an inherited one.

    >>> element("Observation", "component").is_list, element("Observation", "value").is_choice
    (True, True)
    >>> element("Patient", "deceased").kinds
    ('boolean', 'dateTime')
    """
    table = _table()
    while kind in table:
        found = table[kind].elements.get(name)
        if found is not None:
            return found
        kind = table[kind].above
    return None


@cache
def elements_of(kind: str) -> tuple[str, ...]:
    """The names of all elements of a type, the inherited ones first; a simple value has an id and extensions.

    >>> elements_of("Period"), elements_of("dateTime")
    (('id', 'extension', 'start', 'end'), ('id', 'extension'))
    """
    table, names = _table(), list[str]()
    kind = kind if kind in table else COMPLEX
    while kind in table:
        names = [*table[kind].elements, *names]
        kind = table[kind].above
    return tuple(names)


def is_complex(kind: str) -> bool:
    """Whether a type has elements: a resource, a data type or a part of a resource."""
    return kind in _table()


def is_resource(kind: str) -> bool:
    """Whether a type is that of a resource.

    >>> is_resource("Patient"), is_resource("Quantity"), is_resource("Banana")
    (True, False, False)
    """
    table = _table()
    while kind in table and kind != "Resource":
        kind = table[kind].above
    return kind == "Resource"


def json_name(name: str, kind: str) -> str:
    """What a choice of a type is called in JSON.

    >>> json_name("value", "dateTime")
    'valueDateTime'
    """
    return name + kind[0].upper() + kind[1:]


@cache
def all_types() -> tuple[str, ...]:
    """The names of all types with elements: resources, their parts, data types.

    >>> "Observation" in all_types(), "Observation.component" in all_types(), "Period" in all_types()
    (True, True, True)
    """
    return tuple(_table())

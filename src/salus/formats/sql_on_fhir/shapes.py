"""Struct types that hold only those elements of a resource that a view asks for: the rest is skipped while parsing."""

from __future__ import annotations

import keyword
from typing import Any

import msgspec

from salus.formats.r4_elements import is_complex

SIMPLE: dict[str, type] = {
    "boolean": bool,
    "decimal": float,
    "integer": int,
    "positiveInt": int,
    "unsignedInt": int,
}


NO_JSON = msgspec.Raw(b"")
"""Stands where a complex element that is kept as JSON is not."""


class NotColumnar(Exception):
    """The view asks for what is not done in columns."""


class Shape:
    """One type of FHIR as a view sees it, in the making; :meth:`struct` ends the making.

    A complex element of which nothing inside is asked for is kept as the JSON it is.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.children: dict[str, tuple[Shape | None, str, bool]] = {}
        self.kept_whole = False
        self.nothing: Any = NO_JSON
        self.type: Any = None

    def ask(self, name: str, kind: str, is_list: bool) -> Shape | None:
        """Ask for an element by its name in JSON; gives the shape of a complex one."""
        if self.kept_whole:
            raise NotColumnar("a complex value that is looked into too")
        if name not in self.children:
            self.children[name] = (Shape(kind) if is_complex(kind) else None, kind, is_list)
        return self.children[name][0]

    def keep_whole(self) -> None:
        """Ask for all of it, as JSON."""
        if self.children:
            raise NotColumnar("a complex value that is looked into too")
        self.kept_whole = True

    @property
    def is_raw(self) -> bool:
        """Whether it is kept as JSON."""
        return not self.children

    def struct(self) -> Any:
        """The type to parse into."""
        if self.type is None:
            fields = [self._field(name) for name in self.children]
            self.type = msgspec.defstruct(
                self.kind.replace(".", "_"),
                fields,
                frozen=True,
                gc=False,
                rename={attribute(name): name for name in self.children},
            )
            self.nothing = self.type()
        return self.type

    def _field(self, name: str) -> tuple[str, Any, Any]:
        shape, kind, is_list = self.children[name]
        if shape is None:
            inner: Any = SIMPLE.get(kind, str)
            if is_list:
                return attribute(name), list[inner | None], msgspec.field(default_factory=list)
            return attribute(name), inner | None, None
        inner = msgspec.Raw if shape.is_raw else shape.struct()
        if is_list:
            return attribute(name), list[inner], msgspec.field(default_factory=list)
        return attribute(name), inner, NO_JSON if shape.is_raw else shape.nothing


def attribute(name: str) -> str:
    """What an element is called in Python.

    >>> attribute("class"), attribute("status")
    ('class_', 'status')
    """
    return name + "_" if keyword.iskeyword(name) else name

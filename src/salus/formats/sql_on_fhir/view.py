"""A ViewDefinition of SQL on FHIR v2: read, checked, and as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from salus.errors import ViewWrong, nearest
from salus.formats.fhirpath.grammar import parse
from salus.formats.fhirpath.tree import Moment, Node

Constant = str | bool | int | Decimal | Moment
MOMENTS = {"date": "date", "dateTime": "dateTime", "instant": "instant", "time": "time"}
DEEPEST = 20
"""Selects in selects that a view may have."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, and where its value is. ``collection``: it may have several, as a list."""

    name: str
    path: Node
    collection: bool = False
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Select:
    """Columns, for each of what ``each`` gives (or for the same thing); with what is beside and what is below them.

    ``or_null``: one row of nulls where ``each`` gives nothing. ``repeat``: paths to be followed again and again.
    """

    columns: tuple[Column, ...] = ()
    each: Node | None = None
    or_null: bool = False
    repeat: tuple[Node, ...] = ()
    selects: tuple[Select, ...] = ()
    union: tuple[Select, ...] = ()

    def names(self) -> list[str]:
        """The columns in their order."""
        own = [column.name for column in self.columns]
        below = [name for select in self.selects for name in select.names()]
        return own + below + (self.union[0].names() if self.union else [])


@dataclass(frozen=True, slots=True)
class Condition:
    """What a resource must be to be taken; ``description`` says what it is not where it is not."""

    path: Node
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What to take from one type of resource."""

    name: str
    resource: str
    selects: tuple[Select, ...]
    where: tuple[Condition, ...] = ()
    constants: Mapping[str, Constant]

    def names(self) -> list[str]:
        """The columns in their order."""
        return [name for select in self.selects for name in select.names()]

    def columns(self) -> list[Column]:
        """All columns, those of unions once."""
        return [column for select in self.selects for column in _columns(select)]


def _columns(select: Select) -> list[Column]:
    below = [column for one in (*select.selects, *select.union[:1]) for column in _columns(one)]
    return [*select.columns, *below]


def read_view(content: object) -> View:
    """Read a view from its JSON; raises ViewWrong (SAL-115) or ExpressionWrong (SAL-116)."""
    if not isinstance(content, dict):
        raise _wrong("a view is a JSON object", "?")
    name = str(content.get("name") or "view")
    resource = content.get("resource")
    if not isinstance(resource, str):
        raise _wrong("it does not say of which resource it is", name)
    selects = tuple(_select(one, name, 0) for one in _list(content, "select", name))
    if not selects:
        raise _wrong("it selects nothing", name)
    view = View(
        name=name,
        resource=resource,
        selects=selects,
        where=tuple(_condition(one, name) for one in _list(content, "where", name)),
        constants={str(one.get("name")): _constant(one, name) for one in _list(content, "constant", name)},
    )
    names = view.names()
    twice = sorted({one for one in names if names.count(one) > 1})
    if twice:
        raise _wrong(f"it has column '{twice[0]}' twice", name)
    return view


def _select(content: Mapping[str, Any], view: str, depth: int) -> Select:
    if depth > DEEPEST:
        raise _wrong("it has too many selects in selects", view)
    if len([key for key in ("forEach", "forEachOrNull", "repeat") if content.get(key)]) > 1:
        raise _wrong("a select has one of forEach, forEachOrNull and repeat", view)
    each = content.get("forEach") or content.get("forEachOrNull")
    again = content.get("repeat") or ()
    if not isinstance(again, (list, tuple)) or not all(
        isinstance(path, str) for path in (*again, each or "")
    ):
        raise _wrong("forEach is an expression, and repeat a list of expressions", view)
    union = tuple(_select(one, view, depth + 1) for one in _list(content, "unionAll", view))
    if any(one.names() != union[0].names() for one in union):
        raise _wrong("the selects of a unionAll do not have the same columns in the same order", view)
    return Select(
        columns=tuple(_column(one, view) for one in _list(content, "column", view)),
        each=parse(each) if each else None,
        or_null="forEachOrNull" in content,
        repeat=tuple(map(parse, again)),
        selects=tuple(_select(one, view, depth + 1) for one in _list(content, "select", view)),
        union=union,
    )


def _column(content: Mapping[str, Any], view: str) -> Column:
    path, name = content.get("path"), content.get("name")
    if not isinstance(path, str) or not isinstance(name, str):
        raise _wrong("a column has a name and a path", view)
    return Column(name, parse(path), bool(content.get("collection")), str(content.get("type") or ""))


def _condition(content: Mapping[str, Any], view: str) -> Condition:
    path = content.get("path")
    if not isinstance(path, str):
        raise _wrong("a where has a path", view)
    return Condition(parse(path), str(content.get("description") or f"the view asks for {path}"))


def _constant(content: Mapping[str, Any], view: str) -> Constant:
    found = [(key, value) for key, value in content.items() if key.startswith("value")]
    if len(found) != 1 or not content.get("name"):
        raise _wrong("a constant has a name and one value", view)
    key, value = found[0]
    kind = key.removeprefix("value")
    kind = kind[0].lower() + kind[1:]
    if kind in MOMENTS:
        return Moment(kind, str(value))
    if isinstance(value, float):
        return Decimal(str(value))
    if isinstance(value, (str, bool, int)):
        return value
    raise _wrong(f"constant '{content['name']}' is no simple value", view)


def _list(content: Mapping[str, Any], key: str, view: str) -> Sequence[Mapping[str, Any]]:
    found = content.get(key) or []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise _wrong(f"'{key}' is no list of objects", view)
    return found


def wrong_resource(view: View, known: Sequence[str]) -> ViewWrong:
    """The error that a view is of a resource that is not one of FHIR's."""
    return _wrong(f"there is no resource '{view.resource}'{nearest(view.resource, known)}", view.name)


def _wrong(what: str, view: str) -> ViewWrong:
    return ViewWrong(
        f"view '{view}' cannot be run: {what}",
        where="the view's JSON",
        fix="write it as https://sql-on-fhir.org defines a ViewDefinition",
    )

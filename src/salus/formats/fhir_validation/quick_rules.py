"""Invariants as plain functions of parsed objects, for the quick way; what they cannot say is left to FHIRPath itself.

A function answers True, False or None (not said), as FHIRPath does. Where it meets what it does not know it raises
NotQuick: the resource is then looked at in the thorough way, which is the one that counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from msgspec import UNSET

from salus.formats.fhir_validation.definitions import RESOURCE, Shape, shape
from salus.formats.fhirpath.tree import Call, Literal, Member, Node, Operation, This

Truth = Callable[[Any], bool | None]
Values = Callable[[Any], list[Any]]
TEXTS = frozenset(("code", "string", "uri", "url", "canonical", "id", "markdown"))
NUMBERS = frozenset(("decimal", "integer", "positiveInt", "unsignedInt"))
DATES = frozenset(("date", "dateTime", "instant"))


class NotQuick(ValueError):
    """The quick way cannot say whether all is well."""


@dataclass(frozen=True, slots=True)
class Path:
    """Where values come from: how they are got, of which type they are, and the one element it is, if it is one."""

    get: Values
    kind: str
    name: str = ""


def python_name(name: str) -> str:
    """What an element is called as an attribute: ``class`` and ``for`` are words of Python.

    >>> python_name("class"), python_name("status")
    ('class_', 'status')
    """
    return f"{name}_" if name in KEYWORDS else name


KEYWORDS = frozenset(("class", "for", "import", "global", "assert", "from", "is", "in", "as", "with", "not"))


def _unknown(_: Any) -> Any:
    raise NotQuick


def truth(node: Node, form: Shape) -> Truth:
    """An expression as a function of an object of a type."""
    if isinstance(node, Operation):
        return _operation(node, form)
    if isinstance(node, Call):
        return _asked(node, form)
    return _unknown


def _operation(node: Operation, form: Shape) -> Truth:
    if node.sign in ("and", "or", "implies", "xor"):
        return _logic(node.sign, truth(node.left, form), truth(node.right, form))
    if node.sign in ("=", "!="):
        return _same(node, form)
    if node.sign in (">=", ">"):
        return _compared(Operation("<=" if node.sign == ">=" else "<", node.right, node.left), form)
    if node.sign in ("<=", "<"):
        return _compared(node, form)
    return _unknown


def _logic(sign: str, left: Truth, right: Truth) -> Truth:
    def both(value: Any) -> bool | None:
        first = left(value)
        if first is False:
            return False
        second = right(value)
        return False if second is False else None if first is None or second is None else True

    def either(value: Any) -> bool | None:
        first = left(value)
        if first is True:
            return True
        second = right(value)
        return True if second is True else None if first is None or second is None else False

    def follows(value: Any) -> bool | None:
        first = left(value)
        if first is False:
            return True
        second = right(value)
        return True if second is True else None if first is None or second is None else False

    def one(value: Any) -> bool | None:
        first, second = left(value), right(value)
        return None if first is None or second is None else first is not second

    return {"and": both, "or": either, "implies": follows, "xor": one}[sign]


def _asked(node: Call, form: Shape) -> Truth:
    if node.name == "not" and not node.arguments:
        inner = truth(node.of, form)
        return lambda value: {True: False, False: True, None: None}[inner(value)]
    if node.name not in ("exists", "empty", "hasValue") or node.arguments:
        return _unknown
    path = path_of(node.of, form)
    if path is None or (node.name == "hasValue" and path.kind not in TEXTS | NUMBERS | DATES):
        return _unknown
    empty = node.name == "empty"
    if path.name:
        get = attrgetter(path.name)
        if empty:
            return lambda value: get(value) is UNSET
        return lambda value: get(value) is not UNSET
    values = path.get
    if empty:
        return lambda value: not values(value)
    return lambda value: bool(values(value))


def _same(node: Operation, form: Shape) -> Truth:
    if isinstance(node.left, Call) and isinstance(node.right, Call):
        first, second = _asked(node.left, form), _asked(node.right, form)
        wanted = node.sign == "="
        return lambda value: (first(value) is second(value)) is wanted
    path = path_of(node.left, form)
    told = node.right.value if isinstance(node.right, Literal) else None
    fits = path is not None and (
        (isinstance(told, str) and path.kind in TEXTS) or (isinstance(told, bool) and path.kind == "boolean")
    )
    if path is None or not fits:
        return _unknown
    values, is_same = path.get, node.sign == "="

    def compare(value: Any) -> bool | None:
        found = values(value)
        if not found:
            return None
        return (len(found) == 1 and found[0] == told) is is_same

    return compare


def _compared(node: Operation, form: Shape) -> Truth:
    left, right = path_of(node.left, form), path_of(node.right, form)
    strict = node.sign == "<"
    if left is not None and right is not None and left.kind in DATES and right.kind in DATES:
        return _moments(left.get, right.get, strict)
    if isinstance(node.right, Operation) and isinstance(node.left, Literal):
        return _counted(node.right, node.left.value, strict, form)
    path, is_left = (left, True) if left is not None else (right, False)
    literal = node.right if is_left else node.left
    told = literal.value if isinstance(literal, Literal) else None
    if path is None or path.kind not in NUMBERS or not isinstance(told, int) or isinstance(told, bool):
        return _unknown
    values, bound = path.get, told

    def numbers(value: Any) -> bool | None:
        found = values(value)
        if len(found) != 1:
            return None if not found else _unknown(value)
        pair = (found[0], bound) if is_left else (bound, found[0])
        return bool(pair[0] < pair[1]) if strict else bool(pair[0] <= pair[1])

    return numbers


def _counted(node: Operation, least: object, strict: bool, form: Shape) -> Truth:
    """Whether there are more of some elements together than a number: ``(a.count() + b.count()) > 0``."""
    paths = []
    while isinstance(node, Operation) and node.sign == "+":
        paths.append(_count_of(node.right, form))
        node = node.left  # type: ignore[assignment]
    paths.append(_count_of(node, form))
    if None in paths or not isinstance(least, int):
        return _unknown
    every = [path.get for path in paths if path is not None]

    def count(value: Any) -> bool | None:
        total = sum(len(get(value)) for get in every)
        return total > least if strict else total >= least

    return count


def _count_of(node: Node, form: Shape) -> Path | None:
    return path_of(node.of, form) if isinstance(node, Call) and node.name == "count" else None


def _moments(left: Values, right: Values, strict: bool) -> Truth:
    """Two times of one precision and one zone stand in the order of their letters; others are not quick."""

    def compare(value: Any) -> bool | None:
        first, second = left(value), right(value)
        if not first or not second:
            return None
        one, other = first[0], second[0]
        if len(first) > 1 or len(second) > 1 or len(one) != len(other) or one[19:] != other[19:]:
            raise NotQuick
        return bool(one < other) if strict else bool(one <= other)

    return compare


def path_of(node: Node, form: Shape) -> Path | None:
    """The values that an expression leads to; None where that is not known beforehand."""
    if isinstance(node, This):
        return Path(lambda value: [value], form.kind)
    if isinstance(node, Call) and node.name == "where" and len(node.arguments) == 1:
        outer = path_of(node.of, form)
        inner = shape(outer.kind) if outer is not None else None
        if outer is None or inner is None:
            return None
        get, holds = outer.get, truth(node.arguments[0], inner)
        return Path(lambda value: [one for one in get(value) if holds(one) is True], outer.kind)
    if not isinstance(node, Member):
        return None
    if isinstance(node.of, This):
        return _own(node.name, form)
    outer = path_of(node.of, form)
    inner = shape(outer.kind) if outer is not None else None
    below = _own(node.name, inner) if inner is not None else None
    if outer is None or below is None:
        return None
    first, then = outer.get, below.get
    return Path(lambda value: [found for one in first(value) for found in then(one)], below.kind)


def _own(name: str, form: Shape) -> Path | None:
    """An element of a type; a choice has no type that is known beforehand."""
    choice = dict(form.choices).get(name)
    if choice is not None:
        every = attrgetter(*map(python_name, choice))
        if len(choice) == 1:
            return None
        return Path(lambda value: [one for one in every(value) if one is not UNSET], "")
    known = form.fields.get(name)
    if known is None or known.kind == RESOURCE or name in NOT_PARSED:
        return None
    get = attrgetter(python_name(name))
    if known.is_list:
        return Path(
            lambda value: [] if (found := get(value)) is UNSET else found, known.kind, python_name(name)
        )
    return Path(
        lambda value: [] if (found := get(value)) is UNSET else [found], known.kind, python_name(name)
    )


NOT_PARSED = frozenset(("contained", "id", "modifierExtension"))
"""Elements that the quick way leaves to the thorough one: it never has them."""

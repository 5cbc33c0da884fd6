"""FHIRPath asked of many resources at once: each step is one pass over a list, which Python does at the speed of C.

What a view of ours asks is here; what is not (:class:`NotColumnar`) is left to the general way
(:mod:`salus.formats.fhirpath.evaluating`), which is slower and knows all of it. Both give the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import attrgetter
from typing import Any

from salus.formats.fhirpath.references import reference_key
from salus.formats.fhirpath.tree import Call, Literal, Member, Node, Operation, Place, This, Variable
from salus.formats.r4_elements import element, is_complex, json_name
from salus.formats.sql_on_fhir.shapes import NotColumnar, Shape, attribute

Values = list[Any]


@dataclass(slots=True)
class Frame:
    """What is asked: one value a row, none of them absent. ``roots``: the resource of each row (None: its own).

    ``urls``: what references inside a Bundle lead to. ``several``: resources that have more than one value where one
    is asked for, with the name of the column.
    """

    values: Values
    urls: Mapping[str, str]
    roots: Sequence[int] | None = None
    several: dict[int, str] = field(default_factory=dict)
    above: dict[tuple[str, ...], Values] = field(default_factory=dict)

    def at(self, path: tuple[str, ...]) -> Values:
        """What is at a path of attributes, a value a row; what is on the way there is looked up once."""
        values = self.values
        if len(path) > 1:
            way = path[:-1]
            if way not in self.above:
                self.above[way] = self.at(way)
            values = self.above[way]
        return list(map(attrgetter(path[-1]), values))


@dataclass(frozen=True, slots=True)
class Many:
    """Any number of values a row: ``rows`` says which, in order."""

    values: Values
    rows: list[int]


@dataclass(frozen=True, slots=True)
class Plan:
    """How to find the values of an expression. ``path``: attributes to follow, where that is all there is to do.

    ``many``: ``find`` gives Many, else a value or None (nothing) a row. ``shape`` is what complex values look like.
    ``lists``: where the values of each row are a list in the resource, those lists.
    """

    kind: str
    many: bool
    find: Callable[[Frame], Any]
    shape: Shape | None = None
    path: tuple[str, ...] | None = None
    choice: tuple[str, ...] = ()
    lists: Callable[[Frame], list[Values]] | None = None


Constants = Mapping[str, object]


def plan(node: Node, shape: Shape, constants: Constants) -> Plan:
    """Plan an expression asked of values of a shape."""
    if isinstance(node, This):
        return Plan(shape.kind, False, lambda frame: frame.values, shape, ())
    if isinstance(node, Literal):
        return _constant(node.value)
    if isinstance(node, Variable):
        if node.name not in constants:
            raise NotColumnar(node.name)
        return _constant(constants[node.name])
    if isinstance(node, Member):
        return _member(plan(node.of, shape, constants), node.name)
    if isinstance(node, Place):
        if node.number != Literal(0):
            raise NotColumnar("a place other than the first")
        return _first(plan(node.of, shape, constants))
    if isinstance(node, Operation):
        return _operation(node, shape, constants)
    if isinstance(node, Call):
        return _call(node, shape, constants)
    raise NotColumnar(type(node).__name__)


def _constant(value: object) -> Plan:
    if value is None or not isinstance(value, (str, bool, int)):
        raise NotColumnar("a constant of this kind")
    kind = {bool: "boolean", int: "integer"}.get(type(value), "string")
    return Plan(kind, False, lambda frame: [value] * len(frame.values))


def _member(of: Plan, name: str) -> Plan:
    if of.shape is None or of.choice:
        raise NotColumnar(f"'{name}' of {of.kind}")
    if of.path == () and name == of.kind:
        return of
    found = element(of.kind, name)
    if found is None or found.kinds[0] in ("Resource", "xhtml"):
        raise NotColumnar(f"'{name}' of {of.kind}")
    if found.is_choice:
        return Plan(name, of.many, of.find, of.shape, of.path, found.kinds)
    return _step(of, name, found.kinds[0], found.is_list)


def _step(of: Plan, name: str, kind: str, is_list: bool) -> Plan:
    """One element further; ``name`` is what it is called in JSON."""
    assert of.shape is not None
    shape = of.shape.ask(name, kind, is_list)
    called = attribute(name)
    if is_list and of.path is not None:
        whole = (*of.path, called)
        return Plan(kind, True, _of_lists(whole), shape, lists=lambda frame: frame.at(whole))
    if is_list:
        return Plan(kind, True, _flat(of, called), shape)
    if of.many:
        return Plan(kind, True, _each(of, called, shape), shape)
    if of.path is None:
        return Plan(kind, False, _of_those(of, called, shape), shape)
    path = (*of.path, called)
    return Plan(kind, False, lambda frame: frame.at(path), shape, path)


def _flat(of: Plan, called: str) -> Callable[[Frame], Many]:
    get = attrgetter(called)

    def find(frame: Frame) -> Many:
        values: Values = []
        rows: list[int] = []
        for row, value in _rows(of, frame):
            below = get(value)
            if below:
                values += below
                rows += [row] * len(below)
        return Many(values, rows)

    return find


def _of_lists(path: tuple[str, ...]) -> Callable[[Frame], Many]:
    def find(frame: Frame) -> Many:
        found = [(row, below) for row, below in enumerate(frame.at(path)) if below]
        values = list(chain.from_iterable(below for _, below in found))
        return Many(values, list(chain.from_iterable([row] * len(below) for row, below in found)))

    return find


def _rows(of: Plan, frame: Frame) -> Any:
    found = of.find(frame)
    if of.many:
        return zip(found.rows, found.values, strict=True)
    return ((row, value) for row, value in enumerate(found) if value is not None)


def _each(of: Plan, called: str, shape: Shape | None) -> Callable[[Frame], Many]:
    get = attrgetter(called)

    def find(frame: Frame) -> Many:
        found = of.find(frame)
        values = list(map(get, found.values))
        there = [not is_nothing(value, shape) for value in values]
        return Many(_kept(values, there), _kept(found.rows, there))

    return find


def _of_those(of: Plan, called: str, shape: Shape | None) -> Callable[[Frame], Values]:
    get = attrgetter(called)
    nothing = of.shape

    def find(frame: Frame) -> Values:
        return [None if is_nothing(value, nothing) else get(value) for value in of.find(frame)]

    return find


def is_nothing(value: Any, shape: Shape | None) -> bool:
    """Whether a value stands for nothing."""
    return value is None or (shape is not None and value is shape.nothing)


def _kept(values: Sequence[Any], keep: Sequence[bool]) -> list[Any]:
    return [value for value, one in zip(values, keep, strict=True) if one]


def _call(node: Call, shape: Shape, constants: Constants) -> Plan:
    if node.name == "getReferenceKey":
        return _reference(plan(node.of, shape, constants), node)
    if node.name == "getResourceKey" and node.of == This():
        prefix = f"{shape.kind}/"
        own = _step(plan(This(), shape, constants), "id", "id", False)
        return Plan("string", False, lambda frame: [one and prefix + one for one in own.find(frame)])
    of = plan(node.of, shape, constants)
    if node.name == "ofType" and of.choice:
        return _of_type(of, node)
    if node.name in ("exists", "empty") and not node.arguments:
        return _exists(of, node.name == "exists")
    if node.name == "not" and not of.many:
        return Plan(
            "boolean", False, lambda frame: [None if one is None else not one for one in of.find(frame)]
        )
    if node.name == "first":
        return _first(of)
    if node.name == "where" and len(node.arguments) == 1:
        return _where(of, node.arguments[0], constants)
    raise NotColumnar(f"{node.name}()")


def _of_type(of: Plan, node: Call) -> Plan:
    kind = node.arguments[0].name if node.arguments and isinstance(node.arguments[0], Member) else ""
    if kind not in of.choice:
        raise NotColumnar(f"'{of.kind}' is never {kind}")
    return _step(
        Plan(of.shape.kind if of.shape else "", of.many, of.find, of.shape, of.path),
        json_name(of.kind, kind),
        kind,
        False,
    )


def _exists(of: Plan, wanted: bool) -> Plan:
    if of.choice:
        plain = Plan(of.shape.kind if of.shape else "", of.many, of.find, of.shape, of.path)
        parts = [_exists(_step(plain, json_name(of.kind, kind), kind, False), True) for kind in of.choice]

        def any_of(frame: Frame) -> Values:
            columns = [part.find(frame) for part in parts]
            return [any(row) is wanted for row in zip(*columns, strict=True)]

        return Plan("boolean", False, any_of)

    def find(frame: Frame) -> Values:
        if of.lists is not None:
            return [bool(below) is wanted for below in of.lists(frame)]
        found = of.find(frame)
        if of.many:
            there = set(found.rows)
            return [(row in there) is wanted for row in range(len(frame.values))]
        nothing = of.shape.nothing if of.shape is not None else None
        return [(one is not None and one is not nothing) is wanted for one in found]

    return Plan("boolean", False, find)


def _first(of: Plan) -> Plan:
    if not of.many:
        return of

    def find(frame: Frame) -> Values:
        found = of.find(frame)
        values: Values = [None] * len(frame.values)
        for row, value in zip(reversed(found.rows), reversed(found.values), strict=True):
            values[row] = value
        return values

    return Plan(of.kind, False, find, of.shape)


def _where(of: Plan, condition: Node, constants: Constants) -> Plan:
    if of.shape is None or of.choice:
        raise NotColumnar("where() of a simple value")
    asked = plan(condition, of.shape, constants)
    if asked.many or asked.kind != "boolean":
        raise NotColumnar("a condition that is not one yes or no")

    def find(frame: Frame) -> Any:
        found = of.find(frame)
        if of.many:
            holds = [one is True for one in asked.find(Frame(found.values, frame.urls))]
            return Many(_kept(found.values, holds), _kept(found.rows, holds))
        places = [row for row, value in enumerate(found) if not is_nothing(value, of.shape)]
        holds = asked.find(Frame([found[row] for row in places], frame.urls))
        values: Values = [None] * len(found)
        for row, one in zip(places, holds, strict=True):
            if one is True:
                values[row] = found[row]
        return values

    return Plan(of.kind, of.many, find, of.shape)


def _reference(of: Plan, node: Call) -> Plan:
    if of.kind != "Reference" or len(node.arguments) > 1:
        raise NotColumnar("getReferenceKey() of what is no Reference")
    wanted = node.arguments[0] if node.arguments else None
    kind = wanted.name if isinstance(wanted, Member) else None
    if wanted is not None and kind is None:
        raise NotColumnar("getReferenceKey() of what is no type")
    below = _step(of, "reference", "string", False)

    def find(frame: Frame) -> Any:
        found = below.find(frame)
        keys = _Keys(kind, frame.urls)
        if not below.many:
            return list(map(keys.__getitem__, found))
        made = list(map(keys.__getitem__, found.values))
        there = [one is not None for one in made]
        return Many(_kept(made, there), _kept(found.rows, there))

    return Plan("string", below.many, find)


class _Keys(dict[str | None, str | None]):
    """Each reference is read once."""

    def __init__(self, kind: str | None, urls: Mapping[str, str]) -> None:
        self.kind, self.urls = kind, urls

    def __missing__(self, reference: str | None) -> str | None:
        key = None if reference is None else reference_key(self.urls.get(reference, reference), self.kind)
        self[reference] = key
        return key


def _operation(node: Operation, shape: Shape, constants: Constants) -> Plan:
    among = _one_of(node)
    if among is not None:
        asked = plan(among[0], shape, constants)
        if not asked.many and not asked.choice and not is_complex(asked.kind):
            values = among[1]
            return Plan(
                "boolean",
                False,
                lambda frame: [None if one is None else one in values for one in asked.find(frame)],
            )
    left, right = plan(node.left, shape, constants), plan(node.right, shape, constants)
    if left.many or right.many or left.choice or right.choice:
        raise NotColumnar(f"'{node.sign}' of several values")
    both = _both(node.sign, is_complex(left.kind) or is_complex(right.kind))
    return Plan("boolean", False, lambda frame: list(map(both, left.find(frame), right.find(frame))))


def _one_of(node: Node) -> tuple[Node, frozenset[Any]] | None:
    """Read ``a = 'x' or a = 'y'`` as one question."""
    if not isinstance(node, Operation):
        return None
    if node.sign == "=" and isinstance(node.right, Literal) and isinstance(node.right.value, str):
        return node.left, frozenset({node.right.value})
    if node.sign != "or":
        return None
    left, right = _one_of(node.left), _one_of(node.right)
    return (left[0], left[1] | right[1]) if left and right and left[0] == right[0] else None


def _both(sign: str, is_about_complex: bool) -> Callable[[Any, Any], bool | None]:
    """What an operator says of two values, None where it says nothing."""
    known: dict[str, Callable[[Any, Any], bool | None]] = {
        "and": lambda a, b: False if a is False or b is False else None if a is None or b is None else True,
        "or": lambda a, b: True if a is True or b is True else None if a is None or b is None else False,
        "=": lambda a, b: None if a is None or b is None else a == b,
        "!=": lambda a, b: None if a is None or b is None else a != b,
    }
    if sign not in known or is_about_complex:
        raise NotColumnar(f"'{sign}'")
    return known[sign]

"""What a FHIRPath expression is made of."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Moment:
    """A date, dateTime, instant or time as it is written: its precision is what it says and no more.

    >>> Moment("date", "2019-03").text
    '2019-03'
    """

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Amount:
    """A number with a unit, as in ``4 'mg'`` or ``3 days``."""

    value: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as it is written; None: the empty collection ``{}``."""

    value: str | bool | int | Decimal | Moment | Amount | None


@dataclass(frozen=True, slots=True)
class This:
    """What the expression is asked of: ``$this``."""


@dataclass(frozen=True, slots=True)
class Variable:
    """``$index`` and ``$total``, or a constant from outside: ``%name``."""

    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """An element by its name."""

    of: Node
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function of what stands before it."""

    of: Node
    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """One of several, by its number from 0."""

    of: Node
    number: Node


@dataclass(frozen=True, slots=True)
class Operation:
    """Two operands and what is between them."""

    sign: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Signed:
    """A number with a sign before it."""

    sign: str
    operand: Node


@dataclass(frozen=True, slots=True)
class OfKind:
    """``is`` or ``as`` a type."""

    sign: str
    of: Node
    kind: str


Node: TypeAlias = Literal | This | Variable | Member | Call | Place | Operation | Signed | OfKind

"""When two values of FHIRPath are the same, alike, or one less than the other."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from salus.errors import ExpressionWrong
from salus.formats.fhirpath.moments import compare
from salus.formats.fhirpath.moving import milliseconds
from salus.formats.fhirpath.tree import Amount
from salus.formats.fhirpath.values import MOMENTS, Item, Items, quantity


def wrong(what: str) -> ExpressionWrong:
    """The error of an expression that cannot be evaluated."""
    return ExpressionWrong(
        what, where="FHIRPath", fix="see what Salus knows of FHIRPath in docs/how-to/fhir.md"
    )


def equal(left: Items, right: Items) -> bool | None:
    """``=``: None where one is empty, or times do not say enough."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    answers = [same(a, b) for a, b in zip(left, right, strict=True)]
    return False if False in answers else None if None in answers else True


def same(a: Item, b: Item) -> bool | None:
    """Whether two values are the same; None where times do not say enough."""
    if a.kind in MOMENTS or b.kind in MOMENTS:
        if not isinstance(a.value, str) or not isinstance(b.value, str):
            return False
        left, right = _as_moments(a, b)
        if (left[1] == "time") != (right[1] == "time"):
            return False
        place = compare(left, right)
        return None if place is None else place == 0
    one, other = quantity(a), quantity(b)
    if one and other:
        pair = _in_one_unit(one, other)
        return pair is not None and pair[0] == pair[1]
    if isinstance(a.value, bool) or isinstance(b.value, bool):
        return a.value is b.value
    return bool(a.value == b.value)


def _as_moments(a: Item, b: Item) -> tuple[tuple[str, str], tuple[str, str]]:
    kinds = [one.kind if one.kind in MOMENTS else other.kind for one, other in ((a, b), (b, a))]
    return (a.value, kinds[0]), (b.value, kinds[1])


def alike(left: Items, right: Items) -> bool:
    """``~``: order, case and trailing zeros do not matter."""
    if len(left) != len(right):
        return False
    waiting = list(right)
    for one in left:
        found = next((other for other in waiting if _alike(one, other)), None)
        if found is None:
            return False
        waiting.remove(found)
    return True


def _alike(a: Item, b: Item) -> bool:
    if isinstance(a.value, str) and isinstance(b.value, str) and a.kind not in MOMENTS:
        return " ".join(a.value.lower().split()) == " ".join(b.value.lower().split())
    if isinstance(a.value, Decimal) or isinstance(b.value, Decimal):
        digits = min(_digits(a.value), _digits(b.value))
        return bool(round(Decimal(a.value), digits) == round(Decimal(b.value), digits))
    return same(a, b) is True


def _digits(value: Any) -> int:
    exponent = Decimal(value).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def ordered(a: Item, b: Item) -> int | None:
    """-1, 0 or 1 as a is less than, equal to or greater than b; None where that cannot be said."""
    if a.kind in MOMENTS or b.kind in MOMENTS:
        return compare(*_as_moments(a, b))
    one, other = quantity(a), quantity(b)
    if one and other:
        pair = _in_one_unit(one, other)
        return None if pair is None else _sign(*pair)
    numbers = (int, Decimal)
    if isinstance(a.value, numbers) and isinstance(b.value, numbers):
        return _sign(a.value, b.value)
    if isinstance(a.value, str) and isinstance(b.value, str):
        return _sign(a.value, b.value)
    raise wrong("values of different kinds are compared")


def _in_one_unit(a: Amount, b: Amount) -> tuple[Decimal, Decimal] | None:
    """The numbers of two amounts of one unit, or of two units of time; else they are not compared: None."""
    if a.unit == b.unit:
        return a.value, b.value
    lengths = milliseconds(a.unit), milliseconds(b.unit)
    if lengths[0] is None or lengths[1] is None:
        return None
    return a.value * lengths[0], b.value * lengths[1]


def _sign(a: Any, b: Any) -> int:
    return int(a > b) - int(a < b)

"""The functions of FHIRPath, each of a collection and its arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Protocol

from salus.formats.fhirpath.below import children, descendants
from salus.formats.fhirpath.comparing import same, wrong
from salus.formats.fhirpath.moments import boundary, cut_to, read_moment, round_to
from salus.formats.fhirpath.patterns import written
from salus.formats.fhirpath.references import reference_key
from salus.formats.fhirpath.tree import Amount, Member, Node
from salus.formats.fhirpath.values import MOMENTS, Item, Items, is_a, is_type, item, members, quantity

NUMBER_DIGITS = 8
"""Digits after the point of a number's boundaries where none are asked for."""


class Ask(Protocol):
    """Evaluates an argument by its number."""

    def __call__(self, number: int, of: Items, index: int = 0, total: Items | None = None) -> Items:
        """Give its values when it is asked of ``of``."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What a function is called with: its arguments, and what surrounds the call."""

    arguments: tuple[Node, ...]
    ask: Ask
    this: Items
    urls: Mapping[str, str]
    resource: Item | None

    def text(self, number: int) -> str | None:
        """An argument that is a text."""
        found = self.ask(number, self.this)
        return str(found[0].value) if found else None

    def whole(self, number: int) -> int:
        """An argument that is a whole number."""
        found = self.ask(number, self.this)
        if len(found) != 1 or not isinstance(found[0].value, int):
            raise wrong("a whole number is missing in brackets")
        return found[0].value

    def kind(self, number: int) -> str:
        """An argument that is a type."""
        node = self.arguments[number]
        parts = []
        while isinstance(node, Member):
            parts.append(node.name)
            node = node.of
        return ".".join(reversed(parts))


def _where(of: Items, asked: Asked) -> Items:
    kept = []
    for number, one in enumerate(of):
        found = asked.ask(0, [one], number)
        if len(found) == 1 and found[0].value is True:
            kept.append(one)
    return kept


def _select(of: Items, asked: Asked) -> Items:
    return [below for number, one in enumerate(of) for below in asked.ask(0, [one], number)]


def _repeat(of: Items, asked: Asked) -> Items:
    found: Items = []
    waiting = list(of)
    while waiting:
        below = asked.ask(0, [waiting.pop(0)])
        new = [one for one in below if not any(one.value is other.value for other in found)]
        found += new
        waiting += new
        if len(found) > 100_000:
            raise wrong("repeat() does not end")
    return found


def _aggregate(of: Items, asked: Asked) -> Items:
    total = asked.ask(1, asked.this) if len(asked.arguments) > 1 else []
    for number, one in enumerate(of):
        total = asked.ask(0, [one], number, total)
    return total


def _exists(of: Items, asked: Asked) -> Items:
    return [item(bool(_where(of, asked) if asked.arguments else of))]


def _all(of: Items, asked: Asked) -> Items:
    return [item(len(_where(of, asked)) == len(of))]


def _not(of: Items, asked: Asked) -> Items:
    if len(of) > 1:
        raise wrong("not() of several values")
    return [item(one.value is False) for one in of]


def _distinct(of: Items, _: Asked) -> Items:
    kept: Items = []
    for one in of:
        if not any(same(one, other) for other in kept):
            kept.append(one)
    return kept


def _of_type(of: Items, asked: Asked) -> Items:
    if not is_type(asked.kind(0)):
        raise wrong(f"there is no type '{asked.kind(0)}'")
    return [one for one in of if is_a(one, asked.kind(0))]


def _is(of: Items, asked: Asked) -> Items:
    return [item(is_a(one, asked.kind(0))) for one in of]


def _extension(of: Items, asked: Asked) -> Items:
    url = asked.text(0)
    return [one for part in of for one in members(part, "extension") if one.value.get("url") == url]


def _join(of: Items, asked: Asked) -> Items:
    between = (asked.text(0) or "") if asked.arguments else ""
    return [item(between.join(str(one.value) for one in of))]


def _single(of: Items, _: Asked) -> Items:
    if len(of) > 1:
        raise wrong("single() of several values")
    return of


def _resource_key(of: Items, asked: Asked) -> Items:
    return [item(f"{one.kind}/{one.value['id']}") for one in of if one.value.get("id")]


def _reference_key(of: Items, asked: Asked) -> Items:
    kind = asked.kind(0) if asked.arguments else None
    found = [one.value.get("reference") for one in of if isinstance(one.value, dict)]
    keys = [reference_key(asked.urls.get(text, text), kind) for text in found if isinstance(text, str)]
    return [item(key) for key in keys if key is not None]


def _boundary(high: bool) -> Callable[[Items, Asked], Items]:
    def find(of: Items, asked: Asked) -> Items:
        digits = asked.whole(0) if asked.arguments else None
        found = [_bound(one, digits, high=high) for one in of]
        return [one for one in found if one is not None]

    return find


def _bound(one: Item, digits: int | None, *, high: bool) -> Item | None:
    """The least or most that one value can mean; None where it has no such thing."""
    amount = quantity(one)
    if amount is not None:
        value = round_to(amount.value, NUMBER_DIGITS if digits is None else digits, high=high)
        return None if value is None else item(Amount(value, amount.unit))
    if isinstance(one.value, Decimal | int) and not isinstance(one.value, bool):
        value = round_to(Decimal(one.value), NUMBER_DIGITS if digits is None else digits, high=high)
        return None if value is None else Item(value, "decimal")
    kind = "dateTime" if one.kind == "instant" else one.kind
    told = boundary(one.value, kind, high=high) if kind in MOMENTS else None
    if told is not None and digits is not None:
        told = cut_to(told, kind, digits)
    return None if told is None else Item(told, kind)


def _of_text(change: Callable[..., Any], *kinds: str) -> Callable[[Items, Asked], Items]:
    """A function of one text, whose arguments are texts or whole numbers."""

    def find(of: Items, asked: Asked) -> Items:
        if not of:
            return []
        if len(of) > 1 or not isinstance(of[0].value, str):
            raise wrong("a function of a text is asked of something else")
        told: list[Any] = []
        for number in range(len(asked.arguments)):
            found = asked.ask(number, asked.this)
            if not found:
                return []
            told.append(found[0].value)
        answer = change(of[0].value, *told)
        return (
            []
            if answer is None
            else [item(one) for one in (answer if isinstance(answer, list) else [answer])]
        )

    return find


def _of_number(change: Callable[..., Any]) -> Callable[[Items, Asked], Items]:
    def find(of: Items, asked: Asked) -> Items:
        if not of:
            return []
        if len(of) > 1 or isinstance(of[0].value, (bool, str, dict)):
            raise wrong("a function of a number is asked of something else")
        told = [asked.ask(number, asked.this)[0].value for number in range(len(asked.arguments))]
        try:
            answer = change(of[0].value, *told)
        except (InvalidOperation, ValueError, OverflowError):
            return []
        return [] if answer is None else [item(answer)]

    return find


def _substring(text: str, start: int, length: int | None = None) -> str | None:
    if not 0 <= start < len(text):
        return None
    return text[start:] if length is None else text[start : start + max(length, 0)]


def _converted(kind: str) -> Callable[[Items, Asked], Items]:
    def find(of: Items, _: Asked) -> Items:
        if len(of) > 1:
            raise wrong("a conversion of several values")
        made = [_convert(one, kind) for one in of]
        return [one for one in made if one is not None]

    return find


def _convert(one: Item, kind: str) -> Item | None:
    value = one.value
    if kind == "string":
        return (
            item(str(value).lower() if isinstance(value, bool) else str(value))
            if not isinstance(value, dict)
            else None
        )
    if kind == "boolean":
        known = {"true": True, "t": True, "yes": True, "y": True, "1": True, "1.0": True}
        known |= {"false": False, "f": False, "no": False, "n": False, "0": False, "0.0": False}
        found = known.get(str(value).lower())
        return None if found is None else item(found)
    if kind in ("integer", "decimal"):
        try:
            number = Decimal(int(value) if isinstance(value, bool) else str(value))
        except InvalidOperation:
            return None
        if kind == "decimal":
            return item(number)
        return item(int(number)) if number == int(number) and "." not in str(value) else None
    text = str(value).split("T")[0] if kind == "date" else str(value)
    return Item(text, kind) if read_moment(text, kind) is not None else None


def _round(value: Decimal, digits: int = 0) -> Decimal:
    return Decimal(value).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)


Function = tuple[Callable[[Items, Asked], Items], int, int]

FUNCTIONS: dict[str, Function] = {
    "where": (_where, 1, 1),
    "select": (_select, 1, 1),
    "repeat": (_repeat, 1, 1),
    "aggregate": (_aggregate, 1, 2),
    "exists": (_exists, 0, 1),
    "empty": (lambda of, _: [item(not of)], 0, 0),
    "not": (_not, 0, 0),
    "all": (_all, 1, 1),
    "allTrue": (lambda of, _: [item(all(one.value is True for one in of))], 0, 0),
    "anyTrue": (lambda of, _: [item(any(one.value is True for one in of))], 0, 0),
    "allFalse": (lambda of, _: [item(all(one.value is False for one in of))], 0, 0),
    "anyFalse": (lambda of, _: [item(any(one.value is False for one in of))], 0, 0),
    "count": (lambda of, _: [item(len(of))], 0, 0),
    "distinct": (_distinct, 0, 0),
    "isDistinct": (lambda of, asked: [item(len(_distinct(of, asked)) == len(of))], 0, 0),
    "first": (lambda of, _: of[:1], 0, 0),
    "last": (lambda of, _: of[-1:], 0, 0),
    "tail": (lambda of, _: of[1:], 0, 0),
    "single": (_single, 0, 0),
    "skip": (lambda of, asked: of[max(asked.whole(0), 0) :], 1, 1),
    "take": (lambda of, asked: of[: max(asked.whole(0), 0)], 1, 1),
    "ofType": (_of_type, 1, 1),
    "as": (_of_type, 1, 1),
    "is": (_is, 1, 1),
    "extension": (_extension, 1, 1),
    "join": (_join, 0, 1),
    "getResourceKey": (_resource_key, 0, 0),
    "getReferenceKey": (_reference_key, 0, 1),
    "lowBoundary": (_boundary(False), 0, 1),
    "highBoundary": (_boundary(True), 0, 1),
    "iif": (lambda of, asked: _iif(asked), 2, 3),
    "union": (lambda of, asked: _distinct(of + asked.ask(0, asked.this), asked), 1, 1),
    "combine": (lambda of, asked: of + asked.ask(0, asked.this), 1, 1),
    "intersect": (lambda of, asked: _distinct(_among(of, asked.ask(0, asked.this), True), asked), 1, 1),
    "exclude": (lambda of, asked: _among(of, asked.ask(0, asked.this), False), 1, 1),
    "subsetOf": (lambda of, asked: [item(len(_among(of, asked.ask(0, asked.this), True)) == len(of))], 1, 1),
    "trace": (lambda of, _: of, 1, 2),
    "hasValue": (lambda of, _: [item(len(of) == 1 and not isinstance(of[0].value, dict | None))], 0, 0),
    "startsWith": (_of_text(lambda text, start: text.startswith(start)), 1, 1),
    "endsWith": (_of_text(lambda text, end: text.endswith(end)), 1, 1),
    "contains": (_of_text(lambda text, part: part in text), 1, 1),
    "indexOf": (_of_text(lambda text, part: text.find(part)), 1, 1),
    "substring": (_of_text(_substring), 1, 2),
    "replace": (_of_text(lambda text, old, new: text.replace(old, new)), 2, 2),
    "matches": (_of_text(lambda text, pattern: bool(written(pattern).search(text))), 1, 1),
    "matchesFull": (_of_text(lambda text, pattern: bool(written(pattern).fullmatch(text))), 1, 1),
    "replaceMatches": (_of_text(lambda text, pattern, new: written(pattern).sub(new, text)), 2, 2),
    "children": (lambda of, _: children(of), 0, 0),
    "descendants": (lambda of, _: descendants(of), 0, 0),
    "upper": (_of_text(str.upper), 0, 0),
    "lower": (_of_text(str.lower), 0, 0),
    "trim": (_of_text(str.strip), 0, 0),
    "length": (_of_text(len), 0, 0),
    "toChars": (_of_text(list), 0, 0),
    "split": (_of_text(lambda text, between: text.split(between)), 1, 1),
    "abs": (_of_number(abs), 0, 0),
    "ceiling": (_of_number(lambda value: int(Decimal(value).to_integral_value("ROUND_CEILING"))), 0, 0),
    "floor": (_of_number(lambda value: int(Decimal(value).to_integral_value("ROUND_FLOOR"))), 0, 0),
    "truncate": (_of_number(int), 0, 0),
    "round": (_of_number(_round), 0, 1),
    "sqrt": (_of_number(lambda value: Decimal(value).sqrt()), 0, 0),
    "exp": (_of_number(lambda value: Decimal(value).exp()), 0, 0),
    "ln": (_of_number(lambda value: Decimal(value).ln()), 0, 0),
    "toString": (_converted("string"), 0, 0),
    "toBoolean": (_converted("boolean"), 0, 0),
    "toInteger": (_converted("integer"), 0, 0),
    "toDecimal": (_converted("decimal"), 0, 0),
    "toDate": (_converted("date"), 0, 0),
    "toDateTime": (_converted("dateTime"), 0, 0),
    "toTime": (_converted("time"), 0, 0),
}
"""Each function with the fewest and most arguments it takes."""


def _among(of: Items, others: Items, wanted: bool) -> Items:
    return [one for one in of if any(same(one, other) is True for other in others) is wanted]


def _iif(asked: Asked) -> Items:
    found = asked.ask(0, asked.this)
    if found and found[0].value is True:
        return asked.ask(1, asked.this)
    return asked.ask(2, asked.this) if len(asked.arguments) > 2 else []

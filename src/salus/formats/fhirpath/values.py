"""The values that FHIRPath works on: each with its type, so that a date is not a string."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from salus.errors import ExpressionWrong
from salus.formats.fhirpath.tree import Amount, Moment
from salus.formats.r4_elements import element, is_complex, is_resource, json_name

STRINGS = frozenset(
    ("string", "code", "id", "uri", "url", "canonical", "oid", "uuid", "markdown", "base64Binary", "xhtml")
)
MOMENTS = frozenset(("date", "dateTime", "instant", "time"))
INTEGERS = frozenset(("integer", "positiveInt", "unsignedInt"))
QUANTITIES = frozenset(
    ("Quantity", "Age", "Duration", "Distance", "Count", "MoneyQuantity", "SimpleQuantity")
)
SYSTEM = {"String": STRINGS, "Boolean": {"boolean"}, "Integer": INTEGERS, "Decimal": {"decimal"}}
WRITTEN = re.compile(r"T?\d{2}:\d{2}.*|\d{4}(-\d{2}(-\d{2}(T.*)?)?)?")


@dataclass(frozen=True, slots=True)
class Item:
    """One value and its type: a name of FHIR ("dateTime", "Patient"), or of a literal ("String").

    ``beside``: what JSON says beside a simple value (``_birthDate``): its id and extensions.
    """

    value: Any
    kind: str
    beside: Any = None


Items = list[Item]


def item(value: object) -> Item:
    """A value of which only the value says its type."""
    if isinstance(value, bool):
        return Item(value, "boolean")
    if isinstance(value, int):
        return Item(value, "integer")
    if isinstance(value, (float, Decimal)):
        return Item(Decimal(str(value)), "decimal")
    if isinstance(value, Moment):
        return Item(value.text, value.kind)
    if isinstance(value, Amount):
        return Item({"value": value.value, "unit": value.unit, "code": value.unit}, "Quantity")
    if isinstance(value, dict):
        kind = value.get("resourceType")
        return Item(value, kind if isinstance(kind, str) else "Element")
    return Item(value, "string")


def members(of: Item, name: str) -> Items:
    """The values of an element; a choice is found under its name in JSON."""
    if not isinstance(of.value, dict):
        return _items(of.beside.get(name), "Extension") if isinstance(of.beside, dict) else []
    found = element(of.kind, name)
    if found is not None and not found.is_choice:
        return _with_beside(_items(of.value.get(name), found.kinds[0]), of.value.get(f"_{name}"))
    if found is not None:
        return [one for kind in found.kinds for one in _items(of.value.get(json_name(name, kind)), kind)]
    if name == of.kind:
        return [of]
    if is_complex(of.kind):
        _refuse_json_name(of.kind, name)
    return _items(of.value.get(name), "") if not is_complex(of.kind) or of.kind == "Element" else []


def _with_beside(found: Items, beside: object) -> Items:
    if isinstance(beside, dict) and len(found) == 1 and not isinstance(found[0].value, dict):
        return [Item(found[0].value, found[0].kind, beside)]
    return found


def _refuse_json_name(kind: str, name: str) -> None:
    """What is ``valueQuantity`` in JSON is ``value.ofType(Quantity)`` in FHIRPath: the former would find nothing."""
    for cut in range(1, len(name)):
        choice = element(kind, name[:cut]) if name[cut].isupper() else None
        for one in choice.kinds if choice is not None and choice.is_choice else ():
            if json_name(name[:cut], one) == name:
                raise ExpressionWrong(
                    f"{kind} has no element '{name}'",
                    where="FHIRPath",
                    fix=f"write {name[:cut]}.ofType({one})",
                )


def is_type(kind: str) -> bool:
    """Whether there is a type of this name, of FHIR's or FHIRPath's own.

    >>> is_type("HumanName"), is_type("System.String"), is_type("string1")
    (True, True, False)
    """
    name = kind.rpartition(".")[2]
    own = ("String", "Boolean", "Integer", "Decimal", "Date", "DateTime", "Time", "Quantity")
    simple = STRINGS | MOMENTS | INTEGERS | QUANTITIES | {"boolean", "decimal"}
    return name in own or name in simple or is_complex(name)


def _check(value: object, kind: str) -> None:
    """Refuse a value that is not of its type, as the way in columns does while it parses."""
    if kind in STRINGS or kind in MOMENTS:
        fits, wanted = isinstance(value, str), "a text"
    elif kind == "boolean":
        fits, wanted = isinstance(value, bool), "true or false"
    elif kind in INTEGERS:
        fits, wanted = isinstance(value, int) and not isinstance(value, bool), "a whole number"
    elif kind == "decimal":
        fits, wanted = is_number(value), "a number"
    elif is_complex(kind):
        fits, wanted = isinstance(value, dict), "an object"
    else:
        return
    if not fits:
        raise ExpressionWrong(
            f"not as FHIR defines it: {wanted} is expected",
            where="FHIRPath",
            fix="correct the resource at its source",
        )


def is_number(value: object) -> bool:
    """Whether a value is a number that can be reckoned with."""
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool) and math.isfinite(value)


def _items(value: object, kind: str) -> Items:
    if value is None:
        return []
    if isinstance(value, list):
        return [one for part in value for one in _items(part, kind)]
    _check(value, kind)
    if isinstance(value, dict):
        told = value.get("resourceType")
        return [Item(value, told if isinstance(told, str) else kind or "Element")]
    if isinstance(value, float):
        value = Decimal(str(value))
    if kind == "decimal" and isinstance(value, int) and not isinstance(value, bool):
        value = Decimal(value)
    return [Item(value, kind) if kind else item(value)]


def is_a(one: Item, kind: str) -> bool:
    """Whether a value is of a type, whether that is named as FHIR's or as FHIRPath's own."""
    space, _, name = kind.rpartition(".")
    if space == "System" or (not space and name in SYSTEM):
        return one.kind in SYSTEM.get(name, ()) or (name, one.kind) in (("Date", "date"), ("Time", "time"))
    if name == "Resource":
        return is_resource(one.kind)
    if name == "DomainResource":
        return is_resource(one.kind) and one.kind not in ("Bundle", "Binary", "Parameters")
    if name == "Quantity":
        return one.kind in QUANTITIES
    if name in ("string", "uri") and one.kind in STRINGS:
        return one.kind == name or (name == "uri" and one.kind in ("url", "canonical", "oid", "uuid"))
    return one.kind == name


def quantity(one: Item) -> Amount | None:
    """A quantity's number and unit; None where it has none."""
    if one.kind not in QUANTITIES or not isinstance(one.value, dict) or one.value.get("value") is None:
        return None
    if not is_number(one.value["value"]):
        return None
    unit = one.value.get("code") or one.value.get("unit") or "1"
    return Amount(Decimal(str(one.value["value"])), str(unit))

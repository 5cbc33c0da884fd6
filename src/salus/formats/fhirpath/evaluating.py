"""FHIRPath asked of one resource: the general way, with all of the language that Salus knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation

from salus.errors import ExpressionWrong
from salus.formats.fhirpath.comparing import alike, equal, ordered
from salus.formats.fhirpath.functions import FUNCTIONS, Asked
from salus.formats.fhirpath.moving import moved
from salus.formats.fhirpath.tree import (
    Amount,
    Call,
    Literal,
    Member,
    Node,
    OfKind,
    Operation,
    Place,
    Signed,
    This,
    Variable,
)
from salus.formats.fhirpath.values import MOMENTS, Item, Items, is_a, item, members, quantity
from salus.formats.r4_elements import is_resource

MOST_STEPS = 100_000
"""Values that one expression may go through in one resource."""


@dataclass(slots=True)
class Around:
    """What surrounds the values asked: constants, what references lead to, and where in a loop we are.

    ``root``: the resource that contains ``resource``, where that is a contained one.
    """

    constants: Mapping[str, object] = field(default_factory=dict)
    urls: Mapping[str, str] = field(default_factory=dict)
    resource: Item | None = None
    root: Item | None = None
    index: int = 0
    total: Items = field(default_factory=list)


def evaluate(node: Node, this: Items, around: Around) -> Items:
    """Give the values of an expression asked of ``this``."""
    if isinstance(node, This):
        return this
    if isinstance(node, Literal):
        return [] if node.value is None else [item(node.value)]
    if isinstance(node, Member):
        return _members(node, this, around)
    if isinstance(node, Call):
        return _call(node, this, around)
    if isinstance(node, Operation):
        return _operation(node, this, around)
    if isinstance(node, Place):
        found, number = evaluate(node.of, this, around), evaluate(node.number, this, around)
        return found[number[0].value :][:1] if number and number[0].value >= 0 else []
    if isinstance(node, Variable):
        return _variable(node.name, around)
    if isinstance(node, OfKind):
        return _of_kind(node, this, around)
    return _signed(node, this, around)


def _members(node: Member, this: Items, around: Around) -> Items:
    if isinstance(node.of, This) and len(this) == 1 and is_resource(node.name) and is_a(this[0], node.name):
        return this
    return [one for of in evaluate(node.of, this, around) for one in members(of, node.name)]


def _variable(name: str, around: Around) -> Items:
    if name == "$index":
        return [item(around.index)]
    if name == "$total":
        return around.total
    if name == "rootResource" and around.root is not None:
        return [around.root]
    if name in ("resource", "rootResource", "context"):
        return [around.resource] if around.resource is not None else []
    known = {
        "ucum": "http://unitsofmeasure.org",
        "sct": "http://snomed.info/sct",
        "loinc": "http://loinc.org",
    }
    for begin, place in (("vs-", "ValueSet"), ("ext-", "StructureDefinition")):
        if name.startswith(begin) and name not in around.constants:
            return [item(f"http://hl7.org/fhir/{place}/{name.removeprefix(begin)}")]
    if name not in around.constants and name not in known:
        raise _wrong(f"there is no %{name}")
    value = around.constants.get(name, known.get(name))
    return [] if value is None else [item(value)]


def _of_kind(node: OfKind, this: Items, around: Around) -> Items:
    found = evaluate(node.of, this, around)
    if len(found) > 1:
        raise _wrong(f"'{node.sign}' of several values")
    if node.sign == "is":
        return [item(is_a(one, node.kind)) for one in found]
    return [one for one in found if is_a(one, node.kind)]


def _signed(node: Signed, this: Items, around: Around) -> Items:
    found = evaluate(node.operand, this, around)
    if not found:
        return found
    amount, value = quantity(found[0]), found[0].value
    if amount is not None:
        return found if node.sign == "+" else [item(Amount(-amount.value, amount.unit))]
    if len(found) > 1 or isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise _wrong(f"'{node.sign}' before what is no number")
    return found if node.sign == "+" else [Item(-value, found[0].kind)]


def _call(node: Call, this: Items, around: Around) -> Items:
    known = FUNCTIONS.get(node.name)
    if known is None:
        raise _wrong(f"there is no function {node.name}()")
    function, least, most = known
    if not least <= len(node.arguments) <= most:
        raise _wrong(f"{node.name}() does not take {len(node.arguments)} arguments")

    def ask(number: int, of: Items, index: int = 0, total: Items | None = None) -> Items:
        inner = replace(around, index=index, total=around.total if total is None else total)
        return evaluate(node.arguments[number], of, inner)

    found = evaluate(node.of, this, around)
    if len(found) > MOST_STEPS:
        raise _wrong("too many values")
    asked = Asked(arguments=node.arguments, ask=ask, this=this, urls=around.urls, resource=around.resource)
    return function(found, asked)


def truth(found: Items, what: str) -> bool | None:
    """The yes or no of a collection: None where it is empty; one value that is no boolean counts as yes."""
    if not found:
        return None
    if len(found) > 1:
        raise _wrong(f"{what} is asked of several values")
    value = found[0].value
    return value if isinstance(value, bool) else True


def _operation(node: Operation, this: Items, around: Around) -> Items:
    left, sign = evaluate(node.left, this, around), node.sign
    if sign in DECIDES and truth(left, sign) is DECIDES[sign]:
        return [item(sign != "and")]
    right = evaluate(node.right, this, around)
    if sign in ("and", "or", "xor", "implies"):
        return _said(_logic(sign, truth(left, sign), truth(right, sign)))
    if sign in SETS:
        return _of_sets(sign, left, right)
    if not left or not right:
        return []
    if len(left) > 1 or len(right) > 1:
        raise _wrong(f"'{sign}' of several values")
    if sign in ("<", ">", "<=", ">="):
        place = ordered(left[0], right[0])
        return _said(None if place is None else _compared(sign, place))
    return _arithmetic(sign, left[0], right[0])


DECIDES = {"and": False, "or": True, "implies": False}
"""What on the left is the answer whatever is on the right, which is then not asked."""
SETS = frozenset(("|", "in", "contains", "=", "!=", "~", "!~", "&"))
"""Signs that have an answer where one side is empty or has several values."""


def _of_sets(sign: str, left: Items, right: Items) -> Items:
    if sign == "|":
        return _distinct(left + right)
    if sign == "in":
        return _said(None if not left else any(equal([one], left) for one in right))
    if sign == "contains":
        return _said(None if not right else any(equal([one], right) for one in left))
    if sign in ("=", "!="):
        same = equal(left, right)
        return _said(same if sign == "=" or same is None else not same)
    if sign in ("~", "!~"):
        return _said(alike(left, right) is (sign == "~"))
    return [item("".join(str(one.value) for one in left + right))]


def _compared(sign: str, place: int) -> bool:
    return {"<": place < 0, ">": place > 0, "<=": place <= 0, ">=": place >= 0}[sign]


def _said(value: bool | None) -> Items:
    return [] if value is None else [item(value)]


def _logic(sign: str, a: bool | None, b: bool | None) -> bool | None:
    if sign == "and":
        return False if a is False or b is False else None if a is None or b is None else True
    if sign == "or":
        return True if a is True or b is True else None if a is None or b is None else False
    if sign == "xor":
        return None if a is None or b is None else a is not b
    return True if a is False or b is True else None if a is None or b is None else b


def _distinct(found: Items) -> Items:
    kept: Items = []
    for one in found:
        if not any(equal([one], [other]) for other in kept):
            kept.append(one)
    return kept


def _arithmetic(sign: str, left: Item, right: Item) -> Items:
    if sign == "+" and isinstance(left.value, str) and isinstance(right.value, str):
        return [item(left.value + right.value)]
    a, b = left.value, right.value
    amounts = quantity(left), quantity(right)
    if left.kind in MOMENTS and amounts[1] and sign in "+-":
        told = moved(left.value, amounts[1].value * (1 if sign == "+" else -1), amounts[1].unit)
        if told is None:
            raise _wrong(f"'{sign}' of a time and what is no amount of time")
        return [Item(told, left.kind)]
    if amounts[0] and amounts[1] and sign in "+-" and amounts[0].unit == amounts[1].unit:
        total = amounts[0].value + (amounts[1].value if sign == "+" else -amounts[1].value)
        return [item(Amount(total, amounts[0].unit))]
    if not all(isinstance(one, (int, Decimal)) and not isinstance(one, bool) for one in (a, b)):
        raise _wrong(f"'{sign}' of what are no numbers")
    if sign in ("/", "div", "mod") and b == 0:
        return []
    try:
        return [item(_number(sign, a, b))]
    except InvalidOperation as error:
        raise _wrong(f"'{sign}' gives no number") from error


def _number(sign: str, a: int | Decimal, b: int | Decimal) -> int | Decimal:
    if sign == "/":
        return Decimal(a) / Decimal(b)
    if sign == "div":
        return int(Decimal(a) / Decimal(b))
    if sign == "mod":
        return a - b * int(Decimal(a) / Decimal(b))
    return {"+": a + b, "-": a - b, "*": a * b}[sign]


def _wrong(what: str) -> ExpressionWrong:
    return ExpressionWrong(
        what, where="FHIRPath", fix="see what Salus knows of FHIRPath in docs/how-to/fhir.md"
    )

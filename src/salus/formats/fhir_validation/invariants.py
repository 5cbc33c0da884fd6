"""The invariants of the specification, asked in its own language: FHIRPath."""

from __future__ import annotations

from functools import cache

from salus.errors import ExpressionWrong
from salus.formats.fhir_validation.definitions import BY_HAND, UNWISE, Rule
from salus.formats.fhirpath.evaluating import Around, evaluate
from salus.formats.fhirpath.grammar import parse
from salus.formats.fhirpath.tree import Node
from salus.formats.fhirpath.values import Item


@cache
def _parsed(expression: str) -> Node | None:
    try:
        return parse(expression)
    except ExpressionWrong:
        return None


def holds(rule: Rule, of: Item, resource: Item | None, root: Item | None) -> bool | None:
    """Whether a rule holds; None where that cannot be said. An empty answer is no yes."""
    if rule.key in BY_HAND or rule.key in UNWISE:
        return True
    node = _parsed(rule.expression)
    if node is None:
        return None
    try:
        found = evaluate(node, [of], Around(resource=resource, root=root))
    except ExpressionWrong:
        return None
    return bool(found) and found[0].value is not False

"""The invariants of the specification, asked in its own language: FHIRPath."""

from __future__ import annotations

from functools import cache

from salus.errors import ExpressionWrong
from salus.formats.fhir_validation.definitions import Rule
from salus.formats.fhirpath.evaluating import Around, evaluate
from salus.formats.fhirpath.grammar import parse
from salus.formats.fhirpath.tree import Node
from salus.formats.fhirpath.values import Item

BY_HAND = frozenset(("ele-1", "ext-1", "ref-1", "dom-2", "dom-3", "dom-4", "dom-5", "txt-1", "txt-2"))
"""Invariants that closures of their own look at: they are asked of nearly every element, or are no FHIRPath."""
UNWISE = frozenset(("dom-6",))
"""Best practice only: a narrative for people, which data for machines seldom has."""


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

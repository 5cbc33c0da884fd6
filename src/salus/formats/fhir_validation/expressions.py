"""Expressions in resources: those in FHIRPath can be read, and SNOMED CT's constraints are written as such."""

from __future__ import annotations

import re
from typing import Any

from salus.errors import ExpressionWrong
from salus.formats.fhir_validation.check_digits import is_snomed
from salus.formats.fhir_validation.looking import Look, Place
from salus.formats.fhirpath.grammar import parse

SNOMED = "http://snomed.info/sct"
WHETHER = frozenset(("inactive", "notSelectable"))
"""Properties of concepts in any code system that are true or false: R4, page codesystem, defined properties."""
WORDS = re.compile(
    r"""\s*(?:(?P<term>\|[^|]*\|)
    |(?P<operator><<!|<<|<!|<|>>!|>>|>!|>|\^|!!>|!!<)
    |(?P<concept>[0-9]{6,18}|\*)
    |(?P<word>AND|OR|MINUS|and|or|minus)\b
    |(?P<open>\()|(?P<close>\)))""",
    re.VERBOSE,
)
FURTHER = re.compile(r"[:{}.,=\[\]#\"]")
"""What begins a refinement, a dotted attribute or a filter: their inside is not looked at."""


def check_expression(look: Look, value: dict[str, Any], place: Place) -> None:
    """What is said to be FHIRPath can be read as FHIRPath."""
    told = value.get("expression")
    if value.get("language") == "text/fhirpath" and isinstance(told, str) and not _is_fhirpath(told):
        look.noted.error("expression", f"{place.where}.expression", "no FHIRPath that can be read")


def _is_fhirpath(told: str) -> bool:
    try:
        parse(told)
    except (ExpressionWrong, RecursionError):
        return False
    return True


def check_filter(look: Look, value: dict[str, Any], place: Place) -> None:
    """A filter's value is what its property can have. The place's names end with the code system that it filters."""
    system, told, name = place.names[-1], value.get("value"), value.get("property")
    if not isinstance(told, str) or not isinstance(name, str):
        return
    where = f"{place.where}.value"
    if name in WHETHER and value.get("op") == "=" and told not in ("true", "false"):
        look.noted.error("filter-value", where, "this property is true or false")
    if system != SNOMED:
        return
    if name == "concept" and value.get("op") in ("is-a", "descendent-of", "is-not-a") and not is_snomed(told):
        look.noted.error("filter-value", where, "no code of SNOMED CT is written so")
    if name in ("constraint", "expression") and value.get("op") == "=" and not is_constraint(told):
        look.noted.error("filter-value", where, "no constraint of SNOMED CT (ECL)")


def is_constraint(told: str) -> bool:
    """Whether a text is written as a SNOMED CT expression constraint: concepts, operators before, words between.

    >>> is_constraint("<< 73211009 |Diabetes mellitus| MINUS < 46635009"), is_constraint("73211009 << 46635009")
    (True, False)
    """
    before, at, depth = True, 0, 0
    while told[at:].strip():
        found = WORDS.match(told, at)
        if found is None:
            return not before and FURTHER.match(told[at:].lstrip()) is not None
        kind, at = str(found.lastgroup), found.end()
        if kind == "term":
            if before:
                return False
        elif before != (kind in ("operator", "concept", "open")):
            return False
        elif kind in ("concept", "word"):
            before = kind == "word"
        depth += {"open": 1, "close": -1}.get(kind, 0)
        if depth < 0:
            return False
    return not before and not depth

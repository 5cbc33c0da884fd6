"""Checks of the elements of an object, made of its type: choices, invariants, and codes that nobody lists."""

from __future__ import annotations

import re
from operator import attrgetter
from typing import Any

from msgspec import UNSET

from salus.formats.fhir_validation.definitions import BY_HAND, UNWISE, Rule, Shape, shape
from salus.formats.fhir_validation.quick_rules import NotQuick, python_name, truth
from salus.formats.fhir_validation.quick_types import Hook
from salus.formats.fhir_validation.terminology import WRITTEN
from salus.formats.fhirpath.grammar import parse


def refuse(_: Any) -> None:
    """Leave an object to the thorough way."""
    raise NotQuick


def _each(name: str, check: Hook) -> Hook:
    get = attrgetter(name)

    def every(value: Any) -> None:
        found = get(value)
        if found is not UNSET:
            for one in found:
                check(one)

    return every


def _if_there(name: str, check: Hook) -> Hook:
    get = attrgetter(name)
    return lambda value: None if (found := get(value)) is UNSET else check(found)


def choices_of(form: Shape) -> list[Hook]:
    """At most one type of each choice, and one where it is needed."""
    needed = {bare for bare, names in form.needed if names != (bare,)}
    return [
        _one_of(tuple(map(python_name, names)), bare in needed or form.kind == "Extension", form.kind)
        for bare, names in form.choices
    ]


def _one_of(names: tuple[str, ...], is_needed: bool, kind: str) -> Hook:
    """At most one of some elements, or just one; an extension has a value or further extensions (ext-1)."""
    every = attrgetter(*names, "extension") if kind == "Extension" else attrgetter(*names)
    most = len(names) + (kind == "Extension")

    def count(value: Any) -> None:
        there = most - every(value).count(UNSET)
        if there > 1 or (is_needed and not there):
            raise NotQuick

    return count


def rules_of(form: Shape) -> list[Hook]:
    """The invariants of a type, and those of its elements where they stand."""
    found = [_rule(rule, form) for rule in form.rules if rule.key not in BY_HAND | UNWISE]
    for known in form.fields.values():
        rules = [rule for rule in known.rules if rule.key not in BY_HAND | UNWISE]
        inner = shape(known.kind)
        for rule in rules:
            check = refuse if inner is None else _rule(rule, inner)
            name = python_name(known.name)
            found.append(_each(name, check) if known.is_list else _if_there(name, check))
    return found


def _rule(rule: Rule, form: Shape) -> Hook:
    holds = truth(parse(rule.expression), form)

    def ask(value: Any) -> None:
        if holds(value) is not True:
            raise NotQuick

    return ask


def written_of(form: Shape) -> list[Hook]:
    """Codes that nobody lists, by how they are written; canonicals of R4's own definitions are not quick."""
    found = []
    for known in form.fields.values():
        pattern = WRITTEN.get(known.codes) if known.kind == "code" else None
        elsewhere = known.kind == "canonical" and known.targets
        if pattern is not None or elsewhere:
            check = _refuse_r4 if pattern is None else _matching(pattern)
            name = python_name(known.name)
            found.append(_each(name, check) if known.is_list else _if_there(name, check))
    return found


def _refuse_r4(value: str) -> None:
    if value.startswith("http://hl7.org/fhir/"):
        raise NotQuick


def _matching(pattern: re.Pattern[str]) -> Hook:
    def match(value: str) -> None:
        if not pattern.fullmatch(value):
            raise NotQuick

    return match

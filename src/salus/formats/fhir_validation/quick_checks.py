"""What the quick way asks of parsed objects, type by type: the same as the thorough way, with a memory for codes."""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import attrgetter
from typing import Any

from msgspec import UNSET

from salus.formats.fhir_validation.attachments import check_attachment
from salus.formats.fhir_validation.canonical_resources import (
    check_code_system,
    check_profile,
    check_value_set_part,
)
from salus.formats.fhir_validation.definitions import (
    Field,
    Shape,
    known_extension,
    shape,
    value_set,
)
from salus.formats.fhir_validation.expressions import check_expression
from salus.formats.fhir_validation.issues import Noted
from salus.formats.fhir_validation.looking import Look, Place
from salus.formats.fhir_validation.narrative import trouble_of_div
from salus.formats.fhir_validation.primitives import PATTERNS, trouble_of
from salus.formats.fhir_validation.profiles import PROFILES
from salus.formats.fhir_validation.quick_elements import choices_of, refuse, rules_of, written_of
from salus.formats.fhir_validation.quick_rules import NotQuick
from salus.formats.fhir_validation.quick_types import Hook
from salus.formats.fhir_validation.references import ABSOLUTE, LOCAL, ON_A_SERVER, SEARCHED
from salus.formats.fhir_validation.searches import check_search_parameter, check_stated_search
from salus.formats.fhir_validation.terminology import check_coding
from salus.formats.fhir_validation.validating import CHECKS
from salus.formats.fhir_validation.vital_signs import DEGREES, VITAL, lacks_code

CODE = re.compile(PATTERNS["code"])
ONLY_THOROUGH = frozenset(
    (
        *(check_code_system, check_profile, check_value_set_part),
        *(check_expression, check_search_parameter, check_stated_search),
    )
)
REMEMBERED = 100_000
Coded = tuple[Any, Any, Any, Any]


class QuickChecks:
    """The checks of objects.

    ``tally``: what could not be judged in the resource at hand. ``local``: what its references to contained resources
    say, and to what types they may lead.
    """

    def __init__(self) -> None:
        self.tally: list[str] = []
        self.local: list[tuple[str, frozenset[str]]] = []
        self.codings: dict[Coded, tuple[str, ...]] = {}
        self.led: dict[str, str] = {}

    def hook(self, form: Shape, of: Field | None) -> Hook | None:
        """All checks of the objects of a type where they stand in an element, as one; None: there are none."""
        if form.kind == "Coding":
            return _coding(self, of, self._extended(form))
        if form.kind == "Quantity":
            return _quantity(self._extended(form))
        if any(check in ONLY_THOROUGH for check in CHECKS.get(form.kind, ())):
            return refuse
        found = [*choices_of(form), *rules_of(form), *written_of(form)]
        special = BY_TYPE.get(form.kind)
        own = special(self, of) if special is not None else None
        if own is not None:
            found.append(own)
        every = tuple(found)
        if form.kind == "Extension" or "extension" not in form.fields:
            return _all(every)
        extended = self._extended(form)
        only = every[0] if len(every) == 1 else _all(every)

        def check(value: Any) -> None:
            if value.extension is not UNSET:
                extended(value.extension)
            if only is not None:
                only(value)

        return check

    def coding(self, told: Coded) -> tuple[str, ...]:
        """A coding as the thorough way judges it; what it said is remembered where it is no issue."""
        if len(self.codings) > REMEMBERED:
            self.codings.clear()
        known = _judged(told)
        if known is None:
            raise NotQuick
        self.codings[told] = known
        return known

    def leads_to(self, told: str) -> str:
        """The type that a reference leads to, remembered: patients and visits are referred to again and again."""
        if len(self.led) > REMEMBERED:
            self.led.clear()
        self.led[told] = kind = _leads_to(told)
        return kind

    def _extended(self, form: Shape) -> Hook:
        stands = {form.kind, *form.above, "Element"}
        seen: dict[str, tuple[str, ...] | None] = {}

        def check(extensions: Any) -> None:
            for one in extensions:
                url = one.url
                if url not in seen:
                    if len(seen) > REMEMBERED:
                        seen.clear()
                    seen[url] = _extension(url, stands)
                allowed = seen[url]
                if allowed is None:
                    self.tally.append("extensions")
                elif allowed and all(getattr(one, name) is UNSET for name in allowed):
                    raise NotQuick

        return check


def _all(every: tuple[Hook, ...]) -> Hook | None:
    if len(every) < 2:
        return every[0] if every else None

    def check(value: Any) -> None:
        for one in every:
            one(value)

    return check


def _extension(url: str, stands: set[str]) -> tuple[str, ...] | None:
    """Names of the values that an extension may have here; None: it is none of R4's."""
    if not ABSOLUTE.fullmatch(url) or "|" in url:
        raise NotQuick
    known = known_extension(url)
    if known is None:
        return None
    if known.places and not stands & set(known.places):
        raise NotQuick
    return tuple(f"value{kind[0].upper()}{kind[1:]}" for kind in known.kinds)


def _judged(told: Coded) -> tuple[str, ...] | None:
    system, code, version, display = (None if one is UNSET else one for one in told)
    if code is not None and not CODE.fullmatch(code):
        return None
    if system is not None and trouble_of("uri", system):
        return None
    look = Look(Noted(), {})
    value = {"system": system, "code": code, "version": version, "display": display}
    check_coding(look, value, Place("", ()))
    return None if look.noted.issues else tuple(look.noted.unchecked.elements())


def _coding(checks: QuickChecks, of: Field | None, extended: Hook) -> Hook:
    """The check that is asked most: all of it in one function."""
    every = attrgetter("system", "code", "version", "display")
    bound, codings, tally = _bound(of), checks.codings, checks.tally

    def check(value: Any) -> None:
        told = every(value)
        known = codings.get(told)
        tally.extend(checks.coding(told) if known is None else known)
        if bound is not None and told[1] not in bound.get(told[0], ()):
            raise NotQuick
        if value.extension is not UNSET:
            extended(value.extension)

    return check


def _quantity(extended: Hook) -> Hook:
    """A quantity's unit as the thorough way judges it (qty-3), remembered."""
    units: set[tuple[Any, Any]] = set()
    unit = attrgetter("system", "code")

    def check(value: Any) -> None:
        told = unit(value)
        if told not in units:
            system, code = told
            if code is not UNSET and (system is UNSET or not CODE.fullmatch(code)):
                raise NotQuick
            if system is not UNSET and trouble_of("uri", system):
                raise NotQuick
            if len(units) > REMEMBERED:
                units.clear()
            units.add(told)
        if value.extension is not UNSET:
            extended(value.extension)

    return check


def _bound(of: Field | None) -> dict[str, frozenset[str]] | None:
    listed = value_set(of.codes) if of is not None and of.codes else None
    return None if listed is None else listed.pairs


def _concept(_: QuickChecks, of: Field | None) -> Hook | None:
    bound = _bound(of)
    if bound is None:
        return None

    def check(value: Any) -> None:
        codings = value.coding
        if codings is UNSET or not any(one.code in bound.get(one.system, ()) for one in codings):
            raise NotQuick

    return check


def _reference(checks: QuickChecks, of: Field | None) -> Hook:
    targets = of.targets if of is not None else frozenset[str]()
    led, local = checks.led, checks.local

    def check(value: Any) -> None:
        told = value.reference
        if told is UNSET:
            kind = ""
        elif told.startswith("#"):
            local.append((told[1:], targets))
            kind = ""
        else:
            kind = led[told] if told in led else checks.leads_to(told)
        if value.type is not UNSET:
            if kind and kind != value.type:
                raise NotQuick
            kind = value.type
        if kind and targets and kind not in targets:
            raise NotQuick

    return check


def _leads_to(told: str) -> str:
    found = LOCAL.fullmatch(told)
    if found is None:
        found = SEARCHED.fullmatch(told) or ON_A_SERVER.fullmatch(told)
        if found is None:
            if not ABSOLUTE.fullmatch(told):
                raise NotQuick
            return ""
    kind = found.group(1)
    form = shape(kind)
    if form is None or not form.is_resource:
        raise NotQuick
    return kind


def _narrative(_: QuickChecks, __: Field | None) -> Hook:
    def check(value: Any) -> None:
        if trouble_of_div(value.div)[0]:
            raise NotQuick

    return check


def _attachment(_: QuickChecks, __: Field | None) -> Hook:
    def check(value: Any) -> None:
        if value.data is UNSET:
            return
        look = Look(Noted(), {})
        told = {"data": value.data, "size": value.size, "hash": value.hash}
        check_attachment(look, told, Place("", ()))
        if look.noted.issues:
            raise NotQuick

    return check


def _meta(checks: QuickChecks, _: Field | None) -> Hook:
    def check(value: Any) -> None:
        if value.profile is not UNSET:
            checks.tally.extend([PROFILES] * len(value.profile))

    return check


def _observation(_: QuickChecks, __: Field | None) -> Hook:
    def check(value: Any) -> None:
        amount, components = value.valueQuantity, value.component
        unit = "" if amount is UNSET else amount.code
        if (unit not in DEGREES and components is UNSET) or value.category is UNSET:
            return
        if VITAL not in [pair for one in value.category for pair in _pairs(one)]:
            return
        parts = [] if components is UNSET else [pair for one in components for pair in _pairs(one.code)]
        if lacks_code(_pairs(value.code), unit=unit, parts=parts):
            raise NotQuick

    return check


def _pairs(concept: Any) -> list[tuple[Any, Any]]:
    return [] if concept.coding is UNSET else [(one.system, one.code) for one in concept.coding]


BY_TYPE: dict[str, Callable[[QuickChecks, Field | None], Hook | None]] = {
    "Attachment": _attachment,
    "CodeableConcept": _concept,
    "Meta": _meta,
    "Narrative": _narrative,
    "Observation": _observation,
    "Reference": _reference,
}

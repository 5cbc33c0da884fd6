"""One FHIR resource through a policy: element by element, by the list of its type, from the root to the leaves.

What the policy does not name, R4 does not know, or is not of the kind that R4 says, is left out and counted. No name of
an element that R4 does not know is repeated in the books: a sender could have written anything there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any

from salus.deidentify.field_books import Fate
from salus.deidentify.passing import NO_PATIENT, NOBODYS, NOT_NAMED, REMEMBERED, Passing, Whose
from salus.deidentify.policy import Action
from salus.deidentify.policy_checks import DATE_KINDS, NEVER, TEXT_KINDS
from salus.formats.r4_elements import Element, element, elements_of, is_complex, is_resource, json_name

Json = dict[str, Any]
SUBJECTS = ("subject", "patient", "beneficiary", "for", "individual", "candidate")
"""Elements that say whom a resource is about."""
REFERENCE = re.compile(
    r"(?:https?://[^\s?#]*/)?([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?"
)
PART_OF_EXTENSION = re.compile(r"[A-Za-z][A-Za-z0-9\-]{0,40}", re.ASCII)
URN = re.compile(r"urn:(?:uuid|oid):[0-9A-Za-z.\-]{1,128}", re.IGNORECASE)
BASE = "https://pseudonyms.invalid/fhir/"
"""Before type and pseudonym in full URLs: a place that cannot be (RFC 2606)."""
YEARS, MONTHS = (
    frozenset({"a", "a_j", "a_g", "a_t", "yr", "year", "years", "y"}),
    frozenset({"mo", "mo_j", "month", "months"}),
)
NUMBERS = frozenset({"integer", "positiveInt", "unsignedInt", "decimal"})
QUANTITIES = frozenset({"Quantity", "Age", "SimpleQuantity"})
UNKNOWN, SIDECAR, OTHER_KIND = "(unknown element)", "(extension of a value)", "(not as R4 has it)"
DEEPEST_NAME = 5
MODIFIED = "an extension that the policy does not name changes what it means"


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of one element: its name in the books, its kind of values, the type that it is an element of."""

    name: str
    kind: str
    action: Action
    is_list: bool
    of: str = ""


@dataclass(slots=True)
class Plan:
    """The steps of one type at one place of a resource, by names in JSON."""

    kind: str
    place: str
    steps: dict[str, Step] = field(default_factory=dict)


@cache
def subject_element(kind: str) -> str | None:
    """The element that says which patient a type of resource is about; None: none does.

    >>> subject_element("Observation"), subject_element("Immunization"), subject_element("Organization")
    ('subject', 'patient', None)
    """
    for name in SUBJECTS:
        found = element(kind, name)
        if found is not None and found.kinds == ("Reference",) and not found.is_list:
            return name
    return None


class FhirRecords:
    """Lets resources pass. ``urls``: what full URLs of the Bundle being read stand for, as (type, id)."""

    def __init__(self, passing: Passing) -> None:
        self.passing = passing
        self.fhir = passing.policy.fhir
        self.urls: dict[str, tuple[str, str]] = {}
        self._plans: dict[tuple[str, str], Plan] = {}
        self._counts = passing.books.counts
        self.repointed = lru_cache(REMEMBERED)(self._repointed)

    def passed(self, resource: Json) -> Json | str:
        """The resource as it may pass; a text says why it may not. What is left out is one of them."""
        kind = resource.get("resourceType")
        if not isinstance(kind, str) or kind not in self.fhir or not is_resource(kind):
            return NOT_NAMED
        whose = self.whose(resource, kind)
        if whose is None:
            return NO_PATIENT
        if any(one.get("url") not in self.passing.policy.extensions for one in _modifiers(resource)):
            return MODIFIED
        out = self._object(resource, self._plan(kind, kind), whose)
        if kind == "Patient":
            self._note(resource, out, whose)
        return {"resourceType": kind, **out}

    def whose(self, resource: Json, kind: str) -> Whose | None:
        """Whom a resource is about; nobody where its type is about nobody; None where it should say and does not."""
        if kind == "Patient":
            number = resource.get("id")
            return self.passing.whose(number) if isinstance(number, str) and number else None
        name = subject_element(kind)
        if name is None:
            return NOBODYS
        told = resource.get(name)
        number = self._patient(told.get("reference")) if isinstance(told, dict) else None
        return self.passing.whose(number) if number else None

    def _patient(self, reference: object) -> str | None:
        if not isinstance(reference, str):
            return None
        if reference in self.urls:
            kind, number = self.urls[reference]
            return number if kind == "Patient" else None
        found = REFERENCE.fullmatch(reference)
        return found[2] if found and found[1] == "Patient" else None

    def _note(self, resource: Json, out: Json, whose: Whose) -> None:
        if "gender" in out and self.passing.loses("sex", whose):
            del out["gender"]
            self._counts["Patient.gender", Fate.KEPT] -= 1
            self._counts["Patient.gender", Fate.REMOVED] += 1
        self.passing.note_quasi(whose, _quasi(resource), _quasi(out))

    def _object(self, given: Json, plan: Plan, whose: Whose) -> Json:
        out: Json = {}
        counts, steps = self._counts, plan.steps
        for name, value in given.items():
            step = steps.get(name)
            if step is None:
                if name == "resourceType" and is_resource(plan.kind):
                    continue
                step = self._step(plan, name)
            if step.action is Action.REMOVE:
                counts[step.name, Fate.REMOVED] += len(value) if isinstance(value, list) and value else 1
                continue
            told = self._element(value, step, whose)
            if told is not None:
                out[name] = told
        if plan.kind in QUANTITIES and "value" in out:
            self._limit(out, plan)
        return out

    def _element(self, value: object, step: Step, whose: Whose) -> object:
        if step.is_list:
            if not isinstance(value, list):
                return self._lost(step)
            told = [self._value(one, step, whose) for one in value if one is not None]
            return [one for one in told if one is not None] or None
        return self._value(value, step, whose)

    def _value(self, value: object, step: Step, whose: Whose) -> object:
        if isinstance(value, dict):
            return self._nested(value, step, whose)
        if is_complex(step.kind) or step.kind == "Resource" or isinstance(value, list) or value is None:
            return self._lost(step)
        if isinstance(value, str):
            told, fate = self._text(value, step, whose)
            self._counts[step.name, fate] += 1
            return told
        right = step.kind == "boolean" if isinstance(value, bool) else step.kind in NUMBERS
        if not right or step.action is not Action.KEEP:
            return self._lost(step)
        self._counts[step.name, Fate.KEPT] += 1
        return value

    def _nested(self, value: Json, step: Step, whose: Whose) -> object:
        if step.kind == "Resource":
            return self._contained(value, step, whose)
        if not is_complex(step.kind):
            return self._lost(step)
        if step.kind == "Extension" and not self._is_named(value, step):
            self._counts[step.name, Fate.REMOVED] += 1
            return None
        out = self._object(value, self._plan(step.kind, step.name), whose)
        return (
            None if step.kind == "Extension" and len(out) < 2 else out or None
        )  # a name alone is none (ext-1)

    def _contained(self, value: Json, step: Step, whose: Whose) -> object:
        """A resource inside another: by its own list, under a number that holds inside only."""
        kind = value.get("resourceType")
        if not isinstance(kind, str) or kind not in self.fhir or not is_resource(kind):
            return self._lost(step)
        out = self._object(value, self._plan(kind, kind), whose)
        if isinstance(value.get("id"), str):
            out["id"] = self.passing.pseudonym("contained", value["id"])
        return {"resourceType": kind, **out}

    def _is_named(self, value: Json, step: Step) -> bool:
        """Whether the policy names the extension; the parts of one that it names have names without an address."""
        url = value.get("url")
        inside = step.name.endswith("Extension.extension")
        return isinstance(url, str) and (
            url in self.passing.policy.extensions or (inside and PART_OF_EXTENSION.fullmatch(url) is not None)
        )

    def _text(self, value: str, step: Step, whose: Whose) -> tuple[str | None, Fate]:
        passing, action, kind = self.passing, step.action, step.kind
        if kind in DATE_KINDS:
            if action is Action.BIRTH_DATE:
                return passing.birth_date(value, whose)
            told, fate = passing.policy.rules.dates.iso(value, whose.shift)
            return (None, Fate.REMOVED) if told and kind == "instant" and len(told) < 11 else (told, fate)
        if kind == "time":
            return passing.time_of_day(value)
        if action is Action.REFERENCE:
            return self.repointed(value), Fate.PSEUDONYM
        if action is Action.PSEUDONYM:
            return passing.pseudonym(step.of, value), Fate.PSEUDONYM
        if action is Action.POSTCODE:
            return passing.postcode(value, whose)
        if action is Action.TEXT:
            return passing.text(value, whose)
        return (None, Fate.REMOVED) if kind in NUMBERS or kind == "boolean" else (value, Fate.KEPT)

    def _lost(self, step: Step) -> object:
        self._counts[f"{step.name} {OTHER_KIND}", Fate.REMOVED] += 1
        return None

    def _limit(self, out: Json, plan: Plan) -> None:
        """Tell ages above the highest one together, wherever years or months are told."""
        oldest = self.passing.policy.rules.oldest
        unit = out.get("code") or out.get("unit")
        least = 0 if oldest is None else oldest + 1
        least *= 12 if unit in MONTHS else 1
        value = out["value"]
        if (
            oldest is None
            or unit not in YEARS | MONTHS
            or not isinstance(value, int | float | Decimal)
            or value < least
        ):
            return
        out["value"], out["comparator"] = least, ">="
        self._counts[f"{plan.place}.value", Fate.KEPT] -= 1
        self._counts[f"{plan.place}.value", Fate.GENERALISED] += 1

    def _repointed(self, reference: str) -> str | None:
        """A reference to the same record under its pseudonym; None where it cannot be read.

        What leads to another server, and which version of the record is meant, is not told.
        """
        if reference.startswith("#"):
            return "#" + self.passing.pseudonym("contained", reference[1:])
        if URN.fullmatch(reference):
            return "urn:uuid:" + self.uuid(reference)
        found = REFERENCE.fullmatch(reference)
        if found is None or not is_resource(found[1]):
            return None
        return f"{found[1]}/{self.passing.pseudonym(found[1], found[2])}"

    def uuid(self, text: str) -> str:
        """A UUID of version 8 (RFC 9562: any bytes) in place of another."""
        digits = bytearray(self.passing.key.digest("urn:uuid", text.lower())[:16])
        digits[6], digits[8] = digits[6] & 0x0F | 0x80, digits[8] & 0x3F | 0x80
        told = digits.hex()
        return "-".join((told[:8], told[8:12], told[12:16], told[16:20], told[20:]))

    def full_url(self, url: str) -> str | None:
        """The address of a Bundle's entry: the same that references to it become."""
        told = self.repointed(url)
        return told if told is None or told.startswith("urn:") else BASE + told

    def _plan(self, kind: str, place: str) -> Plan:
        if "." in kind or place.count(".") >= DEEPEST_NAME or kind == "Extension":
            place = kind  # else what nests in itself would have names without end
        plan = self._plans.get((kind, place))
        if plan is None:
            plan = self._plans[kind, place] = Plan(kind, place)
        return plan

    def _step(self, plan: Plan, name: str) -> Step:
        step = self._new_step(plan, name)
        if step.name.rpartition(".")[2][0] != "(":  # any number of unknown names may come
            plan.steps[name] = step
        return step

    def _new_step(self, plan: Plan, name: str) -> Step:
        found, kind = _element(plan.kind, name)
        if found is None or not kind:
            told = SIDECAR if name.startswith("_") else UNKNOWN
            return Step(f"{plan.place}.{told}", "", Action.REMOVE, False)
        place = f"{plan.place}.{found.name}"
        rule = self.fhir.get(plan.kind, {}).get(found.name)
        action = rule.action if rule else Action.REMOVE
        if plan.kind == "Extension" and found.name in ("url", "value", "extension"):
            action = Action.KEEP
        if found.name == "extension" and self.passing.policy.extensions:
            action = Action.KEEP
        if kind in NEVER or kind == "Narrative":
            action = Action.REMOVE
        elif found.is_choice and action is not Action.REMOVE:
            action = Action.TEXT if kind in TEXT_KINDS else Action.DATE if kind in DATE_KINDS else Action.KEEP
        return Step(place, kind, action, found.is_list, plan.kind)


@cache
def _named(kind: str) -> dict[str, tuple[Element, str]]:
    """The elements of a type by their names in JSON, each with its kind of values."""
    names = {}
    for one in elements_of(kind):
        found = element(kind, one)
        if found is not None:
            for of in found.kinds:
                names[json_name(one, of) if found.is_choice else one] = (found, of)
    return names


def _element(kind: str, name: str) -> tuple[Element | None, str]:
    return _named(kind).get(name, (None, ""))


def _modifiers(resource: Json) -> list[Json]:
    """Extensions that change what a resource means: it says another thing without them."""
    told = resource.get("modifierExtension")
    return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []


def _quasi(patient: Json) -> Json:
    """What a Patient says that others may know."""
    addresses = patient.get("address")
    first = addresses[0] if isinstance(addresses, list) and addresses else {}
    return {
        "sex": patient.get("gender"),
        "birth_year": str(patient.get("birthDate") or "")[:4],
        "postcode": first.get("postalCode") if isinstance(first, dict) else None,
    }

"""Codes: those of code systems that ship, the values that a required binding allows, and check digits of others."""

from __future__ import annotations

import re
from typing import Any

from salus.formats.fhir_validation.check_digits import MAY_HOLD
from salus.formats.fhir_validation.definitions import code_system, value_set
from salus.formats.fhir_validation.looking import Look, Place

ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:.+", re.DOTALL)
BCP13, CURRENCY = "http://hl7.org/fhir/ValueSet/mimetypes", "http://hl7.org/fhir/ValueSet/currencies"
WRITTEN = {
    BCP13: re.compile(r"[\w.+\-]+/[\w.+\-*]+(\s*;\s*[\w.+\-]+=.+)*|[\w.+\-]+", re.ASCII),
    CURRENCY: re.compile(r"[A-Z]{3}"),
}
"""Bindings whose codes nobody lists: how such a code is written (BCP 13, ISO 4217)."""
OUTSIDE = "http://terminology.hl7.org/"
"""Where code systems grow apart from R4: a code that R4's copy does not have may have been added since."""
OTHER_WORDS = "displays in other words than their code system's"


def check_coding(look: Look, value: dict[str, Any], place: Place) -> None:
    """A coding's system is absolute, its code is in it, and words other than the system's are counted."""
    system, code = value.get("system"), value.get("code")
    if not isinstance(system, str):
        return
    if not ABSOLUTE.fullmatch(system):
        look.noted.error("coding-system", f"{place.where}.system", "the URI of a code system is absolute")
        return
    if system.startswith("http://hl7.org/fhir/ValueSet/"):
        look.noted.error(
            "coding-system", f"{place.where}.system", "a value set where its code system belongs"
        )
        return
    if not isinstance(code, str):
        return
    known = code_system(system)
    if known is None:
        _digits(look, (system, code), place)
        return
    version = value.get("version")
    if isinstance(version, str) and version != known.version:
        look.noted.unchecked["codes of another version of their system"] += 1
        return
    words = known.codes.get(code)
    if words is None and known.any_case:
        folded = {one.casefold(): told for one, told in known.codes.items()}
        words = folded.get(code.casefold())
    if words is None:
        note = look.noted.warning if system.startswith(OUTSIDE) else look.noted.error
        note("code-unknown", f"{place.where}.code", f"{system} has no such code")
        return
    display = value.get("display")
    if isinstance(display, str) and words and _plain(display) not in map(_plain, words):
        look.noted.unchecked[OTHER_WORDS] += 1


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _digits(look: Look, told: tuple[str, str], place: Place) -> None:
    system, code = told
    if system in MAY_HOLD and not MAY_HOLD[system](code):
        look.noted.error("code-unknown", f"{place.where}.code", f"no code of {system} is written so")
    else:
        look.noted.unchecked[f"codes of {_told(system)}"] += 1


def _told(system: str) -> str:
    """A system is named where it is a widely known one: a local one may say where a patient was."""
    public = ("http://snomed.info/", "http://loinc.org", "http://hl7.org/", "http://terminology.hl7.org/")
    known = (
        *public,
        "http://www.nlm.nih.gov/",
        "http://unitsofmeasure.org",
        "http://www.whocc.no/",
        "urn:ietf:",
    )
    return system if system.startswith(known) and len(system) < 120 else "other systems"


def check_concept(look: Look, value: dict[str, Any], place: Place) -> None:
    """A concept with a required binding has one code of the value set."""
    codings = value.get("coding")
    _bound(look, codings if isinstance(codings, list) else [], place)


def check_bound_coding(look: Look, value: dict[str, Any], place: Place) -> None:
    """A coding with a required binding is in the value set."""
    _bound(look, [value], place)


def _bound(look: Look, codings: list[Any], place: Place) -> None:
    url = place.of.codes if place.of else ""
    listed = value_set(url) if url else None
    if listed is None:
        return
    for one in codings:
        code = one.get("code") if isinstance(one, dict) else None
        if isinstance(code, str) and code in listed.pairs.get(str(one.get("system")), ()):
            return
    look.noted.error("binding", place.where, f"no code of {url}")


def check_code(look: Look, told: dict[str, Any], place: Place) -> None:
    """A code whose binding is to codes that nobody lists is written as they are."""
    pattern = WRITTEN.get(place.of.codes) if place.of else None
    if pattern is not None and not pattern.fullmatch(told["value"]):
        look.noted.error("binding", place.where, "not written as such a code is")

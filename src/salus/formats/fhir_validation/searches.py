"""Search parameters: what is said of one of R4's is what R4 says, and a composite one has parts; R4, page search."""

from __future__ import annotations

from typing import Any

from salus.formats.fhir_validation.definitions import search_parameter
from salus.formats.fhir_validation.looking import Look, Place


def check_search_parameter(look: Look, value: dict[str, Any], place: Place) -> None:
    """A parameter has the type and resources of the one that it is derived from; a composite one has two parts."""
    parts = value.get("component")
    if value.get("type") == "composite" and (not isinstance(parts, list) or len(parts) < 2):
        look.noted.error("search-composite", place.where, "a composite parameter has two components or more")
    known = _known(value.get("derivedFrom"))
    if known is None:
        return
    if value.get("type") != known[0]:
        look.noted.error("search-type", f"{place.where}.type", "another type than what it is derived from")
    bases = value.get("base")
    if isinstance(bases, list) and not set(map(str, bases)) <= {*known[1]} and "Resource" not in known[1]:
        look.noted.error("search-base", f"{place.where}.base", "resources that it is not derived for")


def check_stated_search(look: Look, value: dict[str, Any], place: Place) -> None:
    """A server says of a parameter the type that its definition says."""
    known = _known(value.get("definition"))
    if known is not None and value.get("type") != known[0]:
        look.noted.error("search-type", f"{place.where}.type", "another type than its definition's")


def _known(url: object) -> tuple[str, tuple[str, ...]] | None:
    return search_parameter(url.partition("|")[0]) if isinstance(url, str) else None

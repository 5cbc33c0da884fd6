"""Bundles: full URLs, what references lead to in a document, and what each kind holds; R4, page bundle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from salus.formats.fhir_validation.definitions import shape
from salus.formats.fhir_validation.looking import Look, Place
from salus.formats.fhir_validation.references import ABSOLUTE, LOCAL, ON_A_SERVER, SEARCHED

URLESS = frozenset(("transaction", "batch", "transaction-response", "batch-response"))
"""Kinds of Bundle whose entries need no full URL: what they hold may not have a place yet."""
ONCE = frozenset(("self", "first", "last", "next", "previous", "prev"))


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a Bundle that holds a resource."""

    number: int
    url: str
    resource: dict[str, Any]

    @property
    def key(self) -> str:
        """Type and id."""
        return f"{self.resource.get('resourceType')}/{self.resource.get('id')}"


def check_bundle(look: Look, value: dict[str, Any], place: Place) -> None:
    """Check a Bundle beyond its invariants."""
    kind = value.get("type")
    told = value.get("entry")
    entries = [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
    for number, entry in enumerate(entries):
        _full_url(look, entry, str(kind), f"{place.where}.entry[{number}]")
    _links(look, value, place)
    held = [
        Entry(number, str(entry.get("fullUrl", "")), entry["resource"])
        for number, entry in enumerate(entries)
        if isinstance(entry.get("resource"), dict)
    ]
    if kind in ("document", "message"):
        _resolved(look, held, place)
    if kind == "document":
        _reached(look, held, place)
    if kind == "searchset":
        _search(look, entries, place)


def _full_url(look: Look, entry: dict[str, Any], kind: str, where: str) -> None:
    url, resource = entry.get("fullUrl"), entry.get("resource")
    if not isinstance(url, str):
        if isinstance(resource, dict) and kind not in URLESS:
            look.noted.error("bundle-full-url", where, "an entry of this Bundle has a full URL")
        return
    if not ABSOLUTE.fullmatch(url):
        look.noted.error("bundle-full-url", where, "a full URL is absolute")
        return
    found = ON_A_SERVER.fullmatch(url)
    form = shape(found.group(1)) if found is not None else None
    if found is None or form is None or not form.is_resource or not isinstance(resource, dict):
        return
    if found.group(1) != resource.get("resourceType") or (
        "id" in resource and found.group(2) != resource["id"]
    ):
        look.noted.error("bundle-full-url", where, "the full URL names another type or id than the resource")


def _links(look: Look, value: dict[str, Any], place: Place) -> None:
    links = value.get("link")
    told = [one.get("relation") for one in links if isinstance(one, dict)] if isinstance(links, list) else []
    for relation, count in Counter(one for one in told if isinstance(one, str)).items():
        if relation in ONCE and count > 1:
            look.noted.error("bundle-link", f"{place.where}.link", "a link of this relation comes once")


def _search(look: Look, entries: list[dict[str, Any]], place: Place) -> None:
    for number, entry in enumerate(entries):
        resource, search = entry.get("resource"), entry.get("search")
        if not isinstance(resource, dict):
            continue
        where = f"{place.where}.entry[{number}].resource"
        mode = search.get("mode") if isinstance(search, dict) else None
        is_outcome = resource.get("resourceType") == "OperationOutcome"
        if mode == "outcome" and not is_outcome:
            look.noted.error("bundle-search", where, "an outcome of a search is an OperationOutcome")
        if "id" not in resource and not is_outcome:
            look.noted.error("bundle-search", where, "what a search finds has an id")


def references_of(value: object, where: str) -> Iterator[tuple[str, str]]:
    """All literal references below a value, with their places."""
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from references_of(one, f"{where}[{number}]")
    if isinstance(value, dict):
        told = value.get("reference")
        if isinstance(told, str) and "resourceType" not in value:
            yield told, where
        for name, inner in value.items():
            if isinstance(inner, (dict, list)):
                yield from references_of(inner, f"{where}.{name}")


def _found(told: str, of: Entry, held: list[Entry]) -> list[Entry]:
    """The entries that a reference leads to: R4, page bundle, resolving references."""
    bare, _, version = told.partition("#")[0].partition("/_history/")
    if LOCAL.fullmatch(told):
        base = ON_A_SERVER.fullmatch(of.url)
        if base is None:
            return []
        bare = of.url[: base.start(1)] + bare
    found = [one for one in held if one.url.partition("/_history/")[0] == bare]
    if version:
        return [one for one in found if _version(one) == version]
    return found


def _version(entry: Entry) -> str:
    meta = entry.resource.get("meta")
    return str(meta.get("versionId", "")) if isinstance(meta, dict) else ""


def _resolved(look: Look, held: list[Entry], place: Place) -> None:
    """What a document or message refers to leads to one entry, where an entry of that type and id is there."""
    keys = Counter(one.key for one in held)
    for entry in held:
        first = entry.number == 0
        for told, where in references_of(entry.resource, f"{place.where}.entry[{entry.number}].resource"):
            if told.startswith("#") or SEARCHED.fullmatch(told):
                continue
            found = _found(told, entry, held)
            if len(found) > 1:
                look.noted.error("bundle-reference", where, "several entries are what this leads to")
            local = LOCAL.fullmatch(told)
            if not found and local is not None and (first or keys[told.partition("/_history/")[0]]):
                look.noted.error("bundle-reference", where, "leads to no entry by the rules of full URLs")


def _reached(look: Look, held: list[Entry], place: Place) -> None:
    """All of a document hangs together: each entry is reached from the first by references, either way."""
    reached, waiting = {0}, [0]
    links: dict[int, set[int]] = {number: set() for number in range(len(held))}
    places = {id(one): number for number, one in enumerate(held)}
    for number, entry in enumerate(held):
        for told, _ in references_of(entry.resource, ""):
            for other in _found(told, entry, held):
                links[number].add(places[id(other)])
                links[places[id(other)]].add(number)
    while waiting and held:
        new = links[waiting.pop()] - reached
        reached |= new
        waiting += new
    for number, entry in enumerate(held):
        if number not in reached and entry.resource.get("resourceType") not in ("Binary", "Provenance"):
            look.noted.error("bundle-reach", f"{place.where}.entry[{entry.number}]", "nothing leads to it")

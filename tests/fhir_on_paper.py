"""A FHIR server small enough to read: it keeps resources, carries out transactions, and answers as R4 says."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

Json = dict[str, Any]


class Refused(Exception):
    """The server refused the whole transaction; nothing changed."""


class PaperServer:
    """Resources by place ("Patient/1"), each with a version."""

    def __init__(self) -> None:
        self.held: dict[str, Json] = {}
        self._count = 0

    def content(self) -> dict[str, Json]:
        """Everything held, without what the server itself says of it."""
        found = deepcopy(self.held)
        for resource in found.values():
            for name in ("versionId", "lastUpdated"):
                resource["meta"].pop(name, None)
            if not resource["meta"]:
                del resource["meta"]
        return found

    def create(self, resource: Json) -> Json:
        """Keep one resource; gives it as held."""
        self._count += 1
        place = f"{resource['resourceType']}/{self._count}"
        self._keep(place, resource, version=1)
        return self.held[place]

    def transact(self, sent: bytes) -> Json:
        """Carry out a transaction whole or not at all; gives the transaction-response."""
        bundle, before = json.loads(sent), deepcopy(self.held)
        assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "transaction")
        try:
            answers = [self._one(entry) for entry in bundle["entry"]]
        except Refused:
            self.held = before
            raise
        urls = {
            entry["fullUrl"]: answer[1]
            for entry, answer in zip(bundle["entry"], answers, strict=True)
            if "fullUrl" in entry
        }
        for _, place in answers:
            if place in self.held:
                self.held[place] = _with_places(self.held[place], urls)
        return {
            "resourceType": "Bundle",
            "type": "transaction-response",
            "entry": [{"response": self._response(status, place)} for status, place in answers],
        }

    def _one(self, entry: Json) -> tuple[str, str]:
        asked = entry["request"]
        if asked["method"] == "POST":
            known = self._find(entry["resource"], asked.get("ifNoneExist", ""))
            if known:
                return "200 OK", known
            self.create(entry["resource"])
            return "201 Created", list(self.held)[-1]
        place = asked["url"]
        held = self.held.get(place)
        if held is None:
            raise Refused(f"{place} is not here")
        wanted = asked.get("ifMatch")
        if wanted not in (None, f'W/"{held["meta"]["versionId"]}"'):
            raise Refused(f"{place} has another version")
        if asked["method"] == "DELETE":
            del self.held[place]
            return "204 No Content", place
        self._keep(place, entry["resource"], version=int(held["meta"]["versionId"]) + 1)
        return "200 OK", place

    def _keep(self, place: str, resource: Json, *, version: int) -> None:
        kept = {**deepcopy(resource), "id": place.split("/")[1]}
        kept["meta"] = {
            **kept.get("meta", {}),
            "versionId": str(version),
            "lastUpdated": "2026-03-01T09:00:00Z",
        }
        self.held[place] = kept

    def _find(self, resource: Json, query: str) -> str:
        if not query:
            return ""
        system, value = query.removeprefix("identifier=").split("|")
        for place, held in self.held.items():
            names = [(one["system"], one["value"]) for one in held.get("identifier", [])]
            if held["resourceType"] == resource["resourceType"] and (system, value) in names:
                return place
        return ""

    def _response(self, status: str, place: str) -> Json:
        if place not in self.held:
            return {"status": status}
        version = self.held[place]["meta"]["versionId"]
        return {
            "status": status,
            "location": f"http://127.0.0.1/fhir/{place}/_history/{version}",
            "etag": f'W/"{version}"',
        }


def _with_places(resource: Any, urls: dict[str, str]) -> Any:
    """Put the places that the server chose where the transaction named its own entries."""
    if isinstance(resource, dict):
        return {name: _with_places(value, urls) for name, value in resource.items()}
    if isinstance(resource, list):
        return [_with_places(value, urls) for value in resource]
    return urls.get(resource, resource) if isinstance(resource, str) else resource

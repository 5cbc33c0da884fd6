"""What a FHIR server says it takes: its CapabilityStatement decides what is sent, and how.

Many hospital systems take forecasts only as documents, or not at all. What a statement does not name is not sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from salus.errors import AnswerStrange


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """Kinds of resource that may be created, and kinds that are found again by their identifier.

    None: nobody asked the server, so all of R4 is taken for granted.
    """

    creates: frozenset[str] | None = None
    finds: frozenset[str] | None = None

    def may_create(self, kind: str) -> bool:
        """Whether the server takes new resources of a kind."""
        return self.creates is None or kind in self.creates

    def may_find(self, kind: str) -> bool:
        """Whether the server can tell that it holds a resource already."""
        return self.finds is None or kind in self.finds


EVERYTHING = Capability()


def read_capability(statement: Mapping[str, object]) -> Capability:
    """Read the CapabilityStatement of a server (``GET /metadata``); an empty one means that nobody asked.

    >>> server = {"mode": "server", "resource": [{"type": "Patient", "interaction": [{"code": "create"}]}]}
    >>> found = read_capability({"resourceType": "CapabilityStatement", "rest": [server]})
    >>> found.may_create("Patient"), found.may_create("RiskAssessment"), found.may_find("Patient")
    (True, False, False)
    """
    if not statement:
        return EVERYTHING
    if statement.get("resourceType") != "CapabilityStatement":
        raise AnswerStrange(
            "what the server says of itself is no CapabilityStatement",
            where="outlet.fhir_capability",
            fix="give what the server answers to GET /metadata",
        )
    resources = [one for rest in _items(statement.get("rest")) for one in _items(rest.get("resource"))]
    return Capability(
        creates=frozenset(
            str(one.get("type")) for one in resources if "create" in _names(one.get("interaction"), "code")
        ),
        finds=frozenset(
            str(one.get("type"))
            for one in resources
            if "identifier" in _names(one.get("searchParam"), "name")
        ),
    )


def _items(value: object) -> Iterable[Mapping[str, object]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _names(value: object, key: str) -> set[object]:
    return {one.get(key) for one in _items(value)}

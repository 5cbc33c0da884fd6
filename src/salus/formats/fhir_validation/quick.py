"""The quick way: a resource that can be parsed by the types of R4 and passes their checks has no issue.

It never says what is wrong: whatever it does not let through is looked at in the thorough way, whose word counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import UNSET

from salus.formats.fhir_validation.definitions import shape
from salus.formats.fhir_validation.issues import Issue, Noted
from salus.formats.fhir_validation.quick_checks import QuickChecks
from salus.formats.fhir_validation.quick_rules import NotQuick
from salus.formats.fhir_validation.quick_types import QuickTypes
from salus.formats.fhir_validation.validating import validate

ODD = (b'\\":', b"\\u00", b"\\b", b"\\f")
"""A quotation mark that looks like the end of a name, and control characters: seldom in a good resource."""


class Kind(msgspec.Struct):
    """Of which type a resource is."""

    resourceType: str


KINDS = msgspec.json.Decoder(Kind)
LONGEST = 64
"""Bytes at the beginning of a resource in which its type is looked for."""
ENCODER = msgspec.json.Encoder()
VERSION = attrgetter("versionId", "lastUpdated", "security")


def _listed(found: Any) -> Any:
    inside = getattr(found, "contained", UNSET)
    return () if inside is UNSET else inside


class QuickWay:
    """Validates resources one after the other, remembering the codes and types that it has met."""

    def __init__(self) -> None:
        self.checks = QuickChecks()
        self.types = QuickTypes(self.checks.hook)
        self.decoders: dict[bytes, Any] = {}
        self.by_type: dict[str, Any] = {}

    def validate(self, raw: bytes) -> Noted:
        """Say what is wrong with one resource, as ``validating.validate`` does."""
        unjudged: list[str] = []
        issues = self.issues(raw, unjudged)
        return Noted(list(issues), Counter(unjudged))

    def issues(self, raw: bytes, unjudged: list[str]) -> Sequence[Issue]:
        """The issues of one resource; to ``unjudged`` is added what could not be judged, each time it was met."""
        if self.passes(raw):
            unjudged += self.checks.tally
            return ()
        noted = validate(raw)
        unjudged += noted.unchecked.elements()
        return noted.issues

    def passes(self, raw: bytes) -> bool:
        """Whether all is well for certain."""
        self.checks.tally.clear()
        self.checks.local.clear()
        try:
            raw = msgspec.json.format(raw, indent=-1)
            if b"{}" in raw or (b"\\" in raw and any(part in raw for part in ODD)):
                return False
            inside = self._contained(self._read(raw))
        except (msgspec.DecodeError, ValueError, RecursionError):
            return False
        return self._led(inside)

    def _read(self, raw: bytes) -> Any:
        begin = raw[: raw.find(b",", 0, LONGEST) + 1]
        decoder = self.decoders.get(begin)
        if decoder is None:
            decoder = self._decoder(raw, begin)
        found = decoder.decode(raw)
        # As many names as were read: none came twice.
        if ENCODER.encode(found).count(b'":') != raw.count(b'":'):
            raise NotQuick
        return found

    def _contained(self, found: Any) -> dict[str, str]:
        """The types of the contained resources by their ids."""
        inside: dict[str, str] = {}
        for raw in _listed(found):
            one = self._read(bytes(raw))
            if one.id is UNSET or one.id in inside or getattr(one, "contained", UNSET) is not UNSET:
                raise NotQuick
            if one.meta is not UNSET and any(told is not UNSET for told in VERSION(one.meta)):
                raise NotQuick
            inside[one.id] = one.resourceType
        return inside

    def _led(self, inside: dict[str, str]) -> bool:
        """Whether each reference to a contained resource leads to one, and each of these is led to."""
        local = self.checks.local
        for told, targets in local:
            kind = inside.get(told)
            if kind is None or (targets and kind not in targets):
                return False
        return inside.keys() <= {told for told, _ in local}

    def _decoder(self, raw: bytes, begin: bytes) -> Any:
        """The decoder of a resource's type, remembered by how its JSON begins where that is the type."""
        kind = KINDS.decode(raw).resourceType
        decoder = self.by_type.get(kind)
        if decoder is None:
            form = shape(kind)
            if form is None or not form.is_resource or kind in ("Bundle", "Parameters"):
                raise NotQuick
            self.by_type[kind] = decoder = msgspec.json.Decoder(self.types.of_resource(form))
        if begin.endswith(f'"{kind}",'.encode()) and begin.lstrip().startswith(b'{"resourceType"'):
            self.decoders[begin] = decoder
        return decoder

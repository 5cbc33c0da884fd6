"""A resource on its way out: what to send, under which name it is known within the transaction, create or correct."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast
from uuid import UUID, uuid5

from salus.errors import AnswerStrange
from salus.formats.fhir_r4 import ROW, Identifier
from salus.formats.fhir_r4_resources import Resource

NAMES = UUID("8f0e3f2a-5d39-5b1c-9a55-6f1f0f2d7c11")
"""Where our names come from: the same thing always gets the same one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One resource to send.

    ``known_as``: by which a server that holds it already finds it; None for kinds without identifiers. ``earlier``: the
    version that the server holds, where this one corrects it.
    """

    name: str
    resource: Resource
    known_as: Identifier | None = None
    earlier: Resource | None = None

    @property
    def full_url(self) -> str:
        """How the other resources of the transaction refer to it before the server has given it a place."""
        return f"urn:uuid:{self.name}"


def name_of(*parts: str | int) -> str:
    """A name that is the same whenever the parts are: a UUID of version 5.

    >>> name_of("a", 1) == name_of("a", 1), name_of("a", 1) == name_of("a", 2)
    (True, False)
    """
    return str(uuid5(NAMES, "/".join(str(part) for part in parts)))


def earlier_resource(raw: Mapping[str, object], kind: str) -> Resource:
    """A resource as a server gave it, to be corrected. Raises AnswerStrange (SAL-155) where it is of another kind."""
    if raw.get("resourceType") != kind or not raw.get("id"):
        raise AnswerStrange(
            f"what is to be corrected is no {kind} with an id",
            where="outlet.fhir_draft",
            fix=f"give the {kind} as the server holds it now, with its id and meta.versionId",
        )
    return cast(Resource, dict(raw))


def device_name(model: str) -> str:
    """The name of a model as the device that it is, from its digest."""
    return name_of("device", model)


def identifier(name: str) -> Identifier:
    """The name as an identifier, by which a server knows that it holds the resource already."""
    return {"system": ROW, "value": name}


def instant(moment: datetime) -> str:
    """Write a moment (with its zone) as FHIR does, in UTC.

    >>> instant(datetime(2026, 3, 1, 8, 0, tzinfo=UTC))
    '2026-03-01T08:00:00Z'
    """
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def written_time(moment: datetime, grain: str) -> str:
    """Write a timeline's moment (UTC, without zone) as finely as its source tells time, and no finer.

    >>> written_time(datetime(2000, 1, 11), "day"), written_time(datetime(2000, 1, 1, 0, 7), "minute")
    ('2000-01-11', '2000-01-01T00:07:00Z')
    """
    if grain == "day":
        return moment.strftime("%Y-%m-%d")
    return instant(moment.replace(tzinfo=UTC))

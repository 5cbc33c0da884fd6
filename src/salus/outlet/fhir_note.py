"""A note in plain text as FHIR R4: for what has no resource of its own, and for systems that take nothing else."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from salus.formats.fhir_r4 import Reference, machine_meta
from salus.formats.fhir_r4_resources import DocumentReference
from salus.outlet.fhir_draft import Draft, identifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a note says. ``name``: from :func:`salus.outlet.fhir_draft.name_of`; ``subject``: whom it is about."""

    name: str
    title: str
    description: str
    lines: Sequence[str]
    subject: Reference | None = None


def note_draft(note: Note) -> Draft:
    """Write a note; it is preliminary until a person has looked at it."""
    return Draft(name=note.name, resource=note_resource(note), known_as=identifier(note.name))


def note_resource(note: Note) -> DocumentReference:
    """The note as a DocumentReference."""
    content = b64encode("\n".join(note.lines).encode()).decode("ascii")
    document: DocumentReference = {
        "resourceType": "DocumentReference",
        "meta": machine_meta(),
        "identifier": [identifier(note.name)],
        "status": "current",
        "docStatus": "preliminary",
        "type": {"text": note.title},
        "description": note.description,
        "content": [
            {"attachment": {"contentType": "text/plain; charset=utf-8", "data": content, "title": note.title}}
        ],
    }
    if note.subject is not None:
        document["subject"] = note.subject
    return document

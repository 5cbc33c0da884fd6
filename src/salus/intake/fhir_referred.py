"""Medications and devices that other resources refer to for their code: looked up before all else is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from salus.intake.fhir import REFERRED, whole_document
from salus.intake.fhir_files import BROKEN as BROKEN_FILE
from salus.intake.fhir_files import LIMITS, Limits, form_of, line_blocks, open_bytes
from salus.intake.fhir_groups import BOM, BUNDLE, BUNDLES, entries_of, kind_of
from salus.intake.parts import Part

MARKS = tuple(f'"{kind}"'.encode() for kind in REFERRED)
BROKEN: tuple[type[Exception], ...] = (msgspec.DecodeError, ValueError, RecursionError)
MOST_OF_FIRST = 1 << 20
MARKED_BUNDLE = b'"resourceType":"Bundle"'
"""Bytes of a file in which its first line is looked for: no medication is longer."""


class Referred(msgspec.Struct):
    """A resource that has a code for others: ``code`` of a medication, ``type`` of a device."""

    resourceType: str
    id: str | None = None
    code: msgspec.Raw = msgspec.Raw(b"")
    type: msgspec.Raw = msgspec.Raw(b"")


DECODER = msgspec.json.Decoder(Referred)


def find_referred(parts: Sequence[Part], limits: Limits = LIMITS) -> dict[str, bytes]:
    """Codes, as JSON, by key. NDJSON is read where it begins with such a resource: an export has one type a file."""
    found: dict[str, bytes] = {}
    for part in (one for whole in parts for one in (whole, *whole.more)):
        for raw, own in _resources(part, limits):
            try:
                one = DECODER.decode(raw)
            except BROKEN:
                continue
            code = bytes(one.code if one.resourceType == "Medication" else one.type)
            if one.resourceType in REFERRED and code and (one.id or own):
                found[f"{one.resourceType}/{one.id or own}"] = code
    return dict(sorted(found.items()))


def _resources(part: Part, limits: Limits) -> Iterator[tuple[bytes, str]]:
    """The resources of a part with the ids that their Bundles give them."""
    yield from (_of_document if form_of(Path(part.where)) == "document" else _of_lines)(part, limits)


def _of_lines(part: Part, limits: Limits) -> Iterator[tuple[bytes, str]]:
    first = _first_kind(Path(part.where))
    if first not in (*REFERRED, BUNDLE):
        return
    for block in line_blocks(part, limits):
        for line in block.raw.split(b"\n"):
            if first == BUNDLE:
                yield from _of_bundle(bytes(line))
            elif line.strip():
                yield bytes(line), ""


def _first_kind(path: Path) -> str | None:
    """Of which type the first resource of a file is; of the file only its beginning is read."""
    try:
        with open_bytes(path) as stream:
            begin = stream.read(MOST_OF_FIRST)
    except BROKEN_FILE:
        return None
    line = begin.removeprefix(BOM).partition(b"\n")[0]
    return kind_of(line) or (
        BUNDLE if MARKED_BUNDLE in line.replace(b" ", b"") else None
    )  # it may be cut off


def _of_document(part: Part, limits: Limits) -> Iterator[tuple[bytes, str]]:
    raw = whole_document(Path(part.where), limits)
    if isinstance(raw, str) or not any(mark in raw for mark in MARKS):
        return
    yield from _of_bundle(raw)


def _of_bundle(raw: bytes) -> Iterator[tuple[bytes, str]]:
    """A resource as it is, or those of a Bundle with the ids that their full URLs give them."""
    try:
        bundle = BUNDLES.decode(raw)
    except BROKEN:
        return
    if bundle.resourceType in REFERRED:
        yield raw, ""
    for _, entry in entries_of(bundle):
        if not isinstance(entry, str):
            own = (entry.fullUrl or "").rpartition(":")[2].rpartition("/")[2]
            yield bytes(entry.resource), own

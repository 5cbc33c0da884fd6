"""Read FHIR R4: NDJSON of a bulk export and Bundles, by the views that say what to take of each type of resource."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import msgspec

from salus.errors import ViewWrong
from salus.formats.sql_on_fhir.taking import Taker, taker
from salus.formats.sql_on_fhir.view import read_view
from salus.intake.fhir_events import events_of
from salus.intake.fhir_files import (
    BROKEN,
    LIMITS,
    Limits,
    LineBlock,
    broken,
    form_of,
    line_blocks,
    open_bytes,
)
from salus.intake.fhir_groups import (
    BOM,
    BUNDLE,
    BUNDLES,
    NO_RESOURCE,
    Collected,
    Group,
    Sorted,
    entries_of,
    kind_of,
    sort_lines,
    urls_of,
)
from salus.intake.fhir_labels import MARKED, TOLD, labels_of, parted
from salus.intake.fhir_rows import Memory
from salus.intake.fhir_validated import Validating, Validation
from salus.intake.parts import Counted, Part, PartRead, rejection_frame

UNTAKEN = "not taken: no view asks for this type"
FILE = "file"
REFERRED = ("Medication", "Device")
"""Types of resources whose code others refer to."""
WAITING_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class FhirReader:
    """Reads parts of FHIR files; it is sent to other processes as it is.

    ``views``: JSON of the views. ``referred``: codes (as JSON) of medications and devices by their keys.
    """

    views: tuple[str, ...]
    zone: str = "UTC"
    key: bytes = b""
    referred: Mapping[str, bytes] = field(default_factory=dict)
    limits: Limits = LIMITS
    validation: Validation = Validation.OFF

    def __call__(self, part: Part) -> Iterator[PartRead]:
        """Read one part."""
        takers = _takers(self.views)
        how = _Reading(takers, Memory(self.zone, self.key, self.referred), Validating(self.validation))
        collected = Collected(takers)
        for one in (part, *part.more):
            if form_of(Path(one.where)) == "document":
                yield from self._document(one, collected, how)
            else:
                yield from self._lines(one, how)
        yield from _read(collected.sorted(), how)

    def _document(self, part: Part, collected: Collected, how: _Reading) -> Iterator[PartRead]:
        raw = whole_document(Path(part.where), self.limits)
        how.labelled |= isinstance(raw, bytes) and TOLD in raw
        if isinstance(raw, bytes):
            yield from how.validating.document(raw, part.name)
        for found in read_document(part, collected, raw):
            yield from _read(found, how)

    def _lines(self, part: Part, how: _Reading) -> Iterator[PartRead]:
        for block in line_blocks(part, self.limits):
            if block.trouble:
                yield trouble(part.name, block)
                continue
            found = sort_lines(block, how.takers, part.name)
            how.labelled |= TOLD in block.raw
            yield PartRead(lines={part.name: block.lines})
            yield from _read(found, how)


@dataclass(slots=True)
class _Reading:
    """What one part is read with. ``labelled``: whether something in what is read now may carry a label of ours."""

    takers: Mapping[str, Taker]
    memory: Memory
    validating: Validating
    labelled: bool = False


def _read(found: Sorted, how: _Reading) -> Iterator[PartRead]:
    for met in found.groups:
        group, validated = how.validating.group(met)
        if validated is not None:
            yield validated
        if len(group.resources):
            yield from _taken(group, how)
    if found.wrong or found.untaken:
        wrong = len(found.wrong)
        yield PartRead(
            rejected=rejection_frame(found.wrong),
            counted={FILE: Counted(wrong, 0, wrong)} if wrong else {},
            noted={kind: {UNTAKEN: count} for kind, count in found.untaken.items()},
        )


def _taken(group: Group, how: _Reading) -> Iterator[PartRead]:
    parts = [(group.kind, group)]
    marked = 0
    if how.labelled:
        marked, completed = labels_of(group)
        parts = list(parted(group, completed))
    for kind, part in parts:
        taken = how.takers[kind].take(part.resources, part.urls)
        yield events_of(part, taken, how.memory)
    if marked:
        yield PartRead(noted={group.kind: {MARKED: marked}})


def trouble(name: str, block: LineBlock) -> PartRead:
    """A place of a file where nothing can be read."""
    return PartRead(
        rejected=rejection_frame([(name, block.first_line, "", block.trouble)]),
        counted={FILE: Counted(1, 0, 1)},
        lines={name: block.lines},
    )


def read_document(part: Part, collected: Collected, raw: bytes | str) -> Iterator[Sorted]:
    """Add the resources of a Bundle, or one resource; gives what waits whenever that has become much.

    ``raw``: a text is the reason why it cannot be had.
    """
    if isinstance(raw, str):
        collected.wrong.append((part.name, 1, "", raw))
        return
    try:
        bundle = BUNDLES.decode(raw)
    except msgspec.ValidationError as error:
        if kind_of(raw) == BUNDLE:
            collected.reject(1, part.name, str(error))
        else:
            yield from _not_one(raw, part, collected)
        return
    except (msgspec.DecodeError, ValueError, RecursionError):
        yield from _not_one(raw, part, collected)
        return
    if bundle.resourceType != BUNDLE:
        collected.add(raw, 1, part.name)
    else:
        urls = urls_of(bundle)
        if not collected.fits(urls):
            yield collected.sorted()
        collected.urls.update(urls)
        for number, entry in entries_of(bundle):
            collected.entry(entry, number, part.name)
            if collected.size > WAITING_BYTES:
                kept = collected.urls
                yield collected.sorted()
                collected.urls = kept
    if collected.size > WAITING_BYTES:
        yield collected.sorted()


def _not_one(raw: bytes, part: Part, collected: Collected) -> Iterator[Sorted]:
    """A file that is no single JSON: lines of NDJSON under another name, or broken."""
    lines = lines_of(raw)
    for number, line in enumerate(lines, start=1):
        if line.strip():
            collected.add(line, number, part.name)
    if not lines:
        collected.add(raw, 1, part.name)
    if collected.size > WAITING_BYTES:
        yield collected.sorted()


def lines_of(raw: bytes) -> list[bytes]:
    """The lines of a document that is NDJSON under another name; none: it is not."""
    lines = raw.splitlines()
    told = len(lines) > 1 and all(
        line.startswith(b"{") and line.rstrip().endswith(b"}") for line in lines[:2]
    )
    return lines if told else []


def whole_document(path: Path, limits: Limits = LIMITS) -> bytes | str:
    """A whole file; a text is the reason why it cannot be had."""
    chunks: list[bytes] = []
    size, most = 0, limits.unpacked(path)
    with open_bytes(path) as stream:
        while True:
            try:
                chunk = stream.read(1 << 20)
            except BROKEN as error:
                return broken(error, whole=True)
            if not chunk:
                return b"".join(chunks).removeprefix(BOM) if size else NO_RESOURCE
            size += len(chunk)
            if size > limits.document:
                return limits.too_large
            if most is not None and size > most:
                return limits.too_dense
            chunks.append(chunk)


@cache
def _takers(views: tuple[str, ...]) -> dict[str, Taker]:
    """The views of each process are read once."""
    takers: dict[str, Taker] = {}
    for text in views:
        view = read_view(json.loads(text))
        if view.resource in takers:
            raise ViewWrong(
                f"two views are of resource '{view.resource}'",
                where="the folder of views",
                fix="say what to take of a type in one view, with unionAll",
            )
        takers[view.resource] = taker(view)
    return takers


def shipped_views() -> dict[str, str]:
    """The views that Salus comes with: JSON by file name."""
    folder = files("salus.formats") / "fhir_views"
    found = [path for path in folder.iterdir() if path.name.endswith(".json")]
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(found, key=lambda one: one.name)}


def views_digest(views: Sequence[str]) -> str:
    """What names a set of views."""
    return sha256("\0".join(views).encode()).hexdigest()

"""Ingest by parts: read, gather and put in order what is too large for memory, then write a timeline."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from salus.at_rest.files import write_private_parquet
from salus.errors import InputMissing, SourceError
from salus.intake.books import Books, TableBooks
from salus.intake.fhir import FILE
from salus.intake.fhir_labels import MARKED
from salus.intake.gathering import Gathered, Gathering, gather
from salus.intake.ordering import KNOWN_BY_UPDATE, TOLD_AGAIN, OrderTally, order_ranges, ordered_frames
from salus.intake.parts import CodeMet, Part
from salus.progress import Progress
from salus.timeline.columns import CODE_COLUMNS, fit_columns
from salus.timeline.folder import check_replaceable, whole_folder
from salus.timeline.label import is_synthetic, read_beside
from salus.timeline.settings import TimelineSettings
from salus.timeline.store import SETTINGS_FILE
from salus.workflows.ingest_tables import TimelineRead, check_same_source, origins_of, write_read

VALIDATION = "validation.parquet"
"""File of a timeline: where resources break the rules of their format (the first places of each rule)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSource:
    """A source cut into parts. ``where``: what people call it. ``kind``: fhir, hl7v2 … for the source's digest.

    ``others``: files beside them that are not read, by the end of their names.
    """

    kind: str
    name: str
    where: str
    parts: Sequence[Part]
    zone: str = "UTC"
    others: Mapping[str, int] = field(default_factory=dict)


def ingest_parts(source: PartSource, to: Path, how: Gathering, *, progress: Progress) -> Books:
    """Read all parts into the timeline folder ``to``; what a stopped run has finished is not read again."""
    check_replaceable(to, mark=SETTINGS_FILE)
    check_same_source(to, source.name)
    try:
        books = _ingest(source, to, how, progress)
    except SourceError:
        shutil.rmtree(how.folder, ignore_errors=True)  # the same again would say the same
        raise
    shutil.rmtree(how.folder, ignore_errors=True)
    return books


def _ingest(source: PartSource, to: Path, how: Gathering, progress: Progress) -> Books:
    gathered = gather(source.parts, how, progress=progress)
    sorted_folder = how.folder / "sorted"
    try:
        paths, tally = order_ranges(gathered, sorted_folder, processes=how.processes, progress=progress)
        synthetic, origins = _label(source, gathered)
        read = TimelineRead(
            events=ordered_frames(paths),
            codes=codes_frame(gathered.codes, tally.units),
            rejected=pl.concat([gathered.rejected, *tally.contradicted]).sort("file", "line", "column"),
            tables=_tables(gathered, tally),
            settings=TimelineSettings(
                name=source.name,
                zone=source.zone,
                assumed_known_time=tally.assumed_known_time,
                source_digest=_digest(source, gathered),
                synthetic=synthetic,
                origins=origins,
            ),
            noted=_noted(gathered, tally, source.others),
        )
        with whole_folder(to, mark=SETTINGS_FILE) as folder:
            if gathered.issues.height:
                write_private_parquet(gathered.issues.sort("file", "line", "column"), folder / VALIDATION)
            return write_read(folder, read, where=source.where, progress=progress)
    finally:
        shutil.rmtree(sorted_folder, ignore_errors=True)


def _label(source: PartSource, gathered: Gathered) -> tuple[bool, tuple[str, ...]]:
    """Whether all carry the label synthetic, and what they were exported from. Raises LabelsMixed (SAL-476)."""
    beside = read_beside(Path(source.where))
    marked = sum(counts.get(MARKED, 0) for counts in gathered.noted.values())
    of = sum(counts.read for name, counts in gathered.counted.items() if name != FILE)
    said = None if beside is None else beside.synthetic
    synthetic = is_synthetic(said, marked=marked, of=of, where=source.where)
    return synthetic, origins_of(beside)


def _tables(gathered: Gathered, tally: OrderTally) -> tuple[TableBooks, ...]:
    """A resource that another one contradicts was kept by its reader, and is rejected after all."""
    return tuple(
        TableBooks(
            name=name,
            read=counts.read,
            kept=counts.kept - tally.withdrawn[name],
            rejected=counts.rejected + tally.withdrawn[name],
            events=tally.events[name],
        )
        for name, counts in gathered.counted.items()
    )


def _noted(gathered: Gathered, tally: OrderTally, others: Mapping[str, int]) -> dict[str, dict[str, int]]:
    noted = {name: dict(counts) for name, counts in gathered.noted.items()}
    for ending, count in others.items():
        noted.setdefault("other files", {})[f"not read: {ending}"] = count
    for what, counted in ((TOLD_AGAIN, tally.repeats), (KNOWN_BY_UPDATE, tally.stored_later)):
        for name, count in counted.items():
            noted.setdefault(name, {})[what] = count
    return {name: counts for name, counts in sorted(noted.items()) if counts}


def codes_frame(codes: Mapping[str, CodeMet], units: Mapping[str, Counter[str]]) -> pl.DataFrame:
    """All codes in order, each with the unit that stands most often beside it; parents are described too."""
    above = {parent for met in codes.values() for parent in met.parents} - set(codes)
    every = {**codes, **{parent: CodeMet(parent) for parent in above}}
    rows = [
        {
            "code": code,
            "description": met.description or code,
            "parent_codes": [parent for parent in met.parents if parent != code],
            "role": met.role,
            "unit": min(units[code], key=lambda unit: (-units[code][unit], unit)) if code in units else None,
        }
        for code, met in sorted(every.items())
    ]
    frame = pl.DataFrame(rows, schema={name: CODE_COLUMNS[name] for name in (rows[0] if rows else ("code",))})
    return fit_columns(frame, CODE_COLUMNS, what="codes")


def _digest(source: PartSource, gathered: Gathered) -> str:
    """What the source is: its kind, and of each table how much was read."""
    told = [source.kind, source.zone, *(f"{name} {n.read}" for name, n in gathered.counted.items())]
    told += [f"{part.name} {part.all_bytes}" for part in source.parts]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


def scratch_beside(to: Path) -> Path:
    """Where rows lie until the timeline is written: beside it, so that a stopped run finds them again."""
    return to.with_name(f".{to.name}.parts")


def with_folder(how: Gathering, to: Path) -> Gathering:
    """The same, gathering beside ``to``."""
    return replace(how, folder=scratch_beside(to))


def read_key(path: Path | None) -> bytes:
    """The key of pseudonyms in a file; without one none. Raises InputMissing (SAL-104)."""
    if path is None:
        return b""
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise InputMissing(
            f"the key '{path.name}' cannot be read",
            where=str(path),
            fix="name a file of 32 random bytes or more; make one with: openssl rand -hex 32 > key",
        ) from error
    if len(key) < 16:
        raise InputMissing(
            f"the key '{path.name}' has fewer than 16 bytes",
            where=str(path),
            fix="make one with: openssl rand -hex 32 > key",
        )
    return key

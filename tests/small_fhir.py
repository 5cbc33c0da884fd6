"""FHIR to a timeline, out as FHIR again, and in again: what each of the two timelines says."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from salus.intake.books import Books
from salus.intake.fhir_validated import INVALID, Validation
from salus.outlet.fhir_timeline import population_of
from salus.progress import QUIET
from salus.timeline.store import read_settings, read_timeline
from salus.timeline.subjects import subject_number
from salus.workflows.export import ExportBooks
from salus.workflows.export_fhir import export_fhir
from salus.workflows.ingest_fhir import FhirHow, ingest_fhir

Json = dict[str, object]
SAID = ("subject_id", "time", "known_time", "code", "numeric_value", "text_value", "unit")


@dataclass(frozen=True)
class Again:
    """Rows of both timelines, each with how often it is said, under the second one's numbers; and all books."""

    first: Counter[tuple[object, ...]]
    second: Counter[tuple[object, ...]]
    read: Books
    written: ExportBooks
    read_again: Books


def out_and_in(timeline: Path, folder: Path, *, form: str = "ndjson", zone: str = "UTC") -> Again:
    """Export a timeline into ``folder``, ingest what was written, and look at both; what is invalid is turned away."""
    written = export_fhir(timeline, folder / "out", form=form)
    how = FhirHow(zone=zone, processes=1, validation=Validation.REJECT)
    again = ingest_fhir(folder / "out" / "fhir", folder / "again", how, progress=QUIET)
    return Again(rows_as_exported(timeline), rows(folder / "again"), again, written, again)


def rows(timeline: Path) -> Counter[tuple[object, ...]]:
    """What a timeline says: its rows without their sources, with how often each is said."""
    return Counter(read_timeline(timeline).select(SAID).iter_rows())


def rows_as_exported(timeline: Path) -> Counter[tuple[object, ...]]:
    """The same under the numbers that the exported patients are given when they are read."""
    population = population_of(read_settings(timeline))
    said = read_timeline(timeline).select(SAID)
    numbers = {
        old: subject_number(f"Patient/{population}-{old}") for old in said["subject_id"].unique().to_list()
    }
    renumbered = pl.col("subject_id").replace_strict(numbers, return_dtype=pl.Int64)
    return Counter(said.with_columns(renumbered).iter_rows())


def write_ndjson(folder: Path, resources: Iterable[Mapping[str, object]]) -> Path:
    """One file of resources."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(one) + "\n" for one in resources)
    (folder / "all.ndjson").write_text(text, encoding="utf-8")
    return folder


def resources_in(folder: Path) -> dict[str, list[Json]]:
    """The resources of a folder of NDJSON by type."""
    return {
        path.stem: [json.loads(line) for line in path.read_bytes().splitlines()]
        for path in sorted(folder.glob("*.ndjson"))
    }


def invalid(books: Books) -> dict[str, int]:
    """How many resources of each type break R4."""
    told = {name: counts.get(f"{INVALID} (errors)", 0) for name, counts in books.noted.items()}
    return {name: count for name, count in told.items() if count}

"""The invented ward, synthetic or real, sent out in every form and read in again by every way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from salus.intake.omop_place import OmopPlace
from salus.progress import QUIET
from salus.timeline.store import read_codes, read_settings, read_timeline, write_timeline
from salus.workflows.export import export
from salus.workflows.export_fhir import export_fhir
from salus.workflows.export_tables import export_meds, export_omop
from salus.workflows.ingest import ingest
from salus.workflows.ingest_fhir import FhirHow, ingest_fhir
from salus.workflows.ingest_tables import ingest_meds, ingest_omop
from tests.small_ward import CODES, SETTINGS, ward
from tests.tiny_source import ingest_tiny

PLAIN = FhirHow(processes=1)


def ward_timeline(folder: Path, *, synthetic: bool, patients: int = 20) -> Path:
    """A ward whose timeline says what its people are."""
    write_timeline(folder, ward(patients), codes=CODES, settings=replace(SETTINGS, synthetic=synthetic))
    return folder


def relabelled(folder: Path, to: Path, *, synthetic: bool) -> Path:
    """The same timeline under the other label."""
    settings = replace(read_settings(folder), synthetic=synthetic)
    write_timeline(to, read_timeline(folder), codes=read_codes(folder), settings=settings)
    return to


def out_fhir(timeline: Path, to: Path, form: str) -> None:
    export_fhir(timeline, to, form=form)


def out_omop(timeline: Path, to: Path, form: str) -> None:
    export_omop(timeline, to, form=form)


def out_meds(timeline: Path, to: Path, form: str) -> None:
    export_meds(timeline, to)


def in_fhir(folder: Path, to: Path) -> None:
    ingest_fhir(folder / "fhir", to, PLAIN, progress=QUIET)


def in_omop(folder: Path, to: Path) -> None:
    where = folder / "omop.duckdb" if (folder / "omop.duckdb").exists() else folder
    ingest_omop(OmopPlace(where=str(where)), to, progress=QUIET)


def in_meds(folder: Path, to: Path) -> None:
    ingest_meds(folder, to, progress=QUIET)


Out, In = Callable[[Path, Path, str], None], Callable[[Path, Path], None]
WAYS: dict[str, tuple[Out, In, str]] = {
    "fhir ndjson": (out_fhir, in_fhir, "ndjson"),
    "fhir bundles": (out_fhir, in_fhir, "bundles"),
    "omop csv": (out_omop, in_omop, "csv"),
    "omop parquet": (out_omop, in_omop, "parquet"),
    "omop duckdb": (out_omop, in_omop, "duckdb"),
    "meds": (out_meds, in_meds, ""),
}
"""Forms in which each resource or row can say it itself."""
EVERY_WAY = (*WAYS, "csv")


def sent_out(way: str, place: Path, *, synthetic: bool) -> tuple[Path, Path]:
    """A timeline and the folder it was exported to, in one of ``EVERY_WAY``."""
    place.mkdir(parents=True, exist_ok=True)
    if way == "csv":
        read, _ = ingest_tiny(place / "source")
        timeline = relabelled(read, place / "timeline", synthetic=synthetic)
        export(timeline, place / "out", like=place / "source" / "source.yaml")
    else:
        timeline = ward_timeline(place / "timeline", synthetic=synthetic)
        out, _, form = WAYS[way]
        out(timeline, place / "out", form)
    return timeline, place / "out"


def read_in(way: str, folder: Path, to: Path) -> Path:
    """Read an exported folder again, as somebody would who got it."""
    if way == "csv":
        ingest(folder.parent / "source" / "source.yaml", to, inputs=folder, progress=QUIET)
    else:
        WAYS[way][1](folder, to)
    return to

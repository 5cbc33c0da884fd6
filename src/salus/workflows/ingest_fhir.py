"""Ingest: FHIR R4 files become a timeline with balanced books, part by part."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from salus.errors import InputEmpty, InputMissing, ViewWrong
from salus.formats.sql_on_fhir.view import read_view
from salus.intake.books import Books
from salus.intake.fhir import FhirReader, shipped_views, views_digest
from salus.intake.fhir_files import LIMITS, Limits, cut, find_files
from salus.intake.fhir_referred import find_referred
from salus.intake.fhir_validated import Validation
from salus.intake.gathering import Gathering
from salus.progress import Progress
from salus.workflows.ingest_parts import PartSource, ingest_parts, read_key, scratch_beside


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirHow:
    """How to read FHIR: the zone of times that name none, a folder of views, the key of pseudonyms, and how much.

    ``validation``: what to do with resources that break the specification.
    """

    zone: str = "UTC"
    views: Path | None = None
    key: Path | None = None
    processes: int | None = None
    limits: Limits = LIMITS
    validation: Validation = Validation.OFF


def ingest_fhir(source: Path, to: Path, how: FhirHow, *, progress: Progress) -> Books:
    """Read a folder of NDJSON and Bundles, or one such file, into the timeline folder ``to``."""
    files, others = find_files(source)
    if not files:
        raise InputEmpty(
            f"'{source.name}' holds no FHIR files ({others.total()} others)",
            where=str(source),
            fix="name a folder with .ndjson or .json files, or the same ending with .gz or .zst",
        )
    views = tuple(_views(how.views).values())
    key = read_key(how.key)
    parts = cut(files)
    with progress.step("Looking up medications"):
        referred = find_referred(parts, how.limits)
    gathering = Gathering(
        reader=FhirReader(views, how.zone, key, referred, how.limits, how.validation),
        folder=scratch_beside(to),
        key=key,
        settings=(
            views_digest([*views, *referred, *map(bytes.hex, referred.values())]),
            how.zone,
            str(how.limits),
            how.validation,
            pl.__version__,
        ),
        processes=how.processes,
    )
    named = PartSource(
        kind="fhir", name=source.name, where=str(source), parts=parts, zone=how.zone, others=others
    )
    return ingest_parts(named, to, gathering, progress=progress)


def _views(folder: Path | None) -> dict[str, str]:
    """The views of a folder, each checked; without one those that Salus comes with. An empty folder gets them."""
    if folder is None:
        return shipped_views()
    if not folder.exists() or not any(folder.iterdir()):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in shipped_views().items():
            (folder / name).write_text(text, encoding="utf-8")
    found = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.json"))}
    if not found:
        raise InputMissing(
            f"'{folder.name}' holds no views",
            where=str(folder),
            fix="name a folder of ViewDefinitions (.json)",
        )
    for name, text in found.items():
        try:
            read_view(json.loads(text))
        except json.JSONDecodeError as error:
            raise ViewWrong(
                f"view '{name}' is no JSON: line {error.lineno}", where=str(folder / name), fix="correct it"
            ) from error
    return found

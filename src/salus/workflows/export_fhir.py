"""Export: a timeline as FHIR R4, in NDJSON or in Bundles, patient by patient."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from salus.outlet.fhir_timeline import FhirWriting
from salus.outlet.fhir_timeline_codes import Meanings
from salus.outlet.fhir_timeline_files import open_sink
from salus.progress import QUIET, Progress
from salus.timeline.folder import whole_folder
from salus.timeline.label import EXPORT_BOOKS
from salus.timeline.store import read_codes
from salus.workflows.export import ExportBooks, say, told_lost
from salus.workflows.export_tables import books_of, checked, look_through, shards

FOLDER = "fhir"
"""Resources lie in a folder of their own: what is beside them is no FHIR."""


def export_fhir(timeline: Path, to: Path, *, form: str = "ndjson", progress: Progress = QUIET) -> ExportBooks:
    """Write ``timeline`` as FHIR R4 into the folder ``to``. ``form``: ndjson or bundles."""
    settings, seen = checked(timeline, to), look_through(timeline, progress)
    codes = read_codes(timeline).select("code", "description").drop_nulls()
    writing = FhirWriting(settings, Meanings(dict(codes.iter_rows())))
    telling = progress.step("Writing FHIR", total=seen.events, unit="events")
    with telling as step, whole_folder(to, mark=EXPORT_BOOKS) as partial:
        (partial / FOLDER).mkdir()
        with open_sink(partial / FOLDER, form) as sink:
            for frame in shards(timeline, step.advance):
                for resources in writing.patients(frame):
                    sink.add(resources)
        made = writing.books
        books = replace(
            books_of(timeline, settings, seen),
            files=dict(sorted(made.resources.items())),
            written=made.written,
            not_expressible=told_lost(made.not_expressible),
            without_known_time=0,
        )
        say(partial, books, settings, f"FHIR R4 ({form})")
    return books

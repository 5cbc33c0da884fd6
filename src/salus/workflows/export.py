"""Export: a timeline becomes the same CSV files that a source came in, and says what it is beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from salus.errors import FolderTaken, JoinNotWritten, NothingToExport, OtherSource
from salus.formats.read_source import read_source
from salus.outlet.csv_files import write_csv_file
from salus.outlet.csv_tables import Export, export_tables
from salus.progress import QUIET, Progress
from salus.timeline.folder import whole_folder
from salus.timeline.label import EXPORT_BOOKS, REAL_MARK, SYNTHETIC_MARK, digest_of, is_completed
from salus.timeline.settings import TimelineSettings
from salus.timeline.store import read_settings, read_timeline, timeline_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportBooks:
    """What was written where: events = written + not expressible.

    ``completed``: events that a model drew into real records. ``digests``: SHA-256 of each file, by which it is known
    again.
    """

    files: dict[str, int]
    patients: int
    events: int
    written: int
    not_expressible: list[dict[str, str | int]]
    rounded: int
    guarded: int
    without_known_time: int
    synthetic: bool
    timeline_digest: str
    source_digest: str
    completed: int = 0
    digests: dict[str, str] = field(default_factory=dict)


def export(timeline: Path, to: Path, *, like: Path, progress: Progress = QUIET) -> ExportBooks:
    """Write ``timeline`` into the folder ``to`` as the CSV files that the source.yaml ``like`` describes."""
    source = read_source(like)
    if to.resolve() == timeline.resolve():
        raise FolderTaken(
            "the output is the timeline itself", where=str(to), fix="choose another folder with --to"
        )
    settings, events = read_settings(timeline), read_timeline(timeline)
    if events.is_empty():
        raise NothingToExport(
            "the timeline has no events", where=str(timeline), fix="ingest or generate one first"
        )
    if settings.anchor and source.anchor and settings.anchor != source.anchor:
        raise OtherSource(
            f"the timeline counts from {settings.anchor}, the source from {source.anchor}",
            where=str(like),
            fix="give the source.yaml that the timeline, or its model's training data, was ingested with",
        )
    for table in source.tables:
        if table.joins:
            raise JoinNotWritten(
                f"table '{table.name}' is read with a join: its rows cannot be parted into those files again",
                where=str(like),
                fix="write another form: salus export --as meds|omop|fhir",
            )
    with progress.step("Writing the source's files", total=len(source.tables) + 1, unit="parts") as step:
        made = export_tables(events, source)
        step.advance()
        digest = timeline_digest(timeline)
        books = _books(made, settings, events["subject_id"].n_unique(), digest, source.digest)
        books = replace(books, completed=events.select(is_completed(pl.col("source")).sum()).item())
        with whole_folder(to, mark=EXPORT_BOOKS) as partial:
            for file in made.files:
                write_csv_file(partial, file)
                step.advance(len(source.tables) / len(made.files))
            say(partial, books, settings, source.title or source.name)
    return books


def say(folder: Path, books: ExportBooks, settings: TimelineSettings, title: str) -> None:
    """Write the books with the digest of every file, and say whose records these are."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    books = replace(books, digests={path.relative_to(folder).as_posix(): digest_of(path) for path in paths})
    (folder / EXPORT_BOOKS).write_text(json.dumps(as_json(books), indent=2) + "\n", encoding="utf-8")
    mark = SYNTHETIC_MARK if settings.synthetic else REAL_MARK
    (folder / mark).write_text(about(books, settings, title), encoding="utf-8")


def _books(
    made: Export, settings: TimelineSettings, patients: int, digest: str, source_digest: str
) -> ExportBooks:
    small = made.not_expressible.drop("patients")
    return ExportBooks(
        files={file.name: file.rows.height for file in made.files},
        patients=patients,
        events=made.events,
        written=made.written,
        not_expressible=told_lost({(code, why): events for code, why, events in small.iter_rows()}),
        rounded=made.rounded,
        guarded=made.guarded,
        without_known_time=made.without_known_time,
        synthetic=settings.synthetic,
        timeline_digest=digest,
        source_digest=source_digest,
    )


def told_lost(lost: Mapping[tuple[str, str], int]) -> list[dict[str, str | int]]:
    """What a form cannot say, by code and reason, for the books."""
    return [{"code": code, "reason": why, "events": events} for (code, why), events in sorted(lost.items())]


def as_json(books: ExportBooks) -> dict[str, object]:
    """The books as they are stored."""
    return {name: getattr(books, name) for name in books.__slots__}


def about(books: ExportBooks, settings: TimelineSettings, title: str) -> str:
    """Say whose records these are, what made them, and what the form could not say."""
    head = (
        "SYNTHETIC DATA. No row in these files is a real person's. Made by a model; not for clinical use."
        if books.synthetic
        else "These files hold the records of REAL PATIENTS, written from a timeline."
    )
    made_of = "Model digest" if books.synthetic else "Digest of the source form first read"
    lines = [
        head,
        "",
        f"What: {settings.name}",
        f"In the form of: {title}",
        f"Timeline digest (sha256): {books.timeline_digest}",
        f"{made_of} (sha256): {settings.source_digest}",
        f"Splits: {settings.splits}",
        f"Licence of the source: {settings.licence or 'see the source'}",
        "",
        f"Patients: {books.patients}. Events: {books.events} = {books.written} written"
        f" + {books.events - books.written} that this form cannot say.",
        *(f"  {row['code']}: {row['events']} ({row['reason']})" for row in books.not_expressible),
        *(
            [f"COMPLETED: {books.completed} events were not recorded: a model drew them into these records."]
            if books.completed
            else []
        ),
        f"Times and ages written in whole units of the source, so less exactly: {books.rounded}.",
        "Subject ids are numbers of this population only.",
    ]
    return "\n".join(lines) + "\n"

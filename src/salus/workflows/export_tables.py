"""Export: a timeline as the tables of OMOP 5.4, or as a MEDS data set without its sources, shard by shard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from salus.errors import FolderTaken, NothingToExport
from salus.formats.omop_codes import Concept
from salus.intake.omop import read_concepts
from salus.outlet.omop import Contents, open_writer, write_omop
from salus.outlet.omop_places import concepts_named
from salus.outlet.omop_rows import highest_ids
from salus.progress import QUIET, Progress
from salus.timeline.columns import SPLITS
from salus.timeline.folder import whole_folder
from salus.timeline.label import COMPLETED, DRAWN, EXPORT_BOOKS, is_completed
from salus.timeline.settings import TimelineSettings
from salus.timeline.store import read_codes, read_settings, read_shards, timeline_digest, write_into
from salus.workflows.export import ExportBooks, say, told_lost

SYNTHETIC_NAME = "SYNTHETIC: "


@dataclass(slots=True)
class Seen:
    """What a first pass over a timeline's shards finds."""

    events: int = 0
    patients: int = 0
    known_later: int = 0
    completed: int = 0
    codes: set[str] = field(default_factory=set)
    units: set[str] = field(default_factory=set)
    highest: dict[str, int] = field(default_factory=dict)


def export_omop(
    timeline: Path, to: Path, *, form: str = "csv", vocabulary: Path | None = None, progress: Progress = QUIET
) -> ExportBooks:
    """Write ``timeline`` as OMOP tables; ``vocabulary``: a folder with the concepts' ids, for codes that tell none."""
    settings, seen = checked(timeline, to), look_through(timeline, progress)
    contents = Contents(
        codes=read_codes(timeline),
        met=sorted(seen.codes),
        units=sorted(seen.units),
        highest=seen.highest,
        settings=settings,
        known=_known(seen, vocabulary) if vocabulary else {},
    )
    writing = progress.step("Writing OMOP tables", total=seen.events, unit="events")
    with writing as step, whole_folder(to, mark=EXPORT_BOOKS) as partial:
        with open_writer(partial, form) as writer:
            made = write_omop(shards(timeline, step.advance), contents, writer)
        books = replace(
            books_of(timeline, settings, seen),
            files=dict(made.rows),
            written=made.written,
            not_expressible=told_lost(made.not_expressible),
        )
        say(partial, books, settings, f"OMOP CDM 5.4 ({form})")
    return books


def export_meds(timeline: Path, to: Path, *, progress: Progress = QUIET) -> ExportBooks:
    """Write ``timeline`` as a MEDS data set that does not say which row of the source an event comes from.

    The column ``source`` says of each row that a model drew it, where one did.
    """
    settings, seen = checked(timeline, to), look_through(timeline, progress)
    name = settings.name
    if settings.synthetic and not name.startswith(SYNTHETIC_NAME):
        name = f"{SYNTHETIC_NAME}{name}"
    writing = progress.step("Writing MEDS", total=seen.events, unit="events")
    with writing as step, whole_folder(to, mark=EXPORT_BOOKS) as partial:
        frames = (_label_alone(frame, settings) for frame in shards(timeline, step.advance))
        write_into(partial, frames, codes=read_codes(timeline), settings=replace(settings, name=name))
        books = replace(books_of(timeline, settings, seen), files={"data": seen.events}, without_known_time=0)
        say(partial, books, settings, "MEDS 0.4")
    return books


def _label_alone(frame: pl.DataFrame, settings: TimelineSettings) -> pl.DataFrame:
    """Of what each row's source says only whether a model drew it."""
    drawn = pl.lit(DRAWN if settings.synthetic else None, dtype=pl.String)
    return frame.with_columns(
        source=pl.when(is_completed(pl.col("source"))).then(pl.lit(COMPLETED)).otherwise(drawn)
    )


def checked(timeline: Path, to: Path) -> TimelineSettings:
    """What the timeline says of itself; ``to`` is another folder."""
    if to.resolve() == timeline.resolve():
        raise FolderTaken(
            "the output is the timeline itself", where=str(to), fix="choose another folder with --to"
        )
    return read_settings(timeline)


def shards(timeline: Path, tell: Callable[[float], None]) -> Iterator[pl.DataFrame]:
    """All events with their split, shard by shard; ``tell`` hears how many."""
    for split in SPLITS:
        for frame in read_shards(timeline, split):
            yield frame.with_columns(split=pl.lit(split))
            tell(frame.height)


def look_through(timeline: Path, progress: Progress) -> Seen:
    """Go through all events once."""
    seen = Seen()
    with progress.step("Looking through the timeline", unit="events") as step:
        for frame in shards(timeline, step.advance):
            seen.events += frame.height
            seen.patients += frame["subject_id"].n_unique()
            seen.known_later += int((frame["known_time"] != frame["time"]).sum())
            seen.completed += int(frame.select(is_completed(pl.col("source")).sum()).item())
            seen.codes.update(frame["code"].unique())
            seen.units.update(frame["unit"].drop_nulls().unique())
            for table, highest in highest_ids(frame).items():
                seen.highest[table] = max(highest, seen.highest.get(table, highest))
    if not seen.events:
        raise NothingToExport(
            "the timeline has no events", where=str(timeline), fix="ingest or generate one first"
        )
    return seen


def _known(seen: Seen, vocabulary: Path) -> dict[str, Concept]:
    named = {part for code in seen.codes for part in concepts_named(code)}
    with TemporaryDirectory() as scratch:
        return read_concepts(vocabulary, named | {f"UCUM//{unit}" for unit in seen.units}, Path(scratch))


def books_of(timeline: Path, settings: TimelineSettings, seen: Seen) -> ExportBooks:
    """Books in which everything is written; what is known later than it happened has no column in OMOP."""
    return ExportBooks(
        files={},
        patients=seen.patients,
        events=seen.events,
        written=seen.events,
        not_expressible=[],
        rounded=0,
        guarded=0,
        without_known_time=seen.known_later,
        synthetic=settings.synthetic,
        timeline_digest=timeline_digest(timeline),
        source_digest=settings.source_digest,
        completed=seen.completed,
    )

"""Ingest: an OMOP source or a MEDS data set becomes a timeline with balanced books, without being held in memory."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import polars as pl

from salus.errors import (
    BooksUnbalanced,
    FolderTaken,
    InputEmpty,
    InputMissing,
    InputUnreadable,
    OtherSourceThere,
    TimelineBroken,
)
from salus.formats.read_source import DEFAULT_SPLITS
from salus.intake.books import Books, TableBooks, check_books
from salus.intake.meds import MedsRead, read_meds
from salus.intake.omop import open_omop, read_omop
from salus.intake.omop_place import OmopPlace, scratch_database
from salus.intake.omop_postgres import shown
from salus.intake.splits import describe_rule, split_by_hash
from salus.intake.verdicts import count_by
from salus.progress import Progress, Step
from salus.timeline.folder import check_replaceable, whole_folder
from salus.timeline.label import Beside, is_synthetic, read_beside
from salus.timeline.settings import TimelineSettings
from salus.timeline.store import SETTINGS_FILE, read_settings, write_books, write_into

SCRATCH = ".scratch"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineRead:
    """What a reader gives, whatever it read."""

    events: Iterable[pl.DataFrame]
    codes: pl.DataFrame
    rejected: pl.DataFrame
    tables: tuple[TableBooks, ...]
    settings: TimelineSettings
    noted: Mapping[str, Mapping[str, int]]
    splits: pl.DataFrame | None = None


def check_same_source(to: Path, name: str) -> None:
    """Refuse to replace the timeline of another source (SAL-120); one of the same name is written anew.

    What cannot be read as a timeline any more holds nothing that could be lost.
    """
    try:
        held = read_settings(to).name if (to / SETTINGS_FILE).exists() else name
    except TimelineBroken:
        return
    if held and held != name:
        raise OtherSourceThere(
            f"'{to.name}' holds the timeline of another source, and it would be replaced",
            where=str(to),
            fix="name another folder with --to; to read several exports as one source, put them into one folder; "
            "to be rid of the old timeline, remove it first",
        )


def ingest_omop(place: OmopPlace, to: Path, *, progress: Progress) -> Books:
    """Read an OMOP source into the timeline folder ``to``."""
    check_replaceable(to, mark=SETTINGS_FILE)
    with whole_folder(to, mark=SETTINGS_FILE) as partial, scratch_in(partial) as scratch:
        source = open_omop(place, scratch)
        try:
            read = read_omop(source, place, progress=progress)
            check_same_source(to, read.name)
            beside, label = read_beside(Path(place.where)), read.label
            said = True if label.said else (None if beside is None else beside.synthetic)
            settings = TimelineSettings(
                name=read.name,
                synthetic=is_synthetic(said, marked=label.marked, of=label.people, where=shown(place.where)),
                origins=origins_of(beside),
                zone=place.zone,
                assumed_known_time=read.assumed_known_time,
                source_digest=_digest(
                    "omop", place.zone, *(f"{table.name} {table.read}" for table in read.tables)
                ),
            )
            return write_read(
                partial,
                TimelineRead(
                    events=read.events,
                    codes=read.codes,
                    rejected=read.rejected,
                    tables=read.tables,
                    settings=settings,
                    noted=read.noted,
                ),
                where=shown(place.where),
                progress=progress,
            )
        finally:
            source.db.close()


def ingest_meds(folder: Path, to: Path, *, key: bytes = b"", processes: int = 1, progress: Progress) -> Books:
    """Read a MEDS data set into the timeline folder ``to``; a synthetic one stays marked so."""
    check_replaceable(to, mark=SETTINGS_FILE)
    if not folder.is_dir():
        raise InputMissing(
            f"there is no folder '{folder.name}'", where=str(folder), fix="name a MEDS data set"
        )
    if folder.resolve() == to.resolve():
        raise FolderTaken(
            "the output is the data set itself", where=str(to), fix="choose another folder with --to"
        )
    with whole_folder(to, mark=SETTINGS_FILE) as partial, scratch_in(partial) as scratch:
        db = scratch_database(scratch, processes=processes)
        try:
            read = read_meds(folder, db, key=key, progress=progress)
            beside = read_beside(folder)
            check_same_source(to, read.settings.name or folder.name)
            settings = replace(
                read.settings,
                synthetic=_meds_label(read, beside, str(folder)),
                origins=read.settings.origins or origins_of(beside),
                name=read.settings.name or folder.name,
                assumed_known_time=read.settings.assumed_known_time + read.assumed_known_time,
                source_digest=read.settings.source_digest or _digest("meds", str(read.books.read)),
            )
            return write_read(
                partial,
                TimelineRead(
                    events=read.events,
                    codes=read.codes,
                    rejected=read.rejected,
                    tables=(read.books,),
                    settings=settings,
                    noted=read.noted,
                    splits=read.splits,
                ),
                where=str(folder),
                progress=progress,
            )
        finally:
            db.close()


def _meds_label(read: MedsRead, beside: Beside | None, where: str) -> bool:
    """A data set of ours says it itself; else what lies beside it, or its rows."""
    if read.settings.synthetic and not 0 < read.marked < read.could_be_marked:
        return True
    said = None if beside is None else beside.synthetic
    return is_synthetic(said, marked=read.marked, of=read.could_be_marked, where=where)


def origins_of(beside: Beside | None) -> tuple[str, ...]:
    """The digest of the timeline that files were exported from."""
    return (beside.timeline,) if beside is not None and beside.timeline else ()


@contextmanager
def scratch_in(folder: Path) -> Iterator[Path]:
    """A folder for copies and sorts that is gone at the end, however it ends."""
    scratch = folder / SCRATCH
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_read(folder: Path, read: TimelineRead, *, where: str, progress: Progress) -> Books:
    """Write the events as they come, then the books; a job whose books do not balance fails."""
    kept = sum(table.events for table in read.tables)
    if not kept:
        raise _nothing(read, where)
    patients: Counter[str] = Counter()
    settings = replace(read.settings, splits=_how_split(read))
    with progress.step("Sorting and writing events", total=kept, unit="events") as step:
        frames = _with_splits(read, patients, step)
        try:
            write_into(folder, frames, codes=read.codes, settings=settings, rejected=read.rejected)
        except duckdb.Error as error:
            raise InputUnreadable(
                f"the rows cannot be read to the end ({type(error).__name__})",
                where=where,
                fix="see that the source is whole and the disk of the output has space, then run it again",
            ) from error
    books = Books(
        tables=read.tables,
        reasons=count_by(read.rejected["reason"]),
        patients=dict(sorted(patients.items())),
        assumed_known_time=settings.assumed_known_time,
        noted={name: dict(counts) for name, counts in read.noted.items()},
    )
    check_books(books, read.rejected)
    write_books(folder, books.as_json())
    return books


def _with_splits(read: TimelineRead, patients: Counter[str], step: Step) -> Iterator[pl.DataFrame]:
    """Each frame with its subjects' splits: as the source says, else by hash; ``patients`` are counted on the way."""
    seen = 0
    for frame in read.events:
        subjects = frame.select(pl.col("subject_id").unique(maintain_order=True))
        by_hash = split_by_hash(subjects["subject_id"], DEFAULT_SPLITS)
        if read.splits is None:
            told = subjects.with_columns(by_hash.alias("split"))
        else:
            told = subjects.join(read.splits, on="subject_id", how="left", maintain_order="left")
            told = told.with_columns(pl.col("split").fill_null(by_hash))
        patients.update(count_by(told["split"]))
        seen += frame.height
        step.advance(frame.height)
        yield frame.with_columns(told["split"].gather(frame["subject_id"].rle_id()))
    expected = sum(table.events for table in read.tables)
    if seen != expected:
        raise BooksUnbalanced(
            f"{expected} events were counted and {seen} written",
            where="salus.workflows.ingest_tables",
            fix="this is a defect of Salus: report it with these two numbers",
        )


def _nothing(read: TimelineRead, where: str) -> InputEmpty:
    rows = sum(table.read for table in read.tables)
    often = f"; most often: {read.rejected['reason'].mode().sort()[0]}" if read.rejected.height else ""
    return InputEmpty(
        f"no row was kept of {rows}{often}", where=where, fix="check that the tables hold rows of patients"
    )


def _how_split(read: TimelineRead) -> str:
    by_hash = describe_rule(DEFAULT_SPLITS)
    return by_hash if read.splits is None else f"as the source says; who is not listed by {by_hash}"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()

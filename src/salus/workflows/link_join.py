"""Join the timelines of several systems under the links that stand now."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from salus.errors import FolderTaken, SourceValueError
from salus.formats.read_source import DEFAULT_SPLITS
from salus.intake.omop_place import scratch_database
from salus.intake.splits import describe_rule, split_by_hash
from salus.intake.whole_patients import whole_patients
from salus.linkage.declaration import Declaration, read_declaration
from salus.linkage.joining import JoinTally, joined_codes, joined_rows, joined_settings, told_once
from salus.linkage.ledger import ledger_digest, read_ledger
from salus.linkage.links import people_count, people_now, person_numbers
from salus.linkage.pairs import Record
from salus.progress import Progress
from salus.timeline.folder import check_replaceable, whole_folder
from salus.timeline.store import (
    SETTINGS_FILE,
    read_codes,
    read_settings,
    read_splits,
    timeline_digest,
    write_books,
    write_into,
)
from salus.workflows.ingest_parts import read_key
from salus.workflows.ingest_tables import scratch_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """The books of a join: events by system read and kept, people by records, and people of whom systems disagree."""

    read: dict[str, int]
    kept: dict[str, int]
    people: dict[int, int]
    disagree: dict[str, int]
    ledger: str

    @property
    def told_again(self) -> int:
        """Events that another system had told already."""
        return sum(self.read.values()) - sum(self.kept.values())

    def as_json(self) -> dict[str, object]:
        """The books as they are stored and printed."""
        return {
            "read": sum(self.read.values()),
            "kept": sum(self.kept.values()),
            "told_by_several_systems": self.told_again,
            "systems": {
                name: {"read": count, "kept": self.kept.get(name, 0)} for name, count in self.read.items()
            },
            "people_by_records": {str(size): count for size, count in self.people.items()},
            "people_with_two": self.disagree,
            "ledger": self.ledger,
        }


def join(path: Path, to: Path, *, progress: Progress) -> Joined:
    """Write the timelines that a LINK.yaml names as one into the folder ``to``, made anew from the links each time."""
    told = read_declaration(path)
    timelines = _timelines(told, to)
    check_replaceable(to, mark=SETTINGS_FILE)
    records = [
        Record(name, subject)
        for name, folder in timelines.items()
        for subject in read_splits(folder)["subject_id"]
    ]
    numbers = person_numbers(records, people_now(read_ledger(told.folder)), read_key(told.key))
    settings = joined_settings({name: read_settings(folder) for name, folder in timelines.items()})
    origins = tuple(timeline_digest(folder) for folder in timelines.values())
    settings = replace(
        settings,
        splits=describe_rule(DEFAULT_SPLITS, of="person"),
        source_digest=_digest(timelines, origins, told),
        origins=origins,
    )
    tally = JoinTally()
    with whole_folder(to, mark=SETTINGS_FILE) as partial, scratch_in(partial) as scratch:
        db = scratch_database(scratch)
        try:
            with progress.step("Joining timelines"):
                frames = _with_splits(whole_patients(joined_rows(db, timelines, numbers)), tally)
                codes = joined_codes([read_codes(folder) for folder in timelines.values()])
                write_into(partial, frames, codes=codes, settings=settings)
        finally:
            db.close()
        joined = Joined(
            read=dict(sorted(tally.read.items())),
            kept=dict(sorted(tally.kept.items())),
            people=people_count(numbers),
            disagree=dict(tally.disagree),
            ledger=ledger_digest(told.folder),
        )
        write_books(partial, joined.as_json())
    return joined


def _timelines(told: Declaration, to: Path) -> dict[str, Path]:
    found = {one.name: one.timeline for one in told.systems if one.timeline is not None}
    if len(found) < 2:
        raise SourceValueError(
            "fewer than two systems have a 'timeline'",
            where=told.path.name,
            fix="say for each system where `salus ingest` wrote its timeline: 'timeline: DIR'",
        )
    if to.resolve() in {folder.resolve() for folder in found.values()}:
        raise FolderTaken(
            "the joined timeline would replace that of a system", where=str(to), fix="name another folder"
        )
    return dict(sorted(found.items()))


def _with_splits(frames: Iterator[pl.DataFrame], tally: JoinTally) -> Iterator[pl.DataFrame]:
    for people in frames:
        once = told_once(people, tally)
        yield once.with_columns(split_by_hash(once["subject_id"], DEFAULT_SPLITS).alias("split"))


def _digest(timelines: Mapping[str, Path], origins: tuple[str, ...], told: Declaration) -> str:
    parts = [f"{name} {digest}" for name, digest in zip(timelines, origins, strict=True)]
    return hashlib.sha256("\n".join([*parts, ledger_digest(told.folder)]).encode()).hexdigest()

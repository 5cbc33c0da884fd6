"""Read HL7 v2 messages from files or a listener's journal: every segment becomes events, or a rejection that says why.

Two passes, neither of which holds the data: one reads messages into parts on disk, by patient; one takes each part,
leaves out what was told twice, and gives the events in order. Merges are known after the first, so that the events of
all a patient's numbers come out under the one that survived, whatever the order of the files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from salus.at_rest.files import read_private_parquet, write_private_parquet
from salus.errors import InputUnreadable
from salus.intake.books import TableBooks
from salus.intake.hl7v2_batches import BatchRead, read_batch
from salus.intake.hl7v2_files import Hl7v2File
from salus.intake.hl7v2_once import as_survivors, changed_traits, last_traits, told_once, traits_once
from salus.intake.hl7v2_people import MERGE_COLUMNS, TRAIT_COLUMNS, survivors
from salus.intake.hl7v2_segments import segment_batches
from salus.intake.parts import CodeMet
from salus.progress import Progress
from salus.timeline.columns import BIRTH, DEATH, REJECTED_COLUMNS, fit_columns

ROWS_A_PART = 400_000
TRAITS_HELD = 200_000
"""Rows about patients that wait before what was told twice is left out of them."""
PEOPLE = "PID"
BROKEN_FILE = "the file is cut short, or not compressed as its name says: what came before is kept"
ROLES = {BIRTH: "birth", DEATH: "death"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hl7v2Read:
    """All that came of a source. ``events`` are sorted, and can be gone through once, while the scratch folder is."""

    events: Iterator[pl.DataFrame]
    codes: Mapping[str, CodeMet]
    units: Mapping[str, Counter[str]]
    rejected: pl.DataFrame
    tables: tuple[TableBooks, ...]
    noted: Mapping[str, Mapping[str, int]]
    assumed_known_time: int


@dataclass(slots=True)
class _Tally:
    """What is counted on the way."""

    read: Counter[str] = field(default_factory=Counter)
    rejected: list[pl.DataFrame] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    words: dict[str, str] = field(default_factory=dict)
    noted: dict[str, Counter[str]] = field(default_factory=dict)
    traits: list[pl.DataFrame] = field(default_factory=list)
    merges: list[pl.DataFrame] = field(default_factory=list)
    kinds: list[str] = field(default_factory=lambda: [PEOPLE])
    compact: int = TRAITS_HELD

    def add(self, batch: BatchRead, file: str) -> pl.DataFrame:
        """Count a batch, and give its facts with the number of their kind."""
        frames = []
        for facts in batch.facts:
            if facts.kind not in self.kinds:
                self.kinds.append(facts.kind)
            number = self.kinds.index(facts.kind)
            frames.append(facts.facts.with_columns(kind=pl.lit(number, dtype=pl.UInt8)))
            self._count(facts.kind, facts.read, facts.rejected, file)
            self._note(facts.kind, facts.counts)
            self._describe(facts.words)
        people = batch.people
        self._count(PEOPLE, people.read, people.rejected, file)
        self._note(PEOPLE, people.counts)
        self._describe(people.words)
        self._count("MSH", batch.messages + batch.troubles.height, batch.troubles, file)
        for name, counts in batch.noted.items():
            self._note(name, counts)
        self.traits.append(people.traits)
        if sum(told.height for told in self.traits) > 2 * self.compact:
            self.traits = [traits_once(pl.concat(self.traits))]
            self.compact = max(self.compact, self.traits[0].height)
        self.merges.append(people.merges)
        return pl.concat(frames)

    def _describe(self, words: Mapping[str, str]) -> None:
        """Of several descriptions of a code take the first by letters, so that the order of files changes nothing."""
        for code, text in words.items():
            self.words[code] = min(text, self.words.get(code, text))

    def _count(self, kind: str, read: int, rejected: pl.DataFrame, file: str) -> None:
        self.read[kind] += read
        self.refused[kind] += rejected.height
        if rejected.height:
            self.rejected.append(rejected.select(pl.lit(file).alias("file"), "line", "column", "reason"))

    def cut_short(self, file: str) -> None:
        """Count a file that ends before its end, or is not packed as its name says: the others are read."""
        self.read["file"] += 1
        self.refused["file"] += 1
        row = {"file": [file], "line": [0], "column": [""], "reason": [BROKEN_FILE]}
        self.rejected.append(pl.DataFrame(row, schema=REJECTED_COLUMNS))

    def _note(self, name: str, counts: Mapping[str, int]) -> None:
        if counts:
            self.noted.setdefault(name, Counter()).update(counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How to read: the zone of times that name no offset, neither themselves nor their message; the key of pseudonyms.

    ``rows``: rows of one part, which are held in memory together.
    """

    zone: str = "UTC"
    key: bytes = b""
    rows: int = ROWS_A_PART


def read_hl7v2(files: list[Hl7v2File], scratch: Path, how: How, *, progress: Progress) -> Hl7v2Read:
    """Read all files; ``scratch`` is an empty folder for rows on their way."""
    tally, written = _Tally(), _Parts(scratch, how.rows)
    for file in files:
        with progress.step("Reading messages", unit="segments") as step:
            try:
                with file.open() as stream:
                    for segments in segment_batches(stream):
                        batch = read_batch(segments, zone=how.zone, key=how.key)
                        written.add(tally.add(batch, file.name))
                        step.advance(segments.rows.height)
            except InputUnreadable:
                tally.cut_short(file.name)
    return _finish(tally, written)


def _finish(tally: _Tally, written: _Parts) -> Hl7v2Read:
    merges = pl.concat(tally.merges or [pl.DataFrame(schema=MERGE_COLUMNS)]).unique()
    merges = merges.sort("said", "control", "old", "new", nulls_last=False)
    became = survivors(merges.select("old", "new").iter_rows())
    traits = pl.concat(tally.traits or [pl.DataFrame(schema=TRAIT_COLUMNS)])
    traits = traits.with_columns(as_survivors(traits["subject"], became).alias("subject"))
    parts = written.ordered(traits, became)
    counted = _count_events(parts)
    if changes := changed_traits(traits):
        tally.noted.setdefault(PEOPLE, Counter())["told otherwise later"] += changes
    if became:
        tally.noted.setdefault(PEOPLE, Counter())["patients merged into another"] += len(became)
    rejected = pl.concat(tally.rejected) if tally.rejected else pl.DataFrame(schema=REJECTED_COLUMNS)
    tables = tuple(
        TableBooks(
            name=kind,
            read=read,
            kept=read - tally.refused[kind],
            rejected=tally.refused[kind],
            events=counted.events.get(tally.kinds.index(kind), 0) if kind in tally.kinds else 0,
        )
        for kind, read in sorted(tally.read.items())
        if read
    )
    assumed = tally.noted.get("OBX", Counter())["known time assumed"]
    return Hl7v2Read(
        events=(frame.drop("kind") for frame in parts()),
        codes={code: _met(code, tally.words) for code in sorted(counted.codes)},
        units=counted.units,
        rejected=fit_columns(rejected.sort("file", "line", "column"), REJECTED_COLUMNS, what="rejections"),
        tables=tables,
        noted={name: dict(sorted(counts.items())) for name, counts in sorted(tally.noted.items())},
        assumed_known_time=assumed,
    )


@dataclass(slots=True)
class _Counted:
    """Events of each kind, the codes, and how often each unit stands beside each of them."""

    events: Counter[int] = field(default_factory=Counter)
    codes: set[str] = field(default_factory=set)
    units: dict[str, Counter[str]] = field(default_factory=dict)


def _count_events(parts: Callable[[], Iterator[pl.DataFrame]]) -> _Counted:
    """Go through all events once and count."""
    counted = _Counted()
    for frame in parts():
        counted.events.update(dict(frame["kind"].value_counts().iter_rows()))
        for code, unit, count in frame.group_by("code", "unit").len().iter_rows():
            counted.codes.add(code)
            if unit is not None:
                counted.units.setdefault(code, Counter())[unit] += count
    return counted


def _met(code: str, words: Mapping[str, str]) -> CodeMet:
    """What is known of a code: its words, its role, and what it is a kind of."""
    return CodeMet(words.get(code) or code, parents=_parents(code), role=ROLES.get(code, "event"))


def _parents(code: str) -> tuple[str, ...]:
    """An answer is a kind of what its question asks."""
    question, _, answer = code.rpartition("//")
    return (question,) if "//" in question and ":" in answer else ()


class _Parts:
    """Facts on disk, as they come; and in order of patient, a range of numbers at a time."""

    def __init__(self, folder: Path, rows: int) -> None:
        self.folder, self.rows, self.count, self.height = folder, rows, 0, 0
        self.waiting: list[pl.DataFrame] = []
        self.held = 0

    def add(self, facts: pl.DataFrame) -> None:
        """Take more facts; enough of them are written."""
        self.waiting.append(facts)
        self.held += facts.height
        self.height += facts.height
        if self.held >= self.rows:
            self._write()

    def _write(self) -> None:
        if self.waiting:
            path = self.folder / f"{self.count:06d}.parquet"
            write_private_parquet(pl.concat(self.waiting), path, scratch=True)
            self.count, self.waiting, self.held = self.count + 1, [], 0

    def ordered(
        self, traits: pl.DataFrame, became: Mapping[int, int]
    ) -> Callable[[], Iterator[pl.DataFrame]]:
        """Frames in order of patient and time, told once; they can be gone through again and again."""
        self._write()
        ranges = max(1, -(-self.height // self.rows))
        folders = [self.folder / f"by-patient-{number:05d}" for number in range(ranges)]
        for folder in folders:
            folder.mkdir()
        for path in sorted(self.folder.glob("*.parquet")):
            rows = read_private_parquet(path)
            rows = rows.with_columns(as_survivors(rows["subject"], became).alias("subject"))
            for (number,), part in rows.group_by(_range(pl.col("subject"), ranges)):
                write_private_parquet(part, folders[int(str(number))] / path.name, scratch=True)
            path.unlink()

        def go() -> Iterator[pl.DataFrame]:
            for number, folder in enumerate(folders):
                mine = traits.filter(_range(pl.col("subject"), ranges) == number)
                paths = sorted(folder.glob("*.parquet"))
                facts = [told_once(pl.concat(map(read_private_parquet, paths)))] if paths else []
                frame = pl.concat([last_traits(mine), *facts])
                order = ("subject_id", "time", "code", "known_time", "source", "numeric_value", "text_value")
                if frame.height:
                    yield frame.sort(*order, nulls_last=False)

        return go


def _range(subject: pl.Expr, ranges: int) -> pl.Expr:
    """Which of equal ranges of all numbers a patient's lies in: numbers are spread evenly, for they are hashes."""
    return (subject.cast(pl.Float64) / 2.0**63 * ranges).floor().cast(pl.Int64).clip(0, ranges - 1)

"""Gather what readers give: every part is read once, its rows lie on disk by ranges of patients, and it is remembered.

The contract of parts and readers is in :mod:`salus.intake.parts`. How many ranges there are follows from the size of
the source alone, and a part's rows are the same whoever reads it: so the timeline is the same, to the byte, however
many processes read.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import polars as pl

from salus.at_rest.files import read_private_parquet, write_private_parquet
from salus.compute.spreading import spread_jobs
from salus.intake.parts import (
    CodeMet,
    Counted,
    Part,
    PartRead,
    Reader,
    added,
    fit_part,
)
from salus.progress import Progress
from salus.timeline.columns import REJECTED_COLUMNS
from salus.timeline.subjects import subject_numbers

RANGE_BYTES = 192 << 20
"""Bytes of source whose rows are sorted together: about 200,000 events, some tens of megabytes."""
MOST_RANGES = 1024
ROWS_WRITTEN = 400_000
"""Rows of one part that wait in memory before they are written."""
DONE, REJECTIONS, ISSUES = "done.json", "rejected.parquet", "issues.parquet"
PIECE, RANGE = "piece", "\x1frange"
SPREAD_OVER = 2.0**63


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathering:
    """How to gather: the reader, the key of pseudonyms, and what else a part's rows depend on (``settings``)."""

    reader: Reader
    folder: Path
    key: bytes = b""
    settings: tuple[str, ...] = ()
    processes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What lies on disk, and what was counted. ``pieces``: folders of finished parts, in order of parts.

    ``lines_before``: how many lines of its file are before each part.
    """

    pieces: tuple[Path, ...]
    lines_before: tuple[int, ...]
    ranges: int
    codes: Mapping[str, CodeMet]
    rejected: pl.DataFrame
    counted: Mapping[str, Counted]
    noted: Mapping[str, Mapping[str, int]]
    issues: pl.DataFrame
    skipped: int = 0


def gather(parts: Sequence[Part], how: Gathering, *, progress: Progress) -> Gathered:
    """Read all parts that are not finished yet; what is finished is taken as it is. A part named twice is read once."""
    parts = list(dict.fromkeys(parts))
    ranges = ranges_for(sum(part.all_bytes for part in parts))
    key = how.key.hex()
    folders = [how.folder / part.digest(*how.settings, key, str(ranges)) for part in parts]
    waiting = [
        _Work(part, folder)
        for part, folder in zip(parts, folders, strict=True)
        if not (folder / DONE).exists()
    ]
    skipped = len(parts) - len(waiting)
    how.folder.mkdir(parents=True, exist_ok=True)
    total = sum(work.part.all_bytes for work in waiting)
    work = partial(_read_part, reader=how.reader, key=how.key, ranges=ranges)
    with progress.step("Reading parts", total=total or None, unit="bytes") as step:
        for done, _ in zip(waiting, spread_jobs(work, waiting, processes=how.processes), strict=True):
            step.advance(done.part.all_bytes)  # files are named after patients often enough
    return _summed(parts, tuple(folders), ranges, skipped)


def ranges_for(size: int) -> int:
    """Into how many ranges the patients of a source of so many bytes are cut.

    >>> ranges_for(1), ranges_for(1 << 30)
    (1, 6)
    """
    return min(max(1, -(-size // RANGE_BYTES)), MOST_RANGES)


@dataclass(frozen=True, slots=True)
class _Work:
    """One part and the folder of its rows."""

    part: Part
    folder: Path


def _read_part(work: _Work, *, reader: Reader, key: bytes, ranges: int) -> None:
    """Read one part into its folder; the folder gets its name when it is whole."""
    partial_folder = work.folder.with_name(work.folder.name + ".partial")
    shutil.rmtree(partial_folder, ignore_errors=True)
    partial_folder.mkdir(parents=True)
    written = _Pieces(partial_folder, ranges)
    tally = _Tally()
    for found in reader(work.part):
        read = fit_part(found)
        tally.add(read)
        if read.events.is_empty():
            continue
        subjects = subject_numbers(read.events["patient"], key).alias("subject_id")
        written.add(read.events.drop("patient").insert_column(0, subjects))
    written.close()
    write_private_parquet(tally.rejected(), partial_folder / REJECTIONS)
    write_private_parquet(tally.issues(), partial_folder / ISSUES)
    (partial_folder / DONE).write_text(json.dumps(tally.as_json()), encoding="utf-8")
    partial_folder.rename(work.folder)


class _Pieces:
    """Rows of one part, put on disk by range of patients as they come."""

    def __init__(self, folder: Path, ranges: int) -> None:
        self.folder, self.ranges = folder, ranges
        self.waiting: list[pl.DataFrame] = []
        self.held = self.count = 0

    def add(self, rows: pl.DataFrame) -> None:
        """Take more rows; enough of them are written."""
        self.waiting.append(rows)
        self.held += rows.height
        if self.held >= ROWS_WRITTEN:
            self.close()

    def close(self) -> None:
        """Write what still waits."""
        rows = pl.concat(self.waiting) if self.waiting else None
        self.waiting, self.held = [], 0
        if rows is None or rows.is_empty():
            return
        for number, part in _by_range(rows, self.ranges):
            write_private_parquet(part, piece_path(self.folder, number, self.count), scratch=True)
        self.count += 1


def _by_range(rows: pl.DataFrame, ranges: int) -> Iterator[tuple[int, pl.DataFrame]]:
    if ranges == 1:
        yield 0, rows
        return
    told = rows.with_columns(range_of(pl.col("subject_id"), ranges).alias(RANGE))
    parts = told.partition_by(RANGE, as_dict=True, include_key=False, maintain_order=True)
    for (number,), part in parts.items():
        yield int(str(number)), part


def range_of(subject: pl.Expr, ranges: int) -> pl.Expr:
    """Which of equal ranges a patient's number lies in: numbers are spread evenly, for they are hashes."""
    return (subject.cast(pl.Float64) / SPREAD_OVER * ranges).floor().cast(pl.Int64).clip(0, ranges - 1)


def piece_path(folder: Path, number: int, count: int) -> Path:
    """Where the rows of a range lie that a part wrote at its ``count``-th time."""
    return folder / f"{PIECE}-{number:05d}-{count:05d}.parquet"


def pieces_of(gathered: Gathered, number: int) -> list[tuple[Path, int]]:
    """All files of one range, in order of parts and of rows in them, each with the lines before its part."""
    return [
        (path, before)
        for folder, before in zip(gathered.pieces, gathered.lines_before, strict=True)
        for path in sorted(folder.glob(f"{PIECE}-{number:05d}-*.parquet"))
    ]


@dataclass(slots=True)
class _Tally:
    """Codes, rejections and counts, added up."""

    codes: dict[str, CodeMet] = field(default_factory=dict)
    frames: list[pl.DataFrame] = field(default_factory=list)
    issue_frames: list[pl.DataFrame] = field(default_factory=list)
    counted: dict[str, Counter[str]] = field(default_factory=dict)
    noted: dict[str, Counter[str]] = field(default_factory=dict)
    lines: Counter[str] = field(default_factory=Counter)

    def add(self, read: PartRead) -> None:
        """Take one block."""
        self.add_codes(read.codes)
        if read.rejected.height:
            self.frames.append(read.rejected)
        if read.issues is not None:
            self.issue_frames.append(read.issues)
        rows = {
            name: {"read": n.read, "kept": n.kept, "rejected": n.rejected} for name, n in read.counted.items()
        }
        self.counted = added(self.counted, rows)
        self.noted = added(self.noted, read.noted)
        self.lines.update(read.lines)

    def add_codes(self, codes: Mapping[str, CodeMet]) -> None:
        """Of several descriptions of a code take the first by letters, and all parents: order changes nothing."""
        for code, met in codes.items():
            known = self.codes.get(code)
            if known is None:
                self.codes[code] = met
            elif known != met:
                self.codes[code] = CodeMet(
                    description=min(known.description, met.description),
                    parents=tuple(sorted({*known.parents, *met.parents})),
                    role=known.role,
                )

    def rejected(self) -> pl.DataFrame:
        """All rejections."""
        return pl.concat(self.frames or [pl.DataFrame(schema=REJECTED_COLUMNS)])

    def issues(self) -> pl.DataFrame:
        """Places of what breaks its format's rules."""
        return pl.concat(self.issue_frames or [pl.DataFrame(schema=REJECTED_COLUMNS)])

    def as_json(self) -> dict[str, object]:
        """Codes and counts as they are remembered."""
        return {
            "codes": {
                code: [met.description, list(met.parents), met.role] for code, met in self.codes.items()
            },
            "counted": self.counted,
            "noted": self.noted,
            "lines": self.lines,
        }


def _summed(parts: Sequence[Part], folders: tuple[Path, ...], ranges: int, skipped: int) -> Gathered:
    tally, passed, before = _Tally(), Counter[str](), []
    for part, folder in zip(parts, folders, strict=True):
        told = json.loads((folder / DONE).read_bytes())
        tally.add_codes(
            {
                code: CodeMet(text, tuple(parents), role)
                for code, (text, parents, role) in told["codes"].items()
            }
        )
        tally.counted = added(tally.counted, told["counted"])
        tally.noted = added(tally.noted, told["noted"])
        before.append(passed[part.where] if part.start else 0)
        tally.frames.append(with_lines_before(read_private_parquet(folder / REJECTIONS), before[-1]))
        tally.issue_frames.append(with_lines_before(read_private_parquet(folder / ISSUES), before[-1]))
        passed[part.where] += told["lines"].get(part.name, 0)
    return Gathered(
        pieces=folders,
        lines_before=tuple(before),
        ranges=ranges,
        codes=dict(sorted(tally.codes.items())),
        rejected=tally.rejected(),
        counted={
            name: Counted(counts["read"], counts["kept"], counts["rejected"])
            for name, counts in sorted(tally.counted.items())
        },
        noted={name: dict(sorted(counts.items())) for name, counts in sorted(tally.noted.items())},
        issues=tally.issues(),
        skipped=skipped,
    )


def with_lines_before(rows: pl.DataFrame, before: int) -> pl.DataFrame:
    """The same with lines that count from the beginning of the file."""
    return rows.with_columns(pl.col("line") + before) if before else rows

"""The contract of a way in whose source is too large for memory: parts, readers, and what a reader gives.

A **part** is a piece of a source that can be read by itself: a file, a byte range of one, a range of keys of a table.
A **reader** is a pure function from one part to frames (:data:`Reader`): the same part gives the same frames, whoever
reads it, wherever, in whatever order. It may give several :class:`PartRead`, one after another, so that no more than a
block of its part is held; it never sees another part, and it does not drop what another part says too.

:func:`salus.intake.gathering.gather` runs a reader over all parts (processes or a Ray cluster: the same bytes out),
puts pseudonyms in place of patients, spreads rows over *ranges* of patients on disk, and remembers finished parts, so
that a run that was stopped goes on where it was. :func:`salus.intake.ordering.ordered_ranges` then takes one range
after another: what was said twice is dropped, what contradicts itself is rejected, the rest is sorted.

What a reader's ``events`` hold (:data:`PART_COLUMNS`; what is absent is null):

========================= ==========================================================================================
``patient``               the source's own id of the patient, as text: it becomes ``subject_id`` by a keyed hash
                          (:mod:`salus.timeline.subjects`) before anything is written, and is written nowhere
``time``, ``code`` …      as in a timeline (:data:`salus.timeline.columns.EVENT_COLUMNS`)
``known_time``            null where the source does not say: then it is ``time``, and is counted as assumed
``origin``, ``resource``  kind of what it came from ("Observation") and a hash of its id (:func:`resource_number`):
                          together they make ``source`` ("Observation/1844…"), in which the id cannot be read
``version``               a hash of what tells versions of the resource apart (version id, last update; 0: nothing).
                          The same resource and version is told once, however many parts tell it; another version of
                          it is a correction and stays beside it
``updated``               when this version of the resource was stored: what a later version says anew was not known
                          before, where the version does not say itself when it was known
``content``               a hash of all that the source says of the resource: where resource and version are the same
                          and this is not, one is kept and the others are rejected
``place``                 the event's number within its resource
``file``, ``line``        where it is, for rejections
========================= ==========================================================================================

Books: a reader counts what it read, kept and rejected by table (a resource type, a table, a kind of message); events
are counted once they are known to be told once. Rejections say file, line, column and reason, and never a value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import polars as pl

from salus.timeline.columns import REJECTED_COLUMNS, fit_columns

PART_COLUMNS: dict[str, pl.DataType] = {
    "patient": pl.String(),
    "time": pl.Datetime("us"),
    "code": pl.String(),
    "numeric_value": pl.Float32(),
    "text_value": pl.String(),
    "unit": pl.String(),
    "known_time": pl.Datetime("us"),
    "origin": pl.String(),
    "resource": pl.UInt64(),
    "version": pl.UInt64(),
    "updated": pl.Datetime("us"),
    "content": pl.UInt64(),
    "place": pl.UInt32(),
    "file": pl.String(),
    "line": pl.Int64(),
}


PART_SCHEMA, REJECTED_SCHEMA = pl.Schema(PART_COLUMNS), pl.Schema(REJECTED_COLUMNS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of a source: ``name`` is what people are told, ``where`` is where it is opened.

    ``start`` and ``stop`` are bytes of a file or keys of a table (None: to the end). ``stamp`` changes when what is
    there changes, such as size and time of change of a file. ``table``: which table it holds, where that is known.
    ``more``: small pieces that are read with this one.
    """

    name: str
    where: str
    start: int = 0
    stop: int | None = None
    size: int = 0
    stamp: str = ""
    table: str = ""
    more: tuple[Part, ...] = ()

    @property
    def all_bytes(self) -> int:
        """Bytes of this piece and of those that are read with it."""
        return self.size + sum(part.size for part in self.more)

    def digest(self, *settings: str) -> str:
        """What names this part read with these settings, version of Salus and all."""
        told = (self.name, self.where, str(self.start), str(self.stop), self.stamp, self.table, *settings)
        below = tuple(part.digest() for part in self.more)
        return sha256("\0".join((*told, *below)).encode(errors="surrogateescape")).hexdigest()


@dataclass(frozen=True, slots=True)
class CodeMet:
    """What a reader learnt of a code: ``parents`` are what it is a kind of, and other systems' codes of the same."""

    description: str
    parents: tuple[str, ...] = ()
    role: str = "event"


@dataclass(frozen=True, slots=True)
class Counted:
    """Rows of one table that a reader met."""

    read: int
    kept: int
    rejected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRead:
    """What came of a part, or of a block of it. ``noted``: what else was counted, by table.

    ``issues``: places of what breaks its format's rules, in the columns of rejections; it may be kept all the same.

    ``lines``: lines that were passed of a file. Where a part begins in the middle of a file, its lines count from
    there: how many are before it is known, and added, once all parts are read.
    """

    events: pl.DataFrame = field(default_factory=lambda: no_events())
    codes: Mapping[str, CodeMet] = field(default_factory=dict)
    rejected: pl.DataFrame = field(default_factory=lambda: rejection_frame([]))
    counted: Mapping[str, Counted] = field(default_factory=dict)
    noted: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)
    issues: pl.DataFrame | None = None


Reader = Callable[[Part], Iterator[PartRead]]


def file_parts(files: Sequence[tuple[str, Path]], *, most_bytes: int, whole: frozenset[str]) -> list[Part]:
    """Cut files (name, path) into parts of at most so many bytes; those with a suffix in ``whole`` are not cut."""
    parts = []
    for name, path in files:
        told = path.stat()
        stamp = f"{told.st_size} {told.st_mtime_ns}"
        step = max(told.st_size, 1) if path.suffix.lower() in whole else most_bytes
        for start in range(0, max(told.st_size, 1), step):
            stop = min(start + step, told.st_size)
            parts.append(
                Part(name=name, where=str(path), start=start, stop=stop, size=stop - start, stamp=stamp)
            )
    return parts


def packed(parts: Sequence[Part], *, most_bytes: int) -> list[Part]:
    """Put small parts together, in their order, as long as they are not more than so many bytes."""
    whole: list[Part] = []
    for part in parts:
        if whole and whole[-1].all_bytes + part.size <= most_bytes and part.start == whole[-1].start == 0:
            whole[-1] = replace(whole[-1], more=(*whole[-1].more, part))
        else:
            whole.append(part)
    return whole


def resource_number(name: str, key: bytes = b"") -> int:
    """A resource's id as a number that does not tell it (the first eight bytes of SHA-256 over key and name)."""
    return int.from_bytes(sha256(key + name.encode()).digest()[:8])


def source_names(origin: pl.Expr, resource: pl.Expr) -> pl.Expr:
    """The column ``source`` of a timeline: kind and hashed id."""
    return pl.concat_str(origin, pl.lit("/"), resource.cast(pl.String))


def no_events() -> pl.DataFrame:
    """A frame of no events."""
    return pl.DataFrame(schema=PART_COLUMNS)


def rejection_frame(rows: Sequence[tuple[str, int, str, str]]) -> pl.DataFrame:
    """Rejections from (file, line, column, reason)."""
    return pl.DataFrame(rows, schema=REJECTED_COLUMNS, orient="row")


def fit_part(read: PartRead) -> PartRead:
    """The same with all columns in order and type, so that pieces of all readers fit together."""
    if read.events.schema == PART_SCHEMA and read.rejected.schema == REJECTED_SCHEMA:
        return read
    events = read.events.with_columns(
        pl.lit(None, dtype=kind).alias(name)
        for name, kind in PART_COLUMNS.items()
        if name not in read.events.columns
    )
    return PartRead(
        events=events.select(pl.col(name).cast(kind) for name, kind in PART_COLUMNS.items()),
        codes=read.codes,
        rejected=fit_columns(read.rejected, REJECTED_COLUMNS, what="rejections"),
        counted=read.counted,
        noted=read.noted,
        lines=read.lines,
        issues=read.issues,
    )


def added(
    left: Mapping[str, Mapping[str, int]], right: Mapping[str, Mapping[str, int]]
) -> dict[str, Counter[str]]:
    """Counts of counts, added up."""
    total = {name: Counter(counts) for name, counts in left.items()}
    for name, counts in right.items():
        total.setdefault(name, Counter()).update(counts)
    return total

"""Put gathered rows in order, one range of patients after another: told once, without contradictions, sorted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import polars as pl

from salus.at_rest.files import read_private_parquet, write_private_parquet
from salus.compute.spreading import spread_jobs
from salus.intake.gathering import Gathered, pieces_of, with_lines_before
from salus.intake.parts import PART_COLUMNS, source_names
from salus.progress import Progress
from salus.timeline.columns import EVENT_COLUMNS, REJECTED_COLUMNS

TOLD_AGAIN = "told again by another part or export"
CONTRADICTED = "another resource with this id and version says something else"
KNOWN_BY_UPDATE = "known since this version was stored: when it was issued is not told"
SAME, FIRST, LAST, BEFORE, STORED = "\x1fsame", "\x1ffirst", "\x1flast", "\x1fbefore", "\x1fstored"
VERSION = ["resource", "version"]
THING = ("subject_id", "time", "code", "known_time", "resource", "place")
SAID = ("numeric_value", "text_value", "unit")
GATHERED_COLUMNS = {
    "subject_id": pl.Int64(),
    **{name: kind for name, kind in PART_COLUMNS.items() if name != "patient"},
}


@dataclass(frozen=True, slots=True)
class Ordered:
    """One range: its sorted events on disk, and what was counted on the way."""

    path: Path
    events: Mapping[str, int]
    assumed_known_time: int
    units: tuple[tuple[str, str, int], ...]
    repeats: Mapping[str, int]
    contradicted: pl.DataFrame
    withdrawn: Mapping[str, int]
    stored_later: Mapping[str, int]


@dataclass(slots=True)
class OrderTally:
    """What was counted in all ranges. ``units``: how often each unit stands beside each code."""

    events: Counter[str] = field(default_factory=Counter)
    assumed_known_time: int = 0
    units: dict[str, Counter[str]] = field(default_factory=dict)
    repeats: Counter[str] = field(default_factory=Counter)
    contradicted: list[pl.DataFrame] = field(default_factory=list)
    withdrawn: Counter[str] = field(default_factory=Counter)
    stored_later: Counter[str] = field(default_factory=Counter)

    def add(self, found: Ordered) -> None:
        """Take one range."""
        self.events.update(found.events)
        self.assumed_known_time += found.assumed_known_time
        for code, unit, count in found.units:
            self.units.setdefault(code, Counter())[unit] += count
        self.repeats.update(found.repeats)
        self.withdrawn.update(found.withdrawn)
        self.stored_later.update(found.stored_later)
        if found.contradicted.height:
            self.contradicted.append(found.contradicted)


def order_ranges(
    gathered: Gathered, folder: Path, *, processes: int | None = None, progress: Progress
) -> tuple[list[Path], OrderTally]:
    """Sort every range into a file of ``folder``; the files follow one another by patient."""
    folder.mkdir(parents=True, exist_ok=True)
    codes, tally, paths = tuple(gathered.codes), OrderTally(), []
    jobs = [(number, pieces_of(gathered, number)) for number in range(gathered.ranges)]
    work = partial(_order, folder=folder, codes=codes)
    with progress.step("Putting rows in order", total=len(jobs), unit="ranges") as step:
        for found in spread_jobs(work, jobs, processes=processes):
            tally.add(found)
            paths.append(found.path)
            step.advance()
    return paths, tally


def ordered_frames(paths: Sequence[Path]) -> Iterator[pl.DataFrame]:
    """Give the sorted events, a range at a time; no patient is in two."""
    for path in paths:
        frame = read_private_parquet(path)
        if frame.height:
            yield frame


def _order(job: tuple[int, list[tuple[Path, int]]], *, folder: Path, codes: Sequence[str]) -> Ordered:
    number, paths = job
    pieces = [with_lines_before(read_private_parquet(path), before) for path, before in paths]
    rows = pl.concat(pieces or [pl.DataFrame(schema=GATHERED_COLUMNS)])
    told = versions_of(rows)
    rows, contradicted = without_contradictions(rows, told)
    rows, repeats = told_once(rows.with_columns(pl.col("code").cast(pl.Enum(codes))))
    rows, stored_later = known_when_stored(rows, told)
    assumed = int(rows.select((pl.col("known_time").is_null() & pl.col("time").is_not_null()).sum()).item())
    rows = rows.with_columns(pl.col("known_time").fill_null(pl.col("time")))
    path = folder / f"range-{number:05d}.parquet"
    source = source_names(pl.col("origin"), pl.col("resource")).alias("source")
    events = rows.with_columns(source, pl.col("code").cast(pl.String)).select(list(EVENT_COLUMNS))
    write_private_parquet(events, path, scratch=True)
    return Ordered(
        path=path,
        events=_count(rows["origin"]),
        assumed_known_time=assumed,
        units=_units(rows),
        repeats=repeats,
        contradicted=contradicted.select(list(REJECTED_COLUMNS)),
        withdrawn=_count(contradicted["origin"]),
        stored_later=stored_later,
    )


def _units(rows: pl.DataFrame) -> tuple[tuple[str, str, int], ...]:
    """How often each unit stands beside each code."""
    beside = rows.lazy().filter(pl.col("unit").is_not_null()).group_by("code", "unit").len().collect()
    return tuple(beside.cast({"code": pl.String}).sort("code", "unit").iter_rows())


def told_once(rows: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    """Sort, and leave out what a resource says again, in this version or in the next; count those by origin."""
    rows = rows.sort(*THING, "updated", "version", nulls_last=False, maintain_order=True)
    again = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift()) for name in (*THING, *SAID))
    again = again & (pl.int_range(pl.len()) > 0)
    flags = rows.select(again.alias(SAME))[SAME]
    if not flags.any():
        return rows, {}
    repeats = rows.filter(flags).unique(["file", "line", "resource", "version"])
    return rows.filter(~flags), _count(repeats["origin"])


def versions_of(rows: pl.DataFrame) -> pl.DataFrame:
    """Each version of each resource: the least and the greatest content that was told of it, when it was stored,
    and when the last of it was known."""
    named = rows.filter(pl.col("resource") != 0)
    return named.group_by(VERSION).agg(
        pl.col("content").min().alias(FIRST),
        pl.col("content").max().alias(LAST),
        pl.col("updated").min(),
        pl.col("known_time").max(),
    )


def without_contradictions(rows: pl.DataFrame, told: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Keep one content of each version of a resource; list the rest, one row each, as rejected (with its origin).

    Which is kept depends on what they say and not on where they are: the same whatever the order of files.
    """
    doubtful = told.filter(pl.col(FIRST) != pl.col(LAST)).select(*VERSION, FIRST)
    if doubtful.is_empty():
        return rows, pl.DataFrame(schema={**REJECTED_COLUMNS, "origin": pl.String()})
    joined = rows.join(doubtful, on=VERSION, how="left", maintain_order="left")
    wrong = pl.col(FIRST).is_not_null() & (pl.col("content") != pl.col(FIRST))
    listed = joined.filter(wrong).unique(["file", "line", *VERSION], maintain_order=True)
    rejected = listed.select(
        "file",
        "line",
        pl.lit("id").alias("column"),
        pl.lit(CONTRADICTED).alias("reason"),
        "origin",
    )
    return joined.filter(~wrong).drop(FIRST), rejected.sort("file", "line")


def known_when_stored(rows: pl.DataFrame, told: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    """What a later version of a resource says anew was not known before that version was stored.

    So it is where the version does not say when it was issued, or says what the one before said already. Counted by
    origin. A first version is left as it is: that it was stored late may only mean that a record was moved.
    """
    corrected = told.filter(pl.col("resource").is_duplicated() & pl.col("updated").is_not_null())
    if corrected.is_empty():
        return rows, {}
    before = pl.col("known_time").cum_max().forward_fill().shift().over("resource", order_by="updated")
    is_first = pl.col("updated") == pl.col("updated").min().over("resource")
    later = corrected.with_columns(before.alias(BEFORE)).filter(~is_first)
    stored = later.select(*VERSION, BEFORE, pl.max_horizontal("updated", BEFORE).alias(STORED))
    joined = rows.join(stored, on=VERSION, how="left", maintain_order="left")
    known = pl.col("known_time")
    anew = pl.col(STORED).is_not_null() & pl.col("time").is_not_null()
    anew = anew & (known.is_null() | (known <= pl.col(BEFORE)).fill_null(False))
    counted = _count(joined.filter(anew)["origin"])
    moved = joined.with_columns(pl.when(anew).then(STORED).otherwise(known).alias("known_time"))
    return moved.drop(BEFORE, STORED).sort(*THING, maintain_order=True), counted


def _count(names: pl.Series) -> dict[str, int]:
    return dict(names.value_counts().sort(names.name).iter_rows())

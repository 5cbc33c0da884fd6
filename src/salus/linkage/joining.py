"""Timelines of several systems as one: the same events under one number a person, what several tell told once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb
import polars as pl

from salus.errors import TimelinesDiffer
from salus.linkage.pairs import Record
from salus.timeline.columns import BIRTH, CODE_COLUMNS, DEATH, EVENT_COLUMNS, fit_columns
from salus.timeline.in_duckdb import events_in
from salus.timeline.settings import TimelineSettings

ROWS_AT_ONCE = 200_000
FACT = [name for name in EVENT_COLUMNS if name != "source"]
TIMES = "\x1ftimes"
PEOPLE = {"system": pl.String(), "subject": pl.Int64(), "person": pl.Int64()}
GRAINS = ("second", "minute", "day")


@dataclass(slots=True)
class JoinTally:
    """What was counted while timelines were joined: events by system, and what was told by several."""

    read: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    disagree: Counter[str] = field(default_factory=Counter)


def joined_rows(
    db: duckdb.DuckDBPyConnection, timelines: Mapping[str, Path], numbers: Mapping[Record, int]
) -> Iterator[pl.DataFrame]:
    """All events in order of person and time; ``db`` sorts them on its disk, so that memory stays small."""
    people = [(system, subject, number) for (system, subject), number in numbers.items()]
    db.register("people", pl.DataFrame(people, schema=PEOPLE, orient="row"))
    columns = ", ".join(f'r."{name}"' for name in EVENT_COLUMNS if name != "subject_id")
    parts = [
        f"SELECT p.person AS subject_id, {columns}, '{_quoted(system)}' AS system FROM people p"
        f" JOIN {events_in(db, folder, f'events of {number}')} r"
        f" ON r.subject_id = p.subject WHERE p.system = '{_quoted(system)}'"
        for number, (system, folder) in enumerate(sorted(timelines.items()))
    ]
    order = ", ".join(f'"{name}" NULLS FIRST' for name in (*FACT, "system", "source"))
    reader = db.sql(f"SELECT * FROM ({' UNION ALL '.join(parts)}) ORDER BY {order}").to_arrow_reader(
        ROWS_AT_ONCE
    )
    for batch in reader:
        yield pl.DataFrame(batch)


def told_once(people: pl.DataFrame, tally: JoinTally) -> pl.DataFrame:
    """Whole people's events, each once: what two systems tell alike in everything is one event.

    What one system tells twice stays twice: it knows why. ``source`` gets the system's name before it.
    """
    tally.read.update(dict(people.group_by("system").len().iter_rows()))
    numbered = people.with_columns(pl.int_range(pl.len()).over([*FACT, "system"]).alias(TIMES))
    once = numbered.unique([*FACT, TIMES], keep="first", maintain_order=True)
    tally.kept.update(dict(once.group_by("system").len().iter_rows()))
    for code in (BIRTH, DEATH):
        times = once.filter(pl.col("code") == code).group_by("subject_id").agg(pl.col("time").n_unique())
        tally.disagree[code] += times.filter(pl.col("time") > 1).height
    named = once.with_columns(pl.format("{}:{}", pl.col("system"), pl.col("source")).alias("source"))
    return fit_columns(named.drop(TIMES, "system"), EVENT_COLUMNS, what="events")


def joined_codes(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """What is known of each code by any of the systems; where they differ, by the first."""
    every = pl.concat([fit_columns(one, CODE_COLUMNS, what="codes") for one in tables])
    rest = [
        pl.col(name).drop_nulls().first() for name in CODE_COLUMNS if name not in ("code", "parent_codes")
    ]
    parents = pl.col("parent_codes").explode().drop_nulls().unique().sort()
    return every.group_by("code").agg(*rest, parents).select(list(CODE_COLUMNS)).sort("code")


def joined_settings(told: Mapping[str, TimelineSettings]) -> TimelineSettings:
    """The settings of all as one. Raises TimelinesDiffer (SAL-166) where their times or kinds do not go together."""
    every = [settings for _, settings in sorted(told.items())]
    first = every[0]
    for what, kinds in (
        ("some are synthetic and some are not", {one.synthetic for one in every}),
        ("their times do not count from one zero", {one.time_zero for one in every}),
    ):
        if len(kinds) > 1:
            raise _differ(what, told)
    if any(one.order_only for one in every):
        raise _differ("one tells the order of things and not when they were", told)
    return replace(
        first,
        name=" and ".join(sorted(told)),
        licence="; ".join(dict.fromkeys(one.licence for one in every if one.licence)),
        grain=min((one.grain for one in every), key=_fineness),
        zone=first.zone if len({one.zone for one in every}) == 1 else "UTC",
        anchor=first.anchor if len({one.anchor for one in every}) == 1 else None,
        assumed_known_time=sum(one.assumed_known_time for one in every),
    )


def _fineness(grain: str) -> int:
    return GRAINS.index(grain) if grain in GRAINS else 0


def _differ(what: str, told: Iterable[str]) -> TimelinesDiffer:
    return TimelinesDiffer(
        f"the timelines cannot be one: {what}",
        where=", ".join(sorted(told)),
        fix="join only timelines of the same kind: leave 'timeline' out where a system's does not fit",
    )


def _quoted(text: str) -> str:
    return text.replace("'", "''")

"""Adding up over shards what a vocabulary is learnt from: exact counts; of very many values, near ones together.

No patient is in two shards, so that counts of patients add up too. What is held is bounded by codes, not by patients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce

import numpy as np
import polars as pl

from salus.trajectory.bins import FloatArray, IntArray, Tally
from salus.trajectory.vocabulary import BIRTH, START

MOST_VALUES = 16_384
"""Distinct values of a code that are told apart; of more, neighbours are counted together until a quarter is left."""
MOST_WAITS = 65_536
"""The same for waits."""

Facts = Iterable[pl.DataFrame]
"""Facts of patients as :func:`salus.trajectory.encoding.facts_of` gives them, a frame a shard; gone through often."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The same shards, each changed when its turn comes."""

    shards: Facts
    change: Callable[[pl.DataFrame], pl.DataFrame]

    def __iter__(self) -> Iterator[pl.DataFrame]:
        return map(self.change, self.shards)


def added_up(
    parts: Iterable[pl.DataFrame], join: Callable[[pl.DataFrame], pl.DataFrame]
) -> pl.DataFrame | None:
    """Join the parts one after another; None where there is none."""
    joined: pl.DataFrame | None = None
    for part in parts:
        joined = part if joined is None else join(pl.concat([joined, part]))
    return joined


def summary_of(facts: Facts, *, least: int) -> pl.DataFrame:
    """One row a code: how many patients and rows, whether it repeats in a patient and within a moment, and when.

    ``early``, ``late``: the extremes that at least ``least`` patients reach; ``valued``: whether it has numbers.
    """
    found = added_up(
        (_by_code(_by_patient(shard), *_extremes(least, pl.col)) for shard in facts),
        lambda parts: _by_code(parts, *_extremes(least, lambda name: pl.col(name).explode())),
    )
    if found is None:
        raise ValueError("there is nothing to sum up")
    return found.with_columns(
        pl.col("code").is_in([START, BIRTH]).alias("first"),
        pl.col("early").list.max(),
        pl.col("late").list.min(),
        (pl.col("widest") > 1).alias("repeats"),
    )


def _by_patient(facts: pl.DataFrame) -> pl.DataFrame:
    """A shard's summary before patients are added up: one row a code and patient."""
    a_moment = facts.group_by("code", "subject_id", "moment").agg(
        pl.len().alias("rows"),
        pl.col("static").all(),
        pl.col("numeric_value").null_count().alias("missing"),
        pl.col("numeric_value").is_not_null().any().alias("valued"),
    )
    return a_moment.group_by("code", "subject_id").agg(
        pl.lit(1, dtype=pl.UInt32).alias("patients"),
        pl.col("rows").sum(),
        pl.col("rows").sum().alias("most"),
        pl.col("rows").max().alias("widest"),
        pl.col("static").all(),
        pl.col("missing").sum(),
        pl.col("valued").any(),
        pl.col("moment").min().alias("earliest"),
        pl.col("moment").min().alias("early"),
        pl.col("moment").max().alias("latest"),
        pl.col("moment").max().alias("late"),
    )


def _extremes(least: int, column: Callable[[str], pl.Expr]) -> tuple[pl.Expr, pl.Expr]:
    """The earliest and latest moments of patients that are kept."""
    return column("early").bottom_k(least).alias("early"), column("late").top_k(least).alias("late")


def _by_code(parts: pl.DataFrame, early: pl.Expr, late: pl.Expr) -> pl.DataFrame:
    """Rows of the same code become one."""
    return parts.group_by("code").agg(
        pl.col("patients", "rows", "missing").sum(),
        pl.col("most", "widest", "latest").max(),
        pl.col("static").all(),
        pl.col("valued").any(),
        pl.col("earliest").min(),
        early,
        late,
    )


@dataclass(frozen=True, slots=True)
class Values:
    """The numbers of one code, and each patient's lowest and highest (of many patients the most extreme ones)."""

    tally: Tally
    lowest: FloatArray
    highest: FloatArray


def values_of(facts: Facts, *, least: int) -> dict[str, Values]:
    """The numbers of each code that has any."""
    counted = added_up(
        (
            shard.drop_nulls("numeric_value")
            .group_by("code", value="numeric_value")
            .agg(pl.len().cast(pl.Int64))
            for shard in facts
        ),
        _joined_counts,
    )
    ends = added_up((_ends(shard, 2 * least) for shard in facts), _joined_ends(2 * least))
    if counted is None or ends is None:
        return {}
    extremes = {code: (low, high) for code, low, high in ends.iter_rows()}
    return {
        str(code): Values(
            Tally(frame["value"].to_numpy(), frame["len"].to_numpy()),
            *(np.asarray(most, dtype=np.float32) for most in extremes[code]),
        )
        for (code,), frame in counted.sort("code", "value").partition_by("code", as_dict=True).items()
    }


def _joined_counts(parts: pl.DataFrame) -> pl.DataFrame:
    """Add up how often each value comes; codes with too many different ones are thinned."""
    counted = parts.group_by("code", "value").agg(pl.col("len").sum())
    many = counted.group_by("code").len().filter(pl.col("len") > MOST_VALUES)["code"]
    if many.is_empty():
        return counted
    thin = [counted.filter(~pl.col("code").is_in(many.implode()))]
    for code in many:
        mine = counted.filter(pl.col("code") == code).sort("value")
        tally = thinned(Tally(mine["value"].to_numpy(), mine["len"].to_numpy()), MOST_VALUES // 4)
        thin.append(
            pl.DataFrame({"code": [code] * len(tally.values), "value": tally.values, "len": tally.counts})
        )
    return pl.concat(thin)


def _ends(facts: pl.DataFrame, most: int) -> pl.DataFrame:
    """The most extreme values of patients, for each code."""
    a_patient = (
        facts.drop_nulls("numeric_value")
        .group_by("code", "subject_id")
        .agg(low=pl.col("numeric_value").min(), high=pl.col("numeric_value").max())
    )
    return a_patient.group_by("code").agg(pl.col("low").bottom_k(most), pl.col("high").top_k(most))


def _joined_ends(most: int) -> Callable[[pl.DataFrame], pl.DataFrame]:
    def join(parts: pl.DataFrame) -> pl.DataFrame:
        return parts.group_by("code").agg(
            pl.col("low").explode().bottom_k(most), pl.col("high").explode().top_k(most)
        )

    return join


def thinned(tally: Tally, most: int) -> Tally:
    """About ``most`` values of about equal weight: the highest of neighbours stands for them, a common one for itself.

    >>> thinned(Tally.of(np.asarray([1, 2, 3, 3, 3, 3, 4, 5])), 2)
    Tally(values=array([2, 3, 5]), counts=array([2, 4, 2]))
    """
    ends, total = np.cumsum(tally.counts), tally.total
    group, common = (ends - 1) * most // total, tally.counts * most >= total
    last = np.flatnonzero(np.r_[(group[1:] != group[:-1]) | common[1:] | common[:-1], True])
    return Tally(tally.values[last], np.diff(np.r_[0, ends[last]]))


def together(one: Tally, other: Tally, *, most: int) -> Tally:
    """Both counted together, thinned where there are more than ``most`` values."""
    values, place = np.unique(np.r_[one.values, other.values], return_inverse=True)
    counts = np.bincount(place, np.r_[one.counts, other.counts], minlength=len(values)).astype(np.int64)
    joined = Tally(values, counts)
    return thinned(joined, most // 4) if len(values) > most else joined


def all_together(tallies: Iterable[Tally], *, most: int) -> Tally:
    """All counted together."""
    nothing = Tally(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    return reduce(lambda one, other: together(one, other, most=most), tallies, nothing)


def highest(number: int, values: IntArray) -> IntArray:
    """The highest so many values, or all where there are fewer: in order."""
    top: IntArray = np.sort(np.asarray(values, dtype=np.int64))[-number:]
    return top


def reached_by(least: int, each: Iterable[IntArray]) -> int:
    """The highest number that at least ``least`` patients reach; the lowest of all, where there are fewer.

    ``each``: one number a patient, an array a shard.

    >>> reached_by(2, [np.asarray([3, 9]), np.asarray([5])])
    5
    """
    top = highest(least, np.concatenate([np.zeros(0, dtype=np.int64), *each]))
    return int(top[0]) if len(top) else 0

"""How far the courses of synthetic stays are from real ones, beside how far two halves of real ones are apart.

Four things are compared, each as the mean absolute difference of many small numbers between two groups of patients:
what a value says of the next one of its kind, what values of one hour say of each other, how long until a thing is
measured again, and how high values lie by group and outcome. Values enter as their places among the real ones, so that
no unit weighs more than another and no outlier decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

Numbers = Mapping[tuple[str, ...], float]
"""Each number with what it is of: codes, groups, shares."""

PLACES, WAITS = 100, 10
"""Steps of the places of values; steps of the waits that are compared."""
LEAST_PAIRS, LEAST_STAYS = 500, 50
"""Pairs of values behind a correlation, and stays behind a mean, that both real halves must have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """What stays are grouped by: the prefix of the codes that say it, and the code of the outcome."""

    prefix: str
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Places of values and waits among those of some real patients: cuts of each code, ascending."""

    values: Mapping[str, np.ndarray]
    waits: Mapping[str, np.ndarray]


def scale_of(events: pl.DataFrame) -> Scale:
    """Learn the cuts; only codes with values have any."""
    valued = _valued(events)
    waits = _waits(valued)
    return Scale(values=_cuts(valued, "numeric_value", PLACES), waits=_cuts(waits, "wait", WAITS))


def courses(events: pl.DataFrame, scale: Scale, by: Grouping) -> dict[str, Numbers]:
    """The four sets of numbers of some patients."""
    placed = _placed(_valued(events), scale)
    return {
        "autocorrelation": autocorrelation(placed),
        "cross-correlation": cross_correlation(placed),
        "waits between measurements": waits(placed, scale),
        "values by group and outcome": by_group(placed, events, by),
    }


def apart(one: Numbers, other: Numbers, among: Sequence[tuple[str, ...]]) -> float:
    """Mean absolute difference over ``among``; what one of them lacks counts as nought there.

    >>> apart({("a",): 0.5, ("b",): 0.2}, {("a",): 0.4}, [("a",), ("b",)])
    0.15
    """
    return round(float(np.mean([abs(one.get(name, 0.0) - other.get(name, 0.0)) for name in among])), 9)


def autocorrelation(placed: pl.DataFrame) -> Numbers:
    """Correlation of each value with the next of the same code and patient."""
    following = placed.sort("subject_id", "code", "time").with_columns(
        later=pl.col("place").shift(-1).over("subject_id", "code")
    )
    found = (
        following.drop_nulls("later").group_by("code").agg(pairs=pl.len(), number=pl.corr("place", "later"))
    )
    enough = found.filter((pl.col("pairs") >= LEAST_PAIRS) & pl.col("number").is_finite())
    return {(code,): number for code, number in enough.select("code", "number").iter_rows()}


def cross_correlation(placed: pl.DataFrame) -> Numbers:
    """Correlation of the mean places of two codes in the same hour of the same patient."""
    hours = placed.with_columns(hour=pl.col("time").dt.truncate("1h"))
    table = hours.group_by("subject_id", "hour", "code").agg(pl.col("place").mean())
    wide = table.pivot(on="code", index=["subject_id", "hour"], values="place").drop("subject_id", "hour")
    codes = sorted(wide.columns)
    values = wide.select(codes).to_numpy()
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    n, x = known.T.astype(float) @ known, filled.T @ known
    xx, xy = (filled**2).T @ known, filled.T @ filled
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance = xy / n - (x / n) * (x.T / n)
        spread = np.sqrt((xx / n - (x / n) ** 2) * (xx.T / n - (x.T / n) ** 2))
        correlation = covariance / spread
    kept = (n >= LEAST_PAIRS) & np.isfinite(correlation)
    return {
        (codes[i], codes[j]): float(correlation[i, j])
        for i, j in zip(*np.nonzero(np.triu(kept, 1)), strict=True)
    }


def waits(placed: pl.DataFrame, scale: Scale) -> Numbers:
    """Share of the waits until the same code comes again that lie in each tenth of the real ones."""
    found: dict[tuple[str, ...], float] = {}
    for (code,), part in _waits(placed).group_by("code"):
        if str(code) not in scale.waits or part.height < LEAST_PAIRS:
            continue
        cuts = scale.waits[str(code)]
        counts = np.bincount(np.searchsorted(cuts, part["wait"].to_numpy()), minlength=len(cuts) + 1)
        found |= {(str(code), str(step)): share for step, share in enumerate((counts / part.height).tolist())}
    return found


def by_group(placed: pl.DataFrame, events: pl.DataFrame, by: Grouping) -> Numbers:
    """Mean place of each code's values, of stays of one group and outcome."""
    group = events.filter(pl.col("code").str.starts_with(by.prefix)).select("subject_id", group="code")
    had = events.filter(pl.col("code") == by.outcome).select("subject_id").unique().with_columns(had=True)
    means = placed.group_by("subject_id", "code").agg(pl.col("place").mean())
    told = (
        means.join(group.unique("subject_id"), on="subject_id")
        .join(had, on="subject_id", how="left")
        .with_columns(pl.col("had").fill_null(value=False).cast(pl.String))
        .group_by("code", "group", "had")
        .agg(stays=pl.len(), number=pl.col("place").mean())
        .filter(pl.col("stays") >= LEAST_STAYS)
    )
    return {tuple(row[:3]): row[3] for row in told.select("code", "group", "had", "number").iter_rows()}


def _valued(events: pl.DataFrame) -> pl.DataFrame:
    wanted = pl.col("numeric_value").is_not_null() & pl.col("time").is_not_null()
    return events.filter(wanted).select(
        "subject_id", "time", "code", pl.col("numeric_value").cast(pl.Float64)
    )


def _waits(valued: pl.DataFrame) -> pl.DataFrame:
    """Hours from each value to the next of the same code and patient."""
    ordered = valued.sort("subject_id", "code", "time")
    gap = (pl.col("time").shift(-1) - pl.col("time")).over("subject_id", "code").dt.total_seconds() / 3600
    return ordered.select("code", wait=gap).drop_nulls("wait")


def _cuts(table: pl.DataFrame, column: str, steps: int) -> dict[str, np.ndarray]:
    wanted = np.arange(1, steps) / steps
    return {
        str(code): np.unique(np.quantile(part[column].to_numpy(), wanted))
        for (code,), part in table.group_by("code")
    }


def _placed(valued: pl.DataFrame, scale: Scale) -> pl.DataFrame:
    """Beside each value its place among the real ones of its code, 0 to 1; codes without a scale are left out."""
    parts = [
        part.with_columns(place=_middle(scale.values[str(code)], part["numeric_value"].to_numpy()))
        for (code,), part in valued.group_by("code")
        if str(code) in scale.values
    ]
    return pl.concat(parts)


def _middle(cuts: np.ndarray, values: np.ndarray) -> pl.Series:
    """Middle of the steps a value could stand at: one that many patients share has a wide one."""
    low, high = np.searchsorted(cuts, values, side="left"), np.searchsorted(cuts, values, side="right")
    return pl.Series((low + high) / (2 * max(len(cuts), 1)))

"""Frames behind the report's pictures: real and synthetic patients side by side, only as groups."""

from __future__ import annotations

from datetime import datetime
from itertools import combinations

import numpy as np
import numpy.typing as npt
import polars as pl

from salus.timeline.quality import SMALLEST_GROUP
from salus.timeline.quality_completeness import period_length, period_width, plain_events
from salus.timeline.quality_plausibility import bin_width

REAL, SYNTHETIC = "real", "synthetic"
MEANS, PRESENCE = "mean values", "presence"
BINS = 24
ENOUGH = 20 * SMALLEST_GROUP


def code_shares(real: pl.DataFrame, synthetic: pl.DataFrame) -> pl.DataFrame:
    """For each code the share of patients who have it: ``code``, ``real``, ``synthetic``."""
    parts = []
    for name, events in ((REAL, real), (SYNTHETIC, synthetic)):
        everyone = max(events["subject_id"].n_unique(), 1)
        counted = events.group_by("code").agg(pl.col("subject_id").n_unique().alias("patients"))
        counted = counted.filter(pl.col("patients") >= SMALLEST_GROUP)
        parts.append(counted.select("code", (pl.col("patients") / everyone).alias(name)))
    return parts[0].join(parts[1], on="code", how="inner").sort("real", "code", descending=[True, False])


def rates_by_period(
    real: pl.DataFrame, synthetic: pl.DataFrame, *, codes: pl.DataFrame, time_zero: datetime | None
) -> pl.DataFrame:
    """Rows per patient of the whole population in each period of follow-up: ``start``, ``rate``, ``who``, ``period``.

    Periods with rows of one to four patients are left out.
    """
    if time_zero is None:
        start, name = pl.col("time").dt.year().cast(pl.Int64), "calendar year"
    else:
        since = (pl.col("time") - time_zero).dt.total_microseconds()
        width, name = period_width(plain_events(real, codes).select(since).to_series())
        start = since // width
    parts = []
    for who, events in ((REAL, real), (SYNTHETIC, synthetic)):
        rate = (pl.len() / max(events["subject_id"].n_unique(), 1)).alias("rate")
        counted = (
            plain_events(events, codes)
            .group_by(start.alias("start"))
            .agg(rate, pl.col("subject_id").n_unique().alias("patients"))
            .filter(pl.col("patients") >= SMALLEST_GROUP)
            .sort("start")
        )
        parts.append(counted.select("start", "rate", pl.lit(who).alias("who"), pl.lit(name).alias("period")))
    return pl.concat(parts)


def busy_periods(rates: pl.DataFrame) -> pl.DataFrame:
    """Leave out the periods at both ends that hold less than a hundredth of all rows, real and synthetic together."""
    told = rates.group_by("start").agg(pl.col("rate").sum()).sort("start")
    before = pl.col("rate").cum_sum() / pl.col("rate").sum()
    kept = told.filter((before >= 0.005) & (before - pl.col("rate") / pl.col("rate").sum() <= 0.995))
    return rates.filter(pl.col("start").is_in(kept["start"].implode()))


def value_shares(
    real: pl.DataFrame, synthetic: pl.DataFrame, code: str, *, decimals: int | None = None
) -> pl.DataFrame:
    """One code's values in equal bins from the real 1st to 99th percentile: ``start``, ``share``, ``who``.

    A bin with values of one to four patients counts as empty.
    """
    drawn = {REAL: _values(real, code), SYNTHETIC: _values(synthetic, code)}
    span = drawn[REAL].select(
        pl.col("numeric_value").quantile(0.01, interpolation="nearest").alias("from"),
        pl.col("numeric_value").quantile(0.99, interpolation="nearest").alias("to"),
        pl.lit(decimals, dtype=pl.Int8).alias("decimals"),
    )
    edges = span.filter(pl.col("to") > pl.col("from")).with_columns(bin_width(BINS))
    if edges.is_empty():
        return pl.DataFrame(
            schema={"start": pl.Float64, "end": pl.Float64, "share": pl.Float64, "who": pl.String}
        )
    first, width = float(edges["first"][0]), float(edges["width"][0])
    most = int((float(edges["to"][0]) - first) // width) + 1
    bins = pl.DataFrame({"bin": range(most)}).with_columns((first + pl.col("bin") * width).alias("start"))
    number = ((pl.col("numeric_value") - first) / width).floor().cast(pl.Int64).alias("bin")
    parts = []
    for who, values in drawn.items():
        counted = (
            values.group_by(number)
            .agg(pl.len().alias("n"), pl.col("subject_id").n_unique().alias("patients"))
            .filter(pl.col("patients") >= SMALLEST_GROUP)
        )
        share = (pl.col("n").fill_null(0) / max(values.height, 1)).alias("share")
        end = (pl.col("start") + width).alias("end")
        whole = bins.join(counted, on="bin", how="left").sort("bin")
        parts.append(whole.select("start", end, share, pl.lit(who).alias("who")))
    return pl.concat(parts)


def _values(events: pl.DataFrame, code: str) -> pl.DataFrame:
    return events.filter((pl.col("code") == code) & pl.col("numeric_value").is_not_null()).select(
        "subject_id", pl.col("numeric_value").cast(pl.Float64)
    )


def main_codes(real: pl.DataFrame, codes: pl.DataFrame, most: int = 12) -> list[str]:
    """The codes with values that most patients have."""
    valued = plain_events(real, codes).filter(pl.col("numeric_value").is_not_null())
    counted = valued.group_by("code").agg(pl.col("subject_id").n_unique().alias("patients"))
    counted = counted.filter(pl.col("patients") >= ENOUGH)
    return [
        str(code) for code in counted.sort("patients", "code", descending=[True, False])["code"].head(most)
    ]


def rows_a_patient(real: pl.DataFrame, synthetic: pl.DataFrame) -> pl.DataFrame:
    """Quantiles of rows, moments and codes a patient: ``measure``, ``quantile``, ``real``, ``synthetic``."""
    parts = []
    for who, events in ((REAL, real), (SYNTHETIC, synthetic)):
        counts = events.group_by("subject_id").agg(
            pl.len().alias("rows"),
            pl.col("time").drop_nulls().n_unique().alias("moments"),
            pl.col("code").n_unique().alias("distinct codes"),
        )
        rows = [
            {"measure": measure, "quantile": name, who: counts[measure].quantile(at, interpolation="nearest")}
            for measure in ("rows", "moments", "distinct codes")
            for name, at in (
                ("25th percentile", 0.25),
                ("median", 0.5),
                ("75th percentile", 0.75),
                ("95th percentile", 0.95),
            )
        ]
        parts.append(
            pl.DataFrame(rows, schema={"measure": pl.String, "quantile": pl.String, who: pl.Float64})
        )
    return parts[0].join(parts[1], on=["measure", "quantile"], maintain_order="left")


def pair_correlations(real: pl.DataFrame, synthetic: pl.DataFrame, *, codes: pl.DataFrame) -> pl.DataFrame:
    """Rank correlation of each pair of codes over patients: ``kind``, ``first``, ``second``, ``real``, ``synthetic``.

    Two kinds of pairs: a patient's mean values of two codes, over patients who have both; and whether a patient has
    each of two codes. Pairs of fewer than a hundred patients are left out.
    """
    found = {
        who: _correlations(plain_events(each, codes)) for who, each in ((REAL, real), (SYNTHETIC, synthetic))
    }
    both = found[REAL].join(found[SYNTHETIC], on=["kind", "first", "second"], how="inner", suffix="_made")
    return both.select(
        "kind", "first", "second", pl.col("r").alias(REAL), pl.col("r_made").alias(SYNTHETIC)
    ).sort("kind", "first", "second")


def _correlations(events: pl.DataFrame) -> pl.DataFrame:
    everyone = events.select("subject_id").unique().sort("subject_id")
    value = pl.col("numeric_value").cast(pl.Float64).mean().alias("value")
    each = events.group_by("subject_id", "code").agg(value, pl.lit(1.0).alias("here"))
    rows: list[tuple[str, str, str, float]] = []
    for kind, column in ((MEANS, "value"), (PRESENCE, "here")):
        part = each.drop_nulls(column).filter(pl.len().over("code") >= ENOUGH)
        if kind == PRESENCE:
            part = part.filter(pl.len().over("code") <= everyone.height - ENOUGH)
        names = sorted(part["code"].unique().to_list())
        if not names:
            continue
        wide = everyone.join(
            part.pivot("code", index="subject_id", values=column), on="subject_id", how="left"
        )
        here = wide.select(names) if kind == MEANS else wide.select(pl.col(names).fill_null(0.0))
        ranks = here.select(pl.all().rank()).to_numpy()
        rows += [
            (kind, names[left], names[right], r)
            for left, right in combinations(range(len(names)), 2)
            if (r := _correlation(ranks[:, left], ranks[:, right])) is not None
        ]
    schema = {"kind": pl.String, "first": pl.String, "second": pl.String, "r": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _correlation(left: npt.NDArray[np.float64], right: npt.NDArray[np.float64]) -> float | None:
    """Pearson's correlation where both are there; None with fewer than a hundred or where one never varies."""
    both = ~(np.isnan(left) | np.isnan(right))
    if both.sum() < ENOUGH:
        return None
    x, y = left[both] - left[both].mean(), right[both] - right[both].mean()
    spread = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / spread if spread > 0 else None


def period_name(rates: pl.DataFrame) -> str:
    """What one period is, for an axis."""
    name = str(rates["period"][0]) if rates.height else "period"
    if period_length(name) is None:
        return "calendar year"
    return {"year": "years since time zero", "day": "days since time zero"}.get(
        name, f"periods of {name} since time zero"
    )

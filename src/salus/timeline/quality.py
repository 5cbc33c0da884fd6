"""The quality of a timeline: what is there, what is missing and what cannot be right. Nothing is repaired."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from salus.timeline.quality_completeness import per_code, per_patient, per_period, per_place, spread
from salus.timeline.quality_order import duplicates, known_times, time_order
from salus.timeline.quality_plausibility import (
    histograms,
    outside_range,
    twin_codes,
    unit_conflicts,
    value_spread,
)

SMALLEST_GROUP = 5  # fewer patients than this are not counted aloud


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """All measures of one timeline; counts about fewer than five patients are null and ``withheld``.

    ``order_only``: its times are an order and no distances, so that places in the order stand for periods and nothing
    is counted in days.
    """

    patients: int
    rows: int
    codes: pl.DataFrame
    per_patient: pl.DataFrame
    periods: pl.DataFrame
    values: pl.DataFrame
    histograms: pl.DataFrame
    outside_range: pl.DataFrame
    time_order: pl.DataFrame
    duplicates: pl.DataFrame
    units: pl.DataFrame
    twins: pl.DataFrame
    known_times: pl.DataFrame
    order_only: bool = False


def withhold(frame: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """Blank the counts of groups of one to four patients and say so in the column ``withheld``."""
    small = pl.col("patients").is_between(1, SMALLEST_GROUP - 1)
    return frame.with_columns(small.alias("withheld")).with_columns(
        pl.when(~pl.col("withheld")).then(pl.col(name)).alias(name) for name in ("patients", *columns)
    )


def measure_quality(
    events: pl.DataFrame, codes: pl.DataFrame, *, time_zero: datetime | None, order_only: bool = False
) -> Quality:
    """Measure a timeline: completeness, plausibility, order, duplicates, units and twin codes."""
    periods = per_place(events, codes) if order_only else per_period(events, codes, time_zero)
    described = codes.select("code", "description", "role", "unit")
    return Quality(
        patients=events["subject_id"].n_unique(),
        rows=events.height,
        codes=withhold(
            per_code(events).join(described, on="code", how="left", maintain_order="left"),
            "rows",
            "share_of_patients",
            "missing_value",
        ),
        per_patient=_spread_of_many(events, codes, order_only=order_only),
        periods=withhold(periods, "rows", "rows_per_patient"),
        values=_values_of_many(events),
        histograms=histograms(events, codes, smallest=SMALLEST_GROUP),
        outside_range=withhold(outside_range(events, codes), "below", "above"),
        time_order=withhold(time_order(events, codes), "rows"),
        duplicates=withhold(duplicates(events), "repeats", "contradictions"),
        units=withhold(unit_conflicts(events, codes), "rows"),
        twins=withhold(twin_codes(events), "moments", "identical"),
        known_times=withhold(known_times(events), "known_before_time"),
        order_only=order_only,
    )


def _spread_of_many(events: pl.DataFrame, codes: pl.DataFrame, *, order_only: bool) -> pl.DataFrame:
    patients = per_patient(events, codes)
    found = spread(patients if patients.height >= SMALLEST_GROUP else patients.clear())
    return found.filter(pl.col("measure") != "days") if order_only else found


def _values_of_many(events: pl.DataFrame) -> pl.DataFrame:
    """Quantiles of each code; the outer ones only where at least five patients lie beyond them."""
    spread_of = value_spread(events)
    withheld = withhold(spread_of, "values", "distinct", "p5", "p25", "median", "p75", "p95", "p1", "p99")
    many = pl.col("patients") >= SMALLEST_GROUP * 100
    fair = pl.col("patients") >= SMALLEST_GROUP * 20
    return withheld.with_columns(
        *(pl.when(many).then(pl.col(name)).alias(name) for name in ("p1", "p99")),
        *(pl.when(fair).then(pl.col(name)).alias(name) for name in ("p5", "p95")),
    )

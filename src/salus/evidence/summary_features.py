"""The usual summary of a record at one moment, as a table of numbers: what a simple model would look at.

Per measured code: last, first, mean, least, greatest, spread, change, count, hours since the last. Per code without
a value: present or not, count, hours since the last. Age, months recorded, moments and rows so far.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

BIRTH = "MEDS_BIRTH"
KEY = ["subject_id", "prediction_time"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryColumns:
    """Which codes become columns; learnt once, so that every population gets the same table."""

    measured: tuple[str, ...]
    stated: tuple[str, ...]


def learn_columns(known: pl.DataFrame, *, least_patients: int = 20) -> SummaryColumns:
    """Choose the codes that at least ``least_patients`` patients have by their index moment."""
    seen = (
        known.lazy()
        .filter(pl.col("code") != BIRTH)
        .group_by("code")
        .agg(patients=pl.col("subject_id").n_unique(), measured=pl.col("numeric_value").count() > 0)
        .filter(pl.col("patients") >= least_patients)
        .sort("code")
        .collect()
    )
    return SummaryColumns(
        measured=tuple(seen.filter("measured")["code"]),
        stated=tuple(seen.filter(~pl.col("measured"))["code"]),
    )


def summary_features(known: pl.DataFrame, moments: pl.DataFrame, columns: SummaryColumns) -> pl.DataFrame:
    """One row a moment: subject_id, prediction_time, then float32 columns; what was never recorded is null.

    ``known`` comes from :func:`salus.cohort.moments.known_at_index`: nothing later than the moment is in it.
    """
    rows = known.lazy().sort("subject_id", "time", nulls_last=False, maintain_order=True)
    wide = _whole_record(rows, moments)
    for frame in (_measured(rows, columns.measured), _stated(rows, columns.stated)):
        wide = wide.join(frame, on="subject_id", how="left")
    names = [name for name in wide.columns if name not in KEY]
    counts = [name for name in names if name.endswith(" count")]
    return wide.with_columns(pl.col(counts).fill_null(0)).select(*KEY, pl.col(names).cast(pl.Float32))


def whole_record(events: pl.DataFrame, columns: SummaryColumns) -> pl.DataFrame:
    """The same summary of everything recorded, taken at each patient's last dated row; for nobody to forecast with."""
    dated = pl.col("time").is_not_null() & (pl.col("code") != BIRTH)
    moments = (
        events.filter(dated)
        .group_by("subject_id")
        .agg(prediction_time=pl.col("time").max())
        .sort("subject_id")
    )
    known = events.join(moments, on="subject_id", maintain_order="left")
    return summary_features(known, moments, columns)


def _hours_since(time: pl.Expr) -> pl.Expr:
    return (pl.col("prediction_time").first() - time).dt.total_minutes() / 60


def _whole_record(rows: pl.LazyFrame, moments: pl.DataFrame) -> pl.DataFrame:
    timed = pl.col("time").filter(pl.col("code") != BIRTH).drop_nulls()
    born = pl.col("time").filter(pl.col("code") == BIRTH).first()
    summary = rows.group_by("subject_id").agg(
        age=_hours_since(born) / 24 / 365.25,
        recorded_hours=_hours_since(timed.min()),
        moments=timed.n_unique(),
        rows=pl.len(),
    )
    return moments.select(KEY).sort("subject_id").join(summary.collect(), on="subject_id", how="left")


def _measured(rows: pl.LazyFrame, codes: tuple[str, ...]) -> pl.DataFrame:
    value = pl.col("numeric_value")
    found = (
        rows.filter(pl.col("code").is_in(codes) & value.is_not_null())
        .group_by("subject_id", "code")
        .agg(
            value.last().alias("last"),
            value.first().alias("first"),
            value.mean().alias("mean"),
            value.min().alias("least"),
            value.max().alias("greatest"),
            value.std().alias("spread"),
            (value.last() - value.first()).alias("change"),
            pl.len().alias("count"),
            _hours_since(pl.col("time").last()).alias("hours"),
        )
    )
    return _wide(found.collect(), codes)


def _stated(rows: pl.LazyFrame, codes: tuple[str, ...]) -> pl.DataFrame:
    found = (
        rows.filter(pl.col("code").is_in(codes))
        .group_by("subject_id", "code")
        .agg(pl.len().alias("count"), _hours_since(pl.col("time").last()).alias("hours"))
    )
    return _wide(found.collect(), codes)


def _wide(found: pl.DataFrame, codes: tuple[str, ...]) -> pl.DataFrame:
    """One row a patient, columns ``CODE last`` … in a fixed order, also for codes nobody has."""
    measures = found.columns[2:]
    return (
        found.lazy()
        .group_by("subject_id")
        .agg(
            pl.col(measure).filter(pl.col("code") == code).first().alias(f"{code} {measure}")
            for code in codes
            for measure in measures
        )
        .collect()
    )

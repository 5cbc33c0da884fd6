"""How much is recorded: of which codes, for how many patients, in which period."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
YEAR_US = int(365.25 * DAY_US)
# width of a period by the span it has to divide: the first entry whose span is exceeded is used
PERIODS = ((3 * YEAR_US, YEAR_US, "year"), (90 * DAY_US, 30 * DAY_US, "30 days"), (4 * DAY_US, DAY_US, "day"))
SHORTEST = (4 * HOUR_US, "4 hours")
IN_ORDER = "moment in order"
"""What a period is where times say only the order."""
PLAIN_ROLE = "event"


def has_value() -> pl.Expr:
    """Whether a row carries a number or a text."""
    return pl.col("numeric_value").is_not_null() | pl.col("text_value").is_not_null()


def per_code(events: pl.DataFrame) -> pl.DataFrame:
    """Count rows, patients, their share of all patients, and rows without the value that is usual."""
    everyone = events["subject_id"].n_unique()
    return (
        events.group_by("code")
        .agg(
            pl.len().alias("rows"),
            pl.col("subject_id").n_unique().alias("patients"),
            has_value().sum().alias("with_value"),
        )
        .with_columns(
            (pl.col("patients") / max(everyone, 1)).alias("share_of_patients"),
            pl.when(pl.col("with_value") > 0)
            .then(pl.col("rows") - pl.col("with_value"))
            .otherwise(0)
            .alias("missing_value"),
        )
        .drop("with_value")
        .sort("patients", "code", descending=[True, False])
    )


def per_patient(events: pl.DataFrame, codes: pl.DataFrame) -> pl.DataFrame:
    """Count each patient's rows, distinct codes and distinct moments, and the days from first to last.

    The day of birth does not count into the days: it would say the age, not how long the patient was seen.
    """
    births = codes.filter(pl.col("role") == "birth")["code"].to_list()
    seen = pl.col("time").filter(~pl.col("code").is_in(births))
    return (
        events.group_by("subject_id")
        .agg(
            pl.len().alias("rows"),
            pl.col("code").n_unique().alias("codes"),
            pl.col("time").drop_nulls().n_unique().alias("moments"),
            ((seen.max() - seen.min()).dt.total_seconds() / 86_400).alias("days"),
        )
        .sort("subject_id")
    )


def spread(patients: pl.DataFrame) -> pl.DataFrame:
    """Describe the patients' counts by quantiles, so that no single patient is shown."""
    quantiles = {"p5": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95}
    rows = [
        {"measure": name, "mean": patients[name].mean()}
        | {label: patients[name].quantile(at, interpolation="nearest") for label, at in quantiles.items()}
        for name in ("rows", "codes", "moments", "days")
    ]
    schema = {"measure": pl.String, "mean": pl.Float64} | dict.fromkeys(quantiles, pl.Float64)
    return pl.DataFrame(rows, schema=schema)


def plain_events(events: pl.DataFrame, codes: pl.DataFrame) -> pl.DataFrame:
    """Keep dated rows that are neither birth, death, end of follow-up nor the anchor."""
    special = codes.filter(pl.col("role") != PLAIN_ROLE)["code"].to_list()
    return events.filter(pl.col("time").is_not_null() & ~pl.col("code").is_in(special))


def period_width(offsets: pl.Series) -> tuple[int, str]:
    """Choose the width of a period (microseconds, its name) for offsets in microseconds."""
    low = offsets.quantile(0.02, interpolation="nearest") or 0
    high = offsets.quantile(0.98, interpolation="nearest") or 0
    for span, width, name in PERIODS:
        if high - low > span:
            return width, name
    return SHORTEST


def per_period(events: pl.DataFrame, codes: pl.DataFrame, time_zero: datetime | None) -> pl.DataFrame:
    """Count rows and patients for each period of follow-up (calendar years where there is no time zero).

    ``start`` is the period's beginning in periods since time zero; the rarest 1 % at either end is put
    together in the periods marked ``open``.
    """
    plain = plain_events(events, codes)
    if time_zero is None:
        named = plain.with_columns(pl.col("time").dt.year().cast(pl.Int64).alias("start"))
        return _count_periods(named, "calendar year")
    since = plain.with_columns((pl.col("time") - time_zero).dt.total_microseconds().alias("offset"))
    width, name = period_width(since["offset"])
    return _count_periods(since.with_columns((pl.col("offset") // width).alias("start")), name)


def per_place(events: pl.DataFrame, codes: pl.DataFrame) -> pl.DataFrame:
    """Count rows and patients for each place in the order: every patient's first moment, second moment and so on."""
    plain = plain_events(events, codes)
    place = pl.col("time").rank("dense").over("subject_id").cast(pl.Int64)
    return _count_periods(plain.with_columns(place.alias("start")), IN_ORDER)


def _count_periods(plain: pl.DataFrame, name: str) -> pl.DataFrame:
    low = int(plain["start"].quantile(0.01, interpolation="nearest") or 0)
    high = int(plain["start"].quantile(0.99, interpolation="nearest") or 0)
    return (
        plain.with_columns(
            (~pl.col("start").is_between(low, high)).alias("open"), pl.col("start").clip(low, high)
        )
        .group_by("start")
        .agg(
            pl.len().alias("rows"),
            pl.col("subject_id").n_unique().alias("patients"),
            pl.col("open").any(),
        )
        .with_columns(
            (pl.col("rows") / pl.col("patients")).alias("rows_per_patient"), pl.lit(name).alias("period")
        )
        .sort("start")
    )


def period_length(name: str) -> timedelta | None:
    """Length of a period by its name; None for calendar years."""
    widths = {name: width for _, width, name in PERIODS} | {SHORTEST[1]: SHORTEST[0]}
    return timedelta(microseconds=widths[name]) if name in widths else None

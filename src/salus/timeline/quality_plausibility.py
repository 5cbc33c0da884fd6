"""Whether values can be true: ranges, units, codes that repeat one another."""

from __future__ import annotations

import polars as pl

QUANTILES = {"p1": 0.01, "p5": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95, "p99": 0.99}
TWIN_SHARE = 0.999  # of the shared moments
TWIN_MOMENTS = 20  # fewer shared moments prove nothing
FIRST_LOOK = 1_000  # patients among whom pairs are sought before all are looked at


def value_spread(events: pl.DataFrame) -> pl.DataFrame:
    """Describe each code's values by quantiles and the number of distinct values."""
    measured = events.filter(pl.col("numeric_value").is_not_null())
    spread = [
        pl.col("numeric_value").quantile(at, interpolation="nearest").alias(name)
        for name, at in QUANTILES.items()
    ]
    return (
        measured.group_by("code")
        .agg(
            pl.len().alias("values"),
            pl.col("subject_id").n_unique().alias("patients"),
            pl.col("numeric_value").n_unique().alias("distinct"),
            *spread,
        )
        .sort("code")
    )


def outside_range(events: pl.DataFrame, codes: pl.DataFrame) -> pl.DataFrame:
    """Count values below and above the plausible range that codes.parquet gives, with the range's source."""
    ranged = codes.filter(pl.col("low").is_not_null() | pl.col("high").is_not_null())
    ranged = ranged.select("code", "low", "high", "range_source")
    low, high = pl.col("numeric_value") < pl.col("low"), pl.col("numeric_value") > pl.col("high")
    return (
        events.filter(pl.col("numeric_value").is_not_null())
        .join(ranged, on="code")
        .with_columns(low.fill_null(False).alias("is_low"), high.fill_null(False).alias("is_high"))
        .group_by("code", "low", "high", "range_source")
        .agg(
            pl.len().alias("values"),
            pl.col("is_low").sum().alias("below"),
            pl.col("is_high").sum().alias("above"),
            pl.col("subject_id").filter(pl.col("is_low") | pl.col("is_high")).n_unique().alias("patients"),
        )
        .sort("code")
    )


def unit_conflicts(events: pl.DataFrame, codes: pl.DataFrame) -> pl.DataFrame:
    """List codes whose values carry several units, or another unit than codes.parquet declares."""
    declared = codes.select("code", pl.col("unit").alias("declared"))
    return (
        events.filter(pl.col("numeric_value").is_not_null())
        .group_by("code", "unit")
        .agg(pl.len().alias("rows"), pl.col("subject_id").n_unique().alias("patients"))
        .join(declared, on="code", how="left")
        .with_columns(pl.len().over("code").alias("units"))
        .filter(
            (pl.col("units") > 1)
            | (pl.col("declared").is_not_null() & pl.col("unit").ne_missing(pl.col("declared")))
        )
        .select("code", "unit", "declared", "rows", "patients")
        .sort("code", "unit")
    )


def twin_codes(events: pl.DataFrame) -> pl.DataFrame:
    """Find pairs of codes whose values at the same patient and moment are (all but) always identical.

    Two different measurements are never the same number hundreds of times over: one column was copied
    over the other before the data reached us. Moments with several values of one code are not compared.
    """
    keys = ["subject_id", "time", "code"]
    single = (
        events.filter(pl.col("numeric_value").is_not_null() & pl.col("time").is_not_null())
        .group_by(keys)
        .agg(pl.col("numeric_value").first(), pl.col("numeric_value").n_unique().alias("n"))
        .filter(pl.col("n") == 1)
        .drop("n")
    )
    some = single["subject_id"].unique().sort().head(FIRST_LOOK).to_list()
    suspects = _compare(single.filter(pl.col("subject_id").is_in(some))).filter(pl.col("share") >= 0.9)
    suspected = set(suspects["code"].to_list()) | set(suspects["twin"].to_list())
    return (
        _compare(single.filter(pl.col("code").is_in(suspected)))
        .filter(
            (pl.col("share") >= TWIN_SHARE) & (pl.col("moments") >= TWIN_MOMENTS) & (pl.col("distinct") > 1)
        )
        .drop("distinct")
        .sort("code", "twin")
    )


def _compare(single: pl.DataFrame) -> pl.DataFrame:
    """Compare every two codes at the moments they share."""
    other = single.rename({"code": "twin", "numeric_value": "twin_value"})
    same = (pl.col("numeric_value") == pl.col("twin_value")).alias("same")
    return (
        single.join(other, on=["subject_id", "time"])
        .filter(pl.col("code") < pl.col("twin"))
        .with_columns(same)
        .group_by("code", "twin")
        .agg(
            pl.len().alias("moments"),
            pl.col("subject_id").n_unique().alias("patients"),
            pl.col("same").sum().alias("identical"),
            pl.col("same").mean().alias("share"),
            pl.col("numeric_value").n_unique().alias("distinct"),
        )
    )


def histograms(
    events: pl.DataFrame, codes: pl.DataFrame, *, bins: int = 24, smallest: int = 5
) -> pl.DataFrame:
    """Count values between each code's 1st and 99th percentile in equal bins, at most ``bins`` and one.

    A bin is a whole number of the code's recorded decimals wide, so that none holds more readings than its
    neighbour by accident. Bins with fewer than ``smallest`` patients are left out: no single value is shown.
    """
    measured = events.filter(pl.col("numeric_value").is_not_null())
    value = pl.col("numeric_value").cast(pl.Float64)
    span = measured.group_by("code").agg(
        value.quantile(0.01, interpolation="nearest").alias("from"),
        value.quantile(0.99, interpolation="nearest").alias("to"),
    )
    span = span.join(codes.select("code", "decimals"), on="code", how="left")
    span = span.filter(pl.col("to") > pl.col("from")).with_columns(bin_width(bins))
    number = ((value - pl.col("first")) / pl.col("width")).floor().cast(pl.Int64).alias("bin")
    start = pl.col("first") + pl.col("bin") * pl.col("width")
    return (
        measured.join(span, on="code")
        .filter(value.is_between(pl.col("from"), pl.col("to")))
        .with_columns(number)
        .group_by("code", "bin", "first", "width")
        .agg(pl.len().alias("values"), pl.col("subject_id").n_unique().alias("patients"))
        .filter(pl.col("patients") >= smallest)
        .select("code", start.alias("start"), (start + pl.col("width")).alias("end"), "values")
        .sort("code", "start")
    )


def bin_width(bins: int) -> list[pl.Expr]:
    """``width`` and ``first`` edge of bins for values ``from`` … ``to`` recorded with ``decimals``."""
    step = pl.when(pl.col("decimals").is_not_null()).then(10.0 ** -pl.col("decimals").cast(pl.Float64))
    raw = (pl.col("to") - pl.col("from")) / bins
    width = pl.coalesce((raw / step - 1e-9).ceil().clip(1) * step, raw)
    return [width.alias("width"), (pl.col("from") - pl.coalesce(step / 2, pl.lit(0.0))).alias("first")]

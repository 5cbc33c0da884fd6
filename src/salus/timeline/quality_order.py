"""Whether rows stand where they can stand: after birth, before death, once each."""

from __future__ import annotations

import polars as pl

KEYS = ["subject_id", "time", "code"]


def time_order(events: pl.DataFrame, codes: pl.DataFrame) -> pl.DataFrame:
    """Count rows after the patient's death, after the end of follow-up and before birth.

    A row at the very moment of death, of the end or of birth is in order. Rows before time zero are too.
    """
    dated = events.filter(pl.col("time").is_not_null()).select("subject_id", "time", "code")
    checks = (
        ("after death", "death", pl.col("time") > pl.col("bound")),
        ("after the end of follow-up", "follow_up_end", pl.col("time") > pl.col("bound")),
        ("before birth", "birth", pl.col("time") < pl.col("bound")),
    )
    return pl.concat([_count(dated, codes, name, role, wrong) for name, role, wrong in checks])


def _count(dated: pl.DataFrame, codes: pl.DataFrame, name: str, role: str, wrong: pl.Expr) -> pl.DataFrame:
    marks = codes.filter(pl.col("role") == role)["code"].to_list()
    bound = (
        dated.filter(pl.col("code").is_in(marks))
        .group_by("subject_id")
        .agg(pl.col("time").min().alias("bound"))
    )
    found = dated.filter(~pl.col("code").is_in(marks)).join(bound, on="subject_id").filter(wrong)
    return pl.DataFrame(
        {
            "check": [name],
            "bounded_patients": [bound.height],
            "rows": [found.height],
            "patients": [found["subject_id"].n_unique()],
        }
    )


def duplicates(events: pl.DataFrame) -> pl.DataFrame:
    """Count, for each code, repeated rows and moments with contradicting values.

    ``repeats``: rows equal to an earlier one in patient, time, code and value.
    ``contradictions``: patient-moments at which the code has more than one value.
    """
    value = pl.struct("numeric_value", "text_value", "unit")
    moments = events.group_by(KEYS).agg(pl.len().alias("rows"), value.n_unique().alias("different"))
    return (
        moments.filter(pl.col("rows") > 1)
        .group_by("code")
        .agg(
            (pl.col("rows") - pl.col("different")).sum().alias("repeats"),
            (pl.col("different") > 1).sum().alias("contradictions"),
            pl.col("subject_id").n_unique().alias("patients"),
        )
        .sort("code")
    )


def known_times(events: pl.DataFrame) -> pl.DataFrame:
    """Count dated rows, those without the time they became known, and those known before they happened."""
    dated = events.filter(pl.col("time").is_not_null())
    early = dated.filter(pl.col("known_time") < pl.col("time"))
    return pl.DataFrame(
        {
            "dated": [dated.height],
            "without_known_time": [dated["known_time"].null_count()],
            "known_before_time": [early.height],
            "patients": [early["subject_id"].n_unique()],
        }
    )

"""From when we look, and what could be seen then."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from salus.cohort.task import Task

MOMENTS = {"subject_id": pl.Int64(), "prediction_time": pl.Datetime("us")}


def index_moments(events: pl.DataFrame, task: Task) -> pl.DataFrame:
    """The index moment of each patient who has the index code: subject_id, prediction_time.

    >>> from salus.cohort.task import IndexRule
    >>> events = pl.DataFrame({"subject_id": [7], "time": [datetime(2026, 3, 1)], "code": ["ICU//ADMISSION"]})
    >>> task = Task(name="t", index=IndexRule(code="ICU//ADMISSION"), outcomes=())
    >>> index_moments(events, task)["prediction_time"].to_list()
    [datetime.datetime(2026, 3, 1, 0, 0)]
    """
    return (
        events.lazy()
        .filter((pl.col("code") == task.index.code) & pl.col("time").is_not_null())
        .group_by("subject_id")
        .agg(prediction_time=pl.col("time").min() + pl.lit(task.index.after))
        .select(pl.col(name).cast(kind) for name, kind in MOMENTS.items())
        .sort("subject_id")
        .collect()
    )


def known_by(events: pl.DataFrame, moment: datetime) -> pl.DataFrame:
    """Keep what the care team could have seen at ``moment``.

    A potassium drawn at 08:00 and released at 09:10 does not exist at 09:00; a model that saw it would be
    reading the future. A static fact without a known time is always visible, a timed row without one never.
    """
    return events.filter(_visible_at(pl.lit(moment)))


def known_at_index(events: pl.DataFrame, moments: pl.DataFrame) -> pl.DataFrame:
    """Keep what could be seen at each patient's own index moment, adding the column ``prediction_time``.

    ``moments`` has one row a patient; patients without a moment are left out. The order of rows is kept.
    """
    return (
        events.lazy()
        .join(moments.lazy().select("subject_id", "prediction_time"), on="subject_id", maintain_order="left")
        .filter(_visible_at(pl.col("prediction_time")))
        .collect()
    )


def _visible_at(moment: pl.Expr) -> pl.Expr:
    static = pl.col("time").is_null() & pl.col("known_time").is_null()
    return static | (pl.col("known_time") <= moment).fill_null(False)

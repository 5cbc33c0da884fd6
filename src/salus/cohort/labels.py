"""Whether the outcome happened after the index: yes, no, or not answerable and why."""

from __future__ import annotations

from enum import StrEnum

import polars as pl

from salus.cohort.moments import index_moments
from salus.cohort.task import Outcome, Task

LABELS = {
    "subject_id": pl.Int64(),
    "prediction_time": pl.Datetime("us"),
    "task": pl.String(),
    "label": pl.Boolean(),
    "reason": pl.String(),
}
DEATH_ROLE, END_ROLE = "death", "follow_up_end"


class Reason(StrEnum):
    """Why a patient has no answer."""

    PRIOR = "prior"  # had it at the index already
    CENSORED = "censored"  # the record ends before the answer
    ENDED = "ended"  # the record ends, the patient dies or leaves before the index
    NO_INDEX = "no index"  # the index code never happens


def label(events: pl.DataFrame, task: Task, codes: pl.DataFrame) -> pl.DataFrame:
    """Answer every outcome of the task for every patient; ``codes`` says which codes end a record.

    True: the outcome happened after the index, within the horizon, not after an ``until``. False: an
    ``until`` or death came first, or the record goes on to the horizon. Otherwise null, and why.
    """
    moments = index_moments(events, task)
    timed = events.lazy().filter(pl.col("time").is_not_null()).select("subject_id", "time", "code")
    last = timed.group_by("subject_id").agg(last_seen=pl.col("time").max())
    patients = (
        events.lazy()
        .select("subject_id")
        .unique()
        .join(moments.lazy(), on="subject_id", how="left")
        .join(last, on="subject_id", how="left")
    )
    after = timed.join(moments.lazy(), on="subject_id")
    dead = _with_role(codes, DEATH_ROLE)
    gone = [*dead, *_with_role(codes, END_ROLE)]
    frames = [_answer(patients, after, outcome=outcome, dead=dead, gone=gone) for outcome in task.outcomes]
    return pl.concat(frames).collect().sort("task", "subject_id")


def _answer(
    patients: pl.LazyFrame, rows: pl.LazyFrame, *, outcome: Outcome, dead: list[str], gone: list[str]
) -> pl.LazyFrame:
    future = pl.col("time") > pl.col("prediction_time")
    until = pl.col("code").is_in([*outcome.until, *dead])
    wanted = pl.col("code").is_in(outcome.any_of)
    times = rows.group_by("subject_id").agg(
        happened=pl.col("time").filter(wanted & future).min(),
        stopped=pl.col("time").filter(until & future).min(),
        prior=(pl.col("code").is_in(outcome.unless_before) & ~future).any(),
        left=(pl.col("code").is_in([*gone, *outcome.until]) & ~future).any(),
    )
    horizon = pl.col("prediction_time") + pl.lit(outcome.within)
    happened, stopped, far = pl.col("happened"), pl.col("stopped"), pl.lit(None, dtype=pl.Datetime("us"))
    in_time = (happened <= horizon) if outcome.within else happened.is_not_null()
    yes = (in_time & (happened <= pl.coalesce(stopped, happened))).fill_null(False)
    answered = (pl.col("last_seen") >= (horizon if outcome.within else far)).fill_null(False)
    no = (stopped.is_not_null() & (stopped <= pl.coalesce(happened, stopped))) | answered
    reason = (
        pl.when(pl.col("prediction_time").is_null())
        .then(pl.lit(Reason.NO_INDEX.value))
        .when(pl.col("left").fill_null(False))
        .then(pl.lit(Reason.ENDED.value))
        .when(pl.col("prior").fill_null(False))
        .then(pl.lit(Reason.PRIOR.value))
        .when(~yes & ~no)
        .then(pl.lit(Reason.CENSORED.value))
    )
    joined = patients.join(times, on="subject_id", how="left").with_columns(
        task=pl.lit(outcome.name), label=yes, reason=reason
    )
    answer = pl.when(pl.col("reason").is_null()).then(pl.col("label"))
    return joined.with_columns(label=answer).select(pl.col(name).cast(kind) for name, kind in LABELS.items())


def _with_role(codes: pl.DataFrame, role: str) -> list[str]:
    return codes.filter(pl.col("role") == role)["code"].to_list()

"""Forecast: each patient's risk of each outcome at the index moment, from sampled futures."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from salus.cohort.moments import index_moments, known_at_index
from salus.cohort.task import Task, check_codes, read_task
from salus.errors import SettingsRefused, TooFewPatients
from salus.programme.lock import NO_LEAVE, Leave, Used, answers_of, check_lock
from salus.progress import Progress
from salus.timeline.answers import write_answers
from salus.timeline.store import read_codes, read_settings, read_timeline
from salus.trajectory.artefact import Model, load_model
from salus.trajectory.bins import IntArray
from salus.trajectory.encoding import Records, grain_of
from salus.trajectory.forecasting import Asked, Histories, Question, Risks, draw_risks
from salus.trajectory.reading import LeftOut, left_out, read_histories
from salus.trajectory.sending import received, sent
from salus.trajectory.spreading import spread
from salus.trajectory.vocabulary import Clock
from salus.workflows.stages import cpu_seconds

TOGETHER = 4_096
"""Futures drawn together: large enough for the processor, small enough for its memory. Part of the result: each chunk
of so many has a seed of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastResult:
    """What was forecast, in how long. ``without_history``: patients with an index moment but nothing known by it.

    ``left_out``: rows of histories that the model could not read, and of how many codes.
    """

    risks: Path
    patients: int
    without_history: int
    left_out: LeftOut
    outcomes: tuple[str, ...]
    samples: int
    seconds: float
    cpu_seconds: float
    seed: int
    synthetic: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastSettings:
    """Which outcomes (``task``: a task file), for which patients (``split``; None: all), from how many futures.

    ``leave``: what opens the lock for what is synthetic.
    """

    task: Path
    samples: int = 64
    seed: int = 20260101
    split: str | None = "held_out"
    leave: Leave = NO_LEAVE


def forecast(
    model: Path, timeline: Path, *, to: Path, settings: ForecastSettings, progress: Progress
) -> ForecastResult:
    """Write ``to`` (Parquet): subject_id, prediction_time, task, risk, lower, upper (95 % Monte Carlo), samples.

    Raises SyntheticLocked (SAL-477), SettingsRefused (SAL-308), TooFewPatients (SAL-305), OtherTimeline (SAL-306), task
    and timeline errors.
    """
    if settings.samples < 1:
        raise SettingsRefused(
            f"{settings.samples} futures cannot be drawn",
            where="--samples",
            fix="give 1 or more, such as 64",
        )
    loaded, task = load_model(model), read_task(settings.task)
    used = used_on("forecast", loaded, timeline)
    check_lock(used, settings.leave, now=datetime.now(UTC))
    codes = read_codes(timeline)
    check_codes(task, codes["code"].to_list(), where=str(settings.task))
    began, spent = time.monotonic(), cpu_seconds()
    with progress.step("Reading histories"):
        events = read_timeline(timeline, settings.split)
        moments = _moments(events, task, settings)
        known = known_at_index(events, moments)
        records = read_histories(known, codes, read_settings(timeline), loaded.vocabulary)
        unread = left_out(known, codes, loaded.vocabulary)
        moments = moments.sort("subject_id").filter(pl.col("subject_id").is_in(records.subject.tolist()))
        index = grains_of(moments["prediction_time"], loaded.vocabulary.clock)
    jobs = _jobs(records, index, settings)
    asked = Asked(questions=questions_of(task, loaded.vocabulary.clock), samples=settings.samples)
    risks = []
    with progress.step("Drawing futures", total=records.patients, unit="patients") as step:
        for drawn in spread(partial(_draw, sent(model, loaded), asked), jobs):
            risks.append(drawn)
            step.advance(len(drawn.risk))
    write_answers(_table(moments, task, risks), to, answers_of(used, settings.leave, timeline))
    return ForecastResult(
        risks=to,
        patients=records.patients,
        without_history=events["subject_id"].n_unique() - records.patients,
        left_out=unread,
        outcomes=tuple(outcome.name for outcome in task.outcomes),
        samples=settings.samples,
        seconds=time.monotonic() - began,
        cpu_seconds=cpu_seconds() - spent,
        seed=settings.seed,
        synthetic=used.synthetic,
    )


def used_on(route: str, model: Model, timeline: Path) -> Used:
    """What would be used on a route, as the lock wants to know it."""
    return Used(
        route=route,
        model=model.digest,
        records_synthetic=read_settings(timeline).synthetic,
        model_synthetic=model.lineage.synthetic,
    )


def _moments(events: pl.DataFrame, task: Task, settings: ForecastSettings) -> pl.DataFrame:
    """Index moments of the patients looked at; there must be one."""
    moments = index_moments(events, task)
    if moments.is_empty():
        raise TooFewPatients(
            f"no patient of split '{settings.split or 'all'}' has the index {task.index.code}",
            where=str(settings.task),
            fix="choose another --split, or another index in the task file",
        )
    return moments


def _jobs(records: Records, index: IntArray, settings: ForecastSettings) -> list[tuple[Histories, int]]:
    """Chunks of patients, each with a seed of its own."""
    size = max(1, TOGETHER // settings.samples)
    pieces = [
        np.arange(first, min(first + size, records.patients)) for first in range(0, records.patients, size)
    ]
    return [
        (Histories(records=records.of(piece), known_until=index[piece]), settings.seed * 1_000_003 + number)
        for number, piece in enumerate(pieces)
    ]


def questions_of(task: Task, clock: Clock) -> tuple[Question, ...]:
    """The task's outcomes in the model's terms: horizons in grains."""
    return tuple(
        Question(
            name=outcome.name,
            codes=outcome.any_of,
            within=None
            if outcome.within is None
            else int(outcome.within.total_seconds() // clock.grain_seconds),
            until=outcome.until,
        )
        for outcome in task.outcomes
    )


def grains_of(times: pl.Series, clock: Clock) -> IntArray:
    """Grains from time zero of each index moment."""
    grains = times.to_frame("time").select(grain_of(pl.col("time"), clock)).to_series()
    return grains.to_numpy().astype(np.int64)


def _draw(model: Path | Model, asked: Asked, job: tuple[Histories, int]) -> Risks:
    """Draw the futures of one chunk; runs in a process of its own."""
    histories, seed = job
    loaded = received(model)
    return draw_risks(loaded.network, loaded.vocabulary, histories=histories, asked=asked, seed=seed)


def _table(moments: pl.DataFrame, task: Task, risks: list[Risks]) -> pl.DataFrame:
    """One row a patient and outcome."""
    columns = {
        name: np.concatenate([getattr(part, name) for part in risks]) for name in ("risk", "lower", "upper")
    }
    samples = risks[0].samples
    return pl.concat(
        moments.select("subject_id", "prediction_time").with_columns(
            task=pl.lit(outcome.name),
            risk=pl.Series(columns["risk"][:, number], dtype=pl.Float32),
            lower=pl.Series(columns["lower"][:, number], dtype=pl.Float32),
            upper=pl.Series(columns["upper"][:, number], dtype=pl.Float32),
            samples=pl.lit(samples, dtype=pl.Int32),
        )
        for number, outcome in enumerate(task.outcomes)
    )

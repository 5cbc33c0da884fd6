"""Simulate: futures as they would go, and with interventions placed; risks of both arms and their difference."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from salus.cohort.moments import index_moments, known_at_index
from salus.cohort.task import Task, check_codes, read_task
from salus.errors import ConditionRefused, SettingsRefused, TooFewPatients
from salus.programme.lock import NO_LEAVE, Leave, answers_of, check_lock
from salus.progress import Progress
from salus.timeline.answers import write_answers
from salus.timeline.store import read_codes, read_settings, read_timeline
from salus.trajectory.artefact import Model, load_model
from salus.trajectory.forecasting import Asked, Histories
from salus.trajectory.interventions import Intervention, placements_of, read_interventions, set_at_index
from salus.trajectory.placing import unlike_training
from salus.trajectory.reading import read_histories
from salus.trajectory.sending import received, sent
from salus.trajectory.simulating import EXPECTED, Arm, Compared, compare_arms, over_patients
from salus.trajectory.spreading import spread
from salus.workflows.forecast import TOGETHER, grains_of, questions_of, used_on
from salus.workflows.futures_choice import check_model
from salus.workflows.stages import cpu_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulateSettings:
    """Which outcomes (``task``), which interventions (``CODE[=VALUE]@MOMENT`` each), for whom, from how many futures.

    ``split`` None: all patients. ``leave``: what opens the lock for what is synthetic.
    """

    task: Path
    interventions: tuple[str, ...]
    samples: int = 64
    seed: int = 20260101
    split: str | None = "held_out"
    leave: Leave = NO_LEAVE


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeCompared:
    """One outcome over all patients: mean risk of each arm, mean paired difference, its 95 % Monte Carlo bounds."""

    outcome: str
    without: float
    having: float
    difference: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulateResult:
    """What was simulated, in how long, and what it means.

    ``without_history``: patients with an index moment but nothing known by it. ``unlike_training``: patients for whom
    an intervention is placed when no training patient had it: of that the model knows least.
    """

    risks: Path
    patients: int
    without_history: int
    unlike_training: int
    interventions: tuple[str, ...]
    outcomes: tuple[OutcomeCompared, ...]
    samples: int
    seconds: float
    cpu_seconds: float
    seed: int
    meaning: str = EXPECTED
    synthetic: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """What is simulated: index moments of patients with a history, both arms, and what could not be."""

    moments: pl.DataFrame
    arms: tuple[Arm, Arm]
    without_history: int


def simulate(
    model: Path, timeline: Path, *, to: Path, settings: SimulateSettings, progress: Progress
) -> SimulateResult:
    """Write ``to`` (Parquet): one row a patient and outcome, with both arms' risks and the paired difference.

    Raises SyntheticLocked (SAL-477), SettingsRefused (SAL-308), ConditionRefused (SAL-310), TooFewPatients (SAL-305),
    OtherTimeline (SAL-306), TaskCodeUnknown (SAL-403), and errors of models, tasks and timelines.
    """
    if settings.samples < 1:
        raise SettingsRefused(
            f"{settings.samples} futures cannot be drawn",
            where="--samples",
            fix="give 1 or more, such as 64",
        )
    loaded, task = load_model(model), read_task(settings.task)
    used = used_on("simulate", loaded, timeline)
    check_lock(used, settings.leave, now=datetime.now(UTC))
    interventions = read_interventions(settings.interventions, loaded.vocabulary)
    check_model(task, loaded, str(settings.task))
    _check_outcomes(interventions, task, loaded)
    began, spent = time.monotonic(), cpu_seconds()
    with progress.step("Reading histories"):
        scene = _scene(timeline, loaded, task=task, interventions=interventions, settings=settings)
    asked = Asked(questions=questions_of(task, loaded.vocabulary.clock), samples=settings.samples)
    found = []
    with progress.step("Drawing futures of both arms", total=scene.moments.height, unit="patients") as step:
        for compared in spread(partial(_draw, sent(model, loaded), asked), _jobs(scene, settings)):
            found.append(compared)
            step.advance(len(compared.difference))
    write_answers(_table(scene.moments, task, found), to, answers_of(used, settings.leave, timeline))
    placements, index = scene.arms[1].placements, scene.arms[1].histories.known_until
    return SimulateResult(
        risks=to,
        patients=scene.moments.height,
        without_history=scene.without_history,
        unlike_training=unlike_training(placements, loaded.vocabulary, index),
        interventions=settings.interventions,
        outcomes=_outcomes(task, found),
        samples=settings.samples,
        seconds=time.monotonic() - began,
        cpu_seconds=cpu_seconds() - spent,
        seed=settings.seed,
        synthetic=used.synthetic,
    )


def _check_outcomes(interventions: Sequence[Intervention], task: Task, model: Model) -> None:
    """An intervention that is the outcome would count itself."""
    for one in interventions:
        code = model.vocabulary.entries[one.code].code
        for outcome in task.outcomes:
            if code in outcome.any_of:
                raise ConditionRefused(
                    f"'{one.written}' would be the outcome '{outcome.name}' itself",
                    where="--do",
                    fix="set something that may lead to the outcome",
                )


def _scene(
    timeline: Path,
    model: Model,
    *,
    task: Task,
    interventions: Sequence[Intervention],
    settings: SimulateSettings,
) -> _Scene:
    """Both arms: what was known at the index, without and with what is set there, and what is placed later."""
    codes, told = read_codes(timeline), read_settings(timeline)
    check_codes(task, codes["code"].to_list(), where=str(settings.task))
    events = read_timeline(timeline, settings.split)
    moments = index_moments(events, task)
    if moments.is_empty():
        raise TooFewPatients(
            f"no patient of split '{settings.split or 'all'}' has the index {task.index.code}",
            where=str(settings.task),
            fix="choose another --split, or another index in the task file",
        )
    known = known_at_index(events, moments)
    records = read_histories(known, codes, told, model.vocabulary)
    moments = moments.filter(pl.col("subject_id").is_in(records.subject.tolist())).sort("subject_id")
    known = known.filter(pl.col("subject_id").is_in(records.subject.tolist()))
    changed = set_at_index(known, moments, interventions=interventions, vocabulary=model.vocabulary)
    index = grains_of(moments["prediction_time"], model.vocabulary.clock)
    return _Scene(
        moments=moments,
        arms=(
            Arm(histories=Histories(records=records, known_until=index)),
            Arm(
                histories=Histories(
                    records=read_histories(changed, codes, told, model.vocabulary), known_until=index
                ),
                placements=placements_of(interventions, model.vocabulary),
            ),
        ),
        without_history=events["subject_id"].n_unique() - records.patients,
    )


def _jobs(scene: _Scene, settings: SimulateSettings) -> list[tuple[tuple[Arm, Arm], int]]:
    """Chunks of patients, each with a seed of its own that both arms share."""
    size, patients = max(1, TOGETHER // settings.samples), scene.moments.height
    pieces = [np.arange(first, min(first + size, patients)) for first in range(0, patients, size)]
    without, having = scene.arms
    return [
        ((_part(without, piece), _part(having, piece)), settings.seed * 1_000_003 + number)
        for number, piece in enumerate(pieces)
    ]


def _part(arm: Arm, piece: np.ndarray) -> Arm:
    histories = arm.histories
    return Arm(
        histories=Histories(records=histories.records.of(piece), known_until=histories.known_until[piece]),
        placements=arm.placements,
    )


def _draw(model: Path | Model, asked: Asked, job: tuple[tuple[Arm, Arm], int]) -> Compared:
    """Simulate one chunk; runs in a process of its own."""
    arms, seed = job
    loaded = received(model)
    return compare_arms(loaded.network, loaded.vocabulary, arms=arms, asked=asked, seed=seed)


def _table(moments: pl.DataFrame, task: Task, found: list[Compared]) -> pl.DataFrame:
    """One row a patient and outcome."""
    columns = {
        f"{name}{suffix}": np.concatenate([getattr(getattr(part, arm), column) for part in found])
        for name, arm in (("risk_without", "without"), ("risk_with", "having"))
        for suffix, column in (("", "risk"), ("_lower", "lower"), ("_upper", "upper"))
    }
    for name, column in (("", "difference"), ("_lower", "lower"), ("_upper", "upper")):
        columns[f"difference{name}"] = np.concatenate([getattr(part, column) for part in found])
    return pl.concat(
        moments.select("subject_id", "prediction_time").with_columns(
            pl.lit(outcome.name).alias("task"),
            *(pl.Series(name, column[:, number], dtype=pl.Float32) for name, column in columns.items()),
            pl.lit(found[0].without.samples, dtype=pl.Int32).alias("samples"),
            pl.lit(EXPECTED).alias("meaning"),
        )
        for number, outcome in enumerate(task.outcomes)
    )


def _outcomes(task: Task, found: list[Compared]) -> tuple[OutcomeCompared, ...]:
    """Means over patients."""
    difference, lower, upper = over_patients(found)
    means = [
        np.concatenate([part.risk for part in arm]).mean(axis=0)
        for arm in ([one.without for one in found], [one.having for one in found])
    ]
    return tuple(
        OutcomeCompared(
            outcome=outcome.name,
            without=float(means[0][number]),
            having=float(means[1][number]),
            difference=float(difference[number]),
            lower=float(lower[number]),
            upper=float(upper[number]),
        )
        for number, outcome in enumerate(task.outcomes)
    )

"""Generate under conditions: only such patients, or as many of each group as asked, as the model knows them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from salus.errors import SettingsRefused
from salus.progress import Progress
from salus.trajectory.artefact import Model, load_model
from salus.trajectory.conditioning import Resampling
from salus.trajectory.conditions import Condition, read_conditions
from salus.trajectory.generating import draw_population, timeline_rows
from salus.trajectory.sending import received, sent
from salus.trajectory.spreading import spread
from salus.workflows.generate import CHUNK, write_synthetic
from salus.workflows.stages import cpu_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenSettings:
    """How many patients, and which: ``given`` (``NAME=LEVELS`` each), see :mod:`salus.trajectory.conditions`."""

    patients: int
    given: tuple[str, ...] = ()
    seed: int = 20260101


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenResult:
    """What was drawn, in how long, and how: ``drawn`` candidates, worth ``effective`` independent patients.

    ``chance``: estimated share of the patients the model draws who meet what was ``given``.
    """

    timeline: Path
    patients: int
    events: int
    seconds: float
    cpu_seconds: float
    patients_per_second: float
    facts_per_second: float
    seed: int
    given: tuple[str, ...]
    drawn: int
    effective: float
    chance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chunk:
    """Patients drawn together: how many, from which seed, under which conditions, numbered from where."""

    patients: int
    seed: int
    given: tuple[Condition, ...]
    first_subject: int


def generate_given(model: Path, to: Path, *, settings: GivenSettings, progress: Progress) -> GivenResult:
    """Draw synthetic patients who meet conditions into the timeline ``to``; same model and settings: same bytes.

    Raises SettingsRefused (SAL-308), ConditionRefused (SAL-310), ConditionUnmet (SAL-311), and errors of models.
    """
    patients = settings.patients
    if patients < 1:
        raise SettingsRefused(
            f"{patients} patients cannot be drawn", where="--patients", fix="give a whole number above 0"
        )
    loaded = load_model(model)
    given = read_conditions(settings.given, loaded.vocabulary, where="--given")
    chunks = [
        _Chunk(
            patients=min(CHUNK, patients - first),
            seed=settings.seed * 1_000_003 + first // CHUNK,
            given=given,
            first_subject=first + 1,
        )
        for first in range(0, patients, CHUNK)
    ]
    began, spent, frames, resamplings = time.monotonic(), cpu_seconds(), [], []
    with progress.step("Generating", total=patients, unit="patients") as step:
        for chunk, (frame, resampling) in zip(
            chunks, spread(partial(_draw, sent(model, loaded)), chunks), strict=True
        ):
            frames.append(frame)
            resamplings.append(resampling)
            step.advance(chunk.patients)
    seconds, cpu = time.monotonic() - began, cpu_seconds() - spent
    events = pl.concat(frames)
    told = f"seed {settings.seed}; only patients with {', '.join(settings.given)}"
    write_synthetic(events, to, model=loaded, told=told, progress=progress)
    drawn = sum(one.drawn for one in resamplings)
    return GivenResult(
        timeline=to,
        patients=patients,
        events=events.height,
        seconds=seconds,
        cpu_seconds=cpu,
        patients_per_second=patients / seconds,
        facts_per_second=events.height / seconds,
        seed=settings.seed,
        given=settings.given,
        drawn=drawn,
        effective=sum(one.effective for one in resamplings),
        chance=sum(one.chance * one.drawn for one in resamplings) / drawn,
    )


def _draw(model: Path | Model, chunk: _Chunk) -> tuple[pl.DataFrame, Resampling]:
    """Draw one chunk; runs in a process of its own."""
    loaded = received(model)
    drawn = draw_population(
        loaded.network, loaded.vocabulary, patients=chunk.patients, seed=chunk.seed, given=chunk.given
    )
    if drawn.resampling is None:
        raise ValueError("patients are drawn under conditions here")
    return timeline_rows(drawn, loaded.vocabulary, first_subject=chunk.first_subject), drawn.resampling

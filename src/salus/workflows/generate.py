"""Generate: a model folder becomes a synthetic timeline, marked as such."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import polars as pl

from salus.errors import SettingsRefused
from salus.progress import Progress
from salus.timeline.settings import TimelineSettings
from salus.timeline.store import write_timeline
from salus.trajectory.artefact import Model, load_model
from salus.trajectory.generating import draw_rows
from salus.trajectory.sending import received, sent
from salus.trajectory.spreading import spread
from salus.workflows.stages import cpu_seconds

CHUNK = 1_024
"""Patients drawn together. Part of the result: the seed of a chunk is made of the seed and the chunk's number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateResult:
    """What was drawn, in how long."""

    timeline: Path
    patients: int
    events: int
    seconds: float
    cpu_seconds: float
    patients_per_second: float
    facts_per_second: float
    seed: int


def generate(
    model: Path, to: Path, *, patients: int, seed: int = 20260101, progress: Progress
) -> GenerateResult:
    """Draw ``patients`` synthetic patients into the timeline ``to``; same model, number and seed: same bytes.

    Raises SettingsRefused (SAL-308) and what :func:`salus.trajectory.artefact.load_model` raises.
    """
    if patients < 1:
        raise SettingsRefused(
            f"{patients} patients cannot be drawn", where="--patients", fix="give a whole number above 0"
        )
    loaded = load_model(model)
    began, spent = time.monotonic(), cpu_seconds()
    jobs = [(number, min(CHUNK, patients - number * CHUNK), seed) for number in range(-(-patients // CHUNK))]
    frames = []
    with progress.step("Generating", total=patients, unit="patients") as step:
        for (_, count, _), frame in zip(jobs, spread(partial(_draw, sent(model, loaded)), jobs), strict=True):
            frames.append(frame)
            step.advance(count)
    seconds, cpu = time.monotonic() - began, cpu_seconds() - spent
    events = pl.concat(frames)
    write_synthetic(events, to, model=loaded, told=f"seed {seed}", progress=progress)
    return GenerateResult(
        timeline=to,
        patients=patients,
        events=events.height,
        seconds=seconds,
        cpu_seconds=cpu,
        patients_per_second=patients / seconds,
        facts_per_second=events.height / seconds,
        seed=seed,
    )


def _draw(model: Path | Model, job: tuple[int, int, int]) -> pl.DataFrame:
    """Draw one chunk; runs in a process of its own."""
    number, count, seed = job
    loaded = received(model)
    return draw_rows(
        loaded.network,
        loaded.vocabulary,
        patients=count,
        seed=seed * 1_000_003 + number,
        first_subject=number * CHUNK + 1,
    )


def write_synthetic(events: pl.DataFrame, to: Path, *, model: Model, told: str, progress: Progress) -> None:
    """Write drawn patients as a timeline that says so: by which model, and what it was ``told``."""
    clock = model.vocabulary.clock
    zero = datetime.fromisoformat(clock.time_zero)
    with progress.step("Writing the synthetic timeline"):
        write_timeline(
            to,
            events.with_columns(split=pl.lit("train")),
            codes=pl.DataFrame(model.codes, infer_schema_length=None),
            settings=TimelineSettings(
                name=f"synthetic patients after {model.lineage.data_set or 'a timeline'}",
                time_zero=zero if clock.anchor is not None else None,
                grain=clock.grain,
                anchor=clock.anchor,
                order_only=clock.order_only,
                synthetic=True,
                source_digest=model.digest,
                splits=f"all drawn patients are in split train; {told}",
            ),
        )

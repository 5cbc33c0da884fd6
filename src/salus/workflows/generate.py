"""Generate: a model folder becomes a synthetic timeline, marked as such."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import polars as pl

from salus.errors import SettingsRefused
from salus.progress import Progress, Step
from salus.timeline.settings import TimelineSettings
from salus.timeline.store import write_timeline
from salus.trajectory.artefact import Model, load_model
from salus.trajectory.generating import draw_rows
from salus.trajectory.sending import received, sent
from salus.trajectory.spreading import spread
from salus.workflows.stages import cpu_seconds

CHUNK, MOST_TOGETHER = 1_024, 4_096
"""Patients drawn together, at least and at most. Part of the result: a chunk's seed is made of seed and number."""
CHUNKS = 8
"""Chunks there should be before they grow: more together are drawn faster, but each is one processor's work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateResult:
    """What was drawn, in how long. ``patients``: those in the timeline; who was drawn without an event has no row."""

    timeline: Path
    patients: int
    without_events: int
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

    What is drawn is written chunk after chunk: memory does not grow with the number of patients.
    Raises SettingsRefused (SAL-308) and what :func:`salus.trajectory.artefact.load_model` raises.
    """
    if patients < 1:
        raise SettingsRefused(
            f"{patients} patients cannot be drawn", where="--patients", fix="give a whole number above 0"
        )
    loaded = load_model(model)
    began, spent = time.monotonic(), cpu_seconds()
    told = _Told()
    with progress.step("Generating", total=patients, unit="patients") as step:
        frames = spread(partial(_draw, sent(model, loaded)), jobs_of(patients, seed))
        _write(told.listen(frames, step), to, model=loaded, told=f"seed {seed}")
    seconds, cpu = time.monotonic() - began, cpu_seconds() - spent
    return GenerateResult(
        timeline=to,
        patients=told.patients,
        without_events=patients - told.patients,
        events=told.events,
        seconds=seconds,
        cpu_seconds=cpu,
        patients_per_second=patients / seconds,
        facts_per_second=told.events / seconds,
        seed=seed,
    )


class Job(NamedTuple):
    """One chunk: its number, its patients from which to before which, and the seed of all."""

    number: int
    first: int
    last: int
    seed: int


def jobs_of(patients: int, seed: int) -> list[Job]:
    """Cut patients into chunks.

    >>> [(job.first, job.last) for job in jobs_of(2_000, seed=1)]
    [(0, 1024), (1024, 2000)]
    >>> jobs_of(1_000_000, seed=1)[1].first
    4096
    """
    size = min(max(CHUNK, -(-patients // CHUNKS)), MOST_TOGETHER)
    return [
        Job(number, first, min(first + size, patients), seed)
        for number, first in enumerate(range(0, patients, size))
    ]


class _Told:
    """Counts what goes by on its way to the disk."""

    def __init__(self) -> None:
        self.patients = self.events = 0

    def listen(self, frames: Iterable[pl.DataFrame], step: Step) -> Iterator[pl.DataFrame]:
        """Give each frame on, counted."""
        for frame in frames:
            own = frame["subject_id"].n_unique()
            self.patients, self.events = self.patients + own, self.events + frame.height
            yield frame
            step.advance(own)


def _draw(model: Path | Model, job: Job) -> pl.DataFrame:
    """Draw one chunk; runs in a process of its own."""
    loaded = received(model)
    return draw_rows(
        loaded.network,
        loaded.vocabulary,
        patients=job.last - job.first,
        seed=job.seed * 1_000_003 + job.number,
        first_subject=job.first + 1,
    )


def write_synthetic(events: pl.DataFrame, to: Path, *, model: Model, told: str, progress: Progress) -> None:
    """Write drawn patients as a timeline that says so: by which model, and what it was ``told``."""
    with progress.step("Writing the synthetic timeline"):
        _write([events], to, model=model, told=told)


def _write(frames: Iterable[pl.DataFrame], to: Path, *, model: Model, told: str) -> None:
    clock = model.vocabulary.clock
    zero = datetime.fromisoformat(clock.time_zero)
    write_timeline(
        to,
        (frame.with_columns(split=pl.lit("train")) for frame in frames),
        codes=pl.DataFrame(model.codes, infer_schema_length=None),
        settings=TimelineSettings(
            name=f"synthetic patients after {model.lineage.data_set or 'a timeline'}",
            time_zero=zero if clock.anchor is not None else None,
            grain=clock.grain,
            anchor=clock.anchor,
            order_only=clock.order_only,
            synthetic=True,
            source_digest=model.digest,
            origins=(model.digest,),
            splits=f"all drawn patients are in split train; {told}",
        ),
    )

"""Generate under conditions: only such patients, or as many of each group as asked, as the model knows them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from salus.errors import SettingsRefused
from salus.progress import Progress
from salus.trajectory.artefact import Model, load_model
from salus.trajectory.conditioning import Resampling
from salus.trajectory.conditions import Condition, read_conditions
from salus.trajectory.generating import draw_population, timeline_rows
from salus.trajectory.sending import received, sent
from salus.trajectory.shares import Cell, Share, choices_of, plan_cells, read_shares
from salus.trajectory.spreading import spread
from salus.trajectory.vocabulary import Vocabulary
from salus.workflows.generate import CHUNK, write_synthetic
from salus.workflows.stages import cpu_seconds

NO_SAMPLE = (
    "these patients are no sample of the population: shares and means over all of them are as asked for"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenSettings:
    """How many patients, and which: ``given`` (``NAME=LEVELS`` each, see :mod:`salus.trajectory.conditions`).

    ``shares`` (``CODE=SHARE`` each): how large a share of them has a code, see :mod:`salus.trajectory.shares`.
    """

    patients: int
    given: tuple[str, ...] = ()
    shares: tuple[str, ...] = ()
    seed: int = 20260101


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group whose share was asked for: its ``code``, how many have it, and the model's own share of it."""

    code: str
    patients: int
    model_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenResult:
    """What was drawn, in how long, and how: ``drawn`` candidates, worth ``effective`` independent patients.

    ``chance``: estimated share of the patients the model draws who meet what was ``given`` (and, where groups leave no
    room for others, belong to one).
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
    groups: tuple[Group, ...]
    drawn: int
    effective: float
    chance: float
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chunk:
    """Patients drawn together: their subjects, from which seed, under which conditions."""

    subjects: tuple[int, ...]
    seed: int
    given: tuple[Condition, ...]


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
    began, spent = time.monotonic(), cpu_seconds()
    shares = read_shares(settings.shares, loaded.vocabulary)
    cells = _cells(loaded, shares, settings)
    chunks, frames, resamplings = _chunks(cells, settings), [], []
    with progress.step("Generating", total=patients, unit="patients") as step:
        for chunk, (frame, resampling) in zip(
            chunks, spread(partial(_draw, sent(model, loaded)), chunks), strict=True
        ):
            frames.append(frame)
            resamplings.append(resampling)
            step.advance(len(chunk.subjects))
    seconds, cpu = time.monotonic() - began, cpu_seconds() - spent
    events = pl.concat(frames).sort("subject_id", maintain_order=True)
    write_synthetic(events, to, model=loaded, told=_told(settings), progress=progress)
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
        groups=_groups(shares, cells, loaded.vocabulary),
        drawn=drawn,
        effective=sum(one.effective for one in resamplings),
        chance=sum(cell.chance for cell in cells)
        if shares
        else sum(one.chance * one.drawn for one in resamplings) / drawn,
        note=NO_SAMPLE,
    )


def _cells(model: Model, shares: Sequence[Share], settings: GivenSettings) -> tuple[Cell, ...]:
    """Combinations of groups and how many patients of each; without shares there is one."""
    given = read_conditions(settings.given, model.vocabulary, where="--given")
    if not shares:
        return (Cell(given=given, groups=(), patients=settings.patients),)
    return plan_cells(
        model.network,
        model.vocabulary,
        given=given,
        choices=choices_of(shares, model.vocabulary, settings.patients),
        seed=settings.seed,
    )


def _chunks(cells: Sequence[Cell], settings: GivenSettings) -> list[_Chunk]:
    """Patients of one cell together; who has which number is shuffled, so that groups do not stand in a row."""
    subjects = np.arange(1, settings.patients + 1)
    if len(cells) > 1:
        np.random.default_rng(settings.seed).shuffle(subjects)
    firsts = np.cumsum([0, *(cell.patients for cell in cells)])
    pieces = [
        (cell, np.sort(subjects[first : min(first + CHUNK, end)]))
        for cell, start, end in zip(cells, firsts, firsts[1:], strict=False)
        for first in range(start, end, CHUNK)
    ]
    return [
        _Chunk(subjects=tuple(piece.tolist()), seed=settings.seed * 1_000_003 + number, given=cell.given)
        for number, (cell, piece) in enumerate(pieces)
    ]


def _groups(shares: Sequence[Share], cells: Sequence[Cell], vocabulary: Vocabulary) -> tuple[Group, ...]:
    """What came of each share asked for."""
    everybody = sum(cell.chance for cell in cells)
    return tuple(
        Group(
            code=vocabulary.entries[one.code].code,
            patients=sum(cell.patients for cell in cells if one.code in cell.groups),
            model_share=sum(cell.chance for cell in cells if one.code in cell.groups) / everybody,
        )
        for one in shares
    )


def _told(settings: GivenSettings) -> str:
    """What the timeline says of itself."""
    parts = [f"seed {settings.seed}"]
    if settings.given:
        parts.append(f"only patients with {', '.join(settings.given)}")
    if settings.shares:
        parts.append(f"shares as asked for: {', '.join(settings.shares)}")
    return "; ".join([*parts, NO_SAMPLE])


def _draw(model: Path | Model, chunk: _Chunk) -> tuple[pl.DataFrame, Resampling]:
    """Draw one chunk; runs in a process of its own."""
    loaded = received(model)
    drawn = draw_population(
        loaded.network, loaded.vocabulary, patients=len(chunk.subjects), seed=chunk.seed, given=chunk.given
    )
    if drawn.resampling is None:
        raise ValueError("patients are drawn under conditions here")
    rows = timeline_rows(drawn, loaded.vocabulary, first_subject=0)
    subjects = pl.Series(chunk.subjects, dtype=pl.Int64)
    return rows.with_columns(subject_id=subjects.gather(rows["subject_id"])), drawn.resampling

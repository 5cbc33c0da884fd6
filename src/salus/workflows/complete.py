"""Complete: what is missing in real records is drawn given what was recorded, and marked; nothing is overwritten."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from salus.errors import SettingsRefused, TooFewPatients
from salus.programme.lock import NO_LEAVE, Leave, check_lock
from salus.progress import Progress
from salus.timeline.columns import CODE_COLUMNS, fit_columns
from salus.timeline.folder import check_replaceable
from salus.timeline.label import COMPLETED
from salus.timeline.settings import TimelineSettings
from salus.timeline.store import (
    SETTINGS_FILE,
    read_codes,
    read_settings,
    read_timeline,
    timeline_digest,
    write_timeline,
)
from salus.trajectory.artefact import Model, load_model
from salus.trajectory.completing import candidates_of, complete
from salus.trajectory.encoding import Records
from salus.trajectory.filling import beside, filled_rows
from salus.trajectory.gaps import Gaps, Known, Moments, Using, find_fields
from salus.trajectory.reading import read_histories
from salus.trajectory.sending import received, sent
from salus.trajectory.spreading import spread
from salus.workflows.forecast import used_on
from salus.workflows.stages import cpu_seconds

TOGETHER = 8_192
"""Candidates drawn together. Part of the result: each chunk has a seed of its own."""
LOOKED_AHEAD = "filled from the whole record, its later moments too: do not forecast from these timelines"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteSettings:
    """What to fill (``fields``: names with commas, or all; ``moments``), from what, for whom (split None: all).

    ``samples``: how many completed records of each patient. ``leave``: what opens the lock for a model that learnt from
    synthetic patients alone.
    """

    fields: str = "all"
    moments: Moments = Moments.FIRST
    using: Using = Using.RECORD
    samples: int = 1
    seed: int = 20260101
    split: str | None = None
    leave: Leave = NO_LEAVE


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteResult:
    """What was filled, in how long. ``filled``: facts, over all samples; ``by_code``: the same for each code.

    ``fewest``: of the candidates of each patient, how many independent ones they were worth when worth least: the
    median patient. ``warning`` says so where what was filled must not be forecast from.
    """

    timelines: tuple[Path, ...]
    patients: int
    filled: int
    by_code: dict[str, int]
    candidates: int
    fewest: float
    samples: int
    seconds: float
    cpu_seconds: float
    seed: int
    warning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """The recorded timeline, and the records of those of whom something may be filled."""

    events: pl.DataFrame
    codes: pl.DataFrame
    told: TimelineSettings
    records: Records
    origins: tuple[str, ...]


def complete_timeline(
    model: Path, timeline: Path, *, to: Path, settings: CompleteSettings, progress: Progress
) -> CompleteResult:
    """Write the timeline with what was missing filled into ``to``; several samples: ``to``/01, ``to``/02, ….

    Raises SyntheticLocked (SAL-477), SettingsRefused (SAL-308), ConditionRefused (SAL-310), TooFewPatients (SAL-305),
    OtherTimeline (SAL-306).
    """
    loaded, targets = load_model(model), _targets(timeline, to, settings)
    _check_lock(loaded, timeline, settings)
    gaps = Gaps(
        fields=find_fields(settings.fields, loaded.vocabulary, where="--fields"),
        moments=settings.moments,
        using=settings.using,
        samples=settings.samples,
    )
    began, spent = time.monotonic(), cpu_seconds()
    with progress.step("Reading records"):
        source = _read(timeline, loaded, gaps=gaps, split=settings.split)
    frames, worth = [], []
    with progress.step("Filling what is missing", total=source.records.patients, unit="patients") as step:
        work = partial(_draw, sent(model, loaded), gaps)
        for frame, effective in spread(work, _jobs(source.records, settings)):
            theirs = source.events.filter(pl.col("subject_id").is_in(frame["subject_id"].unique().implode()))
            frames.append(beside(theirs, frame, loaded.vocabulary))
            worth.append(effective)
            step.advance(len(effective))
    with progress.step("Writing what is completed", total=len(targets), unit="timelines") as step:
        for sample, target in enumerate(targets):
            own = [frame.filter(pl.col("sample") == sample) for frame in frames]
            _write(target, source, own, settings=settings)
            step.advance()
    codes = pl.concat([pl.Series("code", [], dtype=pl.String), *(frame["code"] for frame in frames)])
    return CompleteResult(
        timelines=targets,
        patients=source.records.patients,
        filled=len(codes),
        by_code=dict(codes.value_counts().sort("code").iter_rows()),
        candidates=candidates_of(gaps),
        fewest=float(np.median(np.concatenate(worth))) if worth else 0.0,
        samples=settings.samples,
        seconds=time.monotonic() - began,
        cpu_seconds=cpu_seconds() - spent,
        seed=settings.seed,
        warning=LOOKED_AHEAD if settings.using is Using.RECORD else "",
    )


def _check_lock(model: Model, timeline: Path, settings: CompleteSettings) -> None:
    """Real records are not completed by a model that learnt from synthetic ones; those stay synthetic anyway."""
    used = used_on("complete", model, timeline)
    if not used.records_synthetic:
        check_lock(used, settings.leave, now=datetime.now(UTC))


def _targets(timeline: Path, to: Path, settings: CompleteSettings) -> tuple[Path, ...]:
    """Where the completed timelines go; never where the recorded one is."""
    if settings.samples < 1:
        raise SettingsRefused(
            f"{settings.samples} samples cannot be drawn", where="--samples", fix="give 1 or more"
        )
    numbered = tuple(to / f"{number:02d}" for number in range(1, settings.samples + 1))
    targets = (to,) if settings.samples == 1 else numbered
    for target in targets:
        if target.resolve() == timeline.resolve():
            raise SettingsRefused(
                "the completed timeline would take the place of the recorded one",
                where="--to",
                fix="choose another folder",
            )
        check_replaceable(target, mark=SETTINGS_FILE)
    return targets


def _read(timeline: Path, model: Model, *, gaps: Gaps, split: str | None) -> _Source:
    events = read_timeline(timeline, split)
    if split is not None:
        events = events.with_columns(split=pl.lit(split))
    if events.is_empty():
        raise TooFewPatients(
            f"no patient is in split '{split or 'all'}'", where=str(timeline), fix="choose another --split"
        )
    codes, told = read_codes(timeline), read_settings(timeline)
    records = read_histories(events, codes, told, model.vocabulary)
    records = records.of(np.flatnonzero(Known(records, model.vocabulary, gaps).fills()))
    more = fit_columns(pl.DataFrame(model.codes, infer_schema_length=None), CODE_COLUMNS, what="codes")
    more = more.filter(~pl.col("code").is_in(codes["code"].implode()))
    origins = (timeline_digest(timeline), model.digest)
    return _Source(events=events, codes=pl.concat([codes, more]), told=told, records=records, origins=origins)


def _jobs(records: Records, settings: CompleteSettings) -> list[tuple[Records, int]]:
    """Chunks of patients, each with a seed of its own."""
    size = max(1, TOGETHER // candidates_of(Gaps(samples=settings.samples)))
    firsts = range(0, records.patients, size)
    return [
        (
            records.of(np.arange(first, min(first + size, records.patients))),
            settings.seed * 1_000_003 + number,
        )
        for number, first in enumerate(firsts)
    ]


def _draw(model: Path | Model, gaps: Gaps, job: tuple[Records, int]) -> tuple[pl.DataFrame, np.ndarray]:
    """Fill one chunk; runs in a process of its own."""
    records, seed = job
    loaded = received(model)
    filled = complete(loaded.network, loaded.vocabulary, records=records, gaps=gaps, seed=seed)
    return filled_rows(filled, records, loaded.vocabulary), filled.effective


def _write(to: Path, source: _Source, filled: list[pl.DataFrame], *, settings: CompleteSettings) -> None:
    """The recorded rows as they are, and the filled ones among them; the timeline says so."""
    events, told = source.events, source.told
    splits = events.select("subject_id", "split").unique()
    own = [
        frame.join(splits, on="subject_id", how="left").select(
            pl.col(name).cast(kind) for name, kind in events.schema.items()
        )
        for frame in filled
    ]
    whole = pl.concat([events, *own]).sort("subject_id", "time", nulls_last=False, maintain_order=True)
    how = f"{settings.fields}, moments: {settings.moments}, from the {settings.using}, seed {settings.seed}"
    to.parent.mkdir(parents=True, exist_ok=True)
    write_timeline(
        to,
        whole,
        codes=source.codes,
        settings=replace(
            told,
            name=f"{told.name}, completed",
            splits=f"{told.splits}; {COMPLETED}: {how}".removeprefix("; "),
            origins=source.origins,
        ),
    )

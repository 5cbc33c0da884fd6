"""Train privately: a timeline becomes a model about which (ε, δ)-differential privacy of each patient is proved."""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from salus import __version__
from salus.errors import PrivacyRefused, TooFewPatients
from salus.progress import Progress
from salus.timeline.columns import SPLITS
from salus.timeline.settings import TimelineSettings
from salus.timeline.store import read_codes, read_settings
from salus.trajectory.artefact import Lineage, Model
from salus.trajectory.census import take_census
from salus.trajectory.encoding import facts_of
from salus.trajectory.private_accounting import accountant
from salus.trajectory.private_training import PrivatePace, fit_privately, pace_for
from salus.trajectory.private_vocabulary import Budget, PrivateLessons, learn_privately
from salus.trajectory.reading import clock_of, death_codes
from salus.trajectory.training import TrainSettings
from salus.trajectory.vocabulary import Vocabulary
from salus.workflows.canaries_file import Plan, shards_of
from salus.workflows.code_version import code_commit
from salus.workflows.machine import hardware, versions

LEAST_PATIENTS = 500
"""Fewer training patients than this cannot be hidden among each other and still teach anything."""
MOST_EPSILON = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateChoices:
    """The budget: ``epsilon``, and ``delta``, a tenth of one in so many patients or less where it is not given."""

    epsilon: float
    delta: float | None = None


def check_budget(asked: PrivateChoices) -> None:
    """Raise PrivacyRefused (SAL-316) for what is no budget, before anything is read."""
    if not 0 < asked.epsilon <= MOST_EPSILON:
        raise PrivacyRefused(
            f"ε = {asked.epsilon:g} is no privacy budget",
            where="--epsilon",
            fix=f"give a number above 0 and at most {MOST_EPSILON:g}; 1 to 10 are usual",
        )
    if asked.delta is not None and not 0 < asked.delta < 1:
        raise PrivacyRefused(
            f"δ = {asked.delta:g} is no probability of failure",
            where="--delta",
            fix="give a number between 0 and 1, far below one in the number of patients, or leave it out",
        )
    accountant()


def private_model(
    timeline: Path, asked: PrivateChoices, *, seed: int, progress: Progress, audit: Plan | None = None
) -> Model:
    """Learn from the training patients, all of it inside the budget; nothing exact of them is kept.

    ``audit``: whom a coin leaves out.

    Raises PrivacyRefused (SAL-316), BudgetTooSmall (SAL-317) or TooFewPatients (SAL-305).
    """
    settings, codes = read_settings(timeline), read_codes(timeline)
    clock, death = clock_of(codes, settings), death_codes(codes)
    shards = shards_of(timeline, audit)
    with progress.step("Reading the timeline"):
        census = take_census(((split, shard) for split in SPLITS for shard in shards(split)), clock)
        census.check(clock)
        delta = _delta(asked, census.dated["train"])
        spans = facts_of(pl.concat(shards("train")), clock, death)
    # Whoever knew the seed could take the noise off again: the system gives it, and nobody keeps it.
    random = np.random.default_rng(secrets.randbits(256))
    budget = Budget(epsilon=asked.epsilon, delta=delta, random=random)
    with progress.step("Counting with noise"):
        lessons = learn_privately(spans, codes, clock, budget)
    pace = pace_for(lessons)
    wanted = _settings(pace, seed=seed)
    network, log, privacy = fit_privately(
        lessons, settings=wanted, pace=pace, budget=budget, progress=progress
    )
    return Model(
        network=network,
        vocabulary=lessons.vocabulary,
        settings=wanted,
        log=log,
        lineage=_lineage(lessons, settings),
        codes=_codes(codes, lessons.vocabulary),
        privacy=privacy,
        audit=None if audit is None else audit.told,
    )


def _delta(asked: PrivateChoices, patients: int) -> float:
    """δ that was asked for, or the power of ten that is at most a tenth of one in so many patients."""
    if patients < LEAST_PATIENTS:
        raise TooFewPatients(
            f"{patients} training patients are too few for private training; at least {LEAST_PATIENTS} are needed",
            where="--private",
            fix="ingest more patients, or train without --private",
        )
    delta = asked.delta or 10.0 ** -math.ceil(math.log10(10 * patients))
    if delta >= 1 / patients:
        raise PrivacyRefused(
            f"δ = {delta:g} would allow the whole record of one of {patients} patients to be published",
            where="--delta",
            fix=f"give less than {1 / patients:.1g}, or leave it out",
        )
    return delta


def _settings(pace: PrivatePace, *, seed: int) -> TrainSettings:
    return TrainSettings(
        size="private",
        seed=seed,
        minutes=0.0,
        width=pace.width,
        depth=pace.depth,
        dropout=0.0,
        wait_dropout=0.0,
        most_epochs=math.ceil(pace.steps * pace.rate),
        rate=pace.learning_rate,
        weight_decay=0.0,
        averaging=pace.averaging,
        emphasis=0.0,
        workers=1,
    )


def _lineage(lessons: PrivateLessons, settings: TimelineSettings) -> Lineage:
    """Where the model comes from, without what only the data can tell: their digest, exact counts."""
    return Lineage(
        salus=__version__,
        commit=code_commit(),
        torch=versions()["torch"],
        trained=datetime.now(UTC).isoformat(timespec="seconds"),
        timeline_digest="",
        data_set=settings.name,
        licence=settings.licence,
        splits=settings.splits,
        patients_train=round(lessons.patients),
        patients_tuning=0,
        facts_after_death=0,
        hardware=hardware(),
        synthetic=settings.synthetic,
    )


def _codes(codes: pl.DataFrame, vocabulary: Vocabulary) -> list[dict[str, object]]:
    """What is known of the codes that were learnt; of others not even that they are there."""
    clock, decimals = vocabulary.clock, {entry.code: entry.decimals for entry in vocabulary.entries}
    known = [*decimals, *(code for code in (clock.anchor, clock.birth, clock.follow_up_end) if code)]
    kept = codes.filter(pl.col("code").is_in(known)).to_dicts()
    return [row | {"decimals": decimals.get(row["code"])} for row in kept]

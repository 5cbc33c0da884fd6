"""The invented ward as a whole use case: records, a model trained in seconds, what it drew, its evidence, its gate.

In this ward the old die more often: of the women over 65 four in ten on day 25, of the men under 55 four in ten live
on. Everything else is as in :mod:`tests.small_ward`. Made once for a session by the fixture ``ward_usecase`` of
conftest.py; a test that changes something copies the folder first (:func:`copy_of`).
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from salus.programme.freezing import freeze
from salus.programme.usecase_folder import UseCaseFolder
from salus.progress import QUIET
from salus.timeline.store import read_timeline, timeline_digest, write_timeline
from salus.trajectory.artefact import Lineage, Model, save_model
from salus.trajectory.reading import prepare
from salus.trajectory.training import TrainSettings, fit
from salus.workflows.appraise import Material, appraise
from salus.workflows.forecast import ForecastSettings, forecast
from salus.workflows.generate import generate
from tests.small_ward import CODES, SETTINGS, ZERO, ward

FROZEN = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
MEASURED = datetime(2026, 2, 1, 9, 0, tzinfo=UTC)
NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
EXPIRED = datetime(2027, 3, 1, 9, 0, tzinfo=UTC)
"""The protocol is frozen, then evidence is measured, then somebody looks; a year later it is too old."""
PATIENTS, SEED = 520, 7
LICENSED = replace(SETTINGS, licence="CC0-1.0")
QUICK = TrainSettings(
    minutes=2, width=32, share_facts=200, most_epochs=30, averaging=0.9, dropout=0.0, patience=60
)
TASK = """\
name: ward
index: {code: WARD//ENTRY}
outcomes:
  - name: death_30d
    any_of: [MEDS_DEATH]
    within: {days: 30}
"""
SOURCE = """\
name: invented-ward
licence: CC0-1.0
time: {zero: 2000-01-01T00:00:00, grain: day}
anchor: WARD//ENTRY
patients: ward
tables:
  ward:
    files: [ward.csv]
    row: WARD//ENTRY
    columns:
      id: {subject: true}
      age: {age: true}
      male: {values: {0: SEX//F, 1: SEX//M}, static: true}
      potassium: {code: LOINC//2823-3}
codes:
  WARD//ENTRY: {description: entry, role: anchor}
  MEDS_BIRTH: {description: birth, role: birth}
  SEX//F: {description: female}
  SEX//M: {description: male}
  LOINC//2823-3: {description: potassium, unit: mmol/L}
"""
USECASE = """\
name: ward-{kind}
title: Patients of an invented ward
kind: {kind}
state: {state}
tier: 2
owner: Ada Invented
card:
  purpose: Show in a test what a use case is.
  users: [people who read tests]
  patients: Nobody; the ward is invented.
  not_for: [any decision about a patient]
  limits: [Everything in it was made up.]
inputs:
  required: [MEDS_BIRTH, LOINC//2823-3]
  used: [SEX//F, SEX//M, LOINC//2823-3]
groups:
  sex:
    codes: {{F: SEX//F, M: SEX//M}}
  age:
    cut_at: [50, 65]
baseline: Gradient-boosted trees on a summary of the record at the index date.
"""
PROTOCOL = """\
gate: silent->supervised
protocol:
  version: 1
  tier: 2
  test_set: held_out
defaults: {level: 0.95, min_grade: A, max_age: P180D}
criteria:
  - id: fidelity-overall
    evidence: fidelity
    metric: fidelity.overall
    population: all
    comparison: synthetic
    bound: lower
    threshold: ">= 0.30"
    severity: release
  - id: privacy-likelihood
    evidence: privacy
    metric: privacy.likelihood_auc
    comparison: attack
    bound: upper
    threshold: "<= 0.99"
    severity: release
  - id: discrimination
    evidence: forecast
    metric: forecast.auroc
    outcomes: [death_30d]
    bound: lower
    threshold: ">= 0.55"
    severity: safety
signoff: {quorum: 1, roles: [statistician], author_excluded: true}
"""


def lively_ward(patients: int = PATIENTS, *, seed: int = SEED) -> pl.DataFrame:
    """The small ward, in which age has a say in who dies."""
    events = ward(patients, seed=seed)
    people = (
        events.group_by("subject_id")
        .agg(
            woman=(pl.col("code") == "SEX//F").any(),
            born=pl.col("time").filter(pl.col("code") == "MEDS_BIRTH").first(),
        )
        .sort("subject_id")
        .with_columns(age=(pl.lit(ZERO) - pl.col("born")).dt.total_days() / 365.25)
    )
    chance = np.random.default_rng(seed).random(people.height)
    other = people.with_columns(
        other=pl.when(pl.col("woman"))
        .then(pl.lit(chance) < pl.when(pl.col("age") > 65).then(0.4).otherwise(0.05))
        .otherwise(pl.lit(chance) < pl.when(pl.col("age") < 55).then(0.4).otherwise(0.05))
    ).select("subject_id", "woman", "other")
    day = pl.duration(days=1)
    dies, lives = pl.col("woman") & pl.col("other"), ~pl.col("woman") & pl.col("other")
    final = pl.col("code").is_in(["FOLLOW_UP//END", "MEDS_DEATH"])
    when = (
        pl.when(final & dies).then(pl.lit(ZERO) + 25 * day).when(final & lives).then(pl.lit(ZERO) + 60 * day)
    )
    code = pl.when(final & dies).then(pl.lit("MEDS_DEATH")).when(final & lives).then(pl.lit("FOLLOW_UP//END"))
    late = dies & ~final & (pl.col("time") > ZERO + timedelta(days=25)).fill_null(False)
    return (
        events.join(other, on="subject_id", maintain_order="left")
        .filter(~late)
        .with_columns(code=code.otherwise("code"), time=when.otherwise("time"))
        .with_columns(known_time=pl.col("time"))
        .drop("woman", "other")
        .sort("subject_id", "time", nulls_last=False, maintain_order=True)
    )


def build_ward_usecase(
    folder: Path, *, kind: str = "synthesis", state: str = "supervised", protocol: str = PROTOCOL
) -> UseCaseFolder:
    """Make the whole use case in ``folder``: some 20 seconds of work."""
    place = UseCaseFolder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_words(place, kind=kind, state=state, protocol=protocol)
    events = lively_ward()
    write_timeline(place.timeline, events, codes=CODES, settings=LICENSED)
    _train(place)
    generate(place.model, place.synthetic, patients=200, seed=SEED, progress=QUIET)
    forecast(
        place.model,
        place.timeline,
        to=place.risks,
        settings=ForecastSettings(task=place.task, samples=32, seed=SEED),
        progress=QUIET,
    )
    measure(place)
    return place


def write_words(
    place: UseCaseFolder, *, kind: str = "synthesis", state: str = "supervised", protocol: str = PROTOCOL
) -> None:
    """Write the YAML files, and freeze the protocol."""
    place.description.write_text(USECASE.format(kind=kind, state=state), encoding="utf-8")
    place.task.write_text(TASK, encoding="utf-8")
    place.source.write_text(SOURCE, encoding="utf-8")
    place.protocol.write_text(protocol, encoding="utf-8")
    place.frozen.unlink(missing_ok=True)
    freeze(place, FROZEN)


def measure(place: UseCaseFolder, *, made: datetime = MEASURED) -> None:
    """Measure the evidence of what lies in the folder."""
    appraise(Material.of(place), place.evidence, seed=SEED, made=made)


def copy_of(place: UseCaseFolder, to: Path) -> UseCaseFolder:
    """A copy that a test may change."""
    shutil.copytree(place.root, to)
    return UseCaseFolder(to)


def _train(place: UseCaseFolder) -> None:
    lessons = prepare(read_timeline(place.timeline), CODES, SETTINGS)
    network, log = fit(lessons, settings=QUICK, checkpoint=place.root / ".training", progress=QUIET)
    shutil.rmtree(place.root / ".training", ignore_errors=True)
    place.model.mkdir()
    lineage = Lineage(
        salus="0",
        torch="0",
        timeline_digest=timeline_digest(place.timeline),
        data_set=SETTINGS.name,
        splits="",
        patients_train=lessons.train.patients,
        patients_tuning=lessons.tuning.patients,
        facts_after_death=0,
        hardware={},
    )
    made = Model(
        network=network,
        vocabulary=lessons.vocabulary,
        settings=QUICK,
        log=log,
        lineage=lineage,
        codes=CODES.to_dicts(),
    )
    save_model(made, place.model)

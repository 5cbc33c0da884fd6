"""A model that learnt its patients by heart is caught, one that never saw them is not; nothing broken gets a number."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from salus import __version__
from salus.evidence.attacks import People
from salus.evidence.membership import Membership, Sides, membership
from salus.findings import Finding
from salus.progress import QUIET
from salus.timeline.store import write_timeline
from salus.trajectory.artefact import Lineage, Model, save_model
from salus.trajectory.reading import prepare
from salus.trajectory.training import TrainSettings, fit
from salus.workflows.generate import generate
from salus.workflows.membership import Attacked, measure_membership
from tests.small_ward import CODES, SETTINGS, ward

BY_HEART = TrainSettings(
    seed=1,
    minutes=5,
    width=64,
    dropout=0.0,
    weight_decay=0.0,
    emphasis=0.0,
    share_facts=60,
    most_epochs=30,
    patience=1_000_000,
)


def some_learnt(events: pl.DataFrame) -> pl.DataFrame:
    """80 members, 120 tuning patients, 300 held out; as many women as men in each."""
    split = pl.when(pl.col("subject_id") <= 80).then(pl.lit("train"))
    split = split.when(pl.col("subject_id") <= 200).then(pl.lit("tuning")).otherwise(pl.lit("held_out"))
    return events.with_columns(split=split)


WARD = some_learnt(ward(500))
SIDES = ("members", "others", "control", "rest")


def learn(folder: Path, events: pl.DataFrame) -> Path:
    """Learn the patients of split train by heart, and draw a hundred synthetic ones."""
    lessons = prepare(events, CODES, SETTINGS)
    network, log = fit(
        replace(lessons, tuning=lessons.train.of(np.arange(20))),
        settings=BY_HEART,
        checkpoint=folder / "checkpoint",
        progress=QUIET,
    )
    lineage = Lineage(
        salus=__version__,
        torch="",
        timeline_digest="",
        data_set="ward",
        splits="",
        patients_train=lessons.train.patients,
        patients_tuning=0,
        facts_after_death=0,
        hardware={},
    )
    (folder / "model").mkdir(parents=True)
    save_model(
        Model(
            network=network,
            vocabulary=lessons.vocabulary,
            settings=BY_HEART,
            log=log,
            lineage=lineage,
            codes=CODES.to_dicts(),
        ),
        folder / "model",
    )
    generate(folder / "model", folder / "synthetic", patients=100, progress=QUIET)
    return folder


@pytest.fixture(scope="module")
def by_heart(tmp_path_factory) -> Path:
    """A model that learnt 80 members by heart, beside the timeline of all 500 patients."""
    folder = tmp_path_factory.mktemp("by-heart")
    write_timeline(folder / "timeline", WARD, codes=CODES, settings=SETTINGS)
    return learn(folder, WARD)


def attack(folder: Path, timeline: Path) -> Membership:
    attacked = Attacked(timeline=timeline, synthetic=folder / "synthetic", model=folder / "model")
    return measure_membership(attacked, seed=1)


def numbers(found: Membership, metric: str = "privacy.membership_auc") -> dict[str, Finding]:
    return {one.comparison: one for one in found.findings if one.metric == metric}


def test_a_model_that_learnt_its_patients_by_heart_is_caught(by_heart):
    found = numbers(attack(by_heart, by_heart / "timeline"))
    assert found["attack"].population == "80 members v 300 others"
    assert found["attack"].lower > 0.6
    assert found["control"].lower < 0.5


def test_a_model_that_saw_neither_group_is_not_caught(by_heart, tmp_path):
    """The same model, asked about 500 + 500 patients none of whom it learnt from: half are called members, and are not.

    By chance alone the AUROC of 500 against 500 has the standard error sqrt(1001 / (12 x 500 x 500)) = 0.018.
    """
    place = pl.col("subject_id")
    split = pl.when(place <= 100).then(pl.lit("tuning"))
    strangers = ward(1100, seed=77).with_columns(
        split=split.when(place <= 600).then(pl.lit("train")).otherwise(pl.lit("held_out"))
    )
    write_timeline(tmp_path / "timeline", strangers, codes=CODES, settings=SETTINGS)
    found = numbers(attack(by_heart, tmp_path / "timeline"))
    assert found["attack"].population == "500 members v 500 others"
    assert abs(found["attack"].value - 0.5) < 3 * 0.018


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (pl.col("split") != "train", "fewer than 50 members"),
        (pl.col("split") != "held_out", "fewer than 50 others"),
        (pl.col("subject_id") <= 83, "fewer than 50 others and patients for the control"),
        (pl.col("subject_id") > 500, "fewer than 50 members and others"),
    ],
)
def test_groups_too_small_to_attack_have_no_value_and_say_why(by_heart, tmp_path, kept, said):
    write_timeline(tmp_path / "timeline", WARD.filter(kept), codes=CODES, settings=SETTINGS)
    found = attack(by_heart, tmp_path / "timeline")
    assert {one.value for one in found.findings} == {None}
    assert all(said in one.reason for one in found.findings)
    assert not any("3 " in one.population for one in found.findings)


def test_a_group_of_three_is_not_counted_in_the_open(by_heart, tmp_path):
    few = WARD.filter((pl.col("split") != "train") | (pl.col("subject_id") <= 3))
    write_timeline(tmp_path / "timeline", few, codes=CODES, settings=SETTINGS)
    found = numbers(attack(by_heart, tmp_path / "timeline"))["attack"]
    assert found.population == "fewer than 5 members v 300 others"
    assert found.patients == 300


def test_no_identifier_leaves(by_heart, tmp_path):
    marked = WARD.with_columns(pl.col("subject_id") + 987_650_000)
    write_timeline(tmp_path / "timeline", marked, codes=CODES, settings=SETTINGS)
    found = attack(by_heart, tmp_path / "timeline")
    told = json.dumps([asdict(one) for one in found.findings]) + found.scores.write_csv()
    assert "98765" not in told


def people(count: int, *, facts: float = 10.0, nats: float = 30.0) -> People:
    return People(
        summary=np.random.default_rng(count).normal(0, 1, (count, 3)),
        nats=np.full(count, nats),
        facts=np.full(count, facts),
    )


GOOD = Sides(
    members=people(100),
    others=people(101),
    control=people(102),
    rest=people(103),
    synthetic=np.random.default_rng(1).normal(0, 1, (100, 3)),
)


def test_patients_without_a_fact_that_the_model_knows_are_left_out():
    nothing = people(40, facts=0.0, nats=0.0)
    found = numbers(membership(replace(GOOD, members=GOOD.members.beside(nothing)), seed=1))
    assert found["attack"].population == "100 members v 101 others"
    assert found["attack"].value == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("nats", [float("nan"), float("inf")])
def test_likelihoods_that_are_no_numbers_are_left_out(nats):
    found = numbers(membership(replace(GOOD, others=people(60, nats=nats)), seed=1))
    assert found["attack"].value is None
    assert "fewer than 50 others" in found["attack"].reason


def test_records_that_are_all_the_same_cannot_be_told_apart():
    same = People(summary=np.zeros((100, 3)), nats=np.full(100, 30.0), facts=np.full(100, 10.0))
    alike = Sides(members=same, others=same, control=same, rest=same, synthetic=np.zeros((100, 3)))
    found = membership(alike, seed=1).findings
    assert {one.value for one in found} == {0.5}


def test_without_synthetic_patients_only_the_model_is_attacked():
    found = membership(replace(GOOD, synthetic=np.zeros((0, 3))), seed=1)
    assert numbers(found, "privacy.density_auc")["attack"].value is None
    assert "fewer than 50 synthetic patients" in numbers(found, "privacy.nearest_auc")["attack"].reason
    assert numbers(found)["attack"].value is not None
    assert "fewer than 50 synthetic patients" in numbers(found)["attack"].method


def test_a_summary_without_any_column_gives_no_error():
    bare = {
        name: replace(getattr(GOOD, name), summary=np.zeros((len(getattr(GOOD, name)), 1))) for name in SIDES
    }
    found = membership(replace(GOOD, **bare, synthetic=np.zeros((100, 1))), seed=1).findings
    assert all(one.value == pytest.approx(0.5, abs=0.15) for one in found)

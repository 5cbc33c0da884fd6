"""`salus train --audit`: coins decide who is learnt from, the folder keeps them, and the audit finds what is there."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from salus.cli import main
from salus.cohort.canaries import toss
from salus.errors import AuditBroken, AuditRefused, NotAudited, NothingToCompare
from salus.evidence.empirical_epsilon import AUC, METRIC
from salus.progress import QUIET
from salus.timeline.store import read_codes, read_settings, read_timeline, write_timeline
from salus.trajectory.artefact import load_model, save_model
from salus.trajectory.reading import prepare
from salus.trajectory.training import fit
from salus.workflows.audit import measure_audit
from salus.workflows.canaries_file import CANARIES_FILE, AuditChoices, plan_audit, read_canaries, shards_of
from salus.workflows.describe import card_page, describe
from salus.workflows.membership import Attacked, measure_membership
from salus.workflows.pages.markdown import markdown
from salus.workflows.train import TrainChoices, train
from tests.attack.test_privacy_attacks import BY_HEART
from tests.small_ward import CODES, SETTINGS, ward

SECRET = b"a secret that tests may know"
FIRST = 987_650_000
"""Ids unmistakable enough to be looked for where they must not be."""


def test_the_coin_is_fair_and_the_lot_blind():
    """Of 10,000 coins 5,000 are heads, give or take sqrt(10000/4) = 50; three times that is allowed."""
    found = toss(range(20_000), canaries=10_000, secret=SECRET)
    assert len(found) == 10_000
    assert abs(len(found.included) - 5_000) < 150
    low = sum(one < 10_000 for one in (*found.included, *found.left_out))
    assert abs(low - 5_000) < 150


def test_coins_of_neighbours_have_nothing_to_do_with_each_other():
    """Of 9,999 pairs of neighbours half are alike, give or take 50."""
    found = set(toss(range(10_000), canaries=10_000, secret=SECRET).included)
    alike = sum((one in found) == (one + 1 in found) for one in range(9_999))
    assert abs(alike - 5_000) < 150


def test_another_secret_tosses_other_coins():
    one, other = (
        set(toss(range(1_000), canaries=1_000, secret=key).included) for key in (SECRET, SECRET * 2)
    )
    assert 400 < sum((each in one) == (each in other) for each in range(1_000)) < 600


def test_coins_hang_on_nobody_else_and_on_no_order():
    """Half of the patients come in another order: those drawn from both have the same coins."""
    people = np.random.default_rng(1).permutation(2_000).tolist()
    every, half = (
        toss(people, canaries=2_000, secret=SECRET), toss(people[:1_000], canaries=1_000, secret=SECRET)
    )  # fmt: skip
    assert set(half.included) == set(every.included) & set(people[:1_000])


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_coins_are_the_same_in_every_process(hash_seed):
    script = (
        "from salus.cohort.canaries import toss; "
        f"print(toss(set(range(500)), canaries=100, secret={SECRET!r}).included)"
    )
    environment = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)}
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    ).stdout.strip()
    assert said == str(toss(range(500), canaries=100, secret=SECRET).included)


def test_a_secret_that_could_be_guessed_is_refused():
    with pytest.raises(ValueError, match="16 bytes"):
        toss(range(10), canaries=5, secret=b"short")


@pytest.fixture(scope="module")
def timeline(tmp_path_factory) -> Path:
    """Of 560 patients 336 train, 112 tune and 112 are held out."""
    folder = tmp_path_factory.mktemp("audit") / "timeline"
    events = ward(560).with_columns(pl.col("subject_id") + FIRST)
    write_timeline(folder, events, codes=CODES, settings=SETTINGS)
    return folder


@pytest.fixture(scope="module")
def by_heart(timeline) -> Path:
    """A model that learnt by heart those of 300 canaries whom the coins chose."""
    folder = timeline.parent
    plan = plan_audit(timeline, AuditChoices(canaries=300, secret=SECRET), draft=None)
    chosen = pl.col("subject_id").is_in(plan.canaries.included) & (pl.col("split") == "train")
    events = read_timeline(timeline).filter(chosen | (pl.col("split") == "tuning"))
    lessons = prepare(events, read_codes(timeline), read_settings(timeline))
    some = lessons.train.of(np.arange(20))
    network, log = fit(
        replace(lessons, tuning=some),
        settings=replace(BY_HEART, most_epochs=60),
        checkpoint=folder / "run",
        progress=QUIET,
    )
    trained(timeline, folder / "short", canaries=300)
    short = load_model(folder / "short")
    made = folder / "by-heart"
    made.mkdir()
    save_model(replace(short, network=network, vocabulary=lessons.vocabulary, log=log, audit=plan.told), made)
    plan.write(made)
    return made


def trained(timeline: Path, to: Path, *, canaries: int | None, minutes: float = 0.02):
    audit = None if canaries is None else AuditChoices(canaries=canaries, secret=SECRET)
    return train(
        timeline, to, choices=TrainChoices(minutes=minutes, seed=1, workers=1, audit=audit), progress=QUIET
    )


@pytest.fixture(scope="module")
def model(timeline) -> Path:
    """A model trained for hardly a second with 200 canaries."""
    made = timeline.parent / "model"
    trained(timeline, made, canaries=200)
    return made


def test_those_left_out_are_not_learnt_from(timeline, model):
    """Of 336 training patients and 200 canaries, all but those left out train; all others stay as they are."""
    found = read_canaries(model, load_model(model).audit)
    lineage = load_model(model).lineage
    assert lineage.patients_train == 336 - len(found.left_out)
    assert lineage.patients_tuning == 112
    plan = plan_audit(timeline, AuditChoices(canaries=200, secret=SECRET), draft=None)
    seen = {
        split: {one for shard in shards_of(timeline, plan)(split) for one in shard["subject_id"]}
        for split in ("train", "held_out")
    }
    assert len(seen["train"]) == lineage.patients_train
    assert not seen["train"] & set(found.left_out)
    assert set(found.included) <= seen["train"]
    assert len(seen["held_out"]) == 112


def test_the_file_of_canaries_is_for_its_owner_alone(model):
    assert stat.S_IMODE((model / CANARIES_FILE).stat().st_mode) == 0o600
    assert len(read_canaries(model, load_model(model).audit)) == 200


def test_nothing_else_in_the_folder_tells_who_is_a_canary(model):
    for path in model.iterdir():
        if path.name != CANARIES_FILE and path.suffix != ".safetensors":
            assert str(FIRST)[:5] not in path.read_text(), path.name


def test_who_draws_no_secret_gets_other_coins_each_time(timeline):
    plans = [plan_audit(timeline, AuditChoices(canaries=200), draft=None) for _ in range(2)]
    assert plans[0].canaries != plans[1].canaries


def test_an_interrupted_run_goes_on_with_its_coins(timeline, tmp_path):
    asked = AuditChoices(canaries=200)
    first = plan_audit(timeline, asked, draft=tmp_path / "run")
    assert stat.S_IMODE((tmp_path / "run" / CANARIES_FILE).stat().st_mode) == 0o600
    assert plan_audit(timeline, asked, draft=tmp_path / "run").content == first.content


def test_a_model_without_its_canaries_still_works_and_cannot_be_audited(model, timeline, tmp_path):
    """Who gets a model without the file can do everything with it but audit it, or attack it by its members."""
    shutil.copytree(model, tmp_path / "given")
    (tmp_path / "given" / CANARIES_FILE).unlink()
    load_model(tmp_path / "given")
    with pytest.raises(NotAudited, match="is not there"):
        measure_audit(tmp_path / "given", timeline, seed=1)
    attacked = Attacked(timeline=timeline, synthetic=timeline, model=tmp_path / "given")
    with pytest.raises(NotAudited):
        measure_membership(attacked, seed=1)


def test_a_membership_attack_knows_who_was_left_out(model, timeline):
    found = measure_membership(Attacked(timeline=timeline, synthetic=timeline, model=model), seed=1)
    assert found.members == load_model(model).lineage.patients_train


def test_other_coins_than_those_tossed_before_training_are_refused(model, timeline, tmp_path):
    shutil.copytree(model, tmp_path / "changed")
    path = tmp_path / "changed" / CANARIES_FILE
    said = json.loads(path.read_text())
    said["included"], said["left_out"] = said["left_out"], said["included"]
    path.write_text(json.dumps(said))
    with pytest.raises(AuditBroken, match="not the file that was written before training"):
        measure_audit(tmp_path / "changed", timeline, seed=1)


def test_another_timeline_is_refused_without_naming_anybody(model, tmp_path):
    write_timeline(tmp_path / "other", ward(300), codes=CODES, settings=SETTINGS)
    with pytest.raises(AuditBroken, match="200 of 200 canaries") as refused:
        measure_audit(model, tmp_path / "other", seed=1)
    assert "98765" not in str(refused.value)


def test_a_model_without_an_audit_says_how_to_get_one(timeline, tmp_path):
    trained(timeline, tmp_path / "plain", canaries=None)
    assert not (tmp_path / "plain" / CANARIES_FILE).exists()
    with pytest.raises(NotAudited, match="not trained for an audit"):
        measure_audit(tmp_path / "plain", timeline, seed=1)


def test_without_held_out_patients_nobody_can_say_what_to_expect(model, timeline, tmp_path):
    alone = read_timeline(timeline).filter(pl.col("split") == "train")
    write_timeline(tmp_path / "alone", alone, codes=CODES, settings=SETTINGS)
    with pytest.raises(NothingToCompare, match="fewer than 50 held-out and tuning patients"):
        measure_audit(model, tmp_path / "alone", seed=1)


@pytest.mark.parametrize(
    ("canaries", "said"),
    [(99, "99 canaries are too few"), (0, "too few"), (-5, "too few"), (337, "336 training patients")],
)
def test_too_few_and_too_many_canaries_are_refused(timeline, tmp_path, canaries, said):
    with pytest.raises(AuditRefused, match=said):
        trained(timeline, tmp_path / "model", canaries=canaries)
    assert not any(tmp_path.iterdir())


def test_a_model_that_learnt_by_heart_is_caught(by_heart, timeline):
    """The control, the same guesses against coins tossed anew, finds nothing."""
    result = measure_audit(by_heart, timeline, seed=1)
    found = {(one.metric, one.comparison): one for one in result.findings}
    assert found[METRIC, "attack"].lower > 1
    assert found[METRIC, "control"].value < 0.3
    assert found[METRIC, "baseline"].value < 0.3
    assert found[AUC, "attack"].lower > 0.8
    assert "98765" not in json.dumps([asdict(one) for one in result.findings])
    assert f"is at least {found[METRIC, 'attack'].lower:.2f} (95 % sure; 300 canary" in result.in_words()[0]


def test_a_model_that_hardly_learnt_is_not_caught(model, timeline):
    result = measure_audit(model, timeline, seed=1)
    assert result.bound.value < 0.5
    assert result.canaries == 200
    assert result.delta == 1e-4  # a tenth of one in some 240 patients is 4e-4


def test_the_card_says_that_there_was_an_audit(model):
    assert describe(model).audit.canaries == 200
    page = markdown(card_page(describe(model)))
    assert "Trained for an audit: of 200 training patients about half were left out" in page


def test_the_command_says_what_must_not_leave_with_the_model(timeline, tmp_path, capsys):
    command = ["train", str(timeline), "--to", str(tmp_path / "m"), "--minutes", "0.02", "--audit", "150"]
    with pytest.raises(SystemExit) as end:
        main(command)
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert "of 150 patients a coin left out about half" in said
    assert "98765" not in said

"""Private training from a timeline to a model: what it keeps, what it proves, and that an attack finds nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from salus.errors import BudgetTooSmall
from salus.progress import QUIET
from salus.trajectory.artefact import Model, load_model, save_model
from salus.trajectory.batches import make_batch
from salus.trajectory.encoding import encode, facts_of
from salus.trajectory.likelihood import patient_likelihood
from salus.trajectory.memorisation import memorised
from salus.trajectory.private_batches import patient_losses
from salus.trajectory.private_training import PrivatePace, fit_privately
from salus.trajectory.private_vocabulary import Budget, PrivateLessons, learn_privately
from salus.trajectory.reading import clock_of, death_codes
from salus.trajectory.training import TrainSettings
from salus.trajectory.vocabulary import FOREVER
from salus.workflows.describe import card_page, describe
from salus.workflows.pages.markdown import markdown
from tests.small_model import LINEAGE
from tests.small_ward import CODES, SETTINGS, ward

PATIENTS = 2_000
SHORT = PrivatePace(steps=40, rate=0.1, width=16, learning_rate=0.02)
EVENTS = ward(PATIENTS)
CLOCK = clock_of(CODES, SETTINGS)


def learnt(events: pl.DataFrame, *, epsilon: float = 20.0, seed: int = 1) -> PrivateLessons:
    """The vocabulary with luck that can be had again: only tests may know the seed."""
    spans = facts_of(events, CLOCK, death_codes(CODES))
    return learn_privately(
        spans, CODES, CLOCK, Budget(epsilon=epsilon, delta=1e-5, random=np.random.default_rng(seed))
    )


@cache
def lessons() -> PrivateLessons:
    return learnt(EVENTS.filter(pl.col("split") == "train"))


@cache
def trained() -> Model:
    budget = Budget(epsilon=20.0, delta=1e-5, random=np.random.default_rng(2))
    network, log, privacy = fit_privately(
        lessons(), settings=TrainSettings(), pace=SHORT, budget=budget, progress=QUIET
    )
    return Model(
        network=network,
        vocabulary=lessons().vocabulary,
        settings=TrainSettings(),
        log=log,
        lineage=replace(LINEAGE, timeline_digest=""),
        codes=CODES.to_dicts(),
        privacy=privacy,
    )


def test_the_ward_is_understood_from_noisy_counts():
    """Start and age of everybody, a sex that is one of two, a potassium that comes again, a death that comes once."""
    fields = {one.name: one for one in lessons().vocabulary.fields}
    assert set(fields) == {"SALUS//START", "SALUS//AGE", "SEX", "LOINC//2823-3", "MEDS_DEATH"}
    assert {name for name, one in fields.items() if one.static} == {"SALUS//START", "SALUS//AGE", "SEX"}
    assert fields["MEDS_DEATH"].once and not fields["LOINC//2823-3"].once
    assert fields["SALUS//START"].always


def test_nothing_exact_is_in_the_vocabulary():
    """1,200 patients train; ε = 20 leaves their count a standard deviation of about 8."""
    found = lessons()
    assert found.patients != 1_200 and abs(found.patients - 1_200) < 60
    assert all(one.earliest == -FOREVER and one.latest == FOREVER for one in found.vocabulary.fields)


def test_values_lie_between_the_declared_ends_and_near_the_truth():
    """Women have a potassium near 4, men near 6, so that half of 10 values of women and men lie below 4.2."""
    vocabulary = lessons().vocabulary
    position = vocabulary.index()["LOINC//2823-3"]
    first, last = vocabulary.level_start[position : position + 2]
    inner = vocabulary.inner[first:last]
    assert inner.min() >= 1.0 and inner.max() <= 10.0
    assert np.abs(np.sort(inner[:, 2])[len(inner) // 4] - 4.0) < 0.5


def test_a_code_that_one_patient_has_is_nowhere():
    """987.65 and CANARY//RARE: in no file of the model."""
    one = EVENTS.filter(pl.col("code") == "LOINC//2823-3", pl.col("subject_id") == 2).head(1)
    canary = one.with_columns(code=pl.lit("CANARY//RARE"), numeric_value=pl.lit(987.65, dtype=pl.Float32))
    found = learnt(pl.concat([EVENTS.filter(pl.col("split") == "train"), canary]))
    assert "CANARY//RARE" not in {entry.code for entry in found.vocabulary.entries}
    assert not np.isclose(found.vocabulary.inner, 987.65).any()


def test_all_that_was_asked_is_within_the_budget():
    privacy = trained().privacy
    assert privacy is not None and 19.5 < privacy.epsilon <= 20
    assert [one.what for one in privacy.spent][-1] == "training" and len(privacy.spent) == 6
    assert privacy.steps == 40 and privacy.rate == 0.1 and privacy.clip == 1.0


def test_the_same_pace_with_less_budget_needs_more_noise():
    privacy = trained().privacy
    _, log, less = fit_privately(
        learnt(EVENTS.filter(pl.col("split") == "train"), epsilon=5.0),
        settings=TrainSettings(),
        pace=replace(SHORT, steps=2),
        budget=Budget(epsilon=5.0, delta=1e-5, random=np.random.default_rng(3)),
        progress=QUIET,
    )
    assert privacy is not None and less.epsilon <= 5
    assert log.steps == 2 and log.curve == []


def test_noise_that_hides_everybody_is_an_error():
    with pytest.raises(BudgetTooSmall, match="SAL-317"):
        learnt(EVENTS.filter(pl.col("split") == "train"), epsilon=0.05)


def test_the_promise_is_kept_on_disk(tmp_path: Path):
    save_model(trained(), tmp_path)
    assert load_model(tmp_path).privacy == trained().privacy
    about = json.loads((tmp_path / "model.json").read_text())
    assert about["lineage"]["timeline_digest"] == "" and about["log"]["curve"] == []


def test_a_losses_attack_finds_nobody():
    """Of 1,200 trained on and 400 held out, by their loss: AUROC 0.5, its interval around it."""
    model = trained()
    others = facts_of(EVENTS.filter(pl.col("split") == "held_out"), CLOCK, death_codes(CODES))
    from_train = patient_likelihood(model.network, lessons().records, model.vocabulary).each_a_fact()
    from_others = patient_likelihood(
        model.network, encode(others, model.vocabulary, {}), model.vocabulary
    ).each_a_fact()
    found = memorised(from_others, from_train)
    assert found.auroc_lower <= 0.5 <= found.auroc_upper and abs(found.auroc - 0.5) < 0.06


def test_the_card_says_what_is_proved_and_nothing_exact(tmp_path: Path):
    """ε, δ, accountant, noise, rate, steps and clipping; no loss, no digest, no count of tuning patients."""
    save_model(trained(), tmp_path)
    card = describe(tmp_path)
    text = markdown(card_page(card))
    assert card.differentially_private and card.privacy == trained().privacy and card.losses.best is None
    for words in (
        "Differentially private: ε = ",
        "δ = 1e-05",
        "PRV (Gopi",
        "10.0%",
        "| 40 |",
        "clipped at 1",
    ):
        assert words in text
    for words in (
        "Not differentially private",
        "tuning patients decided",
        "rows after death",
        "codes withheld",
    ):
        assert words not in text


def test_what_seldom_happens_weighs_more():
    """Each patient's loss grows by the emphasis times the nats of the questions about what seldom happens."""
    network, vocabulary, records = trained().network, lessons().vocabulary, lessons().records
    batch = make_batch(records.of(np.arange(20)), vocabulary)
    with torch.no_grad():
        plain, more = (patient_losses(network, batch, emphasis=weight) for weight in (0.0, 2.0))
        seldom = network.losses(batch).seldom.sum()
    assert float((more - plain).sum()) == pytest.approx(2 * float(seldom), rel=1e-4)
    assert bool((more >= plain).all())

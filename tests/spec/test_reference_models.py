"""Membership by reference models: what the score means, by hand; who is caught, who is not, and what cannot be said."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy.stats import norm

from salus.errors import SettingsRefused
from salus.evidence.attacks import People
from salus.evidence.discrimination import found_at
from salus.evidence.reference_models import (
    METRICS_AT,
    Seen,
    SeenSides,
    halves,
    reference_attack,
    reference_scores,
)
from salus.progress import QUIET
from salus.timeline.store import write_timeline
from salus.workflows.reference_models import Attackable, ReferenceChoices, measure_references
from tests.attack.test_privacy_attacks import WARD, learn
from tests.small_ward import CODES, SETTINGS

AUC, AT_1, AT_01 = METRICS_AT


def test_members_found_where_one_other_in_four_may_be_alarmed():
    """Scores 5, 4, 3, 2 of members and 4.5, 1, 1, 0 of others: above 4.5 one of four; above 1 all, at one alarm."""
    outcome = np.array([1, 1, 1, 1, 0, 0, 0, 0.0])
    risk = np.array([5, 4, 3, 2, 4.5, 1, 1, 0])
    assert found_at(outcome, risk, false_alarms=0.24).tolist() == [0.25]
    assert found_at(outcome, risk, false_alarms=0.25).tolist() == [1.0]


def test_equal_scores_are_alarmed_together():
    """Two members and an other share the highest score: without a false alarm nobody is found."""
    outcome, risk = np.array([1, 1, 0, 0.0]), np.array([2, 2, 2, 1.0])
    assert found_at(outcome, risk, false_alarms=0.1).tolist() == [0.0]


def test_weights_count_patients_as_often_as_they_were_drawn():
    """The other with the highest score is drawn in the first replicate only."""
    outcome, risk = np.array([1, 1, 0, 0.0]), np.array([3, 1, 2, 0.0])
    weights = np.array([[1, 1, 1, 1.0], [1, 1, 0, 2.0]])
    assert found_at(outcome, risk, false_alarms=0.1, weights=weights).tolist() == [0.5, 1.0]


def test_nobody_to_find_or_to_alarm_has_no_share():
    assert np.isnan(found_at(np.ones(3), np.arange(3.0), false_alarms=0.1)).all()
    assert np.isnan(found_at(np.zeros(3), np.arange(3.0), false_alarms=0.1)).all()


def test_everybody_trains_half_of_the_models():
    who = halves(3_000, 6, seed=1)
    assert who.sum(axis=1).tolist() == [3] * 3_000
    assert abs(who[:, 0].mean() - 0.5) < 3 * 0.5 / np.sqrt(3_000)
    assert (halves(3_000, 6, seed=2) != who).any()


def seen(outside: list[list[float]], nats: list[float], facts: float = 4.0) -> Seen:
    count = len(nats)
    people = People(summary=np.zeros((count, 1)), nats=np.array(nats), facts=np.full(count, facts))
    return Seen(people=people, outside=np.array(outside))


def test_the_score_by_hand():
    """Of a record of 4 facts two models say 10 and 12: 5 and 6 over the root of 4, mean 5.5 and variance 0.5.

    The rest scatter as much and are known as well as the models say, so that the line changes nothing: 9 nats are
    4.5, less by 1, which is the root of 2 standard deviations; 11 are what one expects.
    """
    nan = np.nan
    rest = seen([[c - 1, c + 1, nan] for c in (6.0, 8, 10, 14)], [6.0, 8, 10, 14])
    suspects = seen([[10, nan, 12], [nan, 10, 12]], [9.0, 11.0])
    assert reference_scores(suspects, rest) == pytest.approx([2**0.5, 0.0], abs=1e-9)


def test_cheap_models_that_say_one_nat_a_fact_more_change_nothing():
    """The attacked model knows everybody better by one nat a fact: that is the same for members and others."""
    rng = np.random.default_rng(1)
    facts = rng.integers(5, 40, 400).astype(float)
    outside = (4 * facts)[:, None] + rng.normal(0, 1, (400, 4)) * np.sqrt(facts)[:, None]
    people = People(summary=np.zeros((400, 1)), nats=3 * facts, facts=facts)
    rest = Seen(people=people, outside=outside)
    longest, shortest = facts > 30, facts < 12
    scores = reference_scores(rest, rest)
    assert abs(scores[longest].mean() - scores[shortest].mean()) < 0.2


def some(count: int, *, seed: int, better: float = 0.0, models: int = 4) -> Seen:
    """Records each as hard as it is, known with a scatter of one standard deviation; members ``better`` by some."""
    rng = np.random.default_rng(seed)
    facts = rng.integers(5, 41, count).astype(float)
    root, hard = np.sqrt(facts), rng.normal(3, 1, count) * facts
    outside = hard[:, None] + root[:, None] * rng.normal(0, 1, (count, models))
    nats = hard + root * (rng.normal(0, 1, count) - better)
    return Seen(people=People(summary=rng.normal(0, 1, (count, 2)), nats=nats, facts=facts), outside=outside)


def sides(better: float, *, others: int = 1_500) -> SeenSides:
    return SeenSides(
        members=some(1_500, seed=1, better=better),
        others=some(others, seed=2),
        control=some(500, seed=3),
        rest=some(500, seed=4),
    )


def by_name(found):
    return {(one.metric, one.comparison): one for one in found}


def test_members_known_two_standard_deviations_better_are_found():
    """The mean of four outside models scatters by half a deviation, so scores by the root of 1.25.

    AUROC Φ(2 / root(2 x 1.25)) = 0.897. At 1 % false alarms Φ(2 / root 1.25 - 2.326) = 0.295 if the scatter of each
    patient were known; it is estimated from four models, which costs some.
    """
    found = by_name(reference_attack(sides(2.0), seed=1))
    assert found[AUC, "attack"].value == pytest.approx(norm.cdf(2 / 2.5**0.5), abs=0.015)
    assert 0.15 < found[AT_1, "attack"].value < norm.cdf(2 / 1.25**0.5 - 2.326) + 0.05
    assert found[AT_1, "attack"].lower > 0.1
    assert found[AT_01, "attack"].value < found[AT_1, "attack"].value
    assert found[AUC, "control"].lower < 0.5 < found[AUC, "control"].upper
    assert found[AT_1, "control"].value < 0.04
    assert found[AUC, "baseline"].value == pytest.approx(0.5, abs=0.05)
    assert found[AUC, "attack"].population == "1,500 members v 1,500 others"
    assert set(found) == {
        (metric, side) for metric in METRICS_AT for side in ("attack", "control", "baseline")
    }


def test_hard_records_do_not_hide_their_members():
    """Here one nat a fact separates hard from easy records: by the loss alone hardly anybody could be told."""
    given = sides(2.0)
    loss = np.concatenate([each.people.nats / each.people.facts for each in (given.members, given.others)])
    outcome = np.repeat([1.0, 0.0], 1_500)
    assert found_at(outcome, -loss, false_alarms=0.01)[0] < 0.05
    assert by_name(reference_attack(given, seed=1))[AT_1, "attack"].value > 0.15


def test_an_attack_that_finds_nothing_says_so():
    found = by_name(reference_attack(sides(0.0), seed=1))
    assert "no better than guessing" in found[AUC, "attack"].reason
    assert "not above 0.01" in found[AT_1, "attack"].reason


def test_a_tenth_of_a_percent_of_500_others_is_nobody():
    found = by_name(reference_attack(sides(2.0, others=500), seed=1))
    assert found[AT_01, "attack"].value is None
    assert "fewer than 1,000 others" in found[AT_01, "attack"].reason
    assert found[AT_1, "attack"].value is not None


def test_who_was_trained_on_by_all_models_is_left_out():
    given = sides(2.0)
    blind = replace(given.others, outside=np.full((1_500, 4), np.nan))
    found = reference_attack(replace(given, others=blind), seed=1)
    assert {one.value for one in found} == {None}
    assert all("fewer than 50 patients as others" in one.reason for one in found)


@pytest.mark.parametrize(("models", "passes"), [(3, 8), (0, 8), (6, 0)])
def test_choices_that_make_no_attack_are_refused(models, passes, tmp_path):
    attacked = Attackable(model=tmp_path, timeline=tmp_path, folder=tmp_path)
    choices = ReferenceChoices(models=models, passes=passes)
    with pytest.raises(SettingsRefused):
        measure_references(attacked, choices=choices, seed=1, progress=QUIET)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory) -> Attackable:
    """A model that learnt 80 members by heart, beside the timeline of all 500 patients."""
    folder = tmp_path_factory.mktemp("references")
    write_timeline(folder / "timeline", WARD, codes=CODES, settings=SETTINGS)
    learn(folder, WARD)
    return Attackable(model=folder / "model", timeline=folder / "timeline", folder=folder / "kept")


QUICK = ReferenceChoices(models=4, passes=3)


def test_a_model_that_learnt_by_heart_is_caught_by_its_references(attacked):
    found = by_name(measure_references(attacked, choices=QUICK, seed=1, progress=QUIET))
    assert found[AUC, "attack"].lower > 0.6
    assert found[AUC, "control"].lower < 0.5
    assert found[AUC, "attack"].population == "80 members v 300 others"
    assert "4 reference models" in found[AUC, "attack"].method


def test_an_interrupted_attack_goes_on_where_it_stopped(attacked):
    """The last model is trained again, the others are not, and the findings are the same."""
    first = measure_references(attacked, choices=QUICK, seed=1, progress=QUIET)
    kept = sorted(attacked.folder.rglob("*.npy"))
    assert [path.name for path in kept] == ["0.npy", "1.npy", "2.npy", "3.npy"]
    kept[3].unlink()
    before = [path.stat().st_mtime_ns for path in kept[:3]]
    again = measure_references(attacked, choices=QUICK, seed=1, progress=QUIET)
    assert [path.stat().st_mtime_ns for path in kept[:3]] == before
    assert json.dumps([asdict(one) for one in again]) == json.dumps([asdict(one) for one in first])


def test_nothing_that_is_kept_is_a_record_or_an_id(attacked):
    """500 numbers a model, one a patient, and nothing else."""
    measure_references(attacked, choices=QUICK, seed=1, progress=QUIET)
    files = [path for path in attacked.folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".npy"}
    assert all(np.load(path).shape == (500,) for path in files)

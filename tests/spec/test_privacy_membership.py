"""Membership attacks: what each score means, worked out by hand; never a number without its control and its guess."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from salus.evidence.attacks import (
    BY_FACTS,
    BY_RECORD,
    PER_FACT,
    People,
    blind_scores,
    density_scores,
    likelihood_scores,
    nearest_scores,
)
from salus.evidence.membership import Sides, membership
from salus.workflows.membership import choose


def people(count: int, *, seed: int, nats: float = 3.0, shift: float = 0.0) -> People:
    """Records of 5 to 40 facts at about ``nats`` each; two columns of the summary, the first moved by ``shift``."""
    rng = np.random.default_rng(seed)
    facts = rng.integers(5, 41, count).astype(float)
    summary = rng.normal(0, 1, (count, 2)) + np.array([shift, 0.0])
    return People(summary=summary, nats=facts * nats + rng.normal(0, 1, count) * np.sqrt(facts), facts=facts)


def sides(members: People, others: People, control: People | None = None) -> Sides:
    return Sides(
        members=members,
        others=others,
        control=control or people(300, seed=3),
        rest=people(300, seed=4),
        synthetic=np.random.default_rng(5).normal(0, 1, (500, 2)),
    )


def by_name(found):
    return {(one.metric.removeprefix("privacy.").removesuffix("_auc"), one.comparison): one for one in found}


def test_three_ways_to_expect_a_record_s_nats():
    """The others cost 2 nats and 3 a fact. A record of 4 facts at 12 nats: 3 a fact; 14 - 12 over the root of 4."""
    facts = np.tile([4.0, 9.0, 16.0, 25.0], 25)
    reference = People(summary=np.zeros((100, 1)), nats=2 + 3 * facts, facts=facts)
    suspect = People(summary=np.zeros((1, 1)), nats=np.array([12.0]), facts=np.array([4.0]))
    scores = likelihood_scores(suspect, reference, seed=1)
    assert scores[PER_FACT][0] == pytest.approx(-3.0)
    assert scores[BY_FACTS][0] == pytest.approx(1.0)
    assert scores[BY_RECORD][0] == pytest.approx(1.0, abs=0.15)


def test_the_summary_of_a_record_tells_how_hard_it_is():
    """Half of the records cost 1 nat a fact, half 5: by the summary both are as expected, by the facts neither is."""
    hard = np.tile([0.0, 1.0], 200)
    facts = np.full(400, 16.0)
    reference = People(summary=hard[:, None], nats=facts * (1 + 4 * hard), facts=facts)
    scores = likelihood_scores(reference.of(np.arange(2)), reference, seed=1)
    assert scores[BY_FACTS] == pytest.approx([8.0, -8.0])
    assert scores[BY_RECORD] == pytest.approx([0.0, 0.0], abs=0.3)


def test_the_nearest_synthetic_patient_by_hand():
    """Reference spreads by 1 and 2 about nought: (3, 8) lies 3 and 4 away from the origin, 5 in all."""
    reference = People(
        summary=np.array([[1.0, 2.0], [-1.0, -2.0]]), nats=np.full(2, np.nan), facts=np.full(2, np.nan)
    )
    suspects = replace(reference, summary=np.array([[3.0, 8.0], [np.nan, 2.0]]))
    synthetic = np.array([[0.0, 0.0], [-50.0, 0.0]])
    assert nearest_scores(suspects, reference, synthetic=synthetic).tolist() == pytest.approx([-5.0, -1.0])


def test_density_is_higher_where_synthetic_patients_are_more_than_real_ones():
    reference, synthetic = people(500, seed=1), np.random.default_rng(2).normal([2.0, 0.0], 1, (500, 2))
    suspects = replace(people(2, seed=3), summary=np.array([[2.0, 0.0], [0.0, 0.0]]))
    scores = density_scores(suspects, reference, synthetic=synthetic, seed=1)
    assert scores[0] > 0 > scores[1]


def test_a_guess_without_a_model_never_guesses_those_it_learnt_from():
    """Random records: whoever is told apart was seen. In folds nobody is."""
    members, others = people(300, seed=1), people(300, seed=2)
    scores = blind_scores(members, others, seed=1)
    beaten = (scores[:300, None] > scores[None, 300:]).mean()
    assert 0.43 < beaten < 0.57


def test_members_whose_records_are_likelier_are_told_apart_and_the_control_is_not():
    """One standard deviation likelier: AUROC of the normal distribution at 1 / root 2, which is 0.76."""
    members = people(1500, seed=1)
    easier = replace(members, nats=members.nats - np.sqrt(members.facts))
    found = by_name(membership(sides(easier, people(1500, seed=2)), seed=1).findings)
    attack = found["membership", "attack"]
    assert attack.value == pytest.approx(0.76, abs=0.03)
    assert attack.lower > 0.7
    assert attack.population == "1,500 members v 1,500 others"
    assert attack.patients == 3000
    assert "likelihood, the stronger" in attack.method
    assert found["membership", "control"].lower < 0.5 < found["membership", "control"].upper
    assert found["membership", "control"].population == "300 never learnt from v 1,500 others"
    assert found["membership", "baseline"].lower < 0.55
    assert found["membership", "attack"].reason == ""


def test_an_attack_no_better_than_guessing_says_so():
    found = by_name(membership(sides(people(400, seed=1), people(400, seed=2)), seed=1).findings)
    for name in ("membership", "density", "nearest"):
        assert "no better than guessing" in found[name, "attack"].reason


def test_every_attack_has_a_control_and_a_guess():
    found = by_name(membership(sides(people(100, seed=1), people(100, seed=2)), seed=1).findings)
    names = ("membership", "likelihood", "density", "nearest")
    assert set(found) == {(name, side) for name in names for side in ("attack", "control", "baseline")}
    assert all(one.value is not None and one.lower is not None for one in found.values())


def test_groups_that_differ_in_more_than_membership_are_said_to_do_so():
    """Members and control come from one hospital, the others from another: no model is needed to tell them apart."""
    here = people(400, seed=1, nats=3.0, shift=2.0), people(300, seed=3, nats=3.0, shift=2.0)
    there = people(400, seed=2, nats=3.5)
    found = by_name(membership(sides(here[0], there, here[1]), seed=1).findings)
    assert found["likelihood", "control"].lower > 0.5
    assert "overstates the attack" in found["likelihood", "attack"].reason
    assert found["likelihood", "baseline"].value > 0.8


def test_scores_are_kept_without_identifiers():
    table = membership(sides(people(60, seed=1), people(70, seed=2)), seed=1).scores
    assert table.columns == ["comparison", "who", "likelihood", "density", "nearest"]
    counts = {tuple(row[:2]): row[2] for row in table.group_by("comparison", "who").len().iter_rows()}
    assert counts == {
        ("attack", "member"): 60,
        ("attack", "other"): 70,
        ("control", "control"): 300,
        ("control", "other"): 70,
    }


def test_the_same_seed_gives_the_same_numbers():
    both = sides(people(100, seed=1), people(100, seed=2))
    assert membership(both, seed=1).findings == membership(both, seed=1).findings


def numbered(train: int, tuning: int, held_out: int) -> dict[str, list[int]]:
    return {
        "train": list(range(train)),
        "tuning": list(range(10_000, 10_000 + tuning)),
        "held_out": list(range(20_000, 20_000 + held_out)),
    }


@pytest.mark.parametrize(
    ("patients", "drawn"),
    [
        ((9_000, 1_700, 3_500), (2_000, 2_000, 1_700, 1_500)),
        ((9_000, 3_000, 9_000), (2_000, 2_000, 2_000, 2_000)),
        ((800, 120, 200), (800, 200, 60, 60)),  # tuning patients are shared out
        ((800, 60, 300), (800, 200, 60, 100)),  # held-out patients are shared out
        ((800, 0, 300), (800, 200, 50, 50)),
        ((0, 0, 0), (0, 0, 0, 0)),
    ],
)
def test_who_is_drawn(patients, drawn):
    chosen = choose(numbered(*patients), seed=1)
    assert tuple(len(chosen[name]) for name in ("members", "others", "control", "rest")) == drawn
    everyone = [person for group in chosen.values() for person in group]
    assert len(everyone) == len(set(everyone))
    assert all(person < 10_000 for person in chosen["members"])
    assert all(person >= 20_000 for person in chosen["others"])


def test_the_seed_decides_who_is_drawn():
    people = numbered(9_000, 200, 3_000)
    assert choose(people, seed=1) == choose(people, seed=1)
    assert choose(people, seed=1)["members"] != choose(people, seed=2)["members"]

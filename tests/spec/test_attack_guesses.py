"""Guesses: how often right, how sure, and how much the attacked set gave away; against hand, Wilson and anonymeter."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from salus.evidence.guesses import LEAST, Guesses, Question, answers, rate, risk
from salus.findings import METRICS, Interval


def some(right: int, of: int) -> Guesses:
    return Guesses.each(np.arange(of) < right)


def question(attack: Guesses, control: Guesses, baseline: Guesses) -> Question:
    return Question(
        metric="privacy.linkability",
        method="invented",
        attack=attack,
        control=control,
        baseline=baseline,
        population="some guesses",
        against="other guesses",
        patients=(len(attack), len(control)),
    )


def test_a_rate_has_wilson_s_bounds():
    """None of 10: 0 to z²/(10 + z²) with z = 1.96, which is 0.2775 (Wilson 1927)."""
    none = rate(some(0, 10))
    assert (none.value, none.lower) == (0.0, 0.0)
    assert none.upper == pytest.approx(0.2775, abs=1e-4)
    assert rate(some(10, 10)).lower == pytest.approx(1 - 0.2775, abs=1e-4)


def test_guesses_of_one_owner_count_once():
    """Ten guesses a head, all right or all wrong: as sure as one guess a head."""
    heads = np.repeat(np.arange(100), 10)
    many = Guesses(right=(heads < 20).astype(float), owner=heads)
    once = some(20, 100)
    assert many.worth == pytest.approx(100)
    assert once.worth == pytest.approx(100)
    assert rate(many).upper == pytest.approx(rate(once).upper)


def test_the_risk_is_what_was_left_to_guess():
    """20 % right about members, 10 % about others: of the 90 % left, a ninth was given away."""
    assert risk(rate(some(200, 1000)), rate(some(100, 1000))).value == pytest.approx(1 / 9)


@pytest.mark.parametrize(
    ("numbers", "value", "bounds"),
    [
        ((1000, 200, 100), 0.11087, (0.07771, 0.14404)),
        ((500, 30, 28), 0.00422, (-0.027, 0.03526)),
        ((2000, 2000, 600), 0.99863, (0.99726, 1.0)),
        ((500, 0, 0), 0.0, (-0.0054, 0.0054)),
    ],
)
def test_risks_agree_with_anonymeter(numbers, value, bounds):
    """Printed by anonymeter 1.1.0 (EvaluationResults.risk); it cuts at nought and moves the middle, we do neither."""
    guesses, right, control = numbers
    found = risk(rate(some(right, guesses)), rate(some(control, guesses)))
    assert found.value == pytest.approx(value, abs=0.002)
    assert (found.lower, found.upper) == pytest.approx(bounds, abs=0.005)


def test_all_right_against_some_by_hand():
    """Attack always right: the risk is 1, its lower bound 1 - u/sqrt(l(2c - l)) (Donner & Zou, nothing missed)."""
    attack, control = Interval(1.0, 0.96, 1.0), Interval(0.25, 0.2, 0.3)
    found = risk(attack, control)
    assert (found.value, found.upper) == (1.0, 1.0)
    assert found.lower == pytest.approx(1 - 0.04 / sqrt(0.7 * (2 * 0.75 - 0.7)))


def test_where_nothing_leaks_the_interval_holds_nought_as_often_as_it_says():
    """1,000 invented attacks of 400 guesses at 30 %, control at 30 %: about 950 intervals hold nought."""
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(1000):
        pair = [rate(Guesses.each(rng.random(400) < 0.3)) for _ in range(2)]
        found = risk(*pair)
        held += found.lower <= 0 <= found.upper
    assert 930 <= held <= 970


def test_four_findings_each_known_by_name():
    found = answers(question(some(200, 1000), some(100, 1000), some(1, 1000)), seed=7)
    assert [(one.metric, one.comparison) for one in found] == [
        ("privacy.linkability", "attack"),
        ("privacy.linkability", "control"),
        ("privacy.linkability", "baseline"),
        ("privacy.linkability_risk", "attack"),
    ]
    assert all(one.metric in METRICS and one.seed == 7 and one.lower is not None for one in found)
    assert found[-1].reason == ""


def test_an_attack_no_better_than_its_control_or_a_guess_says_so():
    last = answers(question(some(100, 1000), some(101, 1000), some(100, 1000)), seed=1)[-1]
    assert "not above nought" in last.reason
    assert "guess without the synthetic patients" in last.reason


def test_too_few_guesses_have_no_value_and_say_why():
    found = answers(question(some(10, LEAST - 1), some(10, 1000), some(0, 1000)), seed=1)
    assert {one.value for one in found} == {None}
    assert all("fewer than 50 guesses at members" in one.reason for one in found)


def test_a_control_that_is_always_right_leaves_nothing_to_give_away():
    last = answers(question(some(1000, 1000), some(1000, 1000), some(0, 1000)), seed=1)[-1]
    assert last.value is None or last.lower < 0
    sure = risk(Interval(1.0, 1.0, 1.0), Interval(1.0, 1.0, 1.0))
    assert sure.value is None

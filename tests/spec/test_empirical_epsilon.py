"""A lower bound on ε from one training run: known answers, worked out by hand or printed in the paper."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from salus.evidence.empirical_epsilon import (
    AUC,
    BLIND,
    BROKEN,
    GUESSED,
    METRIC,
    NOTHING,
    Guesses,
    Tossed,
    empirical_epsilon,
    epsilon_at_least,
    lower_bound,
    make_guesses,
    most_provable,
    p_value,
)


def guesses(canaries: int, made: int, right: int) -> Guesses:
    return Guesses(canaries=canaries, made=made, right=right)


@pytest.mark.parametrize(("right", "made"), [(10, 10), (62, 62), (100, 100), (1_000, 1_000)])
def test_all_guesses_right_by_hand(right, made):
    """All r right has chance q^r; that is 5 % where q = 0.05^(1/r), so that ε = ln(q / (1 - q))."""
    rate = 0.05 ** (1 / made)
    expected = math.log(rate / (1 - rate))
    assert epsilon_at_least(guesses(made, made, right), delta=0.0) == pytest.approx(expected, abs=1e-6)


def test_three_guesses_two_right_by_hand():
    """ε = ln 3 guesses right 3 times in 4: two or three of three with chance 27/64 + 27/64.

    With δ = 1/100 and m = 3: one right has chance 9/64, none 1/64; the windows below 2 hold 9/64 and (10/64)/2, the
    larger is 9/64; 2 m δ times that is 0.06 x 9/64.
    """
    epsilon = math.log(3)
    assert p_value(guesses(3, 3, 2), epsilon=epsilon, delta=0.0) == pytest.approx(54 / 64)
    assert p_value(guesses(3, 3, 2), epsilon=epsilon, delta=0.01) == pytest.approx(54 / 64 + 0.06 * 9 / 64)


def test_a_chance_is_never_above_one():
    assert p_value(guesses(1_000, 10, 2), epsilon=1.0, delta=0.5) == 1.0


@pytest.mark.parametrize(
    ("canaries", "made", "right", "delta", "printed"),
    [(1_000, 100, 75, 1e-4, 0.673), (100_000, 1_510, 1_439, 1e-5, 2.675)],
    ids=["appendix D", "section 7, figure 11"],
)
def test_the_numbers_printed_in_the_paper(canaries, made, right, delta, printed):
    """The paper rounds the one and cuts the other after three digits."""
    assert epsilon_at_least(guesses(canaries, made, right), delta=delta) == pytest.approx(printed, abs=1e-3)


@pytest.mark.parametrize(("made", "right"), [(100, 50), (100, 40), (100, 55), (0, 0)])
def test_guesses_that_luck_explains_bound_nothing(made, right):
    """55 or more of 100 fair coins come up with chance 0.18."""
    assert epsilon_at_least(guesses(100, made, right), delta=0.0) == 0.0


def test_more_right_guesses_than_guesses_are_no_guesses():
    with pytest.raises(ValueError, match="no more guesses than canaries"):
        guesses(10, 5, 6)


def test_the_highest_scores_are_guessed_to_be_members():
    """Of 0.1, 0.4, 0.6, 0.9 and coins out, in, out, in: of four guesses two are right, of two both."""
    scores, coins = np.array([0.4, 0.1, 0.9, 0.6]), np.array([True, False, True, False])
    assert make_guesses(scores, coins, made=4) == guesses(4, 4, 2)
    assert make_guesses(scores, coins, made=2) == guesses(4, 2, 2)
    assert make_guesses(scores, coins, made=3) == guesses(4, 2, 2)


def test_a_canary_without_a_score_is_not_guessed_and_counts_as_a_canary():
    scores = np.array([np.nan, 1.0, 2.0, np.nan, np.inf])
    coins = np.array([True, False, True, False, True])
    assert make_guesses(scores, coins, made=5) == guesses(5, 2, 2)


def test_the_best_of_four_bounds_pays_for_the_choice():
    """100 canaries, all told apart: at 1 - 0.05/4 instead of 1 - 0.05, q = 0.0125^(1/100), ε = 3.106 and not 3.49."""
    rate = 0.0125 ** (1 / 100)
    coins = np.arange(100) < 50
    found = lower_bound(coins.astype(float), coins, delta=0.0)
    assert len(GUESSED) == 4
    assert found.epsilon == pytest.approx(math.log(rate / (1 - rate)), abs=1e-6)
    assert found.guesses == guesses(100, 100, 100)
    assert most_provable(100, delta=0.0) == pytest.approx(found.epsilon)


def test_fewer_canaries_than_a_hundred_could_not_show_an_epsilon_of_three():
    """0.0125^(1/r) = e³ / (1 + e³) = 0.95257 at r = ln 0.0125 / ln 0.95257 = 90.2."""
    assert most_provable(90, delta=0.0) < 3 < most_provable(100, delta=0.0)


def tossed(apart: float, *, canaries: int = 1_000, proved: float | None = None) -> Tossed:
    rng = np.random.default_rng(3)
    coins = rng.random(canaries) < 0.5
    return Tossed(
        included=coins,
        scores=rng.normal(0, 1, canaries) + apart * coins,
        blind=rng.normal(0, 1, canaries),
        delta=1e-5,
        way="nats less expected",
        proved=proved,
    )


def by_name(found):
    return {(one.metric, one.comparison): one for one in found}


def test_scores_far_apart_show_a_large_epsilon_beside_a_control_of_none():
    """Six standard deviations apart: 2 Φ(3) - 1 is 0.997, nearly every guess is right."""
    found = by_name(empirical_epsilon(tossed(6.0), seed=1))
    attack = found[METRIC, "attack"]
    assert attack.lower > 4
    assert attack.value == attack.lower
    assert attack.upper is None
    assert attack.patients == 1_000
    assert found[METRIC, "control"].value < 0.2
    assert found[METRIC, "baseline"].value < 0.2
    assert found[AUC, "attack"].lower > 0.99
    assert found[AUC, "control"].lower < 0.5 < found[AUC, "control"].upper
    assert set(found) == {
        (metric, side) for metric in (METRIC, AUC) for side in ("attack", "control", "baseline")
    }


def test_scores_that_know_nothing_say_so():
    found = by_name(empirical_epsilon(tossed(0.0), seed=1))
    assert found[METRIC, "attack"].value == 0.0
    assert found[METRIC, "attack"].reason == NOTHING


def test_what_was_proved_stands_above_the_bound():
    attack = by_name(empirical_epsilon(tossed(1.0, proved=3.0), seed=1))[METRIC, "attack"]
    assert attack.lower < attack.upper == 3.0
    assert "ε = 3.00" in attack.method


def test_a_bound_above_the_proof_says_that_something_is_wrong():
    assert by_name(empirical_epsilon(tossed(6.0, proved=1.0), seed=1))[METRIC, "attack"].reason == BROKEN


def test_coins_that_the_record_alone_tells_are_reported():
    """The guess without the model is as good as the one with it: not the model gave them away."""
    given = tossed(6.0)
    found = by_name(empirical_epsilon(replace(given, blind=given.scores), seed=1))
    assert found[METRIC, "attack"].reason == BLIND


def test_coins_that_all_fell_alike_have_no_area():
    given = tossed(0.0)
    found = by_name(empirical_epsilon(replace(given, included=np.ones(1_000, dtype=bool)), seed=1))
    assert found[AUC, "attack"].value is None
    assert found[AUC, "attack"].reason

"""What holds for every audit: the bound rises with right guesses, and is seldom above the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.evidence.empirical_epsilon import Guesses, epsilon_at_least, lower_bound, p_value

REPEATS = 2_000


@st.composite
def some_guesses(draw):
    made = draw(st.integers(1, 300))
    return Guesses(canaries=draw(st.integers(made, 1_000)), made=made, right=draw(st.integers(0, made - 1)))


@given(some_guesses(), st.floats(0, 5), st.floats(0, 1e-4))
def test_one_more_right_guess_is_less_likely_and_proves_no_less(found, epsilon, delta):
    more = Guesses(canaries=found.canaries, made=found.made, right=found.right + 1)
    assert p_value(more, epsilon=epsilon, delta=0.0) <= p_value(found, epsilon=epsilon, delta=0.0)
    assert epsilon_at_least(more, delta=delta) >= epsilon_at_least(found, delta=delta) - 1e-9


@given(some_guesses(), st.floats(0, 5), st.floats(0, 1), st.floats(0, 1e-4))
def test_a_larger_epsilon_or_delta_explains_more(found, epsilon, further, delta):
    here = p_value(found, epsilon=epsilon, delta=delta)
    assert p_value(found, epsilon=epsilon + further, delta=delta) >= here - 1e-12
    assert p_value(found, epsilon=epsilon, delta=2 * delta) >= here
    assert epsilon_at_least(found, delta=2 * delta) <= epsilon_at_least(found, delta=delta) + 1e-9


@given(some_guesses(), st.floats(0, 5), st.floats(0, 1e-3))
def test_the_fast_sum_agrees_with_the_theorem_word_by_word(found, epsilon, delta):
    """f(v) = P[W >= v]; f(v) + 2 m δ max over i = 1..m of (f(v - i) - f(v)) / i."""
    made, rate = found.made, 1 / (1 + math.exp(-epsilon))
    chance = [math.comb(made, k) * rate**k * (1 - rate) ** (made - k) for k in range(made + 1)]

    def at_least(right: int) -> float:
        return math.fsum(chance[max(right, 0) :])

    tail = at_least(found.right)
    steps = [(at_least(found.right - i) - tail) / i for i in range(1, found.right + 5)]
    slow = min(1.0, tail + 2 * found.canaries * delta * max(steps))
    assert p_value(found, epsilon=epsilon, delta=delta) == pytest.approx(slow, abs=1e-9)


@pytest.mark.parametrize("epsilon", [0.0, 1.0, 3.0])
def test_randomised_response_of_known_epsilon_is_overstated_one_time_in_twenty_at_most(epsilon):
    """Each coin is told truly with chance e^ε / (1 + e^ε): the most that ε-privacy allows, so the bound is tight.

    Over 2,000 audits a rate of 5 % shows as 5 % with a standard error of sqrt(.05 x .95 / 2000) = 0.5 %.
    """
    rng = np.random.default_rng(round(10 * epsilon) + 1)
    truly = 1 / (1 + math.exp(-epsilon))
    above = 0
    for right in rng.binomial(200, truly, REPEATS):
        bound = epsilon_at_least(Guesses(canaries=200, made=200, right=int(right)), delta=0.0)
        above += bound > epsilon
    assert above / REPEATS <= 0.05 + 3 * 0.005


def test_the_best_of_several_numbers_of_guesses_is_overstated_no_more_often():
    """Told coins with a score that says how sure: ε = 1 for all, 300 audits; 3 standard errors of 5 % are 3.8 %."""
    rng = np.random.default_rng(4)
    above = 0
    for _ in range(300):
        coins = rng.random(200) < 0.5
        truly = rng.random(200) < 1 / (1 + math.exp(-1.0))
        scores = np.where(coins == truly, 1.0, -1.0) * rng.random(200)
        above += lower_bound(scores, coins, delta=0.0).epsilon > 1.0
    assert above / 300 <= 0.05 + 0.038


def test_the_bound_has_power():
    """Randomised response of ε = 3 with 1,000 coins: 952.6 right, give or take 6.7; the bound lies at 2.5 or above."""
    bound = epsilon_at_least(Guesses(canaries=1_000, made=1_000, right=953 - 13), delta=0.0)
    assert 2.4 < bound < 3

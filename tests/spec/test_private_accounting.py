"""How much noise a budget demands, and what noisy answers cost together."""

from __future__ import annotations

from math import exp, sqrt

import numpy as np
import polars as pl
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from salus.errors import BudgetTooSmall
from salus.trajectory.private_accounting import Answer, epsilon_of, gaussian, training_noise
from salus.trajectory.private_counts import Noise, at_most, covering, noisy_keys, standing_out, surely
from salus.trajectory.private_values import grid_of


def exact(noise: float, delta: float) -> float:
    """ε of one Gaussian mechanism by its formula (Balle & Wang 2018, theorem 8), for a change of length 1."""

    def failing(epsilon: float) -> float:
        half, step = 1 / (2 * noise), epsilon * noise
        return float(norm.cdf(half - step) - exp(epsilon) * norm.cdf(-half - step))

    return float(brentq(lambda epsilon: failing(epsilon) - delta, 0, 50))


@pytest.mark.parametrize("noise", [0.8, 2.0, 8.0])
def test_one_answer_costs_what_the_formula_says(noise: float):
    """Never less, and at most 0.03 more: the accountant gives an upper bound."""
    found = epsilon_of([Answer(what="a count", noise=noise)], delta=1e-6)
    assert exact(noise, 1e-6) <= found <= exact(noise, 1e-6) + 0.03


def test_answers_of_several_kinds_add_up_like_their_inverse_squares():
    """Noise 4 and noise 4 are together one answer of noise 4 / √2."""
    two = [Answer(what="one", noise=4.0), Answer(what="another", noise=4.0)]
    assert epsilon_of(two, delta=1e-6) == pytest.approx(exact(4 / sqrt(2), 1e-6), abs=0.03)


def test_training_takes_what_is_left_and_no_more():
    before = [Answer(what="a count", noise=8.0)]
    noise = training_noise(before, rate=0.1, steps=20, epsilon=3, delta=1e-6)
    training = Answer(what="training", noise=noise, rate=0.1, times=20)
    spent = epsilon_of([*before, training], delta=1e-6)
    assert 2.9 < spent <= 3
    assert noise < training_noise(before, rate=0.1, steps=40, epsilon=3, delta=1e-6)


def test_a_budget_too_small_to_train_is_refused():
    with pytest.raises(BudgetTooSmall, match="SAL-317"):
        training_noise([], rate=0.5, steps=1_000, epsilon=0.01, delta=1e-6)


def test_noise_has_the_scale_that_was_asked_for():
    """Of 100,000 numbers of scale 3 the standard deviation lies within 1 % (its own error is 0.2 %)."""
    assert gaussian(np.random.default_rng(1), 100_000, 3.0).std() == pytest.approx(3.0, rel=0.01)


def test_a_patient_takes_part_with_a_bounded_number_of_things():
    things = pl.DataFrame({"subject_id": [1] * 5 + [2], "code": list("abcdea")})
    taken = at_most(things, 3, np.random.default_rng(1))
    assert taken.group_by("subject_id").len().sort("subject_id")["len"].to_list() == [3, 1]


def keys(noise: float, seed: int, *, public: list[str]) -> set[str]:
    """What shows of 1,000 patients with 'common' and one with 'secret' too, one key a patient at most."""
    things = pl.DataFrame({"subject_id": range(1_001), "code": ["common"] * 1_000 + ["secret"]})
    found = noisy_keys(
        things,
        most=1,
        delta=1e-7,
        noise=Noise(noise, np.random.default_rng(seed)),
        public=pl.DataFrame({"code": public}, schema={"code": pl.String}),
    )
    return set(found["code"])


def test_a_code_of_a_single_patient_does_not_show():
    """Noise 20, threshold 1 + 20 x 5.2 = 105: the count 1 passes once in ten million times, 1,000 always does."""
    assert all(keys(20.0, seed, public=[]) == {"common"} for seed in range(50))


def test_a_public_code_shows_from_three_times_the_noise_on_whether_anybody_has_it_or_not():
    """Noise 20: the count 1,000 shows; of nobody's code a count above 60 comes once in 740 times."""
    shown = [keys(20.0, seed, public=["common", "nobody's"]) for seed in range(20)]
    assert all(found == {"common"} for found in shown)


def test_cells_that_only_hold_noise_are_nought():
    """Noise 10: of 4, 500, -20 and 31 those above 30 stay; where nothing does, the largest counts 1."""
    assert surely(np.asarray([4.0, 500.0, -20.0, 31.0]), 10.0).tolist() == [0, 500, 0, 31]
    assert surely(np.asarray([4.0, 5.0]), 10.0).tolist() == [0, 1]


def test_neighbours_are_joined_until_somebody_is_surely_there():
    """Noise 10: 20 and 40, together above 30 √2, keep their shares; -5 begins anew; 20 alone at the end is nought."""
    assert standing_out(np.asarray([20.0, 40.0, -5.0, 20.0]), 10.0).tolist() == pytest.approx([20, 40, 0, 0])


def test_nearly_everybody_is_covered():
    """Of 50, 40 and 10 the first two places cover 90 %."""
    counts = np.asarray([50.0, 40.0, 10.0])
    assert covering([1, 2, 5], counts, 0.9, scale=1.0) == 2
    assert covering([1, 2, 5], counts, 0.91, scale=1.0) == 5


def test_few_possible_numbers_have_a_cell_each():
    """Days 1 to 14: 14 cells; 0 counts with the first and 20 with the last."""
    grid = grid_of(1, 14, 0)
    assert len(grid.edges) == 15
    assert grid.places(np.asarray([0.0, 1.0, 2.0, 14.0, 20.0])).tolist() == [0, 0, 1, 13, 13]
    numbers, cells = grid.points()
    assert numbers.tolist() == list(range(1, 15)) and cells.tolist() == list(range(14))

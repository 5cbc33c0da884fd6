"""AUROC, average precision, Brier and calibration: small cases worked out by hand, larger ones by scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from salus.evidence.calibration import calibration_line, reliability_bins
from salus.evidence.discrimination import auprc, auroc, brier, delong_test, delong_variance
from salus.evidence.net_benefit import above_default, net_benefit
from salus.evidence.resampling import class_weights, interval, patient_weights

OUTCOME = np.array([0.0, 0.0, 1.0, 1.0])
RISK = np.array([0.1, 0.4, 0.35, 0.8])


def test_auroc_counts_pairs_told_apart():
    """Of the four pairs, 0.35 against 0.4 is the wrong way round: 3 of 4."""
    assert auroc(OUTCOME, RISK)[0] == 0.75


def test_a_tie_counts_half():
    assert auroc(np.array([0.0, 1.0, 1.0]), np.array([0.5, 0.5, 0.9]))[0] == 0.75


def test_with_one_class_only_there_is_no_auroc():
    assert math.isnan(auroc(np.ones(3), np.array([0.1, 0.2, 0.3]))[0])
    assert math.isnan(auroc(np.zeros(0), np.zeros(0))[0])
    assert math.isnan(delong_variance(np.ones(3), np.array([0.1, 0.2, 0.3])))


def test_delong_by_hand():
    """Those with the outcome beat 1/2 and 2/2 of the others, those without lose to 2/2 and 1/2: 1/16 + 1/16."""
    assert delong_variance(OUTCOME, RISK) == pytest.approx(0.125)


def test_paired_delong_by_hand():
    """Against a risk that tells all apart: differences -1/2 and 0 on either side, so z = -1/4 over the root of 1/8."""
    apart, z, p = delong_test(OUTCOME, RISK, other=np.array([0.1, 0.2, 0.3, 0.4]))
    assert apart == -0.25
    assert z == pytest.approx(-math.sqrt(0.5))
    assert p == pytest.approx(2 * norm.cdf(-math.sqrt(0.5)))


def test_two_risks_that_rank_alike_cannot_be_tested():
    apart, z, p = delong_test(OUTCOME, RISK, other=RISK * 2)
    assert apart == 0
    assert math.isnan(z)
    assert math.isnan(p)
    assert math.isnan(delong_test(np.ones(4), RISK, other=RISK)[0])


def test_average_precision_by_hand():
    """At 0.8: 1 of 1; at 0.35: 2 of 3. The mean is 5/6."""
    assert auprc(OUTCOME, RISK)[0] == pytest.approx(5 / 6)


def test_brier_by_hand():
    """(0.01 + 0.16 + 0.4225 + 0.04) / 4."""
    assert brier(OUTCOME, RISK)[0] == pytest.approx(0.158125)


def test_scikit_learn_agrees_on_risks_with_many_ties():
    rng = np.random.default_rng(5)
    risk = rng.integers(0, 21, 500) / 20
    outcome = (rng.random(500) < risk).astype(float)
    assert auroc(outcome, risk)[0] == pytest.approx(roc_auc_score(outcome, risk))
    assert auprc(outcome, risk)[0] == pytest.approx(average_precision_score(outcome, risk))
    assert brier(outcome, risk)[0] == pytest.approx(brier_score_loss(outcome, risk))


def test_a_weight_is_a_patient_counted_that_often():
    rng = np.random.default_rng(6)
    risk, outcome = rng.integers(1, 10, 60) / 10, (rng.random(60) < 0.4).astype(float)
    times = rng.integers(0, 4, (3, 60))
    for measure in (
        auroc,
        auprc,
        brier,
        lambda *a, **k: calibration_line(*a, **k)[0],
        lambda *a, **k: net_benefit(*a, threshold=0.3, **k),
        lambda *a, **k: above_default(*a, threshold=0.3, **k),
    ):
        together = measure(outcome, risk, weights=times.astype(float))
        alone = [measure(np.repeat(outcome, row), np.repeat(risk, row))[0] for row in times]
        assert together == pytest.approx(alone)


def test_calibration_of_two_groups_by_hand():
    """Said 20 % and 80 %, happened 30 % and 70 %: slope logit(0.7)/logit(0.8) = 0.8473/1.3863, intercept 0."""
    risk = np.repeat([0.2, 0.8], 10)
    outcome = np.array([1.0] * 3 + [0.0] * 7 + [1.0] * 7 + [0.0] * 3)
    slope, intercept = calibration_line(outcome, risk)
    assert slope[0] == pytest.approx(math.log(7 / 3) / math.log(4))
    assert intercept[0] == pytest.approx(0, abs=1e-9)


def test_scikit_learn_agrees_on_the_calibration_line():
    rng = np.random.default_rng(7)
    log_odds = rng.normal(-1, 1.5, 2000)
    outcome = (rng.random(2000) < 1 / (1 + np.exp(-(0.6 * log_odds - 0.3)))).astype(float)
    slope, intercept = calibration_line(outcome, 1 / (1 + np.exp(-log_odds)))
    judge = LogisticRegression(C=1e12, tol=1e-10, max_iter=1000).fit(log_odds[:, None], outcome)
    assert slope[0] == pytest.approx(judge.coef_[0, 0], abs=1e-5)
    assert intercept[0] == pytest.approx(judge.intercept_[0], abs=1e-5)


def test_a_line_that_does_not_exist_is_not_a_number():
    assert math.isnan(calibration_line(OUTCOME, np.full(4, 0.5))[0][0])
    assert math.isnan(calibration_line(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.2, 0.8, 0.9]))[0][0])


def test_risks_of_nought_and_one_are_moved_inside():
    slope, _ = calibration_line(np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0, 1.0]), smallest=0.01)
    assert slope[0] == pytest.approx(0, abs=1e-9)


def test_groups_of_equal_size_with_what_was_said_and_what_happened():
    groups = reliability_bins(OUTCOME, RISK, bins=2)
    assert groups["patients"].to_list() == [2, 2]
    assert groups["predicted"].to_list() == pytest.approx([0.225, 0.6])
    assert groups["observed"].to_list() == [0.5, 0.5]


def test_the_rows_of_one_patient_are_drawn_together():
    weights = patient_weights(np.array([3, 9, 3, 4]), replicates=50, seed=1)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()
    assert (weights == patient_weights(np.array([3, 9, 3, 4]), replicates=50, seed=1)).all()


def test_each_class_is_drawn_again_in_its_own_number():
    """A test set of 2 members and 3 others keeps 2 and 3 in every draw."""
    weights = class_weights([2, 3], replicates=50, seed=1)
    assert (weights[:, :2].sum(axis=1) == 2).all()
    assert (weights[:, 2:].sum(axis=1) == 3).all()
    assert len(np.unique(weights, axis=0)) > 10


def test_the_interval_is_the_middle_95_of_100():
    found = interval(50.0, np.arange(101, dtype=float))
    assert [found.value, found.lower, found.upper] == pytest.approx([50.0, 2.5, 97.5])
    assert interval(float("nan"), np.ones(3)).value is None


def test_bounds_lean_away_from_the_side_on_which_the_replicates_lie():
    """69.15 % of the replicates lie below the value, half a standard deviation: bounds at the normal distribution's
    1 - 1.96 and 1 + 1.96, which are 16.85 and 99.85 %."""
    found = interval(69.145, np.arange(10_000) / 100)
    assert [found.lower, found.upper] == pytest.approx([16.85, 99.85], abs=0.02)


def test_few_patients_make_the_bounds_wider():
    """Five patients: Student's t with 4 degrees of freedom is 2.776, times the root of 5/4: the whole range nearly."""
    replicates = np.arange(1001, dtype=float)
    found = interval(500.0, replicates, patients=5)
    assert found.upper == pytest.approx(1000 * norm.cdf(2.776 * math.sqrt(1.25)), abs=0.5)
    assert found.lower == pytest.approx(1000 - found.upper, abs=0.5)
    assert interval(500.0, replicates, patients=100_000).upper == pytest.approx(975, abs=0.1)

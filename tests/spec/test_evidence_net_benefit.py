"""Net benefit, worked out by hand, and the findings made of it."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from salus.evidence.forecast_accuracy import forecast_accuracy
from salus.evidence.net_benefit import above_default, net_benefit, net_benefit_curve, net_benefit_of_all
from salus.evidence.resampling import patient_weights

OUTCOME = np.array([1.0, 1, 1, 0, 0, 0, 0, 0, 0, 0])
RISK = np.array([0.9, 0.5, 0.1, 0.6, 0.2, 0.1, 0.1, 0.1, 0.0, 0.0])


def test_false_alarms_count_at_the_odds_of_the_risk():
    """At 20 %: two of three cases found, two false alarms at 1 to 4; (2 - 2 / 4) / 10."""
    assert net_benefit(OUTCOME, RISK, threshold=0.2)[0] == pytest.approx(0.15)


def test_a_risk_of_just_the_threshold_is_acted_on():
    """At 50 %: 0.9, 0.5 and 0.6; (2 - 1) / 10. At 51 % the case at 0.5 is missed: (1 - 51 / 49) / 10."""
    assert net_benefit(OUTCOME, RISK, threshold=0.5)[0] == pytest.approx(0.1)
    assert net_benefit(OUTCOME, RISK, threshold=0.51)[0] == pytest.approx((1 - 51 / 49) / 10)


def test_acting_on_everybody():
    """At 20 %: (3 - 7 / 4) / 10; at 50 %: (3 - 7) / 10, worse than acting on nobody."""
    assert net_benefit_of_all(OUTCOME, threshold=0.2)[0] == pytest.approx(0.125)
    assert net_benefit_of_all(OUTCOME, threshold=0.5)[0] == pytest.approx(-0.4)


def test_the_forecast_must_beat_the_better_of_all_and_none():
    assert above_default(OUTCOME, RISK, threshold=0.2)[0] == pytest.approx(0.15 - 0.125)
    assert above_default(OUTCOME, RISK, threshold=0.5)[0] == pytest.approx(0.1 - 0.0)


def test_the_curve_has_a_row_a_threshold_and_bounds_where_there_are_draws():
    weights = patient_weights(np.arange(10), seed=1)
    curve = net_benefit_curve(OUTCOME, RISK, weights=weights, thresholds=(0.2, 0.5))
    assert curve["forecast"].to_list() == pytest.approx([0.15, 0.1])
    assert curve["everybody"].to_list() == pytest.approx([0.125, -0.4])
    assert (curve["lower"] < curve["forecast"]).all()
    assert (curve["upper"] > curve["forecast"]).all()
    assert net_benefit_curve(OUTCOME, RISK, weights=None)["lower"].null_count() == 50


def test_nobody_has_no_benefit():
    assert math.isnan(net_benefit(np.zeros(0), np.zeros(0), threshold=0.1)[0])


def measured(outcome: np.ndarray, risk: np.ndarray):
    people = pl.DataFrame({"subject_id": range(len(outcome)), "task": ["disease"] * len(outcome)})
    labels = people.with_columns(label=pl.Series(outcome.astype(bool)))
    forecast = people.with_columns(risk=pl.Series(risk), samples=pl.lit(100))
    baseline = people.with_columns(real_risk=pl.lit(0.5))
    return forecast_accuracy(forecast, labels, baseline=baseline, seed=1)


def test_findings_at_three_risks_say_at_which_and_against_what():
    """Ten times the ten patients: the values by hand above, with bounds about them."""
    found = measured(np.tile(OUTCOME, 10), np.tile(RISK, 10))
    by_name = {(one.metric, one.comparison): one for one in found.findings}
    benefit = by_name["forecast.net_benefit", "risk 0.20 or more"]
    assert benefit.value == pytest.approx(0.15)
    assert benefit.lower < 0.15 < benefit.upper
    against = "risk 0.20 or more, against the better of treating all and none"
    assert by_name["forecast.net_benefit_difference", against].value == pytest.approx(0.025)
    at = {one.comparison for one in found.findings if one.metric == "forecast.net_benefit"}
    assert at == {"risk 0.05 or more", "risk 0.10 or more", "risk 0.20 or more"}
    assert found.net_benefit.columns == ["task", "threshold", "forecast", "lower", "upper", "everybody"]
    assert found.net_benefit["threshold"].to_list() == pytest.approx([n / 100 for n in range(1, 51)])


def test_with_one_class_only_there_is_a_reason_and_no_bounds():
    found = measured(np.zeros(100), np.tile(RISK, 10))
    benefits = [one for one in found.findings if "net_benefit" in one.metric]
    assert len(benefits) == 6
    assert {one.value for one in benefits} == {None}
    assert all("0 with the outcome among 100" in one.reason for one in benefits)
    assert found.net_benefit["lower"].null_count() == found.net_benefit.height

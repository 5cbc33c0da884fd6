"""What was learnt from synthetic patients is tested on real ones; what cannot be estimated says why."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from salus.cohort.labels import label
from salus.cohort.moments import index_moments, known_at_index
from salus.evidence.forecast_accuracy import forecast_accuracy
from salus.evidence.outcome_model import Population
from salus.evidence.utility import utility
from tests.invented import CODES, TASK, invent

HELD_OUT = invent(400, seed=9, first=9000)


def population(name: str, events: pl.DataFrame) -> Population:
    moments = index_moments(events, TASK)
    known = known_at_index(events, moments)
    return Population(name=name, known=known, moments=moments, labels=label(events, TASK, CODES))


def measured(synthetic: pl.DataFrame, held_out: pl.DataFrame = HELD_OUT):
    found = utility(
        population("real", invent(800, seed=1)),
        population("synthetic", synthetic),
        held_out=population("held_out", held_out),
        seed=1,
    )
    return {one.metric: one for one in found.findings}


def test_a_faithful_generator_is_about_as_useful_as_real_patients():
    """The truth itself reaches about 0.9 here: risk rises from 5 % to 95 % over two standard deviations."""
    found = measured(invent(800, seed=2, first=20000))
    assert found["utility.real_auroc"].value > 0.8
    assert found["utility.auroc_ratio"].value == pytest.approx(1, abs=0.05)
    assert found["utility.auroc_ratio"].lower < 1.02
    assert found["utility.real_auroc"].patients == 400


def test_a_generator_without_the_relation_is_no_better_than_guessing():
    found = measured(invent(800, seed=2, first=20000, related=False))
    assert found["utility.synthetic_auroc"].value < 0.65
    assert found["utility.auroc_ratio"].upper < 0.9


def test_a_generator_in_which_nobody_falls_ill_cannot_be_judged_and_says_why():
    well = invent(800, seed=2, first=20000).filter(pl.col("code") != "DISEASE")
    found = measured(well)
    for metric in ("utility.synthetic_auroc", "utility.auroc_ratio"):
        assert found[metric].value is None
        assert "0 of 800 patients of 'synthetic'" in found[metric].reason
    assert found["utility.real_auroc"].value is not None


def test_held_out_patients_of_one_kind_only_are_said_to_be_so():
    found = measured(invent(800, seed=2), HELD_OUT.filter(pl.col("code") != "DISEASE"))
    assert found["utility.real_auroc"].value is None
    assert "same outcome" in found["utility.real_auroc"].reason


def forecasts(labels: pl.DataFrame, risk: np.ndarray) -> pl.DataFrame:
    return labels.select("subject_id", "task", risk=pl.Series(risk, dtype=pl.Float32), samples=pl.lit(100))


def test_forecasts_are_measured_beside_the_simple_model():
    labels = label(HELD_OUT, TASK, CODES)
    outcome = labels["label"].cast(pl.Float64).to_numpy()
    baseline = labels.select("subject_id", "task", real_risk=pl.lit(0.5))
    found = forecast_accuracy(forecasts(labels, 0.25 + outcome / 2), labels, baseline=baseline, seed=1)
    by_name = {one.metric: one.value for one in found.findings}
    assert by_name["forecast.auroc"] == 1
    assert by_name["forecast.auprc"] == 1
    assert by_name["forecast.brier"] == pytest.approx(1 / 16)
    assert by_name["forecast.baseline_auroc"] == 0.5
    assert by_name["forecast.auroc_difference"] == 0.5
    assert by_name["forecast.slope"] is None
    assert found.reliability["patients"].sum() == 400


def test_patients_without_a_forecast_are_left_out_and_counted():
    labels = label(HELD_OUT, TASK, CODES)
    some = forecasts(labels, np.linspace(0, 1, 400)).head(390)
    baseline = labels.select("subject_id", "task", real_risk=pl.lit(0.5))
    one = forecast_accuracy(some, labels, baseline=baseline, seed=1).findings[0]
    assert (one.patients, one.value is None) == (390, False)
    assert "10 patients" in one.reason


def test_no_forecast_at_all_is_not_estimable():
    labels = label(HELD_OUT, TASK, CODES)
    nothing = forecasts(labels, np.zeros(400)).clear()
    baseline = labels.select("subject_id", "task", real_risk=pl.lit(0.5))
    found = forecast_accuracy(nothing, labels, baseline=baseline, seed=1)
    assert {one.value for one in found.findings} == {None}
    assert all(one.reason for one in found.findings)

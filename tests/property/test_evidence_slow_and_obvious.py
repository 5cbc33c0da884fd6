"""Slow, obvious versions referee the fast measures; and no future row changes what is known at the index."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from salus.cohort.moments import index_moments, known_at_index
from salus.evidence.discrimination import auprc, auroc, delong_variance
from salus.evidence.resampling import interval, patient_weights
from salus.evidence.summary_features import learn_columns, summary_features
from tests.invented import TASK, invent

PATIENTS = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=30)


@settings(max_examples=200, deadline=None)
@given(PATIENTS)
def test_auroc_is_the_share_of_pairs_told_apart(patients):
    with_it = [risk for ill, risk in patients if ill]
    without = [risk for ill, risk in patients if not ill]
    pairs = [(a > b) + 0.5 * (a == b) for a in with_it for b in without]
    outcome, risk = np.array([float(ill) for ill, _ in patients]), np.array([float(r) for _, r in patients])
    found = auroc(outcome, risk)[0]
    assert (np.isnan(found) and not pairs) or found == pytest.approx(np.mean(pairs))


@settings(max_examples=200, deadline=None)
@given(PATIENTS)
def test_average_precision_is_the_mean_precision_of_those_with_the_outcome(patients):
    precise = [
        np.mean([other_ill for other_ill, other in patients if other >= risk])
        for ill, risk in patients
        if ill
    ]
    outcome, risk = np.array([float(ill) for ill, _ in patients]), np.array([float(r) for _, r in patients])
    found = auprc(outcome, risk)[0]
    assert (np.isnan(found) and not precise) or found == pytest.approx(np.mean(precise))


def test_nothing_after_the_index_changes_a_feature():
    """Features of the whole record and of the record cut at the index are the same, bit for bit."""
    whole = invent(200, seed=1)
    moments = index_moments(whole, TASK)
    index = pl.lit(moments["prediction_time"][0])
    cut = whole.filter(pl.col("time").is_null() | (pl.col("time") <= index))
    late = whole.with_columns(
        pl.col("time") - timedelta(days=1), code=pl.lit("SBP"), numeric_value=pl.lit(999.0)
    )
    late = late.filter(pl.col("known_time") > index).cast(whole.schema)
    columns = learn_columns(known_at_index(cut, moments))
    expected = summary_features(known_at_index(cut, moments), moments, columns)
    known = known_at_index(pl.concat([whole, late]), moments)
    assert summary_features(known, moments, columns).equals(expected)


def test_the_patient_bootstrap_covers_the_truth_where_delong_does_not():
    """150 patients of 8 stays each, alike within a patient: 95 % intervals must hold about 95 % of the time."""
    truth, held, held_by_delong, rounds = float(norm.cdf(1 / np.sqrt(2))), 0, 0, 300
    owner = np.repeat(np.arange(150), 8)
    for seed in range(rounds):
        rng = np.random.default_rng(seed)
        ill = (np.arange(150) % 3 == 0).astype(float)
        usual = rng.normal(0, np.sqrt(0.9), 150) + ill
        risk = usual[owner] + rng.normal(0, np.sqrt(0.1), len(owner))
        outcome = ill[owner]
        value = float(auroc(outcome, risk)[0])
        drawn = auroc(outcome, risk, weights=patient_weights(owner, replicates=300, seed=seed))
        bounds = interval(value, drawn)
        assert bounds.lower is not None
        assert bounds.upper is not None
        held += bounds.lower <= truth <= bounds.upper
        held_by_delong += abs(value - truth) <= 1.96 * np.sqrt(delong_variance(outcome, risk))
    assert 0.92 <= held / rounds <= 0.98
    assert held_by_delong / rounds < 0.75

"""The measure of our intervals is itself checked: its truths are those of a large draw; patients, not stays, count."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.coverage import STRETCH, cover, invent_stays, true_auroc, true_brier
from salus.evidence.calibration import calibration_line
from salus.evidence.discrimination import auroc, brier


def test_the_truths_from_formulas_are_those_of_a_large_draw():
    """100,000 patients: standard errors are about 0.001 for the AUROC and the Brier score and 0.003 for the slope."""
    drawn = invent_stays(1, patients=100_000)
    assert auroc(drawn.outcome, drawn.risk)[0] == pytest.approx(true_auroc(), abs=0.004)
    assert brier(drawn.outcome, drawn.risk)[0] == pytest.approx(true_brier(), abs=0.004)
    assert calibration_line(drawn.outcome, drawn.risk)[0][0] == pytest.approx(1 / STRETCH, abs=0.012)


def test_stays_of_one_patient_are_alike():
    drawn = invent_stays(1, patients=2_000)
    first, second = drawn.outcome[0::8], drawn.outcome[1::8]
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(0.6, abs=0.06)


def test_intervals_hold_the_truth_as_often_as_they_should():
    """100 sets: with 95 % truly held, fewer than 88 happen once in 600 such tests. Stays taken for patients: 65 %."""
    found = {one.name: one for one in cover(sets=100, replicates=200, seed=3)}
    assert all(one.share >= 0.88 for one in found.values())
    assert found["AUROC"].naive is not None
    assert found["AUROC"].naive < 80

"""Is acting on the forecast better than acting on everybody or on nobody? (Vickers & Elkin, Med Decis Making 2006)

Whoever acts at a risk of 10 % or more holds one missed case for as bad as nine alarms in vain. Net benefit counts, a
patient, the cases acted on less the alarms in vain at that exchange. Acting on nobody has net benefit nought.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from salus.evidence.discrimination import Floats
from salus.evidence.resampling import interval
from salus.findings import Interval

THRESHOLDS = (0.05, 0.10, 0.20)
"""Risks at which findings are given."""
CURVE = tuple(round(number / 100, 2) for number in range(1, 51))
"""Risks at which the curve is drawn."""


def net_benefit(outcome: Floats, risk: Floats, *, threshold: float, weights: Floats | None = None) -> Floats:
    """Net benefit a patient of acting at ``risk`` of ``threshold`` or more, one a row of ``weights``.

    >>> net_benefit(np.array([1, 1, 0, 0.0]), np.array([0.9, 0.1, 0.6, 0.2]), threshold=0.5).tolist()
    [0.0]
    """
    odds = threshold / (1 - threshold)
    gained = np.where(risk >= threshold, outcome - odds * (1 - outcome), 0.0)
    given = np.ones((1, len(outcome))) if weights is None else weights
    size = given.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        benefit: Floats = np.where(size > 0, given @ gained / size, np.nan)
    return benefit


def net_benefit_of_all(outcome: Floats, *, threshold: float, weights: Floats | None = None) -> Floats:
    """Net benefit a patient of acting on everybody."""
    return net_benefit(outcome, np.ones(len(outcome)), threshold=threshold, weights=weights)


def above_default(
    outcome: Floats, risk: Floats, *, threshold: float, weights: Floats | None = None
) -> Floats:
    """Net benefit above the better of acting on everybody and on nobody."""
    everybody = net_benefit_of_all(outcome, threshold=threshold, weights=weights)
    return net_benefit(outcome, risk, threshold=threshold, weights=weights) - np.maximum(everybody, 0.0)


def net_benefit_curve(
    outcome: Floats, risk: Floats, *, weights: Floats | None, thresholds: Sequence[float] = CURVE
) -> pl.DataFrame:
    """A row a threshold: benefit of the forecast, with bounds where there are draws, and of acting on everybody."""
    rows = []
    for threshold in thresholds:
        value = float(net_benefit(outcome, risk, threshold=threshold)[0])
        bounds = Interval(value)
        if weights is not None:
            drawn = net_benefit(outcome, risk, threshold=threshold, weights=weights)
            bounds = interval(value, drawn, patients=len(outcome))
        everybody = float(net_benefit_of_all(outcome, threshold=threshold)[0])
        rows.append((threshold, bounds.value, bounds.lower, bounds.upper, everybody))
    columns = ("threshold", "forecast", "lower", "upper", "everybody")
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.Float64), orient="row")

"""How well risks tell those with the outcome from those without: AUROC, DeLong, average precision, Brier.

Every function takes the outcomes (0 or 1) and risks of n patients and optional weights of shape (replicates, n):
a row of counts says how often a bootstrap drew each patient, so one call measures all replicates.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

Floats: TypeAlias = NDArray[np.float64]


def auroc(outcome: Floats, risk: Floats, *, weights: Floats | None = None) -> Floats:
    """Chance that a patient with the outcome has the higher risk, ties counting half; nan with one class only.

    >>> auroc(np.array([0, 0, 1, 1.0]), np.array([0.1, 0.4, 0.35, 0.8])).tolist()
    [0.75]
    """
    with_it, without = _by_threshold(outcome, risk, weights=weights)
    below = np.cumsum(without, axis=1) - without / 2
    pairs = with_it.sum(axis=1) * without.sum(axis=1)
    return _ratio((with_it * below).sum(axis=1), pairs)


def auprc(outcome: Floats, risk: Floats, *, weights: Floats | None = None) -> Floats:
    """Average precision: the mean, over patients with the outcome, of the precision at their risk; ties as one."""
    with_it, without = _by_threshold(outcome, risk, weights=weights)
    found = np.cumsum(with_it[:, ::-1], axis=1)
    alarms = found + np.cumsum(without[:, ::-1], axis=1)
    precision = np.divide(found, alarms, out=np.zeros_like(found), where=alarms > 0)
    return _ratio((with_it[:, ::-1] * precision).sum(axis=1), with_it.sum(axis=1))


def found_at(outcome: Floats, risk: Floats, *, false_alarms: float, weights: Floats | None = None) -> Floats:
    """Share of those with the outcome who are found where at most ``false_alarms`` of the others are alarmed too.

    The threshold is one of the risks, ties as one; nothing is interpolated between two of them.

    >>> found_at(np.array([0, 0, 1, 1.0]), np.array([0.1, 0.5, 0.4, 0.8]), false_alarms=0.1).tolist()
    [0.5]
    """
    with_it, without = (each[:, ::-1] for each in _by_threshold(outcome, risk, weights=weights))
    alarmed = _ratio(np.cumsum(without, axis=1), without.sum(axis=1)[:, None])
    found = _ratio(np.cumsum(with_it, axis=1), with_it.sum(axis=1)[:, None])
    known = np.isfinite(alarmed).all(axis=1) & np.isfinite(found).all(axis=1)
    best: Floats = np.where(alarmed <= false_alarms, found, 0.0).max(axis=1)
    return np.where(known, best, np.nan)


def brier(outcome: Floats, risk: Floats, *, weights: Floats | None = None) -> Floats:
    """Mean squared distance of the risk from what happened; 0 is perfect."""
    given = _weights(weights, len(outcome))
    return _ratio(given @ (risk - outcome) ** 2, given.sum(axis=1))


def delong_variance(outcome: Floats, risk: Floats) -> float:
    """Variance of the AUROC when each patient stands alone (DeLong, DeLong & Clarke-Pearson, Biometrics 1988)."""
    of_with, of_without = _placements(outcome, risk)
    if len(of_with) < 2 or len(of_without) < 2:
        return float("nan")
    return float(of_with.var(ddof=1) / len(of_with) + of_without.var(ddof=1) / len(of_without))


def delong_test(outcome: Floats, risk: Floats, *, other: Floats) -> tuple[float, float, float]:
    """AUROC of ``risk`` minus that of ``other`` on the same patients, z, and the two-sided p that they are the same.

    For patients who stand alone, one row each; nan where either class has fewer than two, or the two never differ.
    """
    (first_with, first_without), (then_with, then_without) = (
        _placements(outcome, each) for each in (risk, other)
    )
    if len(first_with) < 2 or len(first_without) < 2:
        return float("nan"), float("nan"), float("nan")
    apart = float(first_with.mean() - then_with.mean())
    variance = (first_with - then_with).var(ddof=1) / len(first_with)
    variance += (first_without - then_without).var(ddof=1) / len(first_without)
    z = apart / float(np.sqrt(variance)) if variance > 0 else float("nan")
    return apart, z, float(2 * norm.sf(abs(z)))


def _placements(outcome: Floats, risk: Floats) -> tuple[Floats, Floats]:
    """For each patient with the outcome the share of the others below, for each without the share of those above."""
    with_it, without = risk[outcome == 1], risk[outcome == 0]
    if not len(with_it) or not len(without):
        return np.zeros(0), np.zeros(0)
    ranks = rankdata(np.concatenate([with_it, without]))
    of_with: Floats = (ranks[: len(with_it)] - rankdata(with_it)) / len(without)
    of_without: Floats = 1 - (ranks[len(with_it) :] - rankdata(without)) / len(with_it)
    return of_with, of_without


def _by_threshold(outcome: Floats, risk: Floats, *, weights: Floats | None) -> tuple[Floats, Floats]:
    """Weight with and without the outcome at each distinct risk, ascending: two of shape (replicates, risks)."""
    order = np.argsort(risk, kind="stable")
    starts = np.flatnonzero(np.diff(risk[order], prepend=np.nan) != 0)
    given = _weights(weights, len(outcome))[:, order]
    happened = outcome[order]
    with_it = np.add.reduceat(given * happened, starts, axis=1)
    return with_it, np.add.reduceat(given, starts, axis=1) - with_it


def _weights(weights: Floats | None, patients: int) -> Floats:
    return np.ones((1, patients)) if weights is None else weights


def _ratio(part: Floats, whole: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        shares: Floats = np.where(whole > 0, part / whole, np.nan)
    return shares

"""Whether a risk of 20 % happens to 20 of 100 such patients: logistic recalibration and reliability bins."""

from __future__ import annotations

import numpy as np
import polars as pl

from salus.evidence.discrimination import Floats

STEPS = 25
CLOSE, SETTLED = 1e-9, 1e-4


def calibration_line(
    outcome: Floats, risk: Floats, *, weights: Floats | None = None, smallest: float = 1e-6
) -> tuple[Floats, Floats]:
    """Slope and intercept of the outcome's log odds on those of the risk, one each a replicate (ideal: 1 and 0).

    A slope below 1 means risks too extreme. Fitted by Newton's method for all rows of ``weights`` at once. Risks of
    exactly 0 or 1 have no log odds and are moved inside by ``smallest``. nan where the fit does not settle: one
    class only, one risk only, or risks that tell the classes apart without exception.
    """
    inside = np.clip(risk, smallest, 1 - smallest)
    log_odds = np.log(inside / (1 - inside))
    given = np.ones((1, len(outcome))) if weights is None else weights
    slope, intercept, moved = (np.full(len(given), start) for start in (0.0, 0.0, np.inf))
    if len(given) > 1:  # draws end near the line of all patients
        whole = calibration_line(outcome, risk, smallest=smallest)
        if np.isfinite(whole[0][0]):
            slope, intercept = (np.full(len(given), line[0]) for line in whole)
    for _ in range(STEPS):
        rows = np.flatnonzero(moved > CLOSE)
        if not len(rows):
            break
        steps = _newton_step(outcome, log_odds, weights=given[rows], line=(slope[rows], intercept[rows]))
        slope[rows] += steps[0]
        intercept[rows] += steps[1]
        moved[rows] = np.maximum(np.abs(steps[0]), np.abs(steps[1]))
    wild = ~(moved < SETTLED)
    return np.where(wild, np.nan, slope), np.where(wild, np.nan, intercept)


def _newton_step(
    outcome: Floats, log_odds: Floats, *, weights: Floats, line: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """One step towards the likeliest slope and intercept, one each a row of weights."""
    slope, intercept = line
    fitted = 1 / (1 + np.exp(-np.clip(intercept[:, None] + slope[:, None] * log_odds, -30, 30)))
    missed, spread = weights * (outcome - fitted), weights * fitted * (1 - fitted)
    by_intercept, by_slope = missed.sum(axis=1), missed @ log_odds
    here, cross, far = spread.sum(axis=1), spread @ log_odds, spread @ log_odds**2
    size = here * far - cross**2
    with np.errstate(divide="ignore", invalid="ignore"):
        return (here * by_slope - cross * by_intercept) / size, (far * by_intercept - cross * by_slope) / size


def reliability_bins(outcome: Floats, risk: Floats, *, bins: int = 10) -> pl.DataFrame:
    """Mean risk and share with the outcome in groups of equal size, with Wilson's 95 % bounds of that share."""
    order = np.argsort(risk, kind="stable")
    groups = [group for group in np.array_split(order, bins) if len(group)]
    size = np.array([len(group) for group in groups], dtype=float)
    share = np.array([outcome[group].mean() for group in groups])
    z2 = 1.959964**2
    middle = (share + z2 / (2 * size)) / (1 + z2 / size)
    half = np.sqrt(z2 * (share * (1 - share) / size + z2 / (4 * size**2))) / (1 + z2 / size)
    return pl.DataFrame(
        {
            "bin": range(1, len(groups) + 1),
            "patients": size.astype(int),
            "predicted": [float(risk[group].mean()) for group in groups],
            "observed": share,
            "lower": np.clip(middle - half, 0, 1),
            "upper": np.clip(middle + half, 0, 1),
        }
    )

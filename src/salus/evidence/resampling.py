"""How sure a number is: draw patients again with replacement, measure again, take the middle 95 %."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

from salus.evidence.discrimination import Floats
from salus.findings import Interval

REPLICATES = 1000
LEVEL = 0.95
BOUNDS = "bias-corrected percentile bounds"
FURTHEST = (0.01, 0.99)
"""How far to one side of its replicates a value is taken to lie at most: a thousand replicates show no more."""
Ints: TypeAlias = NDArray[np.int64]


def patient_weights(patients: Ints, *, replicates: int = REPLICATES, seed: int = 0) -> Floats:
    """How often each row is drawn in each replicate, shape (replicates, rows); a patient's rows go together.

    >>> patient_weights(np.array([7, 7, 9]), replicates=1, seed=1)[0, :2].tolist() in ([0, 0], [1, 1], [2, 2])
    True
    """
    _, owner = np.unique(patients, return_inverse=True)
    count = int(owner.max()) + 1 if len(owner) else 0
    drawn = np.random.default_rng(seed).integers(0, count, size=(replicates, count))
    drawn += np.arange(replicates)[:, None] * count
    times = np.bincount(drawn.ravel(), minlength=replicates * count).reshape(replicates, count)
    return times[:, owner].astype(np.float64)


def class_weights(sizes: Sequence[int], *, replicates: int = REPLICATES, seed: int = 0) -> Floats:
    """The same for groups that stand one after the other; each is drawn again in its own number.

    >>> class_weights([2, 3], replicates=4, seed=1)[:, :2].sum(axis=1).tolist()
    [2.0, 2.0, 2.0, 2.0]
    """
    parts = [
        patient_weights(np.arange(size), replicates=replicates, seed=seed + number)
        for number, size in enumerate(sizes)
    ]
    return np.hstack(parts)


def interval(
    value: float, replicates: Floats, *, level: float = LEVEL, patients: int | None = None
) -> Interval:
    """The value with bias-corrected percentile bounds of its replicates; those without a value are left out.

    Where more than half of the replicates lie to one side of the value, the bounds lean to the other (Efron, Can J
    Stat 1981). ``patients``: how many were drawn; few make the bounds wider, as Student's t is wider than the normal
    (Hesterberg, Am Stat 2015).
    """
    if not np.isfinite(value):
        return Interval(None)
    known = replicates[np.isfinite(replicates)]
    if len(known) < len(replicates) / 2:
        return Interval(float(value))
    below = (known < value).mean() + (known == value).mean() / 2
    lean = norm.ppf(np.clip(below, *FURTHEST))
    reach = norm.ppf((1 + level) / 2)
    if patients is not None and patients > 1:
        reach = student.ppf((1 + level) / 2, patients - 1) * np.sqrt(patients / (patients - 1))
    lower, upper = np.quantile(known, norm.cdf([2 * lean - reach, 2 * lean + reach]))
    return Interval(float(value), float(lower), float(upper))

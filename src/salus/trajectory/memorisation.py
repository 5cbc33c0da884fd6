"""Whether a model knows training patients better than others: by how much, and whether that gives them away.

Whoever holds a record and the model can guess from the record's likelihood whether it was trained on. Tuning patients
stand for those who were not: they decide when training ends, and no gradient ever saw them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from salus.trajectory.bins import FloatArray
from salus.trajectory.encoding import Records

MOST_PATIENTS, MOST_FACTS = 1_000, 100_000
"""Training patients in the sample at most, and their facts."""
SHARE, LEAST_PATIENTS = 6, 250
"""Nor more than one in so many training patients, where that leaves so many: a look must stay cheap beside a pass."""
MOST_TOLD_APART = 0.55
"""AUROC with which training patients may be told from tuning patients by their loss, where nobody says otherwise."""
NORMAL_95 = 1.959964


@dataclass(frozen=True, slots=True, kw_only=True)
class Memorised:
    """How much better training patients are known than tuning patients, with 95 % intervals by patients.

    ``gap``: mean loss of a tuning patient less that of a training patient, nats a fact. ``auroc``: the chance that a
    tuning patient's loss is the higher one of the two; 0.5 tells nothing, 1 tells everybody.
    """

    patients: int
    gap: float
    gap_lower: float
    gap_upper: float
    auroc: float
    auroc_lower: float
    auroc_upper: float


def sample_beside(train: Records, tuning: Records, *, seed: int, most_facts: int = MOST_FACTS) -> Records:
    """Take as many training patients as there are tuning patients, at random, within the limits; two at least."""
    most = min(tuning.patients, MOST_PATIENTS, max(train.patients // SHARE, LEAST_PATIENTS))
    order = np.random.default_rng(seed).permutation(train.patients)[:most]
    sizes = np.diff(train.fact_start[train.moment_start])[order]
    fits = int(np.searchsorted(np.cumsum(sizes), most_facts, side="right"))
    return train.of(np.sort(order[: max(fits, 2)]).astype(np.int64))


def memorised(tuning: FloatArray, train: FloatArray) -> Memorised:
    """Compare tuning with training patients by the loss of each, in nats a fact."""
    gap, gap_error = float(tuning.mean() - train.mean()), _error(tuning, train)
    auroc, higher, lower = _auroc(tuning, train)
    # Where hardly anybody is on the wrong side the observed scatter vanishes, with three patients as with three
    # hundred; the scatter that chance alone would have keeps a few patients from proving anything.
    chance = np.sqrt((len(tuning) + len(train) + 1) / (12 * len(tuning) * len(train)))
    error = max(_error(higher, lower), float(chance))
    return Memorised(
        patients=len(train),
        gap=gap,
        gap_lower=gap - NORMAL_95 * gap_error,
        gap_upper=gap + NORMAL_95 * gap_error,
        auroc=auroc,
        auroc_lower=max(auroc - NORMAL_95 * error, 0.0),
        auroc_upper=min(auroc + NORMAL_95 * error, 1.0),
    )


def _auroc(tuning: FloatArray, train: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """The AUROC with its parts: for each patient the share of the other side that lies where it should.

    From ranks, ties counting half; the parts' scatter is that of the AUROC (DeLong et al. 1988).
    """
    ranks = rankdata(np.r_[tuning, train])
    tuning_parts = (ranks[: len(tuning)] - rankdata(tuning)) / len(train)
    train_parts = 1 - (ranks[len(tuning) :] - rankdata(train)) / len(tuning)
    return float(tuning_parts.mean()), tuning_parts, train_parts


def _error(one: FloatArray, other: FloatArray) -> float:
    """Standard error of the difference (or sum) of the means of two independent groups."""
    return float(np.sqrt(one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other)))

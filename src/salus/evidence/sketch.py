"""Each patient reduced to counts in the boxes of a yardstick, so that any resample of patients is one product."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from salus.evidence.discrimination import Floats
from salus.evidence.yardstick import Placed, Yardstick, moments_of

SUMS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """Counts of n patients (rows) in boxes (columns), and the columns whose relations are compared."""

    has: Floats  # codes: 1 or 0
    rows: Floats  # codes
    values: Floats  # codes x value boxes
    periods: Floats  # codes x periods
    moments: Floats  # boxes of the number of moments, 1 or 0
    facts: Floats  # boxes of the number of rows, 1 or 0
    waits: Floats  # boxes of the hours between moments
    moments_with: Floats  # codes, then all: moments at which the code was recorded
    successive: Floats  # codes x sums over pairs of successive values: n, x, y, xx, yy, xy
    columns: Floats  # code present or not, mean value, age: what relations are taken of; nan where unknown

    @property
    def patients(self) -> int:
        """How many patients were sketched."""
        return len(self.has)


def sketch(placed: Placed, yardstick: Yardstick) -> Sketch:
    """Count every patient in the yardstick's boxes."""
    people, codes = placed.patients, len(yardstick.codes)
    owner = placed.patient
    whose, _, waits = moments_of(placed)
    rows = _count(owner, placed.code, shape=(people, codes))
    timed = np.isfinite(placed.hours)
    period = np.searchsorted(yardstick.periods, placed.hours[timed])
    periods = len(yardstick.periods) + 1
    waited = np.isfinite(waits)
    box = np.searchsorted(yardstick.waits, waits[waited])
    every = np.bincount(whose, minlength=people).astype(float)
    facts = np.bincount(owner, minlength=people).astype(float)
    has = (rows > 0).astype(float)
    return Sketch(
        has=has,
        rows=rows,
        values=_value_boxes(placed, yardstick),
        periods=_count(owner[timed], placed.code[timed] * periods + period, shape=(people, codes * periods)),
        moments=_one_box(every, yardstick.moments),
        facts=_one_box(facts, yardstick.facts),
        waits=_count(whose[waited], box, shape=(people, len(yardstick.waits) + 1)),
        moments_with=np.column_stack([_moments_with(placed, codes), every]),
        successive=_successive(placed, yardstick),
        columns=np.column_stack([has, _mean_values(placed, codes), placed.age]),
    )


def _count(patient: NDArray[np.int64], box: NDArray[np.int64], *, shape: tuple[int, int]) -> Floats:
    counted = np.bincount(patient * shape[1] + box, minlength=shape[0] * shape[1])
    return counted.reshape(shape).astype(np.float64)


def _one_box(numbers: Floats, cuts: Floats) -> Floats:
    boxes = np.zeros((len(numbers), len(cuts) + 1))
    boxes[np.arange(len(numbers)), np.searchsorted(cuts, numbers)] = 1.0
    return boxes


def _value_boxes(placed: Placed, yardstick: Yardstick) -> Floats:
    """Boxes of all codes side by side; a code without values has one empty box."""
    widths = np.array([len(cuts) + 1 for cuts in yardstick.cuts], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(widths)]).astype(np.int64)
    known = np.isfinite(placed.value)
    owner, code, value = placed.patient[known], placed.code[known], placed.value[known]
    box = np.zeros(len(value), dtype=np.int64)
    for number, cuts in enumerate(yardstick.cuts):
        mine = code == number
        box[mine] = offsets[number] + np.searchsorted(cuts, value[mine])
    return _count(owner, box, shape=(placed.patients, int(offsets[-1])))


def _moments_with(placed: Placed, codes: int) -> Floats:
    """How many moments of each patient have each code."""
    timed = np.isfinite(placed.hours)
    order = np.lexsort((placed.hours[timed], placed.code[timed], placed.patient[timed]))
    patient, code = placed.patient[timed][order], placed.code[timed][order]
    hours = placed.hours[timed][order]
    new = np.ones(len(patient), dtype=bool)
    new[1:] = (patient[1:] != patient[:-1]) | (code[1:] != code[:-1]) | (hours[1:] != hours[:-1])
    return _count(patient[new], code[new], shape=(placed.patients, codes))


def _successive(placed: Placed, yardstick: Yardstick) -> Floats:
    """Sums over pairs of successive values of one code in one patient, as ranks among the real values."""
    known = np.isfinite(placed.value) & np.isfinite(placed.hours)
    order = np.lexsort((placed.hours[known], placed.code[known], placed.patient[known]))
    patient, code = placed.patient[known][order], placed.code[known][order]
    rank = placed.value[known][order]
    for number, values in enumerate(yardstick.values):
        mine = code == number
        if len(values):
            low, high = np.searchsorted(values, rank[mine]), np.searchsorted(values, rank[mine], side="right")
            rank[mine] = (low + high) / (2 * len(values)) - 0.5
    pair = np.flatnonzero((patient[1:] == patient[:-1]) & (code[1:] == code[:-1]))
    x, y = rank[pair], rank[pair + 1]
    place = patient[pair] * len(yardstick.codes) + code[pair]
    size = placed.patients * len(yardstick.codes)
    sums = [
        np.bincount(place, weights=each, minlength=size)
        for each in (np.ones(len(x)), x, y, x * x, y * y, x * y)
    ]
    whole = np.stack(sums, axis=1).astype(np.float64)
    return whole.reshape(placed.patients, len(yardstick.codes) * SUMS)


def _mean_values(placed: Placed, codes: int) -> Floats:
    """Each patient's mean value of each code, as ranks between -0.5 and 0.5; nan where never measured."""
    known = np.isfinite(placed.value)
    place, size = placed.patient[known] * codes + placed.code[known], placed.patients * codes
    times = np.bincount(place, minlength=size)
    total = np.bincount(place, weights=placed.value[known], minlength=size)
    with np.errstate(invalid="ignore"):
        mean = np.where(times > 0, total / times, np.nan).reshape(placed.patients, codes)
    ranked = rankdata(mean, axis=0, nan_policy="omit")
    return np.asarray(ranked / np.maximum(np.isfinite(mean).sum(axis=0), 1) - 0.5, dtype=np.float64)

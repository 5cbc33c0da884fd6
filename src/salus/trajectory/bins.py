"""Quantile bins with the distribution inside each bin kept, so that drawn values are not a lattice of bin centres.

A value is coded as its bin; it is drawn back by inverting the piecewise-linear distribution function inside the
bin (five stored points a bin). Values that many patients share (a Glasgow score of 15) get a bin of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

INNER = 5
"""Points stored a bin: its lowest value, three quartiles, its highest value."""


@dataclass(frozen=True, slots=True)
class ValueBins:
    """The bins of one code's values, in the code's unit. ``lows``: shape (bins,); ``inner``: (bins, INNER)."""

    lows: FloatArray
    inner: FloatArray

    @property
    def count(self) -> int:
        """Number of bins."""
        return len(self.lows)

    def with_one_more(self) -> ValueBins:
        """Add a last bin that no value reaches: no value was recorded."""
        inner = np.full((1, INNER), np.nan, dtype=np.float32)
        return ValueBins(np.r_[self.lows, np.float32(np.nan)], np.concatenate([self.inner, inner]))


@dataclass(frozen=True, slots=True)
class Tally:
    """Which values there are and how often each: sorted, distinct. Of very many, near ones stand for each other."""

    values: npt.NDArray[Any]
    counts: IntArray

    @classmethod
    def of(cls, values: npt.NDArray[Any]) -> Tally:
        """Count values."""
        return cls(*np.unique(values, return_counts=True))

    @property
    def total(self) -> int:
        """How many there are, each as often as it was seen."""
        return int(self.counts.sum())

    def quantiles(self, shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """What :func:`numpy.quantile` gives for the same values, one by one."""
        place = shares * (self.total - 1)
        below = np.floor(place)
        ends = np.cumsum(self.counts)
        lower, upper = (
            self.values[np.searchsorted(ends, np.minimum(at, self.total - 1), side="right")]
            for at in (below, below + 1)
        )
        part = place - below
        near: npt.NDArray[np.float64] = np.where(
            part < 0.5, lower + (upper - lower) * part, upper - (upper - lower) * (1 - part)
        )
        return near


def fit_bins(tally: Tally, low: float, high: float, *, most: int) -> ValueBins:
    """Cut values into at most ``most`` bins of equal weight, drawing only between ``low`` and ``high``.

    ``low`` and ``high`` are the protected extremes: no drawn value lies beyond them.
    """
    cuts = _cuts(tally.counts, tally.total / most)
    held = np.clip(tally.values, low, high)
    groups = [
        Tally(held[first:last], tally.counts[first:last]) for first, last in pairwise([*cuts, len(held)])
    ]
    inner = np.stack([group.quantiles(np.linspace(0, 1, INNER)) for group in groups])
    return ValueBins(tally.values[cuts].astype(np.float32), inner.astype(np.float32))


def _cuts(counts: IntArray, target: float) -> IntArray:
    """Index of the first distinct value of each bin, filling bins to about ``target`` values."""
    cuts, weight = [0], 0
    for index, count in enumerate(counts.tolist()):
        if weight and weight + count > 1.25 * target:
            cuts.append(index)
            weight = 0
        weight += count
    return np.asarray(cuts, dtype=np.int64)


def protected_extremes(
    tally: Tally, lowest: FloatArray, highest: FloatArray, *, patients: int
) -> tuple[float, float]:
    """Lowest and highest value that at least ``patients`` patients reach or pass.

    ``lowest``, ``highest``: each patient's, or of very many patients at least the ``2 * patients`` most extreme.
    Sources: the k-anonymity argument applied to extremes; a drawn value can then never reveal the single record
    holder. With fewer than twice as many patients the middle value is used for both.
    """
    if len(lowest) < 2 * patients:
        middle = float(tally.quantiles(np.asarray([0.5]))[0])
        return middle, middle
    return (
        float(np.partition(lowest, patients - 1)[patients - 1]),
        float(-np.partition(-highest, patients - 1)[patients - 1]),
    )


def fit_wait_edges(waits: Tally, *, most: int, widest: float = 1.35) -> IntArray:
    """Edges of half-open bins of waiting times in grains; the first bin is exactly 0, the last lies beyond all waits.

    Common waits (exactly 60 minutes) get a bin of their own; a sparse stretch is cut geometrically so that no bin
    spans more than a factor ``widest``: drawing evenly inside a bin then stays close to the truth.
    """
    distinct, counts = waits.values[waits.values > 0], waits.counts[waits.values > 0]
    if not len(distinct):
        return np.asarray([0, 1, 2], dtype=np.int64)
    share = counts.sum() / most
    lows = distinct[_cuts(counts, share)]
    heavy = distinct[counts > share]
    last = int(distinct[-1]) + 1
    steps = int(np.ceil(np.log(last) / np.log(widest))) + 1
    geometric = np.geomspace(1, last, steps).astype(np.int64)
    crowded = np.histogram(geometric, bins=np.unique(np.r_[0, lows, last]))[0]
    wide = np.repeat(crowded > 1, crowded)
    return np.unique(np.r_[0, 1, lows, heavy, heavy + 1, geometric[: len(wide)][wide], last]).astype(np.int64)

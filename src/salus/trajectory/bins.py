"""Quantile bins with the distribution inside each bin kept, so that drawn values are not a lattice of bin centres.

A value is coded as its bin; it is drawn back by inverting the piecewise-linear distribution function inside the
bin (five stored points a bin). Values that many patients share (a Glasgow score of 15) get a bin of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

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


def fit_bins(values: FloatArray, low: float, high: float, *, most: int) -> ValueBins:
    """Cut ``values`` into at most ``most`` bins of equal weight, drawing only between ``low`` and ``high``.

    ``low`` and ``high`` are the protected extremes: no drawn value lies beyond them.
    """
    distinct, counts = np.unique(values, return_counts=True)
    cuts = _cuts(counts, len(values) / most)
    groups = np.split(np.clip(np.repeat(distinct, counts), low, high), np.cumsum(counts)[cuts[1:] - 1])
    lows = distinct[cuts]
    inner = np.stack([np.quantile(group, np.linspace(0, 1, INNER)) for group in groups])
    return ValueBins(lows.astype(np.float32), inner.astype(np.float32))


def _cuts(counts: IntArray, target: float) -> IntArray:
    """Index of the first distinct value of each bin, filling bins to about ``target`` values."""
    cuts, weight = [0], 0
    for index, count in enumerate(counts.tolist()):
        if weight and weight + count > 1.25 * target:
            cuts.append(index)
            weight = 0
        weight += count
    return np.asarray(cuts, dtype=np.int64)


def protected_extremes(values: FloatArray, subjects: IntArray, *, patients: int) -> tuple[float, float]:
    """Lowest and highest value that at least ``patients`` patients reach or pass.

    Sources: the k-anonymity argument applied to extremes; a drawn value can then never reveal the single record
    holder. With fewer patients the middle value is used for both.
    """
    order = np.lexsort((values, subjects))
    ordered, owners = values[order], subjects[order]
    first = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]])
    last = np.r_[first[1:] - 1, len(owners) - 1]
    if len(first) < 2 * patients:
        middle = float(np.median(values))
        return middle, middle
    lowest = np.partition(ordered[first], patients - 1)[patients - 1]
    highest = -np.partition(-ordered[last], patients - 1)[patients - 1]
    return float(lowest), float(highest)


def fit_wait_edges(waits: IntArray, *, most: int, widest: float = 1.35) -> IntArray:
    """Edges of half-open bins of waiting times in grains; the first bin is exactly 0, the last lies beyond all waits.

    Common waits (exactly 60 minutes) get a bin of their own; a sparse stretch is cut geometrically so that no bin
    spans more than a factor ``widest``: drawing evenly inside a bin then stays close to the truth.
    """
    positive = waits[waits > 0]
    if not len(positive):
        return np.asarray([0, 1, 2], dtype=np.int64)
    distinct, counts = np.unique(positive, return_counts=True)
    lows = distinct[_cuts(counts, len(positive) / most)]
    heavy = distinct[counts > len(positive) / most]
    last = int(distinct[-1]) + 1
    steps = int(np.ceil(np.log(last) / np.log(widest))) + 1
    geometric = np.geomspace(1, last, steps).astype(np.int64)
    crowded = np.histogram(geometric, bins=np.unique(np.r_[0, lows, last]))[0]
    wide = np.repeat(crowded > 1, crowded)
    return np.unique(np.r_[0, 1, lows, heavy, heavy + 1, geometric[: len(wide)][wide], last]).astype(np.int64)

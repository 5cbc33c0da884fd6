"""Noisy counts of patients: everybody takes part with a bounded number of things, and every count gets noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.stats import norm

from salus.trajectory.bins import IntArray
from salus.trajectory.private_accounting import DoubleArray, gaussian

SURELY = 3.0
"""A count counts as there when it is so many times its noise."""


@dataclass(frozen=True, slots=True)
class Noise:
    """How noisy an answer is: ``multiplier``, in units of what one patient changes; and where luck comes from."""

    multiplier: float
    random: np.random.Generator

    def scale(self, most: int) -> float:
        """Standard deviation of each count where a patient takes part with ``most`` things of weight 1."""
        return self.multiplier * float(np.sqrt(most))


def at_most(things: pl.DataFrame, most: int, random: np.random.Generator) -> pl.DataFrame:
    """Leave each patient at most so many rows, chosen at random. ``things`` has a column subject_id."""
    shuffled = things[random.permutation(things.height)]
    return shuffled.group_by("subject_id", maintain_order=True).head(most)


def noisy_cells(things: pl.DataFrame, *, most: int, size: int, noise: Noise) -> DoubleArray:
    """Noisy sums of ``weight`` over the cells 0 to ``size`` - 1 (column ``cell``), all of them, whatever is there.

    Per patient the weights' squares add up to ``most`` at most: that is the caller's to see to.
    """
    found = np.bincount(things["cell"].to_numpy(), things["weight"].to_numpy(), minlength=size)
    noisy: DoubleArray = found + gaussian(noise.random, size, noise.scale(most))
    return noisy


def noisy_keys(
    things: pl.DataFrame, *, most: int, delta: float, noise: Noise, public: pl.DataFrame
) -> pl.DataFrame:
    """Noisy counts (``patients``) of the keys of which there are surely many.

    ``things``: one row a patient and key, ``most`` of a patient. Keys that are not ``public`` may be secret: one that
    a single patient has passes with a probability of ``delta`` over all his keys (Korolova et al. 2009).
    """
    keys = [name for name in things.columns if name != "subject_id"]
    counted = pl.concat([things.select(keys), public.select(keys)]).group_by(keys).agg(pl.len())
    counted = counted.join(
        public.select(*keys, shown=pl.lit(1)), on=keys, how="left", nulls_equal=True
    ).with_columns(patients=pl.col("len").cast(pl.Float64) - pl.col("shown").fill_null(0))
    counted = counted.sort(keys, nulls_last=True)
    scale = noise.scale(most)
    threshold = 1 + scale * float(norm.isf(delta / most))
    noisy = counted["patients"].to_numpy() + gaussian(noise.random, counted.height, scale)
    known = counted["shown"].is_not_null()
    counted = counted.with_columns(
        patients=noisy, least=pl.when(known).then(SURELY * scale).otherwise(threshold)
    )
    return counted.filter(pl.col("patients") > pl.col("least")).select(*keys, "patients")


def surely(counts: DoubleArray, scale: float) -> DoubleArray:
    """Noisy counts with nought where there is probably nothing; the largest always stays."""
    kept = np.where(counts > SURELY * scale, counts, 0.0)
    if not kept.any():
        kept[int(np.argmax(counts))] = 1.0
    return kept


def standing_out(counts: DoubleArray, scale: float) -> DoubleArray:
    """Noisy counts of neighbouring cells, joined from the first on until they surely hold somebody; else nought.

    What is joined is shared among its cells as they were counted. Cells that only hold noise take it away again:
    where a sum falls below nought, joining begins anew.
    """
    kept, first, total = np.zeros(len(counts)), 0, 0.0
    for place, count in enumerate(counts):
        total += float(count)
        if total <= 0:
            first, total = place + 1, 0.0
        elif total > SURELY * scale * np.sqrt(place + 1 - first):
            cells = np.clip(counts[first : place + 1], 0, None)
            kept[first : place + 1] = cells * (total / cells.sum())
            first, total = place + 1, 0.0
    return kept if kept.any() else surely(counts, scale)


def covering(grid: Sequence[int] | IntArray, counts: DoubleArray, share: float, *, scale: float) -> int:
    """The least place of ``grid`` up to which ``share`` of what is counted lies."""
    filled = np.cumsum(standing_out(counts, scale))
    return int(grid[int(np.searchsorted(filled, share * filled[-1]))])


def growing(last: int, factor: float = 1.25) -> IntArray:
    """Whole numbers 0, 1, 2 … up to ``last`` and beyond, each at most ``factor`` times the one before where it can.

    >>> growing(10).tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 10]
    """
    found = [0]
    while found[-1] < last:
        found.append(max(found[-1] + 1, int(found[-1] * factor)))
    return np.asarray(found, dtype=np.int64)

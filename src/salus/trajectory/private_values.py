"""Bins of numbers and of waits from noisy counts in cells that are laid out beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from salus.trajectory.bins import INNER, FloatArray, IntArray, Tally, ValueBins, fit_bins, fit_wait_edges
from salus.trajectory.private_accounting import DoubleArray
from salus.trajectory.private_counts import Noise, at_most, growing, noisy_cells, standing_out

CELLS = 64
"""Cells of a code's numbers: single numbers where there are no more."""
WIDE = 30.0
"""Numbers whose highest is so many times the lowest are told apart by their logarithm."""
POINTS = 16
"""Numbers that stand for a cell."""
CLOCK = {"day": (7, 24), "minute": (60, 25), "second": (3600, 25)}
"""Waits that clocks and calendars make common: so many times these grains have cells of their own."""


class Grid(NamedTuple):
    """Cells of a code's numbers: ``edges`` (cells + 1,), the first number of each and what lies beyond the last."""

    edges: DoubleArray
    decimals: int

    def places(self, values: np.ndarray) -> IntArray:
        """The cell of each number; of those beyond the ends, the first or last."""
        found: IntArray = np.searchsorted(self.edges, values, side="right") - 1
        return np.clip(found, 0, len(self.edges) - 2)

    def points(self) -> tuple[DoubleArray, IntArray]:
        """Numbers that stand for each cell, as even as decimals allow; and whose they are."""
        step, found, cells = 10.0**-self.decimals, list[DoubleArray](), list[IntArray]()
        for cell, (low, high) in enumerate(zip(self.edges[:-1], self.edges[1:], strict=True)):
            first, last = (int(np.ceil(end / step - 1e-6)) for end in (low, high))
            numbers = step * np.unique(np.linspace(first, max(last - 1, first), POINTS).round())
            found.append(np.round(numbers, self.decimals))
            cells.append(np.full(len(numbers), cell))
        return np.concatenate(found), np.concatenate(cells)


def grid_of(low: float, high: float, decimals: int) -> Grid:
    """Cells between the least and the highest number there can be."""
    step = 10.0**-decimals
    number = round((high - low) / step) + 1
    if number <= CELLS:
        return Grid(np.asarray(low - step / 2 + step * np.arange(number + 1), dtype=np.float64), decimals)
    least = max(low, step)
    if low >= 0 and high / least > WIDE:
        edges = np.geomspace(least, high, CELLS)
        edges = np.unique(np.round(edges / step)) * step - step / 2
    else:
        edges = np.linspace(low, high, CELLS) - step / 2
    first = [] if edges[0] <= low else [low - step / 2]
    return Grid(np.unique(np.r_[first, edges, high + step / 2]), decimals)


class Learnt(NamedTuple):
    """A code's bins, the noisy number of patients in each (the last: without a number), and whether there are such."""

    bins: ValueBins
    weights: DoubleArray
    absent: bool


def values_of(
    facts: pl.DataFrame, codes: pl.DataFrame, *, most: int, bins: int, noise: Noise
) -> dict[str, Learnt]:
    """The bins of each code with numbers. A patient takes part with at most ``most`` codes, each of weight 1 in all.

    ``codes``: code, static, decimals, low, high.
    """
    valued = codes.filter(pl.col("decimals").is_not_null())
    if valued.is_empty():
        return {}
    grids = {
        code: grid_of(low, high, decimals)
        for code, low, high, decimals in valued.select("code", "low", "high", "decimals").iter_rows()
    }
    sizes = [len(grid.edges) for grid in grids.values()]  # one more than cells: no number
    starts = dict(zip(grids, np.r_[0, np.cumsum(sizes)[:-1]].tolist(), strict=True))
    mine = facts.join(valued.select("code", "static"), on=["code", "static"])
    taken = at_most(mine.select("subject_id", "code").unique(maintain_order=True), most, noise.random)
    mine = mine.join(taken, on=["subject_id", "code"])
    parts = []
    for (code,), frame in mine.partition_by("code", as_dict=True).items():
        values, grid = frame["numeric_value"].to_numpy().astype(np.float64), grids[str(code)]
        cell = np.where(np.isnan(values), len(grid.edges) - 1, grid.places(np.nan_to_num(values)))
        parts.append(
            frame.select("subject_id", weight=1 / pl.len().over("subject_id")).with_columns(
                cell=pl.Series(starts[str(code)] + cell)
            )
        )
    rows = pl.concat(parts) if parts else pl.DataFrame({"cell": np.zeros(0, np.int64), "weight": np.zeros(0)})
    found = noisy_cells(rows, most=most, size=sum(sizes), noise=noise)
    return {
        code: _learnt(grid, found[starts[code] : starts[code] + len(grid.edges)], noise.scale(most), bins)
        for code, grid in grids.items()
    }


def _learnt(grid: Grid, counts: DoubleArray, scale: float, most: int) -> Learnt:
    """Bins of about equal weight, from cells; a cell's numbers share its weight."""
    cells, missing = standing_out(counts[:-1], scale), max(float(counts[-1]), 0.0)
    missing = missing if missing > 3 * scale else 0.0
    numbers, owner = grid.points()
    share = cells[owner] / np.bincount(owner)[owner]
    there = share > 0
    tally = Tally(numbers[there], np.maximum(np.round(share[there] * 100), 1).astype(np.int64))
    bins = fit_bins(tally, float(tally.values[0]), float(tally.values[-1]), most=most)
    place = np.searchsorted(bins.lows.astype(np.float64), numbers[there] + 1e-6, side="right") - 1
    weights = np.bincount(np.clip(place, 0, None), share[there], minlength=bins.count)
    absent = missing > 0
    return Learnt(
        bins.with_one_more() if absent else bins, np.r_[weights, [missing] if absent else []], absent
    )


def wait_cells(grain: str) -> IntArray:
    """First grains of the cells of waits: finer than any bin, the waits that clocks make common on their own."""
    every, number = CLOCK[grain]
    common = every * np.arange(1, number)
    return np.unique(np.r_[growing(2**33, 1.1), common, common + 1]).astype(np.int64)


class Waits(NamedTuple):
    """Edges of the bins of waits, and how common each bin is."""

    edges: IntArray
    shares: FloatArray


def waits_of_cells(waits: pl.DataFrame, grain: str, *, most: int, noise: Noise) -> Waits:
    """Bins of waits. ``waits``: subject_id, wait.

    A patient's waits are counted twice: all of them, to say how common each is, and the different ones, so that the
    rare long ones show too. Each of the two vectors has length 1 at most.
    """
    cells = wait_cells(grain)
    size = len(cells)
    every = waits.select(
        "subject_id", cell=np.searchsorted(cells, waits["wait"].to_numpy(), side="right") - 1
    )
    common = every.select("cell", weight=1 / pl.len().over("subject_id"))
    kinds = every.unique(maintain_order=True).select(
        pl.col("cell") + size, weight=1 / pl.len().over("subject_id").sqrt()
    )
    found = noisy_cells(pl.concat([common, kinds]), most=2, size=2 * size, noise=noise)
    often, there = np.clip(found[:size], 0, None), standing_out(found[size:], noise.scale(2))
    shown = np.flatnonzero(there)
    last = cells[np.minimum(shown + 1, size - 1)] - 1
    points = np.unique(np.r_[cells[shown], (cells[shown] + last) // 2, last])
    weight = there[np.searchsorted(cells, points, side="right") - 1]
    edges = fit_wait_edges(Tally(points, np.maximum(np.round(weight), 1).astype(np.int64)), most=most)
    bins = np.clip(np.searchsorted(edges, cells, side="right") - 1, 0, len(edges) - 2)
    shares = np.bincount(bins, often, minlength=len(edges) - 1) + 1.0
    return Waits(edges, (shares / shares.sum()).astype(np.float32))


def padded(tables: Sequence[ValueBins | None]) -> tuple[np.ndarray, np.ndarray]:
    """All levels' bins in one table; a level without a number has none."""
    lows = [np.full(1, np.nan) if one is None else one.lows for one in tables]
    inner = [np.full((1, INNER), np.nan) if one is None else one.inner for one in tables]
    return np.concatenate(lows).astype(np.float32), np.concatenate(inner).astype(np.float32)

"""Common random numbers: every draw has a name (whose, which moment, which field), and its number follows from it.

Two simulations of the same patients with the same seed then differ only where what is drawn *from* differs: a counter
is hashed (SplitMix64, Steele, Lea & Flood 2014), so no draw shifts another. Probabilities are met by inverting the
distribution function, which makes draws from nearly equal distributions nearly equal.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from salus.trajectory.bins import FloatArray

Bits = npt.NDArray[np.uint64]
STEP = np.uint64(0x9E3779B97F4A7C15)
WAIT, COMES, PLACE, LEVEL = (np.uint64(number) for number in (1, 2, 3, 4))
LARGEST = 1 - 2**-24
"""The largest place in a bin that float32 holds below 1."""


def mixed(keys: Bits) -> Bits:
    """Bits without any pattern, one for each key."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    found: Bits = keys ^ (keys >> np.uint64(31))
    return found


def named(keys: Bits, name: Bits | np.uint64) -> Bits:
    """The key of what has this name (a number) under ``keys``."""
    return mixed(keys + (np.atleast_1d(name) + np.uint64(1)) * STEP)


def bits_of(numbers: FloatArray) -> Bits:
    """The bits of each number, as a name."""
    return np.ascontiguousarray(numbers, dtype=np.float32).view(np.uint32).astype(np.uint64)


def uniform(keys: Bits) -> Tensor:
    """One number a key, 0 or more and less than 1, float64."""
    return torch.from_numpy((mixed(keys) >> np.uint64(11)).astype(np.float64) * 2.0**-53)


class _Opened(NamedTuple):
    """The moment being drawn: each row's key, whether each field comes (uniform); how often it came and was said."""

    keys: Bits
    comes: Tensor
    came: npt.NDArray[np.uint64]
    said: npt.NDArray[np.uint64]


class Keyed:
    """A :class:`salus.trajectory.draws.Draws` by names, for ``rows`` futures over ``fields`` fields.

    A moment that is only put in (:meth:`hold`) takes no draws from those that follow.
    """

    def __init__(self, seed: int, *, rows: int, fields: int) -> None:
        whose = np.arange(rows, dtype=np.uint64)
        self.rows = named(named(np.zeros(rows, dtype=np.uint64), np.uint64(seed)), whose)
        self.fields = np.arange(fields + 1, dtype=np.uint64)
        self.moment = np.zeros(rows, dtype=np.uint64)
        self.held = np.zeros(rows, dtype=bool)
        self.wait_used = torch.zeros(rows, dtype=torch.float64)
        self.wait_left = torch.full((rows,), torch.nan, dtype=torch.float64)
        self.opened = self._begin(np.zeros(0, dtype=np.int64))

    def wait(self, weights: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """See :class:`Draws`; what :meth:`hold` left over of a wait is used first."""
        whose = rows.numpy()
        fresh = uniform(named(named(self.rows[whose], self.moment[whose]), WAIT))
        left = self.wait_left[rows]
        used = torch.where(left.isnan(), fresh, left)
        self.wait_used[rows], self.wait_left[rows] = used, torch.nan
        return inverted(weights, used)

    def hold(self, rows: Tensor, passed: Tensor) -> None:
        """The next moment of these rows is put in before the one awaited; ``passed``: chance of a wait up to it.

        What is left of the wait is as evenly distributed as a fresh draw, and goes on as the same luck.
        """
        self.held[rows.numpy()] = True
        rest = (self.wait_used[rows] - passed) / (1 - passed).clamp(min=1e-12)
        self.wait_left[rows] = rest.clamp(0, 1 - 2.0**-53)

    def open(self, rows: Tensor) -> None:
        """See :class:`Draws`."""
        whose = rows.numpy()
        self.moment[whose] += (~self.held[whose]).astype(np.uint64)
        self.held[whose] = False
        self.opened = self._begin(whose)

    def _begin(self, whose: npt.NDArray[np.int64]) -> _Opened:
        keys = named(named(self.rows[whose], self.moment[whose]), COMES)
        comes = uniform(named(keys[:, None], self.fields[None]))
        none = np.zeros(comes.shape, dtype=np.uint64)
        return _Opened(keys, comes, none, none.copy())

    def field(self, weights: Tensor, on: Tensor) -> Tensor:
        """See :class:`Draws`. Field by field: does it come, given that none before it did?

        A field that may come again in this moment has fresh luck for that.
        """
        weights = weights.double()
        onwards = weights.flip(1).cumsum(1).flip(1)
        comes = self.opened.comes[on] * onwards < weights
        comes[:, -1] = True
        following = comes.long().argmax(dim=1)
        rows, fields = on.numpy(), following.numpy()
        self.opened.came[rows, fields] += np.uint64(1)
        keys = self._fact(rows, fields, self.opened.came)
        self.opened.comes[on, following] = uniform(named(keys, COMES))
        return following

    def place(self, on: Tensor, field: int) -> Tensor:
        """See :class:`Draws`."""
        rows = on.numpy()
        keys = self._fact(rows, np.full(len(rows), field), self.opened.said)
        self.opened.said[rows, field] += np.uint64(1)
        return uniform(named(keys, PLACE)).float().clamp(max=LARGEST)

    def level(self, weights: Tensor, on: Tensor, field: int) -> Tensor:
        """See :class:`Draws`."""
        rows = on.numpy()
        keys = named(self._fact(rows, np.full(len(rows), field), self.opened.said), LEVEL)
        return inverted(weights, uniform(keys))[0]

    def _fact(
        self, rows: npt.NDArray[np.int64], fields: npt.NDArray[np.int64], times: npt.NDArray[np.uint64]
    ) -> Bits:
        """The key of a fact of each row: whose, which moment, which field, and which time it comes in this moment."""
        return named(named(self.opened.keys[rows], self.fields[fields]), times[rows, fields])


def inverted(weights: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """The column at which the running sum of weights passes a share of the whole, and the place inside it (float64).

    >>> inverted(torch.tensor([[1.0, 2.0, 1.0]]), torch.tensor([0.5]))
    (tensor([1]), tensor([0.5000], dtype=torch.float64))
    """
    reach = weights.double().cumsum(dim=1)
    point = uniform.double() * reach[:, -1]
    column = torch.searchsorted(reach, point[:, None], right=True)[:, 0]
    last = (weights > 0).long().mul(torch.arange(weights.shape[1])).amax(dim=1)
    column = torch.minimum(column, last)
    width = weights.double().gather(1, column[:, None])[:, 0]
    start = reach.gather(1, column[:, None])[:, 0] - width
    return column, ((point - start) / width.clamp(min=1e-300)).clamp(0, 1 - 2.0**-53)

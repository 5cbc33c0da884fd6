"""Where the random draws of a simulation come from: who draws asks for a wait, a field, a level, a place in a bin."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class Draws(Protocol):
    """A source of random draws. ``weights`` (N, columns): what is drawn, in proportion; they need not sum to one."""

    def wait(self, weights: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Draw a column for each of ``rows`` (see :class:`Situation`), and a place (0 to 1, float64) inside it."""

    def open(self, rows: Tensor) -> None:
        """Begin the next moment of ``rows``; below, ``on`` are places among them."""

    def field(self, weights: Tensor, on: Tensor) -> Tensor:
        """Draw which field comes next, or (last column) that the moment is complete."""

    def place(self, on: Tensor, field: int) -> Tensor:
        """Draw the place inside a bin of ``field``, 0 to 1; once for each of its facts, before the level."""

    def level(self, weights: Tensor, on: Tensor, field: int) -> Tensor:
        """Draw which of the field's levels."""


class InTurn:
    """One stream of random numbers for everybody, in turn: the fastest, and the same for the same seed and work."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def wait(self, weights: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """See :class:`Draws`."""
        return self._pick(weights), torch.rand(len(rows), generator=self.generator, dtype=torch.float64)

    def open(self, rows: Tensor) -> None:
        """See :class:`Draws`."""

    def field(self, weights: Tensor, on: Tensor) -> Tensor:
        """See :class:`Draws`."""
        return self._pick(weights)

    def place(self, on: Tensor, field: int) -> Tensor:
        """See :class:`Draws`."""
        return torch.rand(len(on), generator=self.generator)

    def level(self, weights: Tensor, on: Tensor, field: int) -> Tensor:
        """See :class:`Draws`."""
        return self._pick(weights)

    def _pick(self, weights: Tensor) -> Tensor:
        """Draw one column a row in proportion to its weight, by inverting the running sum."""
        reach = weights.cumsum(dim=1)
        whole = reach[:, -1:]
        point = torch.rand(len(weights), 1, generator=self.generator) * whole
        # Rounding may lift a point to the very end, behind columns of no weight.
        point = torch.minimum(point, torch.nextafter(whole, torch.zeros(())))
        return torch.searchsorted(reach, point, right=True)[:, 0]

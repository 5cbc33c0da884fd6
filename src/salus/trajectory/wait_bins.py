"""Waits by their bins: which are left beyond what is known, and how likely a wait ends within a time."""

from __future__ import annotations

import torch
from torch import Tensor


def bins_beyond(logs: Tensor, edges: Tensor, least: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Weights of the bins, their lowest wait and their width; of each row, or of all alike (one row).

    ``logs`` (R, bins): log-probabilities; ``least`` (R,): grains that the wait is known to be longer than.
    """
    low, high = edges[None, :-1], edges[None, 1:]
    weights = logs.exp()
    if least is None:
        return weights, low, (high - low).clamp(min=1)
    lowest = torch.maximum(low, least[:, None] + 1)
    weights = weights * ((high - lowest).clamp(min=0) / (high - low))
    weights[:, -1] += 1e-12
    return weights, lowest, (high - lowest).clamp(min=1)


def share_within(grains: Tensor, weights: Tensor, lowest: Tensor, room: Tensor) -> Tensor:
    """The chance that each row's wait is at most so many grains, evenly inside a bin."""
    share = ((grains[:, None] + 1 - lowest) / room).clamp(0, 1)
    return (weights * share).double().sum(dim=1) / weights.double().sum(dim=1)

"""One share of a training step: the gradient that some patients give, from weights and a seed alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from salus.trajectory.batches import make_batch
from salus.trajectory.devices import device_of, moved, on
from salus.trajectory.encoding import Records
from salus.trajectory.network import Network
from salus.trajectory.vocabulary import Vocabulary

SHARES = 2
"""Shares a step is cut into where nobody says otherwise."""
SHUFFLED = 0.5
"""Share of the moments whose levels are learnt in a random order; the others come in the order of drawing."""


class Share(NamedTuple):
    """Records of one share of a step, the seed of its dropout, and the extra weight of what seldom happens."""

    records: Records
    seed: int
    emphasis: float = 0.0


class Learner(NamedTuple):
    """Who computes shares: a network and what it can say. Records come with each share: nobody holds them all."""

    network: Network
    vocabulary: Vocabulary

    def gradient(self, share: Share, into: Tensor) -> dict[str, float]:
        """Sum of gradients over the share's patients, written into ``into``; losses summed, in nats, and facts."""
        torch.manual_seed(share.seed)
        self.network.train()
        self.network.zero_grad(set_to_none=True)
        batch = make_batch(share.records, self.vocabulary, shuffled=SHUFFLED, seed=share.seed)
        device = device_of(self.network)
        with on(device):
            parts = self.network(moved(batch, device))
        loss: Tensor = parts["code"] + parts["value"] + parts["wait"] + share.emphasis * parts["seldom"]
        loss.backward()  # type: ignore[no-untyped-call]
        for value, row in zip(self.network.parameters(), parted(self.network, into), strict=True):
            row.zero_() if value.grad is None else row.copy_(value.grad)
        return {name: float(value.detach()) for name, value in parts.items()} | {"facts": float(batch.facts)}


def parted(network: Network, flat: Tensor) -> Iterator[Tensor]:
    """Views of a flat tensor in the shapes of the parameters, in their order."""
    place = 0
    for value in network.parameters():
        yield flat[place : place + value.numel()].view_as(value)
        place += value.numel()

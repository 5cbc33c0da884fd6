"""Gradients of training steps: shares computed side by side, then added in a fixed order.

A step is cut into as many shares as the settings say; where they are computed changes nothing. On this machine each
process has one thread: at this size two one-thread processes beat one two-thread process, and a busy neighbour slows
them far less. On a cluster each share goes to a member of a crew, with the weights, and comes back as a gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import torch
from torch import Tensor

from salus.compute.ray_cluster import current_cluster
from salus.trajectory.devices import device_of
from salus.trajectory.encoding import Records
from salus.trajectory.learner import SHARES, Learner, Share, parted
from salus.trajectory.likelihood import PatientLikelihood, Pieces, put_together
from salus.trajectory.network import Network
from salus.trajectory.places import Far, Member, Near, Places
from salus.trajectory.vocabulary import Vocabulary


class GradientPool:
    """Computes the gradient of a step from its ``shares``: on the cluster the command opened, or on ``cores`` here."""

    def __init__(self, network: Network, vocabulary: Vocabulary, *, cores: int, shares: int = SHARES) -> None:
        self.network, self.vocabulary = network, vocabulary
        size = sum(value.numel() for value in network.parameters())
        self.gradients = torch.zeros(shares, size, device=device_of(network))
        self.cores, self.threads, self.open = cores, torch.get_num_threads(), ExitStack()

    def __enter__(self) -> GradientPool:
        torch.set_num_threads(1)
        learner = Learner(self.network, self.vocabulary)
        cluster, most = current_cluster(), len(self.gradients)
        if cluster is None:
            near = Near(
                learner,
                self.gradients,
                number=min(self.cores, most) if self.gradients.device.type == "cpu" else 1,
            )
            self.places: Places = self.open.enter_context(near)
        else:
            crew = self.open.enter_context(cluster.crew(Member, *learner, most=most))
            self.places = Far(self.network, self.gradients, crew)
        return self

    def __exit__(self, *_: object) -> None:
        torch.set_num_threads(self.threads)
        self.open.close()

    def step(self, shares: Sequence[Share]) -> dict[str, float]:
        """Set the gradients to the mean over all facts of the shares; give losses in nats per fact, and facts."""
        said = self.places.gradients(shares)
        facts = max(sum(part["facts"] for part in said), 1.0)
        total = self.gradients[: len(shares)].sum(dim=0) / facts
        _spread(self.network, total)
        parts = {
            name: sum(part[name] for part in said) / facts for name in ("code", "value", "wait", "seldom")
        }
        return parts | {"facts": facts}

    def likelihood(self, records: Records, *, batch_facts: int) -> PatientLikelihood:
        """What :func:`patient_likelihood` gives under the present weights, computed where shares are."""
        pieces = Pieces(records, batch_facts)
        return put_together(pieces, self.places.likelihoods(pieces))


def _spread(network: Network, flat: Tensor) -> None:
    """Hand a flat gradient back to the parameters."""
    for value, part in zip(network.parameters(), parted(network, flat), strict=True):
        value.grad = part.clone()

"""What private training needs of a batch: one loss a patient, and which tensors tell of patients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import torch
from torch import Tensor

from salus.trajectory.batches import PADDING, Batch
from salus.trajectory.network import Losses, Network


def patient_losses(network: Network, batch: Batch, *, emphasis: float = 0.0) -> Tensor:
    """Each patient's negative log-likelihood in nats, (patients,): codes, values and waits.

    ``emphasis``: extra weight of the question which of the things that seldom happen comes now.
    """
    losses = network.losses(batch)
    patient = batch.static.cumsum(0) - 1
    found = torch.zeros(int(batch.static.sum()))
    of_choice = patient[batch.choices.moment[: batch.choices.number]]
    for owner, nats in (
        (patient[batch.asked.moment], losses.field),
        (of_choice, losses.level),
        (patient[batch.wait_from], losses.wait),
        (patient[_seldom_asked(network, batch, losses)], emphasis * losses.seldom),
    ):
        found = found.index_add(0, owner, nats)
    return found


def _seldom_asked(network: Network, batch: Batch, losses: Losses) -> Tensor:
    """The moments of the questions that :meth:`Network.seldom_loss` asks, in its order."""
    asked = batch.asked
    possible = (asked.target != PADDING) & ~losses.impossible
    rows = ~batch.static[asked.moment] & possible & network.rule_open[asked.prior]
    return asked.moment[rows]


def tensors_of(batch: Batch) -> Iterator[Tensor]:
    """Every tensor of a batch: all of them are made of patients."""
    for one in fields(batch):
        held = getattr(batch, one.name)
        if isinstance(held, Tensor):
            yield held
        elif isinstance(held, tuple):
            yield from (part for part in held if isinstance(part, Tensor))

"""What private training needs of a batch: one loss a patient, and which tensors tell of patients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import torch
from torch import Tensor

from salus.trajectory.batches import Batch
from salus.trajectory.network import Network


def patient_losses(network: Network, batch: Batch) -> Tensor:
    """Each patient's negative log-likelihood in nats, (patients,): codes, values and waits."""
    losses = network.losses(batch)
    patient = batch.static.cumsum(0) - 1
    found = torch.zeros(int(batch.static.sum()))
    of_choice = patient[batch.choices.moment[: batch.choices.number]]
    for owner, nats in (
        (patient[batch.asked.moment], losses.field),
        (of_choice, losses.level),
        (patient[batch.wait_from], losses.wait),
    ):
        found = found.index_add(0, owner, nats)
    return found


def tensors_of(batch: Batch) -> Iterator[Tensor]:
    """Every tensor of a batch: all of them are made of patients."""
    for one in fields(batch):
        held = getattr(batch, one.name)
        if isinstance(held, Tensor):
            yield held
        elif isinstance(held, tuple):
            yield from (part for part in held if isinstance(part, Tensor))

"""One gradient a patient from a network that computes many together, clipped, and refused where patients are mixed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from salus.trajectory.batches import make_batch
from salus.trajectory.network import Network, Size
from salus.trajectory.private_batches import patient_losses, tensors_of
from salus.trajectory.private_gradients import PatientGradients, PatientsMixed, patient_gradients
from salus.trajectory.private_meetings import InFloat32, UnknownMeeting
from salus.trajectory.reading import prepare
from tests.small_ward import CODES, SETTINGS, ward


def test_every_patients_gradient_is_what_that_patient_alone_gives():
    """Of twelve patients computed together: within 1e-5 of the length of the gradient of each computed alone."""
    lessons = prepare(ward(60), CODES, SETTINGS)
    torch.manual_seed(1)
    network = Network(lessons.vocabulary, Size(width=16, depth=2, dropout=0.0, wait_dropout=0.0)).train()
    records = lessons.train.of(np.arange(12))
    batch = make_batch(records, lessons.vocabulary)
    together = patient_gradients(
        network, lambda: patient_losses(network, batch), data=tensors_of(batch), checked=True
    )
    for patient, length in enumerate(together.norms().tolist()):
        alone = make_batch(records.of(np.asarray([patient])), lessons.vocabulary)
        network.zero_grad()
        with InFloat32():
            loss = patient_losses(network, alone).sum()
        loss.backward()
        for value, part in zip(network.parameters(), together.parts, strict=True):
            grad = torch.zeros_like(value) if value.grad is None else value.grad
            assert float((part[patient] - grad.flatten()).abs().max()) <= 1e-5 * length


def test_nobody_changes_the_clipped_sum_by_more_than_the_bound():
    """(3, 4) has length 5 and counts as (0.6, 0.8); (0.3, 0.4) has length 0.5 and stays: (0.9, 1.2) together."""
    found = PatientGradients([torch.tensor([[3.0, 4.0], [0.3, 0.4]])], torch.zeros(2))
    assert found.clipped_sum(1.0).tolist() == pytest.approx([0.9, 1.2])


def test_the_length_is_that_of_all_parameters_together():
    """A gradient of (3) for one parameter and (4) for another is 5 long."""
    found = PatientGradients([torch.tensor([[3.0]]), torch.tensor([[4.0]])], torch.zeros(1))
    assert found.norms().tolist() == pytest.approx([5.0])


class _Small(nn.Module):
    """Rows of three patients through one linear map; ``spoil`` is what happens to the rows before."""

    def __init__(self, spoil: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.map, self.spoil = nn.Linear(2, 1), spoil

    def losses(self, rows: Tensor) -> Tensor:
        return self.map(self.spoil(rows)).square()[:, 0]


def _gradients(network: nn.Module, losses: Callable[[Tensor], Tensor]) -> PatientGradients:
    rows = torch.tensor([[1.0, 2.0], [3.0, 5.0], [-1.0, 4.0]])
    return patient_gradients(network, lambda: losses(rows), data=[rows], checked=True)


def test_patients_that_share_a_mean_are_refused():
    """Taking the mean of all rows away makes every loss depend on everybody."""
    network = _Small(lambda rows: rows)

    def losses(rows: Tensor) -> Tensor:
        said = network.map(rows)
        return (said - said.mean()).square()[:, 0]

    with pytest.raises(PatientsMixed):
        _gradients(network, losses)


def test_a_parameter_that_meets_patients_in_an_unknown_way_is_refused():
    network = _Small(lambda rows: rows)
    with pytest.raises(UnknownMeeting, match="mul"):
        _gradients(network, lambda rows: (rows * network.map.weight[0]).sum(dim=1))


def test_a_linear_maps_gradient_is_worked_out_by_hand():
    """Weights (1, 1), no shift, loss (x1 + x2)²: its gradient is 2 (x1 + x2) (x1, x2), for (1, 2) that is (6, 12)."""
    network = _Small(lambda rows: rows)
    with torch.no_grad():
        network.map.weight.fill_(1.0)
        network.map.bias.zero_()
    found = _gradients(network, network.losses)
    assert found.parts[0][0].tolist() == pytest.approx([6.0, 12.0])
    assert found.parts[1][0].tolist() == pytest.approx([6.0])

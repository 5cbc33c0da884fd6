"""The gradient that each patient alone gives, of a network that computes many patients together.

Wherever a shared tensor (a parameter, or what is made of parameters alone) meets rows of patients, the inputs of that
place and the gradient of its outputs are kept; each row's owner turns them into one gradient a patient. A second pass
backward, each patient's loss weighted differently, tells whose a row is, and finds out where patients are mixed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from salus.trajectory.private_meetings import InFloat32, Meeting, Watch
from salus.trajectory.recurrence import Recurrence

MIXED = 1e-3
"""Share of the length of a place's gradient that may have no single owner: what rounding leaves."""
ROUNDED = 1e-5
"""What rounding leaves of a row's gradient where nothing is left to learn."""
ASTRAY = 1e-3
"""How far, as a share of its length, the patients' gradients together may lie from the gradient of all."""


class PatientsMixed(RuntimeError):
    """The network computes something from several patients together: its gradient belongs to none of them."""


@dataclass(frozen=True, slots=True)
class PatientGradients:
    """One gradient a patient: for each parameter a tensor (patients, numbers of the parameter); losses (patients,)."""

    parts: list[Tensor]
    losses: Tensor

    def norms(self) -> Tensor:
        """Length of each patient's whole gradient."""
        return torch.stack([part.square().sum(dim=1) for part in self.parts]).sum(dim=0).sqrt()

    def summed(self, weights: Tensor) -> Tensor:
        """Weighted sum over patients, flat."""
        return torch.cat([weights @ part for part in self.parts])

    def clipped_sum(self, most: float) -> Tensor:
        """Sum over patients, nobody's part longer than ``most``: one patient changes it by no more than that."""
        return self.summed((most / self.norms().clamp(min=1e-12)).clamp(max=1.0))

    def some(self, places: Sequence[int]) -> PatientGradients:
        """The gradients of some of the parameters."""
        return PatientGradients([self.parts[place] for place in places], self.losses)


class _Owned(NamedTuple):
    """Rows that met ``shared``, the gradient of what came out, and which patient each belongs to."""

    kind: str
    shared: Tensor
    inputs: Tensor
    grad: Tensor
    owner: Tensor


def patient_gradients(
    network: nn.Module, losses_of: Callable[[], Tensor], *, data: Iterable[Tensor], checked: bool = False
) -> PatientGradients:
    """The gradient of each patient's loss. ``losses_of`` computes one loss a patient from the tensors in ``data``.

    ``checked``: compare their sum with the gradient of all, which costs a third pass. Raises PatientsMixed where a row
    belongs to several patients, or where the sum is another.
    """
    for module in network.modules():
        if isinstance(module, Recurrence):
            module.plain = True
    parameters: list[Tensor] = [value for value in network.parameters() if value.requires_grad]
    state = torch.get_rng_state()
    with Watch(parameters, data) as watch:
        losses = losses_of()
    found = _Found(parameters, patients=len(losses))
    for owned in _together(_owned(watch.meetings, losses)):
        found.add(owned)
    gradients = PatientGradients(found.of_parameters(), losses.detach())
    if checked:
        torch.set_rng_state(state)
        _check_sum(gradients, parameters, losses_of)
    return gradients


def _check_sum(
    gradients: PatientGradients, parameters: list[Tensor], losses_of: Callable[[], Tensor]
) -> None:
    """What a plain backward pass gives for all patients is the sum of theirs."""
    with InFloat32():
        losses = losses_of()
    plain = torch.autograd.grad(losses.sum(), parameters, allow_unused=True)
    whole = torch.cat(
        [
            torch.zeros(value.numel()) if one is None else one.flatten()
            for one, value in zip(plain, parameters, strict=True)
        ]
    )
    ours = gradients.summed(torch.ones(len(gradients.losses)))
    if float((ours - whole).norm()) > ASTRAY * float(gradients.norms().norm()) + 1e-12:
        raise PatientsMixed("the patients' gradients do not add up to the gradient of all")


def _owned(meetings: list[Meeting], losses: Tensor) -> Iterator[_Owned]:
    """Go back through the network twice: once for the gradient of each row, once to learn whose row it is."""
    places = [meeting.out for meeting in meetings]
    marks = 1 + torch.arange(len(losses), dtype=losses.dtype) / len(losses)
    plain = torch.autograd.grad(losses.sum(), places, retain_graph=True, allow_unused=True)
    marked = torch.autograd.grad((losses * marks).sum(), places, allow_unused=True)
    known: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
    for meeting, one, other in zip(meetings, plain, marked, strict=True):
        if one is None or other is None or not one.numel():
            continue
        if id(meeting.out) not in known:
            known[id(meeting.out)] = _owners(one.flatten(0, -2), other.flatten(0, -2), marks)
        rows, grad, owner = known[id(meeting.out)]
        inputs = meeting.inputs.flatten() if meeting.kind == "choice" else meeting.inputs.flatten(0, -2)
        yield _Owned(meeting.kind, meeting.shared, inputs[rows], grad, owner)


def _owners(grad: Tensor, marked: Tensor, marks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows with a gradient, the gradient, and whose they are: the mark by which the second gradient is longer."""
    square = grad.square().sum(dim=1)
    rows = torch.nonzero(square > 0)[:, 0]
    grad, marked, square = grad[rows], marked[rows], square[rows]
    place = ((grad * marked).sum(dim=1) / square - 1) * len(marks)
    owner = place.round().nan_to_num(0.0).clamp(0, len(marks) - 1).long()
    astray = (marked - grad * marks[owner][:, None]).norm()
    if float(astray) > MIXED * float(grad.norm()) + ROUNDED * len(rows) ** 0.5:
        raise PatientsMixed("rows of the network belong to several patients")
    return rows, grad, owner


def _together(found: Iterable[_Owned]) -> Iterator[_Owned]:
    """Join the meetings of one shared tensor of one kind: a recurrence meets its weight at every step."""
    groups: dict[tuple[str, int], list[_Owned]] = {}
    for one in found:
        groups.setdefault((one.kind, id(one.shared)), []).append(one)
    for group in groups.values():
        joined = [torch.cat([getattr(one, name) for one in group]) for name in ("inputs", "grad", "owner")]
        yield _Owned(group[0].kind, group[0].shared, *joined) if len(group) > 1 else group[0]


class _Found:
    """Gradients of patients, added up by the shared tensor they belong to."""

    def __init__(self, parameters: list[Tensor], *, patients: int) -> None:
        self.parameters, self.patients = parameters, patients
        self.shared: dict[int, Tensor] = {}
        self.grads: dict[int, Tensor] = {}

    def add(self, owned: _Owned) -> None:
        """Add what one meeting gives."""
        key, grad = id(owned.shared), _gradient(owned, self.patients)
        if key in self.grads:
            self.grads[key] += grad
        else:
            self.shared[key], self.grads[key] = owned.shared, grad

    def of_parameters(self) -> list[Tensor]:
        """The same by parameter: what was made of parameters is followed back to them."""
        mine = {id(value) for value in self.parameters}
        made = [key for key in self.grads if key not in mine]
        back: Sequence[Tensor | None] = [None] * len(self.parameters)
        if made:
            back = torch.autograd.grad(
                [self.shared[key] for key in made],
                self.parameters,
                grad_outputs=[self.grads[key] for key in made],
                is_grads_batched=True,
                allow_unused=True,
            )
        found = []
        for value, more in zip(self.parameters, back, strict=True):
            grad = self.grads.get(id(value), torch.zeros(self.patients, *value.shape))
            found.append((grad if more is None else grad + more).flatten(1))
        return found


def _gradient(owned: _Owned, patients: int) -> Tensor:
    """One gradient of the shared tensor a patient: (patients, its shape)."""
    shape = owned.shared.shape
    if owned.kind == "choice":
        flat = torch.zeros(patients * shape[0], owned.grad.shape[1])
        chosen = owned.inputs >= 0
        place = owned.owner[chosen] * shape[0] + owned.inputs[chosen]
        return flat.index_add_(0, place, owned.grad[chosen]).view(patients, *shape)
    if owned.kind in ("sum", "scale"):
        rows = owned.grad * owned.inputs if owned.kind == "scale" else owned.grad
        return torch.zeros(patients, shape[0]).index_add_(0, owned.owner, rows)
    inputs, grad = _side_by_side(owned, patients)
    if owned.kind == "product":
        return torch.bmm(grad.transpose(1, 2), inputs)
    return torch.bmm(inputs.transpose(1, 2), grad)


def _side_by_side(owned: _Owned, patients: int) -> tuple[Tensor, Tensor]:
    """Inputs and gradients as (patients, most rows of one, …), filled up with noughts."""
    order = torch.argsort(owned.owner, stable=True)
    owner = owned.owner[order]
    counts = torch.bincount(owner, minlength=patients)
    place = torch.arange(len(owner)) - (counts.cumsum(0) - counts)[owner]
    most = int(counts.max()) if len(owner) else 0
    laid = []
    for rows in (owned.inputs, owned.grad):
        table = torch.zeros(patients, most, rows.shape[1])
        table[owner, place] = rows[order]
        laid.append(table)
    return laid[0], laid[1]

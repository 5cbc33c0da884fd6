"""The gated recurrence over moments, packed without padding, with its gradient written out.

The library's own recurrence adds up the gradient of the weights step by step: for a dozen patients a step that costs
more than the step. Here the steps keep what they need, and each weight's gradient is one matrix product at the end.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Recurrence(nn.Module):
    """A gated recurrent unit (Cho et al. 2014, arXiv:1406.1078), its reset gate applied after the product
    and with no bias of its own for the state: that of the inputs serves both.

    ``plain``: whole records go step by step through :meth:`step`, whose parts can be watched.
    """

    plain = False

    def __init__(self, width: int) -> None:
        super().__init__()
        bound = width**-0.5
        self.inner = nn.Linear(width, 3 * width)
        self.weight = nn.Parameter(torch.empty(3 * width, width).uniform_(-bound, bound))

    def forward(self, inputs: Tensor, sizes: Tensor) -> Tensor:
        """Whole records: inputs (M, width) in packed order, ``sizes`` rows at each step -> states (M, width)."""
        if self.plain:
            return self._stepwise(inputs, sizes.tolist())
        states: Tensor = _Steps.apply(self.inner(inputs), self.weight, sizes.tolist())  # type: ignore[no-untyped-call]
        return states

    def _stepwise(self, inputs: Tensor, sizes: list[int]) -> Tensor:
        state, states, place = inputs.new_zeros(sizes[0] if sizes else 0, inputs.shape[1]), [inputs[:0]], 0
        for size in sizes:
            state = self.step(inputs[place : place + size], state[:size])
            states.append(state)
            place += size
        return torch.cat(states)

    def step(self, inputs: Tensor, state: Tensor) -> Tensor:
        """One moment on: (N, width) and (N, width) -> (N, width)."""
        return _gates(self.inner(inputs), F.linear(state, self.weight), state)[0]


def _gates(inner: Tensor, outer: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """New state, and the gates it came from: reset and update together (N, 2 width), and the candidate."""
    width = state.shape[1]
    gates = torch.sigmoid(inner[:, : 2 * width] + outer[:, : 2 * width])
    candidate = torch.tanh(inner[:, 2 * width :] + gates[:, :width] * outer[:, 2 * width :])
    return candidate + gates[:, width:] * (state - candidate), gates, candidate


class _Steps(torch.autograd.Function):
    """All steps, and their gradient by the chain rule."""

    @staticmethod
    def forward(ctx: Any, inner: Tensor, weight: Tensor, sizes: list[int]) -> Tensor:
        width, rows = weight.shape[1], len(inner)
        before, after = torch.zeros(rows, width), torch.empty(rows, width)
        gates, candidate = torch.empty(rows, 2 * width), torch.empty(rows, width)
        outer, state, place = torch.empty(rows, width), torch.zeros(sizes[0] if sizes else 0, width), 0
        for size in sizes:
            here = slice(place, place + size)
            before[here] = state[:size]
            told = before[here] @ weight.T
            state, gates[here], candidate[here] = _gates(inner[here], told, before[here])
            outer[here], after[here] = told[:, 2 * width :], state
            place += size
        ctx.save_for_backward(weight, before, gates, candidate, outer)
        ctx.sizes = sizes
        return after

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        weight, before, gates, candidate, outer = ctx.saved_tensors
        width = weight.shape[1]
        reset, update = gates[:, :width], gates[:, width:]
        to_candidate = (1 - update) * (1 - candidate * candidate)
        to_update = (before - candidate) * update * (1 - update)
        to_reset = outer * reset * (1 - reset)
        of_outer = before.new_empty(len(before), 3 * width)
        of_candidate = torch.empty_like(before)
        later = before.new_zeros(0, width)
        place = len(before)
        for size in reversed(ctx.sizes):
            here = slice(place - size, place)
            grad = grads[0][here].clone()
            grad[: len(later)] += later
            of_candidate[here] = grad * to_candidate[here]
            part = of_outer[here]
            torch.mul(of_candidate[here], to_reset[here], out=part[:, :width])
            torch.mul(grad, to_update[here], out=part[:, width : 2 * width])
            torch.mul(of_candidate[here], reset[here], out=part[:, 2 * width :])
            later = torch.addmm(grad * update[here], part, weight)
            place -= size
        of_inner = torch.cat([of_outer[:, : 2 * width], of_candidate], dim=1)
        return of_inner, of_outer.T @ before, None

"""The recurrence over packed records gives the states and gradients of the library's own."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from salus.trajectory.recurrence import Recurrence

SIZES = torch.tensor([4, 3, 2, 2, 1])
"""Rows at each step: the first patient has five moments, the last has one."""


def both(width: int = 8) -> tuple[Recurrence, nn.GRU]:
    """Ours and the library's with the same weights; the library's extra bias of the state is nought."""
    torch.manual_seed(1)
    ours, theirs = Recurrence(width).double(), nn.GRU(width, width).double()
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(ours.inner.weight)
        theirs.bias_ih_l0.copy_(ours.inner.bias)
        theirs.weight_hh_l0.copy_(ours.weight)
        theirs.bias_hh_l0.zero_()
    return ours, theirs


def test_states_and_gradients_are_those_of_the_library():
    ours, theirs = both()
    inputs = torch.randn(int(SIZES.sum()), 8, dtype=torch.float64)
    mine, other = inputs.clone().requires_grad_(), inputs.clone().requires_grad_()
    with_default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        states = ours(mine, SIZES)
        wanted, _ = theirs(PackedSequence(other, SIZES))
        torch.testing.assert_close(states, wanted.data)
        weight = torch.randn_like(states)
        (states * weight).sum().backward()
        (wanted.data * weight).sum().backward()
    finally:
        torch.set_default_dtype(with_default)
    torch.testing.assert_close(mine.grad, other.grad)
    torch.testing.assert_close(ours.weight.grad, theirs.weight_hh_l0.grad)
    torch.testing.assert_close(ours.inner.weight.grad, theirs.weight_ih_l0.grad)
    torch.testing.assert_close(ours.inner.bias.grad, theirs.bias_ih_l0.grad)


def test_one_step_at_a_time_is_the_same_as_all_at_once():
    """Three moments of two patients: drawing goes by steps, training reads whole records."""
    torch.manual_seed(2)
    ours = Recurrence(6)
    inputs = torch.randn(3, 2, 6)
    state = torch.zeros(2, 6)
    for moment in inputs:
        state = ours.step(moment, state)
    whole = ours(inputs.flatten(0, 1), torch.tensor([2, 2, 2]))
    torch.testing.assert_close(whole[4:], state)

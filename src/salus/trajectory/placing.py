"""Facts put into futures at given times, whatever the model would have drawn there: interventions.

A placed fact joins the moment that falls at its time, or makes a moment of its own. It is set, not observed: fields
before its own come as if it were not there; what is drawn after it, all levels of its moment among them, knows it; and
no future is more or less likely for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from salus.trajectory.keyed import Keyed
from salus.trajectory.sampling import Sampler
from salus.trajectory.situation import Drawn, Situation
from salus.trajectory.vocabulary import FOREVER, Vocabulary
from salus.trajectory.wanted import Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A fact to be set ``after`` grains from the index: its level and the place inside it."""

    after: int
    level: int
    inside: float


class Placed:
    """A :class:`salus.trajectory.situation.Guide` that lets wanted facts come; in ``alone`` rows, nothing else."""

    def __init__(self, wanted: Wanted, alone: Tensor, vocabulary: Vocabulary) -> None:
        self.wanted, self.alone, self.size = wanted, alone, vocabulary.size
        self.start = vocabulary.field_start
        self.level_field = torch.from_numpy(vocabulary.level_field)

    def fields(self, weights: Tensor, on: Tensor) -> Tensor:
        """What would pass over a wanted field stops at it."""
        must = self.wanted.field(on)[:, None]
        place = torch.arange(self.size + 1)
        beyond = (weights * (place > must)).sum(dim=1, keepdim=True)
        stopped = (weights * (place <= must)).scatter_add(1, must, beyond)
        return torch.where(self.alone[on][:, None], (place == must).to(weights.dtype), stopped)

    def certain(self, following: Tensor, on: Tensor) -> Tensor:
        """The same where the model is certain."""
        must = self.wanted.field(on)
        return torch.where(self.alone[on] | (following > must), must, following)

    def comes(self, following: Tensor, on: Tensor) -> None:
        """Go on in the queue where what must come comes."""
        self.wanted.comes(following, on)

    def awaited(self, on: Tensor) -> Tensor:
        """The next wanted field."""
        return self.wanted.field(on)

    def levels(self, weights: Tensor, on: Tensor, field: int) -> Tensor:
        """The wanted level, where one is."""
        first, last = (int(place) for place in self.start[field : field + 2])
        wanted = self.wanted.level(on, field)[:, None]
        one = (torch.arange(first, last) == wanted).to(weights.dtype)
        return torch.where(wanted >= 0, one, weights)

    def place(self, level: Tensor, on: Tensor, inside: Tensor) -> Tensor:
        """The wanted place, where one is."""
        field = self.level_field[level]
        given = self.wanted.place(on, field).float()
        self.wanted.said(on, field)
        return torch.where(given.isnan(), inside, given)


class Plan:
    """What is still to be placed in each future: facts by their time, in drawing order.

    ``index`` (futures,): grains of each future's index.
    """

    def __init__(self, placements: Sequence[Placement], vocabulary: Vocabulary, index: Tensor) -> None:
        self.vocabulary = vocabulary
        afters = sorted({one.after for one in placements})
        self.times = torch.stack(
            [index + after for after in afters] + [torch.full_like(index, FOREVER)], dim=1
        )
        self.next = torch.zeros(len(index), dtype=torch.int64)
        at = [sorted((p for p in placements if p.after == after), key=lambda p: p.level) for after in afters]
        longest = max((len(facts) for facts in at), default=0)
        self.fields = torch.full((len(at) + 1, longest), vocabulary.size)
        self.levels = torch.full((len(at) + 1, longest), -1)
        self.places = torch.full((len(at) + 1, longest), torch.nan)
        for row, facts in enumerate(at):
            for column, fact in enumerate(facts):
                self.fields[row, column] = int(vocabulary.level_field[fact.level])
                self.levels[row, column] = fact.level
                self.places[row, column] = fact.inside

    def due(self, rows: Tensor) -> Tensor:
        """Grains of the next placement of these futures."""
        return self.times[rows, self.next[rows]]

    def guide(self, rows: Tensor, *, joins: Tensor, alone: Tensor) -> Placed:
        """What to place now, where a moment ``joins`` its time or is put in ``alone``; it is done with."""
        now = torch.where(joins | alone, self.next[rows], self.times.shape[1] - 1)
        self.next[rows] += (joins | alone).long()
        wanted = Wanted(self.fields[now], self.levels[now], self.places[now], size=self.vocabulary.size)
        return Placed(wanted, alone, self.vocabulary)


def advance(
    sampler: Sampler, situation: Situation, plan: Plan, *, draws: Keyed, silent_until: Tensor | None
) -> tuple[Situation, Drawn]:
    """Move every row to its next moment, or to the next placement if that comes first, and draw its facts."""
    signs = sampler.signs(situation)
    wait, _ = sampler.waits(situation, signs, silent_until)
    due = plan.due(situation.row) - situation.time
    alone, joins = wait > due, wait == due
    early = alone.nonzero()[:, 0]
    if len(early):
        silent = None if silent_until is None else silent_until[early]
        passed = sampler.chance_within(
            situation.of(early), signs[early], grains=due[early], silent_until=silent
        )
        draws.hold(situation.row[early], passed)
    wait = torch.minimum(wait, due)
    situation.time = situation.time + wait
    guide = plan.guide(situation.row, joins=joins, alone=alone)
    return situation, sampler.moment(situation, wait, signs=signs, guide=guide)


def unlike_training(placements: Sequence[Placement], vocabulary: Vocabulary, index: np.ndarray) -> int:
    """In how many futures something is placed when no training patient had it."""
    strange = np.zeros(len(index), dtype=bool)
    earliest, latest = vocabulary.spans()
    for one in placements:
        field, time = vocabulary.level_field[one.level], index + one.after
        strange |= (time < earliest[field]) | (time > latest[field])
    return int(strange.sum())

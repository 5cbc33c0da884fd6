"""Where simulated patients stand, and what was drawn for them: rows of tensors, one a patient."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from salus.trajectory.bins import FloatArray, IntArray
from salus.trajectory.vocabulary import Vocabulary


@dataclass(slots=True, kw_only=True)
class Situation:
    """Where each simulated patient stands: R rows."""

    row: Tensor  # (R,) which patient of the call
    state: Tensor  # (R, 2 width)
    time: Tensor  # (R,) grains
    age: Tensor  # (R,) years at the reference moment, NaN: not known
    count: Tensor  # (R, K) moments in which a tracked field was seen
    last: Tensor  # (R, K) grains at which it was last seen
    level: Tensor  # (R, K) its last level
    rank: Tensor  # (R, K) its last rank
    total: Tensor  # (R, K) sum of its ranks
    lowest: Tensor  # (R, K)
    highest: Tensor  # (R, K)
    recent: Tensor  # (R, HELD) times of the last moments, NOWHERE for those that were not
    facts: Tensor  # (R, HELD) how many facts each had

    def of(self, rows: Tensor) -> Situation:
        """Keep some rows."""
        return Situation(
            row=self.row[rows],
            state=self.state[rows],
            time=self.time[rows],
            age=self.age[rows],
            count=self.count[rows],
            last=self.last[rows],
            level=self.level[rows],
            rank=self.rank[rows],
            total=self.total[rows],
            lowest=self.lowest[rows],
            highest=self.highest[rows],
            recent=self.recent[rows],
            facts=self.facts[rows],
        )

    def joined(self, drawn: Drawn) -> None:
        """Let this moment be the last of those that are remembered."""
        place = np.searchsorted(self.row.numpy(), drawn.row)
        counts = torch.from_numpy(np.bincount(place, minlength=len(self.row)))
        self.recent = torch.cat([self.recent[:, 1:], self.time[:, None]], dim=1)
        self.facts = torch.cat([self.facts[:, 1:], counts[:, None]], dim=1)

    def note(self, rows: Tensor, columns: Tensor, *, level: Tensor, rank: Tensor) -> None:
        """Enter facts into the chart; of a field drawn twice in a moment the last one counts, as in training."""
        self.last, self.rank, self.level = self.last.clone(), self.rank.clone(), self.level.clone()
        self.level[rows, columns] = level
        fresh, ranks = torch.zeros_like(self.count), torch.zeros_like(self.rank)
        fresh[rows, columns] = 1
        ranks[rows, columns] = rank
        self.last[rows, columns] = self.time[rows]
        self.rank[rows, columns] = rank
        self.count = self.count + fresh
        self.total = self.total + ranks
        seen = fresh > 0
        self.lowest = torch.where(seen, torch.minimum(self.lowest, ranks), self.lowest)
        self.highest = torch.where(seen, torch.maximum(self.highest, ranks), self.highest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Facts of one simulated moment: ``row`` (patient of the call), ``time`` in grains, level, place in its bin."""

    row: IntArray
    time: IntArray
    level: IntArray
    inside: FloatArray
    chance: Tensor | None = None  # (rows, questions): see Sampler


class Watch:
    """Which levels answer which questions: (levels, questions), 1 where a level does.

    ``fields`` (size + 1, questions): 1 where every level of a field answers. There the chance of the field counts;
    where only some do, the chance of those levels once the field is drawn.
    """

    def __init__(self, levels: Tensor, vocabulary: Vocabulary) -> None:
        self.levels = levels
        starts = vocabulary.field_start
        whole = [levels[first:last].amin(dim=0) for first, last in pairwise(starts.tolist())]
        self.fields = torch.stack([*whole, torch.zeros(levels.shape[1])])


class Guide(Protocol):
    """Has a say in what is drawn within one moment; ``on``: places of the rows asked about.

    ``weights``: the model's probabilities; what is given back is drawn from in proportion.
    """

    def fields(self, weights: Tensor, on: Tensor) -> Tensor:
        """Which field comes next, or (last column) that the moment is complete."""

    def certain(self, following: Tensor, on: Tensor) -> Tensor:
        """The same, where the model is certain of it."""

    def comes(self, following: Tensor, on: Tensor) -> None:
        """Take note of what comes next."""

    def awaited(self, on: Tensor) -> Tensor:
        """What comes next in a moment that is as full as any: a field that must come, or vocabulary size."""

    def levels(self, weights: Tensor, on: Tensor, field: int) -> Tensor:
        """Which level of the field that comes."""

    def place(self, level: Tensor, on: Tensor, inside: Tensor) -> Tensor:
        """The place inside the level drawn; with it the fact is drawn, once for each."""


@dataclass(slots=True, kw_only=True)
class Step:
    """Where each row stands within the moment: what it knows, which field came just before, and what may come."""

    told: Tensor  # (R, width) context, and the fields and levels drawn so far
    prior: Tensor  # (R,) the field drawn just before
    static: Tensor
    barred: Tensor
    due: Tensor  # (R, K) see :meth:`salus.trajectory.network.Network.due_logits`
    guide: Guide | None
    chance: Tensor | None
    unanswered: Tensor | None

    def count(self, rows: Tensor, chance: Tensor) -> None:
        """Add the chance of an answer at this draw, where there was none yet in this moment."""
        if self.chance is not None and self.unanswered is not None:
            self.chance[rows] += chance * self.unanswered[rows]

    def answer(self, rows: Tensor, answered: Tensor) -> None:
        """Note which questions the draw answered."""
        if self.unanswered is not None:
            self.unanswered[rows] *= 1 - answered

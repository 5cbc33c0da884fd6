"""Drawing under conditions: sequential importance resampling within a moment (Gordon, Salmond & Smith 1993).

At a conditioned field only what is allowed is drawn, and the row's weight takes the probability of drawing that: a
field that must come and would be passed over, a level that must be another. Many rows are drawn and then resampled in
proportion to their weights (systematically, Kitagawa 1996), so that with many rows what is kept follows the model's
own distribution given the conditions, whatever the drawing order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from salus.errors import ConditionUnmet
from salus.trajectory.bins import IntArray
from salus.trajectory.conditions import Condition
from salus.trajectory.encoding import ranges_of
from salus.trajectory.sampling import Sampler
from salus.trajectory.situation import Drawn
from salus.trajectory.vocabulary import Vocabulary
from salus.trajectory.wanted import Wanted

CANDIDATES = 16
"""Candidates drawn for each patient asked for, at first."""
MOST_ROUNDS = 8
"""How often as many are drawn again while they are worth fewer than the patients asked for."""
IMPOSSIBLE = 1e-12
"""What is less likely than this never comes; a row that is asked for it counts it, and goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What is asked of one moment: facts that must come, fields that may not, and places allowed in each level.

    ``closed`` (rows, fields) bool; ``low``, ``high`` (levels,).
    """

    wanted: Wanted
    closed: Tensor
    low: Tensor
    high: Tensor


class Conditioned:
    """A :class:`Guide` that lets nothing else come, and keeps what that was worth: ``log_weight`` (rows,).

    ``impossible`` (rows,): how often the model would never have drawn what was asked.
    """

    def __init__(self, demand: Demand, vocabulary: Vocabulary) -> None:
        rows, self.demand, self.size = len(demand.wanted.fields), demand, vocabulary.size
        self.log_weight = torch.zeros(rows, dtype=torch.float64)
        self.impossible = torch.zeros(rows, dtype=torch.int64)
        self.share = (demand.high - demand.low).clamp(min=0)
        self.start = vocabulary.field_start
        self.level_field = torch.from_numpy(vocabulary.level_field)
        self.unsaid = torch.from_numpy(vocabulary.unsaid)

    def fields(self, weights: Tensor, on: Tensor) -> Tensor:
        """Close what may not come, and everything behind what must."""
        must = self.demand.wanted.field(on)[:, None]
        place = torch.arange(self.size + 1)
        allowed = (place == must) | ((place < must) & ~self._closed(on))
        return self._weigh(weights * allowed, on, otherwise=(place == must).float())

    def certain(self, following: Tensor, on: Tensor) -> Tensor:
        """What the model is certain of, unless another field must come: then it would never have been drawn."""
        must = self.awaited(on)
        closed = self._closed(on).gather(1, following[:, None])[:, 0] & (following != must)
        contrary = (following > must) | closed
        self._note_impossible(on[contrary])
        return torch.where(contrary, must, following)

    def comes(self, following: Tensor, on: Tensor) -> None:
        """Go on in the queue where what must come comes."""
        self.demand.wanted.comes(following, on)

    def awaited(self, on: Tensor) -> Tensor:
        """The next field that must come."""
        return self.demand.wanted.field(on)

    def levels(self, weights: Tensor, on: Tensor, field: int) -> Tensor:
        """Keep the levels allowed; a level that is read and never drawn tells nothing of its probability."""
        first, last = (int(place) for place in self.start[field : field + 2])
        wanted = self.demand.wanted.level(on, field)
        one = torch.arange(first, last) == wanted[:, None]
        allowed = torch.where((wanted >= 0)[:, None], one.float(), self.share[first:last])
        unsaid = (wanted >= 0) & self.unsaid[wanted.clamp(min=0)]
        return self._weigh(torch.where(unsaid[:, None], allowed, weights * allowed), on, otherwise=allowed)

    def place(self, level: Tensor, on: Tensor, inside: Tensor) -> Tensor:
        """The place recorded, or one that the conditions allow."""
        field = self.level_field[level]
        given = self.demand.wanted.place(on, field).float()
        self.demand.wanted.said(on, field)
        low, high = self.demand.low[level], self.demand.high[level]
        return torch.where(given.isnan(), low + (high - low) * inside, given)

    def _closed(self, on: Tensor) -> Tensor:
        """Which fields may not come; that the moment is complete is not closed. (N, fields + 1)."""
        return torch.cat([self.demand.closed[on], torch.zeros(len(on), 1, dtype=torch.bool)], dim=1)

    def _weigh(self, allowed: Tensor, on: Tensor, *, otherwise: Tensor) -> Tensor:
        """Take what is allowed into the weight; ``otherwise``: what to draw from where nothing of it is likely."""
        chance = allowed.sum(dim=1).double()
        lost = chance < IMPOSSIBLE
        self._note_impossible(on[lost])
        self.log_weight[on] += torch.where(lost, 0.0, chance.log())
        return torch.where(lost[:, None], otherwise, allowed)

    def _note_impossible(self, on: Tensor) -> None:
        self.impossible[on] += 1
        self.log_weight[on] += float(np.log(IMPOSSIBLE))


def ask_statics(conditions: Sequence[Condition], vocabulary: Vocabulary, *, rows: int) -> Demand:
    """The same conditions for ``rows`` new patients."""
    low, high = torch.zeros(vocabulary.levels), torch.ones(vocabulary.levels)
    closed = torch.zeros(vocabulary.size, dtype=torch.bool)
    for one in conditions:
        first, last = vocabulary.field_start[one.field : one.field + 2]
        low[first:last], high[first:last] = torch.from_numpy(one.low), torch.from_numpy(one.high)
        closed[one.field] = not one.share.any()
    needed = torch.tensor([one.field for one in conditions if one.needed], dtype=torch.int64)
    fields = needed[None].expand(rows, -1)
    wanted = Wanted(fields, torch.full_like(fields, -1), fields * torch.nan, size=vocabulary.size)
    return Demand(wanted=wanted, closed=closed[None].expand(rows, -1), low=low, high=high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampling:
    """How the conditioned patients came about: ``drawn`` rows, worth ``effective`` independent draws.

    ``chance``: estimated share of all patients the model draws who meet the conditions.
    """

    drawn: int
    effective: float
    chance: float


def draw_statics(
    sampler: Sampler, conditions: Sequence[Condition], *, patients: int, generator: torch.Generator
) -> tuple[Drawn, Resampling]:
    """Draw the static facts of patients who meet the conditions, as the model distributes them among such patients.

    Raises ConditionUnmet (SAL-311) when no drawn patient meets them.
    """
    rounds, weights = [], torch.zeros(0, dtype=torch.float64)
    rows = CANDIDATES * patients
    for number in range(MOST_ROUNDS):
        guide = Conditioned(ask_statics(conditions, sampler.vocabulary, rows=rows), sampler.vocabulary)
        rounds.append(_shifted(sampler.statics(rows, guide), number * rows))
        weights = torch.cat([weights, guide.log_weight.exp() * (guide.impossible == 0)])
        if effective_size(weights) >= patients:
            break
    if not float(weights.sum()):
        raise ConditionUnmet(
            f"none of {len(weights):,} drawn patients meets all conditions together",
            where="--given, --share",
            fix="ask for less at once: what no training patient had together, the model does not draw",
        )
    chosen = systematic(weights[None], patients, generator)[0].numpy()
    resampling = Resampling(
        drawn=len(weights), effective=effective_size(weights), chance=float(weights.mean())
    )
    return _of(_joined(rounds), chosen), resampling


def chance_of(sampler: Sampler, conditions: Sequence[Condition], *, rows: int) -> float:
    """Estimate which share of the patients the model draws meet the conditions, from so many candidates."""
    guide = Conditioned(ask_statics(conditions, sampler.vocabulary, rows=rows), sampler.vocabulary)
    sampler.statics(rows, guide)
    return float((guide.log_weight.exp() * (guide.impossible == 0)).mean())


def effective_size(weights: Tensor) -> float:
    """How many independent draws weighted ones are worth (Kish): the squared sum over the sum of squares.

    >>> effective_size(torch.tensor([1.0, 1.0, 0.0, 0.0]))
    2.0
    """
    squares = float((weights**2).sum())
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def systematic(weights: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Choose ``count`` columns a row in proportion to the weights, evenly spread: (rows, columns) -> (rows, count)."""
    start = torch.rand(len(weights), 1, generator=generator, dtype=torch.float64)
    reach = weights.double().cumsum(dim=1)
    points = (torch.arange(count) + start) / count * reach[:, -1:]
    found = torch.searchsorted(reach, points, right=True)
    # Rounding may carry the last point to the very end, behind columns of no weight.
    last = (weights > 0).long().mul(torch.arange(weights.shape[1])).amax(dim=1, keepdim=True)
    return torch.minimum(found, last)


def _shifted(drawn: Drawn, rows: int) -> Drawn:
    return Drawn(row=drawn.row + rows, time=drawn.time, level=drawn.level, inside=drawn.inside)


def _joined(rounds: Sequence[Drawn]) -> Drawn:
    """All rounds, facts sorted by row."""
    row = np.concatenate([drawn.row for drawn in rounds])
    order = np.argsort(row, kind="stable")
    return Drawn(
        row=row[order],
        time=np.concatenate([drawn.time for drawn in rounds])[order],
        level=np.concatenate([drawn.level for drawn in rounds])[order],
        inside=np.concatenate([drawn.inside for drawn in rounds])[order],
    )


def _of(drawn: Drawn, chosen: IntArray) -> Drawn:
    """The facts of the chosen rows (facts sorted by row), numbered anew in the order chosen."""
    first, last = (np.searchsorted(drawn.row, chosen, side=side) for side in ("left", "right"))
    facts = ranges_of(first, last)
    return Drawn(
        row=np.repeat(np.arange(len(chosen)), last - first),
        time=drawn.time[facts],
        level=drawn.level[facts],
        inside=drawn.inside[facts],
    )

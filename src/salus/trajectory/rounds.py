"""Rounds: staff chart each patient at a minute of the hour that is that patient's own, and results come in between.

How long until the next moment is therefore asked minute by minute, and of each minute it is told what speaks for it:
was there a moment a quarter, a half, one, two or three hours before, was that of an hour before a full one, and is the
wait as long as the last. Without this a result at 23 past throws all later moments off the grid of 7 past. Only where
the grain is a minute: days and mere order have no rounds.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from salus.trajectory.bins import IntArray
from salus.trajectory.vocabulary import Vocabulary

HELD = 40
"""Moments that are remembered."""
FINEST = 240
"""Longest wait, in grains, that has a bin of its own."""
BEFORE = (0.25, 0.5, 1, 2, 3)
"""Hours."""
FULL, AS_LAST, SIGNS = 1 << len(BEFORE), 2 << len(BEFORE), 4 << len(BEFORE)
"""What may speak for a minute: bits for moments so long before it, for a full one, and for a wait like the last."""
NOWHERE = -(2**40)
"""The time of a moment that was not."""


def fine_edges(vocabulary: Vocabulary) -> IntArray:
    """Edges of the bins of waits: with rounds each short wait has its own."""
    edges = vocabulary.wait_edges
    if not vocabulary.round_grains:
        return edges
    return np.union1d(edges, np.arange(singles(vocabulary) + 1)).astype(np.int64)


def singles(vocabulary: Vocabulary) -> int:
    """How many waits, from one grain on, have a bin of their own."""
    return min(FINEST, int(vocabulary.wait_edges[-1]) - 2) if vocabulary.round_grains else 0


def signs_of(recent: Tensor, facts: Tensor, vocabulary: Vocabulary) -> Tensor:
    """What speaks for each wait of 1 to ``singles`` grains after the last of some moments: (R, singles) of SIGNS.

    ``recent``: times of the last moments (R, HELD), ascending, NOWHERE for those that were not; ``facts``: how many
    facts each had. A moment is full that has at least half as many as the fullest of them.
    """
    single, hour = singles(vocabulary), vocabulary.round_grains
    if not single:
        return no_signs(len(recent))
    now, there = recent[:, -1:], recent > NOWHERE
    full = there & (2 * facts >= facts.amax(dim=1, keepdim=True))
    signs = torch.zeros(len(recent), single + 1, dtype=torch.uint8)
    for bit, hours in enumerate(BEFORE):
        signs |= _marked(recent + int(hours * hour) - now, there, single) << bit
    signs |= _marked(recent + hour - now, full, single) * FULL
    gaps, known = recent.diff(dim=1), there[:, :-1]
    signs |= _marked(gaps[:, -1:], known[:, -1:], single) * AS_LAST
    return signs[:, 1:]


def no_signs(rows: int) -> Tensor:
    """That nothing is told of any wait: where there are no rounds, or no moment before."""
    return torch.zeros(rows, 0, dtype=torch.uint8)


def sign_at(signs: Tensor, wait: Tensor) -> Tensor:
    """What speaks for the wait that it was: (R, singles), (R,) -> (R,); SIGNS where it is not told apart."""
    if not signs.shape[1]:
        return torch.full_like(wait, SIGNS)
    told = (wait >= 1) & (wait <= signs.shape[1])
    place = (wait - 1).clamp(0, signs.shape[1] - 1)
    return torch.where(told, signs.gather(1, place[:, None])[:, 0].long(), SIGNS)


def _marked(waits: Tensor, there: Tensor, single: int) -> Tensor:
    """1 at each of these waits, where it is there and among those told apart: (R, any) -> (R, single + 1)."""
    kept = there & (waits > 0) & (waits <= single)
    return torch.zeros(len(waits), single + 1, dtype=torch.uint8).scatter_reduce_(
        1, torch.where(kept, waits, 0), kept.to(torch.uint8), "amax"
    )


def recent_rows(rows: IntArray, first: IntArray) -> tuple[IntArray, np.ndarray]:
    """The last HELD moments up to each of ``rows``, and whether they are there; ``first``: the first that may be."""
    places = rows[:, None] - np.arange(HELD)[::-1]
    return np.maximum(places, 0), places >= first[:, None]


class Rounds(nn.Module):
    """What the rounds add to the logits of waits, as the state has it and by how long the wait would be."""

    within: Tensor
    share: Tensor
    group: Tensor

    def __init__(self, vocabulary: Vocabulary, width: int) -> None:
        super().__init__()
        edges, coarse = fine_edges(vocabulary), vocabulary.wait_edges
        within = np.searchsorted(coarse, edges[:-1], side="right") - 1
        share = np.diff(edges) / np.diff(coarse)[within]
        self.single = singles(vocabulary)
        group = np.log2(np.arange(1, self.single + 1)).astype(np.int64)
        self.register_buffer("within", torch.from_numpy(within), persistent=False)
        self.register_buffer("share", torch.from_numpy(np.log(share)).float(), persistent=False)
        self.register_buffer("group", torch.from_numpy(SIGNS * group), persistent=False)
        self.often = nn.Linear(width, SIGNS)
        nn.init.zeros_(self.often.weight)
        nn.init.zeros_(self.often.bias)
        self.arrival = nn.Embedding(SIGNS + 1, width)
        nn.init.zeros_(self.arrival.weight)
        self.usual = nn.Parameter(torch.zeros(int(group.max(initial=0)) + 1, SIGNS))

    def finer(self, coarse: Tensor) -> Tensor:
        """Logits of the fine bins from those of the coarse, evenly inside each: (N, coarse) -> (N, fine)."""
        return coarse.index_select(1, self.within) + self.share

    def forward(self, hidden: Tensor, signs: Tensor) -> Tensor:
        """What is added to the waits of 1 to ``single`` grains: (N, width), (N, single) -> (N, single)."""
        told = signs.long()
        added: Tensor = self.often(hidden).gather(1, told) + self.usual.flatten()[told + self.group]
        return added

"""What of a network is learnt privately, and from where it starts: few numbers, so that little noise is needed.

Noise goes into every number that is learnt, and a patient's gradient is clipped over all of them together. So the parts
that say something (levels, the next field, waits) are learnt, from what the other parts make of a record at random: a
random projection keeps what lies far apart far apart (Johnson & Lindenstrauss 1984; Rahimi & Recht 2007). None of the
settings here was found on the patients to be protected; they are public, as is the seed of what is random.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from salus.trajectory.bins import FloatArray
from salus.trajectory.levels import WAVES
from salus.trajectory.network import Network
from salus.trajectory.private_vocabulary import PrivateLessons
from salus.trajectory.vocabulary import Vocabulary

LEARNT = ("told", "next_field", "next_wait", "end_wait")
"""Parts that are learnt: those that read out. The biases of levels start from noisy counts and stay."""
GENTLE = 2
"""Waves of a number's rank that are learnt; finer ones would mostly learn noise."""
QUIET = {"field": 0.05, "comes": 0.05, "prior": 0.05}
"""What is the same in most patients starts small: its gradients would take the room of those that differ."""
DECIDED, HALF = 0.02, 0.5
"""Room of what the noisy counts decide, and of waits, where levels have 1."""
MOST_LEFT_OPEN = 0.2
"""Share of the fields after which the next one may be left open and still be called decided."""
LOUD = 1.0
"""What was said has this length on average, less what is said of everybody: it is what tells patients apart."""
MOST_SCALED = 3.0
"""A field that nearly always says the same is made louder by this factor at most."""


class Part(NamedTuple):
    """Parameters that are clipped together: their places among those learnt, and their share of the squared bound."""

    places: tuple[int, ...]
    share: float


class Learning(NamedTuple):
    """What is learnt: for each parameter which of its numbers are, and who is clipped with whom."""

    alive: list[Tensor]
    parts: tuple[Part, ...]


def prepare_network(network: Network, lessons: PrivateLessons) -> Learning:
    """Set the start, and what is learnt."""
    vocabulary, level_shares = lessons.vocabulary, lessons.level_shares
    fine = torch.ones(3 + 2 * WAVES)
    fine[3 + GENTLE : 3 + WAVES] = fine[3 + WAVES + GENTLE :] = 0
    with torch.no_grad():
        network.bias.copy_(torch.from_numpy(np.log(level_shares)))
        for name, share in QUIET.items():
            network.get_submodule(name).weight.mul_(share)  # type: ignore[operator]
        network.context.bias.zero_()
        network.said.smooth.mul_(fine[:, None])
        _centre(network, vocabulary, level_shares)
        network.told.smooth.mul_(fine[:, None])
        _set_biases(network, lessons)
    alive, names = [], []
    for name, value in network.named_parameters():
        value.requires_grad_(name.split(".")[0] in LEARNT)
        if value.requires_grad:
            part = fine[:, None] if name.endswith(".smooth") else torch.ones(())
            alive.append(part.expand_as(value).flatten())
            names.append(name.split(".")[0])
    return Learning(alive, _parts(names, vocabulary))


def _parts(names: list[str], vocabulary: Vocabulary) -> tuple[Part, ...]:
    """Levels, next fields and waits each get room; those that the noisy counts already decide get little."""
    asked = int((vocabulary.sure[0] < 0).sum()) > MOST_LEFT_OPEN * vocabulary.size
    waited = len(vocabulary.wait_edges) > 3
    wishes = {"told": 1.0, "next_field": 1.0 if asked else DECIDED, "wait": HALF if waited else DECIDED}
    found = []
    for part, wish in wishes.items():
        places = tuple(place for place, name in enumerate(names) if name.endswith(part))
        found.append(Part(places, wish / sum(wishes.values())))
    return tuple(found)


def _centre(network: Network, vocabulary: Vocabulary, level_shares: FloatArray) -> None:
    """Take from the vectors of what was said the mean of their field, and make fields about equally loud.

    By noisy counts: what everybody says then adds nothing, and no gradient is spent on it.
    """
    said, field = network.said, torch.from_numpy(vocabulary.level_field)
    shares = torch.from_numpy(level_shares)[:, None]
    table = said()[:-1]
    mean = torch.zeros(vocabulary.size, table.shape[1]).index_add(0, field, shares * table)
    spread = torch.zeros(vocabulary.size).index_add(
        0, field, (shares * (table - mean[field]).square()).sum(dim=1)
    )
    usual = LOUD / spread.sqrt().clamp(min=1e-6)
    scale = torch.minimum(usual, torch.full_like(usual, MOST_SCALED * float(usual.median())))
    own = said.codes[said.codes < vocabulary.levels]
    said.own[: len(own)] = (said.own[: len(own)] - mean[field[own]]) * scale[field[own]][:, None]
    valued = [number for number, entry in enumerate(vocabulary.entries) if entry.bins - int(entry.absent)]
    of_code = field[torch.from_numpy(vocabulary.level_start)[valued]]
    said.smooth[:, 0] -= mean[of_code]
    said.smooth.mul_(scale[of_code][:, None, None])


def _set_biases(network: Network, lessons: PrivateLessons) -> None:
    """Let waits and what happens once begin as common as they were counted.

    The end of follow-up comes after one of as many moments as a record may have, at once; else it lies far ahead.
    """
    fields, moments = lessons.vocabulary.fields, max(lessons.vocabulary.longest_record - 1, 1)
    seldom = torch.tensor([(one.once or one.seldom) and not one.static for one in fields])
    rates = torch.from_numpy(np.log(lessons.field_rates / moments))
    network.next_field.bias.zero_()
    network.next_field.bias[:-1] = torch.where(seldom, rates, torch.zeros_like(rates))
    network.get_parameter("next_wait.2.bias").copy_(torch.from_numpy(np.log(lessons.wait_shares)))
    ending = network.get_parameter("end_wait.2.bias")
    ending.fill_(-float(np.log(moments * len(ending))))
    ending[0], ending[-1] = -float(np.log(moments)), 0.0

"""The two-level network: a recurrence over moments, and a small autoregressive network over the facts of a moment.

Level one is a gated recurrence whose state does not grow with history (Cho et al. 2014, arXiv:1406.1078). Level two
draws one moment in two rounds, each draw given the state and the sum of what was drawn before it (a neural
autoregressive estimator over a set, Larochelle & Murray 2011): first which fields come, where that is not certain;
then, knowing all of them, the level of each, given what its field said last. No level of another field is ever scored.
Levels are learnt in the vocabulary's order and in random ones (Uria, Murray & Larochelle 2014, arXiv:1310.1757): a
network that must foretell each field from any others learns fewer patients by heart.
Waits are competing discretised hazards: the next moment, and the end of follow-up, which is censoring and not a fact.
"""

from __future__ import annotations

import itertools
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from salus.trajectory.batches import PADDING, TIME_WIDTH, Batch, Choices
from salus.trajectory.charts import CHART_WIDTH, DUE_STEPS, TENTHS
from salus.trajectory.levels import Levels
from salus.trajectory.recurrence import Recurrence
from salus.trajectory.rounds import Rounds
from salus.trajectory.vocabulary import Vocabulary

NEVER = -1e9
MASKS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Width of the state and of the fact network, its depth; share of units dropped in training, more for waits.

    How long until the next visit is what a network learns by heart first: without ``wait_dropout`` half of what tells
    training patients from others lies in the waits.
    """

    width: int = 160
    depth: int = 2
    dropout: float = 0.1
    wait_dropout: float = 0.6


def amx() -> bool:
    """Whether the processor multiplies matrices of bfloat16."""
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))


def precision() -> AbstractContextManager[object]:
    """Matrix products in bfloat16 where the processor multiplies matrices in it (AMX); elsewhere in float32.

    Only for the fact network, whose rows are padded to few sizes: the library compiles a kernel for every new shape,
    which costs more than it saves where each batch has another one. Sums, norms and losses stay in float32.
    """
    if amx():
        return torch.autocast("cpu", dtype=torch.bfloat16)
    return nullcontext()


class Losses(NamedTuple):
    """Negative log-likelihoods in nats; ``impossible``: draws that no training patient could have made."""

    field: Tensor  # (A,) one for each time it was asked which field comes next
    level: Tensor  # (choices,) one a choice of a level, in the batch's order
    wait: Tensor  # (W,) one an awaited end
    seldom: Tensor  # one a question whether something that seldom happens comes now
    impossible: Tensor  # (A,) bool


class Dropout(nn.Module):
    """Sets a share of units to nought in training, by a few masks that the rows take at random.

    A mask of its own for each row costs more than the matrix product before it, and teaches no more.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """Rows (N, width) -> (N, width)."""
        if not self.training or not self.share:
            return x
        masks = torch.empty(MASKS, x.shape[1]).bernoulli_(1 - self.share).div_(1 - self.share).to(x.dtype)
        return x * masks.index_select(0, torch.randint(MASKS, (len(x),)))


class Mixing(nn.Module):
    """What a layer of the fact network adds to its input: two linear maps around a smooth step."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size.width)
        self.inner = nn.Linear(size.width, 2 * size.width)
        self.outer = nn.Linear(2 * size.width, size.width)
        self.drop = Dropout(size.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Rows (N, width) -> (N, width)."""
        added: Tensor = x + self.outer(self.drop(F.gelu(self.inner(self.norm(x)))))
        return added


class Network(nn.Module):
    """See the module's docstring. All methods take and give float32 on the CPU or a GPU."""

    rule_seldom: Tensor
    rule_open: Tensor
    rule_order: Tensor
    rule_unsaid: Tensor

    def __init__(self, vocabulary: Vocabulary, size: Size) -> None:
        super().__init__()
        width, fields = size.width, vocabulary.size
        waits = len(vocabulary.wait_edges) - 1
        self.rounds = Rounds(vocabulary, width) if vocabulary.round_grains else None
        self.size = size
        self.ranges = list(itertools.pairwise(vocabulary.field_start.tolist()))
        self.drop = Dropout(size.dropout)
        self.said = Levels(vocabulary, width, spread=0.3)
        self.told = Levels(vocabulary, width, spread=0.02)
        self.bias = nn.Parameter(torch.zeros(vocabulary.levels))
        self.moment = nn.Linear(width + TIME_WIDTH + CHART_WIDTH * vocabulary.tracked, width)
        self.moment_norm = nn.LayerNorm(width)
        self.recurrence = Recurrence(width)
        self.start = nn.Parameter(torch.zeros(2 * width))
        self.next_wait = _wait_head(size, waits)
        self.end_wait = _wait_head(size, waits)
        self.context = nn.Linear(2 * width + TIME_WIDTH, width)
        self.drawn = nn.Linear(width, width, bias=False)
        self.comes = nn.Embedding(fields, width)
        nn.init.normal_(self.comes.weight, std=0.2)
        self.prior = nn.Embedding(fields + 1, width)
        self.mix = Mixing(size)
        self.mix_norm = nn.LayerNorm(width)
        self.next_field = nn.Linear(width, fields + 1)
        self.due_steps = DUE_STEPS if vocabulary.round_grains else TENTHS
        self.due = nn.Embedding(vocabulary.tracked * self.due_steps, 1)
        nn.init.zeros_(self.due.weight)
        self.tracked = (vocabulary.statics, vocabulary.statics + vocabulary.tracked)
        self.field = nn.Embedding(fields, width)
        self.last = nn.Linear(width, width, bias=False)
        self.since = nn.Linear(2, width, bias=False)
        self.layers = nn.ModuleList(Mixing(size) for _ in range(size.depth))
        self.level_norm = nn.LayerNorm(width)
        self._register_rules(vocabulary)

    def _register_rules(self, vocabulary: Vocabulary) -> None:
        """What can never be drawn, as tables of 0 and NEVER, and which fields seldom happen."""
        fields = vocabulary.size
        self.anchored = vocabulary.clock.anchor is not None
        seldom = torch.tensor([one.seldom or one.death for one in vocabulary.fields] + [False])
        self.register_buffer("rule_seldom", seldom, persistent=False)
        self.register_buffer(
            "rule_open", torch.cat([seldom[:fields], torch.tensor([True])]), persistent=False
        )
        unsaid = torch.from_numpy(vocabulary.unsaid)
        self.register_buffer("rule_unsaid", torch.where(unsaid, NEVER, 0.0), persistent=False)
        self.register_buffer("rule_order", _order_rules(vocabulary), persistent=False)

    def for_drawing(self) -> Network:
        """A copy whose fact network holds its matrices as they are multiplied: see :func:`precision`."""
        copy = deepcopy(self).eval()
        if amx():
            for part in (copy.mix, copy.layers, copy.next_field):
                for linear in part.modules():
                    if isinstance(linear, nn.Linear):
                        linear.bfloat16()
        return copy

    def moment_input(self, facts: Tensor, time: Tensor, chart: Tensor) -> Tensor:
        """Input of the recurrence: summed facts (M, width), time features, chart."""
        told: Tensor = self.moment(torch.cat([facts, time, chart], dim=1))
        inputs: Tensor = self.drop(F.gelu(self.moment_norm(told)))
        return inputs

    def waits(self, state: Tensor, signs: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities over waiting-time bins: of the next moment (never at once), and of the end of follow-up.

        ``signs``: see :func:`salus.trajectory.rounds.signs_of`.
        """
        hidden = self.next_wait[1](self.next_wait[0](state))
        following, ending = self.next_wait[2](hidden), self.end_wait(state)
        if self.rounds is not None:
            following, ending = self.rounds.finer(following), self.rounds.finer(ending)
            single = self.rounds.single
            told = following[:, 1 : single + 1] + self.rounds(hidden, signs)
            following = torch.cat([following[:, :1], told, following[:, single + 1 :]], dim=1)
        following = torch.cat([torch.full_like(following[:, :1], NEVER), following[:, 1:]], dim=1)
        return F.log_softmax(following, dim=1), F.log_softmax(ending, dim=1)

    def moment_context(self, state: Tensor, time: Tensor, arrival: Tensor) -> Tensor:
        """What the facts of the next moment are drawn from, once its time is known, and what spoke for it."""
        context: Tensor = self.context(torch.cat([state, time], dim=1))
        return context if self.rounds is None else context + self.rounds.arrival(arrival)

    def due_logits(self, due: Tensor) -> Tensor:
        """How much a field is due after so long: (N, K) steps -> (N, K); what is charted by the clock needs no more."""
        place = due.long() + self.due_steps * torch.arange(due.shape[1], device=due.device)
        found: Tensor = self.due(place)[:, :, 0]
        return found

    def field_logits(
        self, x: Tensor, prior: Tensor, *, static: Tensor, barred: Tensor, due: Tensor
    ) -> Tensor:
        """Logits of the next field, or that no more comes; what cannot occur is NEVER.

        ``x``: what the moment knows and which fields were drawn, (N, width); ``due``: see :meth:`due_logits`.
        """
        logits = self.next_field(self.mix_norm(self.mix(x))).float() + self.rule_order[static.long(), prior]
        first, last = self.tracked
        logits[:, first:last] += due
        size = barred.shape[1]
        return torch.cat([logits[:, :size].masked_fill(barred, NEVER), logits[:, size:]], dim=1)

    def question(self, field: Tensor, last: Tensor, seen: Tensor) -> Tensor:
        """What is asked when a level is drawn: of which field, and what it said last, (N, width).

        ``last``: what it said, as ``self.last`` gives it; ``seen``: whether it ever did, and how long ago.
        """
        asked: Tensor = self.field(field) + last + self.since(seen)
        return asked

    def choose(self, x: Tensor, question: Tensor) -> Tensor:
        """State from which the level of a field is drawn, (N, width); one question may stand for all rows.

        ``x``: what the moment knows, its fields and the levels drawn.
        """
        y = x + question
        for layer in self.layers:
            y = layer(y)
        normed: Tensor = self.level_norm(y)
        return normed

    def level_logits(self, y: Tensor, told: Tensor, bias: Tensor) -> Tensor:
        """Logits of one field's levels, given their vectors and biases: (N, width) -> (N, levels of the field)."""
        return y @ told.T + bias

    def by_field(self) -> list[tuple[Tensor, Tensor]]:
        """Vectors and biases of each field's levels as choices need them; what is never said has bias NEVER."""
        sizes = [last - first for first, last in self.ranges]
        told = torch.split(self.told()[:-1], sizes)
        return list(zip(told, torch.split(self.bias + self.rule_unsaid, sizes), strict=True))

    def states(self, batch: Batch, facts: Tensor) -> Tensor:
        """State after each moment: (M + 1, 2 width); the last row is the learned start."""
        moments = len(batch.previous)
        summed = torch.zeros(moments, facts.shape[1]).index_add_(0, batch.fact_moment, facts)
        inputs = self.moment_input(summed, batch.moment_time, batch.chart)
        packed = self.recurrence(inputs.index_select(0, batch.gru_order), batch.gru_sizes)
        hidden = self.drop(torch.empty_like(inputs).index_copy(0, batch.gru_order, packed))
        return torch.cat([torch.cat([hidden, inputs], dim=1), self.start[None]], dim=0)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Negative log-likelihoods of the batch, summed, in nats: code, value, wait; seldom is part of code.

        Code: which fields come, and which of several codes; value: which bin of a number. ``impossible`` counts what
        other patients have and no training patient had (so early, or a second time): it has no likelihood and is left
        out of the sums.
        """
        losses = self.losses(batch)
        values = batch.choices.valued[: batch.choices.number]
        return {
            "code": losses.field.sum() + losses.level[~values].sum() + batch.certain.sum(),
            "value": losses.level[values].sum(),
            "wait": losses.wait.sum(),
            "seldom": losses.seldom.sum(),
            "impossible": losses.impossible.sum(),
        }

    def losses(self, batch: Batch) -> Losses:
        """The same, one number a draw: which draw belongs to whom is the batch's to say."""
        said, asked, choices = self.said(), batch.asked, batch.choices
        states = self.states(batch, F.embedding(batch.level, said))
        context = self.moment_context(
            states.index_select(0, batch.previous), batch.moment_time, batch.arrival
        )
        coming = _running(self.comes(batch.field))
        begin = context - coming.index_select(0, batch.fact_start[:-1])
        x = begin.index_select(0, asked.moment) + coming.index_select(0, asked.row) + self.prior(asked.prior)
        z = self._chosen_from(begin + coming.index_select(0, batch.fact_start[1:]), said, choices)
        with precision():
            here = asked.moment
            due = self.due_logits(batch.due).index_select(0, here)
            logits = self.field_logits(
                x, asked.prior, static=batch.static[here], barred=batch.barred[here], due=due
            )
            last = F.embedding(choices.last, said)
            y = self.choose(z, self.question(choices.field, self.last(last), choices.seen))
        logits = logits.float()
        real = asked.target != PADDING
        possible = logits.gather(1, asked.target.clamp(min=0)[:, None])[:, 0] > NEVER / 2
        counted = torch.where(real & possible, asked.target, PADDING)
        return Losses(
            field=F.cross_entropy(logits, counted, reduction="none", ignore_index=PADDING),
            level=self._level_loss(y.float(), batch),
            wait=self.wait_loss(states.index_select(0, batch.wait_from), batch),
            seldom=self.seldom_loss(logits, batch, real & possible),
            impossible=real & ~possible,
        )

    def _chosen_from(self, moments: Tensor, said: Tensor, choices: Choices) -> Tensor:
        """What each level is drawn from: its moment, given (M, width), and the levels before it: (C, width)."""
        told = _running(F.embedding(choices.level, self.drawn(said)))
        before = told.index_select(0, choices.row) - told.index_select(0, choices.first)
        found: Tensor = moments.index_select(0, choices.moment) + before
        return found

    def _level_loss(self, y: Tensor, batch: Batch) -> Tensor:
        """Loss of each choice; each field scores its own levels only."""
        counts = [count for _, count in batch.choices.counts]
        fields, filled = self.by_field(), batch.choices.number
        rows = torch.split(y[:filled], counts)
        targets = torch.split(batch.choices.target[:filled], counts)
        losses = [
            F.cross_entropy(
                self.level_logits(row, *fields[field]), target, reduction="none", ignore_index=PADDING
            )
            for (field, _), row, target in zip(batch.choices.counts, rows, targets, strict=True)
        ]
        return torch.cat(losses) if losses else torch.zeros(0)

    def seldom_loss(self, logits: Tensor, batch: Batch, possible: Tensor) -> Tensor:
        """Loss of the coarser question: which of the things that seldom happen comes now, or none of them?

        It is part of the code loss already. Training gives it more weight, for every moment alike, so that a death
        is not drowned by hundreds of heart rates; weighting a question, not an answer, leaves its probabilities true.
        """
        dated = ~batch.static[batch.asked.moment]
        asked = (dated & possible & self.rule_open[batch.asked.prior]).nonzero()[:, 0]
        logs = F.log_softmax(logits[asked], dim=1)
        target = batch.asked.target[asked]
        other = torch.logsumexp(logs.masked_fill(self.rule_seldom, NEVER), dim=1)
        return -torch.where(self.rule_seldom[target], logs.gather(1, target[:, None])[:, 0], other)

    def wait_loss(self, state: Tensor, batch: Batch) -> Tensor:
        """Competing waits: what happened first is an event, the other is known to lie beyond it.

        Kind 0: next moment seen, end of follow-up later. 1: follow-up ended, next moment later. 2: the anchor came
        first; before it follow-up does not end.
        """
        following, ending = self.waits(state, batch.wait_signs)
        bins, beyond = batch.wait_bin[:, None], torch.log(batch.wait_inside.clamp(min=1e-6))
        seen = [logs.gather(1, bins)[:, 0] for logs in (following, ending)]
        later = [_log_beyond(logs, bins, beyond) for logs in (following, ending)]
        kind = batch.wait_kind
        before_anchor = (batch.moment_time[batch.wait_from, 0] < 0) & self.anchored
        end_later = torch.where(before_anchor, torch.zeros_like(later[1]), later[1])
        loss = torch.where(
            kind == 0, seen[0] + end_later, torch.where(kind == 1, seen[1] + later[0], later[0])
        )
        return -loss


def _running(rows: Tensor) -> Tensor:
    """Sum of all rows before each, and of all: (N, width) -> (N + 1, width)."""
    return torch.cat([torch.zeros(1, rows.shape[1]), rows.cumsum(0)])


def _wait_head(size: Size, waits: int) -> nn.Sequential:
    """From the state to the logits of waiting-time bins."""
    activation = nn.Sequential(nn.GELU(), Dropout(size.wait_dropout))
    return nn.Sequential(nn.Linear(2 * size.width, size.width), activation, nn.Linear(size.width, waits))


def _order_rules(vocabulary: Vocabulary) -> Tensor:
    """0 or NEVER for each next field (or the end), given the field just before: shape (dated or static, prior, next).

    Drawing goes one way. Static fields come in the static moment only, where one that every patient has cannot be
    passed over.
    """
    fields = vocabulary.size
    static = torch.tensor([one.static for one in vocabulary.fields] + [False])
    repeats = torch.tensor([one.repeats for one in vocabulary.fields])
    position = torch.arange(fields)
    behind = position[None, :] < position[:, None]
    behind |= (position[None, :] == position[:, None]) & ~repeats[None, :]
    ruled_out = torch.zeros(2, fields + 1, fields + 1, dtype=torch.bool)
    ruled_out[:, :fields, :fields] = behind
    ruled_out[0] |= static
    ruled_out[1, :, :fields] |= ~static[:fields]
    for required in [number for number, one in enumerate(vocabulary.fields) if one.always]:
        ruled_out[1, :required, required + 1 :] = True
        ruled_out[1, fields, required + 1 :] = True
    return torch.where(ruled_out, NEVER, 0.0)


def _log_beyond(logs: Tensor, bins: Tensor, beyond: Tensor) -> Tensor:
    """Log-probability of a wait longer than the one seen: later bins whole, its own bin by the share beyond."""
    place = torch.arange(logs.shape[1])[None]
    weighted = torch.where(place > bins, logs, torch.where(place == bins, logs + beyond[:, None], NEVER))
    return torch.logsumexp(weighted, dim=1)

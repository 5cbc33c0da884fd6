"""The two-level network: a recurrence over moments, and a small autoregressive network over the facts of a moment.

Level one is a gated recurrence whose state does not grow with history (Cho et al. 2014, arXiv:1406.1078). Level two
draws the facts of one moment in a fixed order, each given the state, the sum of the facts already drawn (a neural
autoregressive estimator over a set, Larochelle & Murray 2011) and what the chart last said of the same code.
Waits are competing discretised hazards: the next moment, and the end of follow-up, which is censoring and not a fact.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from salus.trajectory.batches import CHART_WIDTH, PADDING, TIME_WIDTH, Batch
from salus.trajectory.vocabulary import Vocabulary

WAVES = 6
BASIS = 2 + 2 * WAVES
NEVER = -1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Width of the state and of the fact network; share of units dropped in training, more in the heads of waits.

    How long until the next visit is what a network learns by heart first: without ``wait_dropout`` half of what tells
    training patients from others lies in the waits.
    """

    width: int = 160
    dropout: float = 0.1
    wait_dropout: float = 0.6


def precision() -> AbstractContextManager[object]:
    """Matrix products in bfloat16 where the processor multiplies matrices in it (AMX); elsewhere in float32.

    Only for the fact network, whose rows are padded to few sizes: the library compiles a kernel for every new shape,
    which costs more than it saves where each batch has another one. Sums, norms and losses stay in float32.
    """
    if torch.cpu.get_capabilities().get("amx_bf16", False):
        return torch.autocast("cpu", dtype=torch.bfloat16)
    return nullcontext()


def rank_basis(rank: Tensor) -> Tensor:
    """A value's rank in (0, 1) as smooth functions: shape (..., BASIS)."""
    angle = torch.pi * rank[..., None] * torch.arange(1, WAVES + 1, dtype=torch.float32)
    return torch.cat(
        [rank[..., None] - 0.5, torch.ones_like(rank)[..., None], torch.sin(angle), torch.cos(angle)], dim=-1
    )


class Losses(NamedTuple):
    """Negative log-likelihoods in nats; ``impossible``: draws that no training patient could have made."""

    code: Tensor  # (D,) one a decision
    value: Tensor  # (V,) one a drawn value
    wait: Tensor  # (W,) one an awaited end
    seldom: Tensor  # one a question whether something that seldom happens comes now
    impossible: Tensor  # (D,) bool


class Network(nn.Module):
    """See the module's docstring. All methods take and give float32 on the CPU or a GPU."""

    rule_seldom: Tensor
    rule_open: Tensor
    rule_order: Tensor
    rule_bins: Tensor

    def __init__(self, vocabulary: Vocabulary, size: Size) -> None:
        super().__init__()
        width, codes = size.width, vocabulary.size
        waits = len(vocabulary.wait_edges) - 1
        self.size = size
        self.drop = nn.Dropout(size.dropout)
        self.code = nn.Embedding(codes, width)
        self.gate = nn.Embedding(codes, width)
        self.value = nn.Linear(BASIS, width)
        self.moment = nn.Linear(width + TIME_WIDTH + CHART_WIDTH * vocabulary.tracked, width)
        self.moment_norm = nn.LayerNorm(width)
        self.recurrence = nn.GRU(width, width)
        self.start = nn.Parameter(torch.zeros(2 * width))
        self.next_wait = _wait_head(size, waits)
        self.end_wait = _wait_head(size, waits)
        self.context = nn.Linear(2 * width + TIME_WIDTH, width)
        self.drawn = nn.Linear(width, width, bias=False)
        self.prior = nn.Embedding(codes + 1, width)
        self.mix_in = nn.Linear(width, 2 * width)
        self.mix_out = nn.Linear(2 * width, width)
        self.mix_norm = nn.LayerNorm(width)
        self.out_norm = nn.LayerNorm(width)
        self.next_code = nn.Linear(width, codes + 1)
        self.value_in = nn.Linear(width + 2 * BASIS + 2, width)
        self.value_code = nn.Embedding(codes, width)
        self.value_mid = nn.Linear(width, width)
        self.value_out = nn.Linear(width, vocabulary.lows.shape[1])
        self.value_bias = nn.Embedding(codes, vocabulary.lows.shape[1])
        self._register_rules(vocabulary)
        nn.init.zeros_(self.value_bias.weight)

    def _register_rules(self, vocabulary: Vocabulary) -> None:
        """What can never be drawn, as tables of 0 and NEVER, and which codes seldom happen."""
        codes = vocabulary.size
        self.anchored = vocabulary.clock.anchor is not None
        bins = torch.tensor([entry.bins for entry in vocabulary.entries])
        seldom = torch.tensor([entry.seldom or entry.death for entry in vocabulary.entries] + [False])
        self.register_buffer("rule_seldom", seldom, persistent=False)
        self.register_buffer("rule_open", torch.cat([seldom[:codes], torch.tensor([True])]), persistent=False)
        self.register_buffer("rule_order", _order_rules(vocabulary), persistent=False)
        beyond = torch.where(torch.arange(vocabulary.lows.shape[1])[None] < bins[:, None], 0.0, NEVER)
        self.register_buffer("rule_bins", beyond, persistent=False)

    def fact(self, code: Tensor, rank: Tensor) -> Tensor:
        """Embed facts: (N,) codes and ranks -> (N, width)."""
        embedded: Tensor = self.code(code) + self.gate(code) * self.value(rank_basis(rank))
        return embedded

    def moment_input(self, facts: Tensor, time: Tensor, chart: Tensor) -> Tensor:
        """Input of the recurrence: summed facts (M, width), time features, chart."""
        told: Tensor = self.moment(torch.cat([facts, time, chart], dim=1))
        inputs: Tensor = self.drop(F.gelu(self.moment_norm(told)))
        return inputs

    def waits(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities over waiting-time bins: of the next moment (never at once), and of the end of follow-up."""
        following = self.next_wait(state)
        following = torch.cat([torch.full_like(following[:, :1], NEVER), following[:, 1:]], dim=1)
        return F.log_softmax(following, dim=1), F.log_softmax(self.end_wait(state), dim=1)

    def moment_context(self, state: Tensor, time: Tensor) -> Tensor:
        """What the facts of the next moment are drawn from, once its time is known."""
        context: Tensor = self.context(torch.cat([state, time], dim=1))
        return context

    def decide(self, context: Tensor, drawn: Tensor, prior: Tensor) -> Tensor:
        """State of the fact network: context and sum of drawn facts (N, width), code drawn just before (N,)."""
        x = context + self.drawn(drawn) + self.prior(prior)
        mixed = self.mix_out(self.drop(F.gelu(self.mix_in(self.mix_norm(x)))))
        decided: Tensor = self.out_norm(x + mixed)
        return decided

    def code_logits(self, x: Tensor, prior: Tensor, static: Tensor, barred: Tensor) -> Tensor:
        """Logits of the next code, or that the moment is complete; what cannot occur is NEVER."""
        logits = self.next_code(x) + self.rule_order[static.long(), prior]
        size = barred.shape[1]
        return torch.cat([logits[:, :size].masked_fill(barred, NEVER), logits[:, size:]], dim=1)

    def value_logits(self, x: Tensor, code: Tensor, last: Tensor, before: Tensor) -> Tensor:
        """Logits of the value's bin given its code and what the chart last said of it (seen, since, rank).

        ``before``: rank of the fact drawn just before in this moment (0.5: none or without a value). The pressures of
        one reading, the gases of one sample lie side by side in drawing order and follow each other closely.
        """
        known = torch.cat([x, last[:, :2], rank_basis(last[:, 2]) * last[:, :1], rank_basis(before)], dim=1)
        y = self.drop(F.gelu(self.value_in(known) + self.value_code(code)))
        y = y + F.gelu(self.value_mid(y))
        logits: Tensor = self.value_out(y) + self.value_bias(code) + self.rule_bins[code]
        return logits

    def states(self, batch: Batch, facts: Tensor) -> Tensor:
        """State after each moment: (M + 1, 2 width); the last row is the learned start."""
        moments = len(batch.previous)
        summed = torch.zeros(moments, facts.shape[1]).index_add_(0, batch.fact_moment, facts)
        inputs = self.moment_input(summed, batch.moment_time, batch.chart)
        packed = PackedSequence(inputs[batch.gru_order], batch.gru_sizes)
        out, _ = self.recurrence(packed)
        hidden = self.drop(torch.empty_like(inputs).index_copy(0, batch.gru_order, out.data))
        return torch.cat([torch.cat([hidden, inputs], dim=1), self.start[None]], dim=0)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Negative log-likelihoods of the batch, summed, in nats: code, value, wait; seldom is part of code.

        ``impossible`` counts what other patients have and no training patient had (so early, or a second time): it
        has no likelihood and is left out of the sums.
        """
        losses = self.losses(batch)
        return {
            "code": losses.code.sum(),
            "value": losses.value.sum(),
            "wait": losses.wait.sum(),
            "seldom": losses.seldom.sum(),
            "impossible": losses.impossible.sum(),
        }

    def losses(self, batch: Batch) -> Losses:
        """The same, one number a draw: which draw belongs to whom is the batch's to say."""
        facts = self.fact(batch.code, batch.rank)
        states = self.states(batch, facts)
        running = torch.cat([torch.zeros(1, facts.shape[1]), facts.cumsum(0)])
        context = self.moment_context(states[batch.previous], batch.moment_time)
        drawn = running[batch.decision_row] - running[batch.first_row[batch.decision_moment]]
        static, barred = batch.static[batch.decision_moment], batch.barred[batch.decision_moment]
        with precision():
            x = self.decide(context[batch.decision_moment], drawn, batch.decision_prior)
            logits = self.code_logits(x, batch.decision_prior, static, barred)
            code = batch.decision_target[batch.valued]
            values = self.value_logits(x[batch.valued], code, batch.value_last, batch.value_before)
        logits, values, target = logits.float(), values.float(), batch.decision_target
        real = target != PADDING
        possible = logits.gather(1, target.clamp(min=0)[:, None])[:, 0] > NEVER / 2
        counted = torch.where(real & possible, target, PADDING)
        return Losses(
            code=F.cross_entropy(logits, counted, reduction="none", ignore_index=PADDING),
            value=F.cross_entropy(values, batch.value_target, reduction="none", ignore_index=PADDING),
            wait=self.wait_loss(states[batch.wait_from], batch),
            seldom=self.seldom_loss(logits, batch, real & possible),
            impossible=real & ~possible,
        )

    def seldom_loss(self, logits: Tensor, batch: Batch, possible: Tensor) -> Tensor:
        """Loss of the coarser question: which of the things that seldom happen comes now, or none of them?

        It is part of the code loss already. Training gives it more weight, for every moment alike, so that a death
        is not drowned by hundreds of heart rates; weighting a question, not an answer, leaves its probabilities true.
        """
        dated = ~batch.static[batch.decision_moment]
        asked = (dated & possible & self.rule_open[batch.decision_prior]).nonzero()[:, 0]
        logs = F.log_softmax(logits[asked], dim=1)
        target = batch.decision_target[asked]
        other = torch.logsumexp(logs.masked_fill(self.rule_seldom, NEVER), dim=1)
        return -torch.where(self.rule_seldom[target], logs.gather(1, target[:, None])[:, 0], other)

    def wait_loss(self, state: Tensor, batch: Batch) -> Tensor:
        """Competing waits: what happened first is an event, the other is known to lie beyond it.

        Kind 0: next moment seen, end of follow-up later. 1: follow-up ended, next moment later. 2: the anchor came
        first; before it follow-up does not end.
        """
        following, ending = self.waits(state)
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


def _wait_head(size: Size, waits: int) -> nn.Sequential:
    """From the state to the logits of waiting-time bins."""
    activation = nn.Sequential(nn.GELU(), nn.Dropout(size.wait_dropout))
    return nn.Sequential(nn.Linear(2 * size.width, size.width), activation, nn.Linear(size.width, waits))


def _order_rules(vocabulary: Vocabulary) -> Tensor:
    """0 or NEVER for each next code (or the end), given the code just before: shape (dated or static, prior, next).

    Drawing goes one way and groups lie together, so what the code just before rules out stays ruled out. Static codes
    come in the static moment only, where one that every patient has, or a group of which each has one, cannot be
    passed over.
    """
    codes, entries = vocabulary.size, vocabulary.entries
    static = torch.tensor([entry.static for entry in entries] + [False])
    repeats = torch.tensor([entry.repeats for entry in entries])
    position = torch.arange(codes)
    behind = position[None, :] < position[:, None]
    behind |= (position[None, :] == position[:, None]) & ~repeats[None, :]
    behind |= torch.from_numpy(vocabulary.excludes())
    ruled_out = torch.zeros(2, codes + 1, codes + 1, dtype=torch.bool)
    ruled_out[:, :codes, :codes] = behind
    ruled_out[0] |= static
    ruled_out[1, :, :codes] |= ~static[:codes]
    for required in [number for number, entry in enumerate(entries) if entry.static and entry.always]:
        ruled_out[1, :required, required + 1 :] = True
        ruled_out[1, codes, required + 1 :] = True
    for first, last in vocabulary.required_groups():
        ruled_out[1, :first, last + 1 :] = True
        ruled_out[1, codes, last + 1 :] = True
    return torch.where(ruled_out, NEVER, 0.0)


def _log_beyond(logs: Tensor, bins: Tensor, beyond: Tensor) -> Tensor:
    """Log-probability of a wait longer than the one seen: later bins whole, its own bin by the share beyond."""
    place = torch.arange(logs.shape[1])[None]
    weighted = torch.where(place > bins, logs, torch.where(place == bins, logs + beyond[:, None], NEVER))
    return torch.logsumexp(weighted, dim=1)

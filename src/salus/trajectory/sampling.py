"""Drawing futures: moment by moment for thousands of patients at once, from nothing or from a real history."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from salus.trajectory.batches import chart_since, make_batch, time_features
from salus.trajectory.bins import FloatArray, IntArray
from salus.trajectory.encoding import Records, draw_values
from salus.trajectory.network import Network
from salus.trajectory.vocabulary import BIRTH, START, Vocabulary

MOST_MOMENTS = 4_096
"""A drawn record is cut here; far above any record seen, it only bounds the loop."""


@dataclass(slots=True, kw_only=True)
class Situation:
    """Where each simulated patient stands: R rows."""

    row: Tensor  # (R,) which patient of the call
    state: Tensor  # (R, 2 width)
    time: Tensor  # (R,) grains
    age: Tensor  # (R,) years at the reference moment, NaN: not known
    ever: Tensor  # (R, K) bool
    last: Tensor  # (R, K) grains at which a tracked code was last seen
    rank: Tensor  # (R, K)

    def of(self, rows: Tensor) -> Situation:
        """Keep some rows."""
        return Situation(
            row=self.row[rows],
            state=self.state[rows],
            time=self.time[rows],
            age=self.age[rows],
            ever=self.ever[rows],
            last=self.last[rows],
            rank=self.rank[rows],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Facts of one simulated moment: ``row`` (patient of the call), ``time`` in grains, code, bin, place in the bin."""

    row: IntArray
    time: IntArray
    code: IntArray
    bin: IntArray
    inside: FloatArray


class Sampler:
    """Draws moments for a set of patients from a trained network; the same seed gives the same futures."""

    def __init__(self, network: Network, vocabulary: Vocabulary, *, seed: int) -> None:
        self.network, self.vocabulary = network, vocabulary
        self.generator = torch.Generator().manual_seed(seed)
        entries = vocabulary.entries
        self.statics = sum(entry.static for entry in entries)
        self.bins = torch.tensor([entry.bins for entry in entries])
        self.real_bins = torch.tensor([entry.bins - int(entry.absent) for entry in entries])
        self.once = torch.tensor([entry.once for entry in entries])[
            self.statics : self.statics + vocabulary.tracked
        ]
        self.death = torch.tensor([entry.death for entry in entries])
        self.edges = torch.from_numpy(vocabulary.wait_edges)
        self.index = vocabulary.index()

    # ------------------------------------------------------------------ beginnings

    def from_nothing(self, patients: int) -> tuple[Situation, Drawn]:
        """Draw the static facts of new patients and place them at their record's start."""
        vocabulary, tracked = self.vocabulary, self.vocabulary.tracked
        static = torch.ones(patients, dtype=torch.bool)
        begin = Situation(
            row=torch.arange(patients),
            state=self.network.start[None].expand(patients, -1),
            time=torch.zeros(patients, dtype=torch.int64),
            age=torch.full((patients,), torch.nan),
            ever=torch.zeros(patients, tracked, dtype=torch.bool),
            last=torch.zeros(patients, tracked, dtype=torch.int64),
            rank=torch.zeros(patients, tracked),
        )
        wait = torch.zeros(patients, dtype=torch.int64)
        drawn = self._facts(begin, wait, static)
        values = draw_values(drawn.code, drawn.bin, drawn.inside, vocabulary)
        start = np.zeros(patients, dtype=np.int64)
        age = np.full(patients, np.nan, dtype=np.float32)
        for name, target in ((START, start), (BIRTH, age)):
            picked = drawn.code == self.index.get(name, -1)
            target[drawn.row[picked]] = values[picked]
        if vocabulary.clock.anchor is not None:
            start = np.minimum(start, 0)
        self._remember(begin, drawn, wait, static)
        begin.time, begin.age = torch.from_numpy(start), torch.from_numpy(age)
        return begin, drawn

    def from_history(self, records: Records) -> Situation:
        """Read real histories up to their last known moment."""
        batch = make_batch(records, self.vocabulary)
        states = self.network.states(batch, self.network.fact(batch.code, batch.rank))
        final = torch.from_numpy(records.moment_start[1:] - 1)
        ever, since, rank = batch.chart[final].chunk(3, dim=1)
        time = torch.from_numpy(records.time)[final]
        return Situation(
            row=torch.arange(records.patients),
            state=states[final],
            time=time,
            age=torch.from_numpy(records.age),
            ever=ever > 0,
            last=time[:, None] - torch.expm1(since.double() * 8).round().long(),
            rank=rank,
        )

    # ------------------------------------------------------------------ one moment on

    def first_moment(self, situation: Situation) -> Drawn:
        """Draw the facts of each new patient's first dated moment."""
        return self._moment(situation, torch.zeros_like(situation.time))

    def next_moment(
        self, situation: Situation, *, ends: bool = True, silent_until: Tensor | None = None
    ) -> tuple[Situation, Drawn, Situation]:
        """Move every row to its next moment and draw its facts.

        ``ends``: follow-up may end (a drawn record); False: it may not (a forecast: censoring happens to records,
        not to patients). ``silent_until``: grains up to which nothing is known to have happened.
        Gives the rows that live on, what was drawn, and the rows whose follow-up ended (time: when).
        """
        following, ending = self.network.waits(situation.state)
        least = None if silent_until is None else (silent_until - situation.time).clamp(min=0)
        wait = self._draw_wait(following, least)
        anchored = self.vocabulary.clock.anchor is not None
        before = (situation.time < 0) & anchored
        wait = torch.where(before, torch.minimum(wait, -situation.time), wait)
        over = torch.zeros_like(before)
        if ends:
            end = self._draw_wait(ending, None)
            over = (end < wait) & ~before
            stopped = situation.of(over.nonzero()[:, 0])
            stopped.time = stopped.time + end[over]
        else:
            stopped = situation.of(torch.zeros(0, dtype=torch.int64))
        going = (~over).nonzero()[:, 0]
        situation, wait = situation.of(going), wait[going]
        situation.time = situation.time + wait
        drawn = self._moment(situation, wait)
        return situation, drawn, stopped

    def _moment(self, situation: Situation, wait: Tensor) -> Drawn:
        static = torch.zeros(len(wait), dtype=torch.bool)
        drawn = self._facts(situation, wait, static)
        self._remember(situation, drawn, wait, static)
        return drawn

    def _draw_wait(self, logs: Tensor, least: Tensor | None) -> Tensor:
        """Draw grains from binned log-probabilities, evenly inside a bin; longer than ``least`` where given."""
        low, high = self.edges[:-1], self.edges[1:]
        weights = logs.exp()
        if least is not None:
            share = ((high - torch.maximum(low, least[:, None] + 1)).clamp(min=0)) / (high - low)
            weights = weights * share
            weights[:, -1] += 1e-12
        bins = self._pick(weights)
        lowest = low[bins] if least is None else torch.maximum(low[bins], least + 1)
        room = (high[bins] - lowest).clamp(min=1)
        return lowest + (torch.rand(len(bins), generator=self.generator, dtype=torch.float64) * room).long()

    def _pick(self, weights: Tensor) -> Tensor:
        """Draw one column a row in proportion to its weight (exponential races)."""
        race = torch.empty_like(weights).exponential_(generator=self.generator)
        return (weights / race).argmax(dim=1)

    def _time(self, situation: Situation, wait: Tensor, static: Tensor) -> Tensor:
        return time_features(situation.time, wait, situation.age, static, vocabulary=self.vocabulary)

    def _facts(self, situation: Situation, wait: Tensor, static: Tensor) -> Drawn:
        """Draw the facts of one moment for all rows, in drawing order, until each row's moment is complete."""
        network, size = self.network, self.vocabulary.size
        context = network.moment_context(situation.state, self._time(situation, wait, static))
        seen = torch.zeros(len(wait), size, dtype=torch.bool)
        seen[:, self.statics : self.statics + self.vocabulary.tracked] = situation.ever & self.once
        active = torch.arange(len(wait))
        prior = torch.full((len(wait),), size)
        summed = torch.zeros(len(wait), context.shape[1])
        out: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        for _ in range(self.vocabulary.longest_moment):
            x = network.decide(context, summed, prior)
            code = self._pick(network.code_logits(x, prior, static, seen).softmax(dim=1))
            on = (code < size).nonzero()[:, 0]
            if not len(on):
                break
            active, x, code, context = active[on], x[on], code[on], context[on]
            summed, static, seen = summed[on], static[on], seen[on]
            bins, inside, rank = self._values(situation, active, x, code)
            summed = summed + network.fact(code, rank)
            prior = code
            out.append((active, code, bins, inside))
        joined = (
            [torch.cat(column) for column in zip(*out, strict=True)] if out else [torch.zeros(0).long()] * 4
        )
        rows = joined[0].long()
        return Drawn(
            row=situation.row[rows].numpy(),
            time=situation.time[rows].numpy(),
            code=joined[1].long().numpy(),
            bin=joined[2].long().numpy(),
            inside=joined[3].float().numpy(),
        )

    def _values(
        self, situation: Situation, rows: Tensor, x: Tensor, code: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Bin, place inside the bin, and rank of each drawn code's value (rank 0.5 where it has none)."""
        bins = torch.zeros(len(code), dtype=torch.int64)
        rank = torch.full((len(code),), 0.5)
        inside = torch.rand(len(code), generator=self.generator)
        having = (self.bins[code] > 0).nonzero()[:, 0]
        if len(having):
            picked, column = rows[having], code[having] - self.statics
            tracked = (column >= 0) & (column < self.vocabulary.tracked)
            column = column.clamp(0, max(self.vocabulary.tracked - 1, 0))
            ever = situation.ever[picked, column] & tracked
            since = chart_since(situation.time[picked] - situation.last[picked, column])
            known = torch.stack([ever.float(), since * ever, situation.rank[picked, column] * ever], dim=1)
            logits = self.network.value_logits(x[having], code[having], known)
            bins[having] = self._pick(logits.softmax(dim=1))
            real = self.real_bins[code[having]]
            rank[having] = torch.where(bins[having] >= real, 0.5, (bins[having] + inside[having]) / real)
        return bins, inside, rank

    def _remember(self, situation: Situation, drawn: Drawn, wait: Tensor, static: Tensor) -> None:
        """Write what was drawn into the chart and move the recurrence on by this moment."""
        network = self.network
        place = torch.full((int(situation.row.max()) + 1 if len(situation.row) else 1,), -1)
        place[situation.row] = torch.arange(len(situation.row))
        row, code = place[torch.from_numpy(drawn.row)], torch.from_numpy(drawn.code)
        real = self.real_bins[code].clamp(min=1)
        bins, inside = torch.from_numpy(drawn.bin), torch.from_numpy(drawn.inside)
        rank = torch.where((self.bins[code] > 0) & (bins < self.real_bins[code]), (bins + inside) / real, 0.5)
        column = code - self.statics
        kept = (column >= 0) & (column < self.vocabulary.tracked)
        r, c = row[kept], column[kept]
        situation.ever, situation.last, situation.rank = (
            situation.ever.clone(),
            situation.last.clone(),
            situation.rank.clone(),
        )
        situation.ever[r, c] = True
        situation.last[r, c] = situation.time[r]
        situation.rank[r, c] = rank[kept]
        facts = torch.zeros(len(wait), network.size.width).index_add_(0, row, network.fact(code, rank))
        since = torch.where(situation.ever, chart_since(situation.time[:, None] - situation.last), 0.0)
        held = torch.where(situation.ever, situation.rank, 0.0)
        chart = torch.cat([situation.ever.float(), since, held], dim=1)
        inputs = network.moment_input(facts, self._time(situation, wait, static), chart)
        width = network.size.width
        hidden = situation.state[:, :width] if not bool(static.all()) else torch.zeros(len(wait), width)
        _, hidden = network.recurrence(inputs[None], hidden[None].contiguous())
        situation.state = torch.cat([hidden[0], inputs], dim=1)

    def dies(self, drawn: Drawn) -> IntArray:
        """Rows (patients of the call) for whom death was drawn."""
        return np.unique(drawn.row[self.death.numpy()[drawn.code]])

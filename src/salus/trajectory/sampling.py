"""Drawing futures: moment by moment for thousands of patients at once, from nothing or from a real history."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from salus.trajectory.batches import CHART_WIDTH, Seen, make_batch, spans_of, time_features
from salus.trajectory.bins import FloatArray, IntArray
from salus.trajectory.encoding import Records, draw_values
from salus.trajectory.network import Network
from salus.trajectory.vocabulary import BIRTH, START, Vocabulary


@dataclass(slots=True, kw_only=True)
class Situation:
    """Where each simulated patient stands: R rows."""

    row: Tensor  # (R,) which patient of the call
    state: Tensor  # (R, 2 width)
    time: Tensor  # (R,) grains
    age: Tensor  # (R,) years at the reference moment, NaN: not known
    count: Tensor  # (R, K) moments in which a tracked code was seen
    last: Tensor  # (R, K) grains at which it was last seen
    rank: Tensor  # (R, K) its last rank
    total: Tensor  # (R, K) sum of its ranks
    lowest: Tensor  # (R, K)
    highest: Tensor  # (R, K)

    def of(self, rows: Tensor) -> Situation:
        """Keep some rows."""
        return Situation(
            row=self.row[rows],
            state=self.state[rows],
            time=self.time[rows],
            age=self.age[rows],
            count=self.count[rows],
            last=self.last[rows],
            rank=self.rank[rows],
            total=self.total[rows],
            lowest=self.lowest[rows],
            highest=self.highest[rows],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Facts of one simulated moment: ``row`` (patient of the call), ``time`` in grains, code, bin, place in the bin."""

    row: IntArray
    time: IntArray
    code: IntArray
    bin: IntArray
    inside: FloatArray
    chance: Tensor | None = None  # (rows, questions): see Sampler


class Sampler:
    """Draws moments for a set of patients from a trained network; the same seed gives the same futures.

    ``watch`` (size + 1, questions): 1 where a code answers a question. Each moment then says, besides what was drawn,
    the chance that it would be: the sum over its decisions of the probability of an answering code, up to the first
    one drawn. Over a future these sums are the compensator of the outcome: the same mean, far less scatter.
    """

    def __init__(
        self, network: Network, vocabulary: Vocabulary, *, seed: int, watch: Tensor | None = None
    ) -> None:
        self.network, self.vocabulary, self.watch = network, vocabulary, watch
        self.generator = torch.Generator().manual_seed(seed)
        entries = vocabulary.entries
        self.statics = sum(entry.static for entry in entries)
        self.bins = torch.tensor([entry.bins for entry in entries])
        self.real_bins = torch.tensor([entry.bins - int(entry.absent) for entry in entries])
        self.once = torch.tensor([entry.once for entry in entries])[
            self.statics : self.statics + vocabulary.tracked
        ]
        self.earliest, self.latest = (torch.from_numpy(grains) for grains in spans_of(vocabulary))
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
            count=torch.zeros(patients, tracked),
            last=torch.zeros(patients, tracked, dtype=torch.int64),
            rank=torch.zeros(patients, tracked),
            total=torch.zeros(patients, tracked),
            lowest=torch.ones(patients, tracked),
            highest=torch.zeros(patients, tracked),
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
        _, since, rank, mean, lowest, highest, often = batch.chart[final].chunk(CHART_WIDTH, dim=1)
        count = torch.expm1(often * 4).round()
        time = torch.from_numpy(records.time)[final]
        return Situation(
            row=torch.arange(records.patients),
            state=states[final],
            time=time,
            age=torch.from_numpy(records.age),
            count=count,
            last=time[:, None] - torch.expm1(since.double() * 8).round().long(),
            rank=rank,
            total=mean * count,
            lowest=torch.where(count > 0, lowest, 1.0),
            highest=highest,
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
            end = torch.minimum(
                self._draw_wait(ending, None), (self.vocabulary.latest - situation.time).clamp(min=0)
            )
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
        barred = self._barred(situation, static)
        active = torch.arange(len(wait))
        prior = torch.full((len(wait),), size)
        summed = torch.zeros(len(wait), context.shape[1])
        before = torch.full((len(wait),), 0.5)
        chance = None if self.watch is None else torch.zeros(len(wait), self.watch.shape[1])
        unanswered = torch.ones(len(wait), 0 if self.watch is None else self.watch.shape[1])
        out: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        for _ in range(self.vocabulary.longest_moment):
            x = network.decide(context, summed, prior)
            weights = network.code_logits(x, prior, static, barred).softmax(dim=1)
            code = self._pick(weights)
            if chance is not None and self.watch is not None:
                still = unanswered[active]
                chance[active] += (weights @ self.watch) * still
                unanswered[active] = still * (1 - self.watch[code])
            on = (code < size).nonzero()[:, 0]
            if not len(on):
                break
            active, x, code, context = active[on], x[on], code[on], context[on]
            summed, static, barred = summed[on], static[on], barred[on]
            bins, inside, rank = self._values(situation, active, x, code=code, before=before[on])
            summed = summed + network.fact(code, rank)
            prior, before = code, rank
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
            chance=chance,
        )

    def _barred(self, situation: Situation, static: Tensor) -> Tensor:
        """Codes not to be drawn now: had once already, or never seen so early or so late."""
        barred = torch.zeros(len(static), self.vocabulary.size, dtype=torch.bool)
        barred[:, self.statics : self.statics + self.vocabulary.tracked] = (situation.count > 0) & self.once
        time = situation.time[:, None]
        barred |= ~static[:, None] & ((time < self.earliest) | (time > self.latest))
        return barred

    def _values(
        self, situation: Situation, rows: Tensor, x: Tensor, *, code: Tensor, before: Tensor
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
            ever = (situation.count[picked, column] > 0) & tracked
            gap = (situation.time[picked] - situation.last[picked, column]).clamp(min=0)
            since = torch.log1p(gap.float()) / 8
            known = torch.stack([ever.float(), since * ever, situation.rank[picked, column] * ever], dim=1)
            logits = self.network.value_logits(x[having], code[having], known, before[having])
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
        _note(situation, r, c, rank[kept])
        facts = torch.zeros(len(wait), network.size.width).index_add_(0, row, network.fact(code, rank))
        seen = Seen(
            count=situation.count,
            since=situation.time[:, None] - situation.last,
            rank=situation.rank,
            total=situation.total,
            lowest=situation.lowest,
            highest=situation.highest,
        )
        inputs = network.moment_input(facts, self._time(situation, wait, static), seen.chart())
        width = network.size.width
        hidden = situation.state[:, :width] if not bool(static.all()) else torch.zeros(len(wait), width)
        _, hidden = network.recurrence(inputs[None], hidden[None].contiguous())
        situation.state = torch.cat([hidden[0], inputs], dim=1)

    def dies(self, drawn: Drawn) -> IntArray:
        """Rows (patients of the call) for whom death was drawn."""
        return np.unique(drawn.row[self.death.numpy()[drawn.code]])


def _note(situation: Situation, rows: Tensor, columns: Tensor, rank: Tensor) -> None:
    """Enter facts into the chart; of a code drawn twice in a moment the last one counts, as in training."""
    situation.last, situation.rank = situation.last.clone(), situation.rank.clone()
    fresh, ranks = torch.zeros_like(situation.count), torch.zeros_like(situation.rank)
    fresh[rows, columns] = 1
    ranks[rows, columns] = rank
    situation.last[rows, columns] = situation.time[rows]
    situation.rank[rows, columns] = rank
    situation.count = situation.count + fresh
    situation.total = situation.total + ranks
    seen = fresh > 0
    situation.lowest = torch.where(seen, torch.minimum(situation.lowest, ranks), situation.lowest)
    situation.highest = torch.where(seen, torch.maximum(situation.highest, ranks), situation.highest)

"""Drawing futures: moment by moment for thousands of patients at once, from nothing or from a real history.

A moment is drawn in two rounds. First which fields come: every patient draws the next one, until none has more. Then
their levels, field by field in the vocabulary's order: all patients who have the field draw its level together. So a
round is few matrix products, however many patients there are.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from salus.trajectory.batches import make_batch, recent_of, time_features
from salus.trajectory.bins import IntArray
from salus.trajectory.charts import CHART_WIDTH, Seen, due_steps, last_levels
from salus.trajectory.draws import Draws
from salus.trajectory.encoding import Records, draw_values
from salus.trajectory.network import Network, precision
from salus.trajectory.rounds import HELD, NOWHERE, fine_edges, no_signs, sign_at, signs_of
from salus.trajectory.rows import add_to, filled_up, rows_of
from salus.trajectory.situation import Drawn, Guide, Situation, Step, Watch
from salus.trajectory.vocabulary import BIRTH, START, Vocabulary
from salus.trajectory.wait_bins import bins_beyond, share_within


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """Vectors of all levels as drawing needs them, multiplied out once: see :class:`Network`."""

    said: Tensor
    drawn: Tensor
    last: Tensor
    told: list[tuple[Tensor, Tensor]]  # by field


class Sampler:
    """Draws moments for a set of patients from a trained network; the same seed gives the same futures.

    With a ``watch`` each moment says, besides what was drawn, the chance that it would be: the sum over its draws of
    the probability of an answer, up to the first one drawn. Over a future these sums are the compensator of the
    outcome: the same mean, far less scatter.
    """

    def __init__(
        self, network: Network, vocabulary: Vocabulary, *, draws: Draws, watch: Watch | None = None
    ) -> None:
        self.network, self.vocabulary, self.watch, self.draws = (
            network.for_drawing(),
            vocabulary,
            watch,
            draws,
        )
        fields, first = vocabulary.fields, vocabulary.statics
        self.once = torch.tensor([one.once for one in fields], dtype=torch.bool)[first:][: vocabulary.tracked]
        self.earliest, self.latest = (torch.from_numpy(grains) for grains in vocabulary.spans())
        self.sizes = np.diff(vocabulary.field_start)
        self.ranks = torch.from_numpy(vocabulary.level_ranks)
        self.level_field = torch.from_numpy(vocabulary.level_field)
        deadly = np.asarray([entry.death for entry in vocabulary.entries], dtype=bool)
        self.deadly = deadly[vocabulary.level_code]
        self.sure = torch.from_numpy(vocabulary.sure)
        self.edges = torch.from_numpy(fine_edges(vocabulary))
        self.index = vocabulary.index()
        with torch.inference_mode():
            said = network.said()
            self.tables = Tables(
                said=said,
                drawn=network.drawn(said),
                last=network.last(said),
                told=network.by_field(),
            )

    # ------------------------------------------------------------------ beginnings

    def from_nothing(self, patients: int) -> tuple[Situation, Drawn]:
        """Draw the static facts of new patients and place them at their record's start."""
        statics = self.statics(patients)
        return self.begin(patients, statics), statics

    def statics(self, patients: int, guide: Guide | None = None) -> Drawn:
        """Draw the static facts of new patients."""
        static, wait = torch.ones(patients, dtype=torch.bool), torch.zeros(patients, dtype=torch.int64)
        return self._facts(self.blank(patients), wait, static, signs=no_signs(patients), guide=guide)

    def begin(self, patients: int, statics: Drawn) -> Situation:
        """Place new patients with these static facts at their record's start."""
        begin, static = self.blank(patients), torch.ones(patients, dtype=torch.bool)
        values = draw_values(statics.level, statics.inside, self.vocabulary)
        code = self.vocabulary.level_code[statics.level]
        start = np.zeros(patients, dtype=np.int64)
        age = np.full(patients, np.nan, dtype=np.float32)
        for name, target in ((START, start), (BIRTH, age)):
            picked = code == self.index.get(name, -1)
            target[statics.row[picked]] = values[picked]
        if self.vocabulary.clock.anchor is not None:
            start = np.minimum(start, 0)
        self.remember(begin, statics, torch.zeros(patients, dtype=torch.int64), static)
        begin.time, begin.age = torch.from_numpy(start), torch.from_numpy(age)
        return begin

    def blank(self, patients: int) -> Situation:
        """Where patients stand of whom nothing is known."""
        tracked = self.vocabulary.tracked
        return Situation(
            row=torch.arange(patients),
            state=self.network.start[None].expand(patients, -1),
            time=torch.zeros(patients, dtype=torch.int64),
            age=torch.full((patients,), torch.nan),
            count=torch.zeros(patients, tracked),
            last=torch.zeros(patients, tracked, dtype=torch.int64),
            level=torch.full((patients, tracked), self.vocabulary.levels),
            rank=torch.zeros(patients, tracked),
            total=torch.zeros(patients, tracked),
            lowest=torch.ones(patients, tracked),
            highest=torch.zeros(patients, tracked),
            recent=torch.full((patients, HELD), NOWHERE),
            facts=torch.zeros(patients, HELD, dtype=torch.int64),
        )

    def from_history(self, records: Records) -> Situation:
        """Read real histories up to their last known moment."""
        batch = make_batch(records, self.vocabulary)
        states = self.network.states(batch, self.tables.said[batch.level])
        final = torch.from_numpy(records.moment_start[1:] - 1)
        _, since, rank, mean, lowest, highest, often = batch.chart[final].chunk(CHART_WIDTH, dim=1)
        count = torch.expm1(often * 4).round()
        time = torch.from_numpy(records.time)[final]
        recent, facts = recent_of(records, records.moment_start[1:] - 1, records.moment_start[:-1] + 1)
        return Situation(
            row=torch.arange(records.patients),
            state=states[final],
            time=time,
            age=torch.from_numpy(records.age),
            count=count,
            last=time[:, None] - torch.expm1(since.double() * 8).round().long(),
            level=last_levels(records, self.vocabulary),
            rank=rank,
            total=mean * count,
            lowest=torch.where(count > 0, lowest, 1.0),
            highest=highest,
            recent=recent,
            facts=facts,
        )

    # ------------------------------------------------------------------ one moment on

    def first_moment(self, situation: Situation) -> Drawn:
        """Draw the facts of each new patient's first dated moment."""
        return self.moment(situation, torch.zeros_like(situation.time), signs=no_signs(len(situation.time)))

    def next_moment(
        self, situation: Situation, *, ends: bool = True, silent_until: Tensor | None = None
    ) -> tuple[Situation, Drawn, Situation]:
        """Move every row to its next moment and draw its facts.

        ``ends``: follow-up may end (a drawn record); False: it may not (a forecast: censoring happens to records,
        not to patients). ``silent_until``: grains up to which nothing is known to have happened.
        Gives the rows that live on, what was drawn, and the rows whose follow-up ended (time: when).
        """
        signs = self.signs(situation)
        wait, ending = self.waits(situation, signs, silent_until)
        before = (situation.time < 0) & (self.vocabulary.clock.anchor is not None)
        over = torch.zeros_like(before)
        if ends:
            end = torch.minimum(
                self._draw_wait(ending, None, situation.row),
                (self.vocabulary.latest - situation.time).clamp(min=0),
            )
            over = (end < wait) & ~before
            stopped = situation.of(over.nonzero()[:, 0])
            stopped.time = stopped.time + end[over]
        else:
            stopped = situation.of(torch.zeros(0, dtype=torch.int64))
        going = (~over).nonzero()[:, 0]
        situation, wait, signs = situation.of(going), wait[going], signs[going]
        situation.time = situation.time + wait
        return situation, self.moment(situation, wait, signs=signs), stopped

    def waits(
        self, situation: Situation, signs: Tensor, silent_until: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Draw how long until each row's next moment; give also the log-probabilities of the end of follow-up."""
        following, ending = self.network.waits(situation.state, signs)
        least = None if silent_until is None else (silent_until - situation.time).clamp(min=0)
        wait = self._draw_wait(following, least, situation.row)
        before = (situation.time < 0) & (self.vocabulary.clock.anchor is not None)
        return torch.where(before, torch.minimum(wait, -situation.time), wait), ending

    def moment(
        self, situation: Situation, wait: Tensor, *, signs: Tensor, guide: Guide | None = None
    ) -> Drawn:
        """Draw the facts of a dated moment, ``wait`` grains after the one before, and write them into the chart."""
        static = torch.zeros(len(wait), dtype=torch.bool)
        drawn = self._facts(situation, wait, static, signs=signs, guide=guide)
        self.remember(situation, drawn, wait, static)
        if self.vocabulary.round_grains:
            situation.joined(drawn)
        return drawn

    def signs(self, situation: Situation) -> Tensor:
        """What speaks for each wait from here: worked out once a moment, for how long it is and for its facts."""
        return signs_of(situation.recent, situation.facts, self.vocabulary)

    def chance_within(
        self, situation: Situation, signs: Tensor, *, grains: Tensor, silent_until: Tensor | None
    ) -> Tensor:
        """The chance that each row's next moment comes within so many grains."""
        least = None if silent_until is None else (silent_until - situation.time).clamp(min=0)
        following, _ = self.network.waits(situation.state, signs)
        return share_within(grains, *bins_beyond(following, self.edges, least))

    def _draw_wait(self, logs: Tensor, least: Tensor | None, rows: Tensor) -> Tensor:
        """Draw grains from binned log-probabilities, evenly inside a bin; longer than ``least`` where given."""
        weights, lowest, room = bins_beyond(logs, self.edges, least)
        bins, place = self.draws.wait(weights, rows)
        own = torch.arange(len(bins)) if len(lowest) > 1 else 0
        return lowest[own, bins] + (place * room[own, bins]).long()

    def _time(self, situation: Situation, wait: Tensor, static: Tensor) -> Tensor:
        return time_features(situation.time, wait, situation.age, static, vocabulary=self.vocabulary)

    def _facts(
        self, situation: Situation, wait: Tensor, static: Tensor, *, signs: Tensor, guide: Guide | None
    ) -> Drawn:
        """Draw the facts of one moment for all rows: which fields, then their levels."""
        size, rows = self.vocabulary.size, len(wait)
        self.draws.open(situation.row)
        watched = 0 if self.watch is None else self.watch.levels.shape[1]
        arrival = sign_at(signs, wait)
        step = Step(
            told=self.network.moment_context(situation.state, self._time(situation, wait, static), arrival),
            prior=torch.full((rows,), size),
            static=static,
            barred=self._barred(situation, static),
            due=self._due(situation),
            guide=guide,
            chance=torch.zeros(rows, watched) if watched else None,
            unanswered=torch.ones(rows, watched) if watched else None,
        )
        out: list[tuple[Tensor, Tensor, Tensor]] = []
        for field, on in self._coming(step):
            level, inside = self._level(situation, step, on, field=field)
            if self.sizes[field] > 1:  # else that it comes, which the moment knows, has said all
                add_to(step.told, on, self.tables.drawn.index_select(0, level))
            out.append((on, level, inside))
        on, level, inside = (
            (torch.cat(column) for column in zip(*out, strict=True)) if out else [torch.zeros(0).long()] * 3
        )
        return Drawn(
            row=situation.row[on].numpy(),
            time=situation.time[on].numpy(),
            level=level.numpy(),
            inside=inside.float().numpy(),
            chance=step.chance,
        )

    def _coming(self, step: Step) -> list[tuple[int, Tensor]]:
        """Draw which fields come in each row: in the vocabulary's order, each with its rows, as often as it comes."""
        size, on = self.vocabulary.size, torch.arange(len(step.prior))
        again = torch.zeros_like(on)
        found: list[tuple[Tensor, Tensor, Tensor]] = []
        for number in itertools.count():
            following = self._next_field(step, on, full=number >= self.vocabulary.longest_moment)
            going = (following < size).nonzero()[:, 0]
            on, following = on[going], following[going]
            if not len(on):
                break
            again = torch.where(following == step.prior[on], again[going] + 1, 0)
            step.prior[on] = following
            add_to(step.told, on, self.network.comes(following))
            found.append((following, again, on))
        if not found:
            return []
        fields, times, rows = (torch.cat(column) for column in zip(*found, strict=True))
        turns = fields * len(found) + times
        counts = torch.bincount(turns)
        present = counts.nonzero()[:, 0]
        parts = torch.split(rows[turns.argsort(stable=True)], counts[present].tolist())
        return list(zip((present // len(found)).tolist(), parts, strict=True))

    def _next_field(self, step: Step, on: Tensor, *, full: bool) -> Tensor:
        """Draw which field comes next in some rows, or that none does; in a ``full`` moment only what must."""
        following = self.sure[step.static[on].long(), step.prior[on]]
        certain, asked = (following >= 0).nonzero()[:, 0], (following < 0).nonzero()[:, 0]
        if len(asked):
            rows = on[asked]
            weights = self._field_weights(step, rows)
            if step.guide is not None:
                weights = step.guide.fields(weights, rows)
            following[asked] = self.draws.field(weights, rows)
            if self.watch is not None:
                step.count(rows, weights @ self.watch.fields)
        if step.guide is not None:
            following[certain] = step.guide.certain(following[certain], on[certain])
        if self.watch is not None:
            step.count(on[certain], self.watch.fields[following[certain]])
            step.answer(on, self.watch.fields[following])
        if full:
            following = torch.full_like(following, self.vocabulary.size)
            following = following if step.guide is None else step.guide.awaited(on)
        if step.guide is not None:
            step.guide.comes(following, on)
        return following

    def _field_weights(self, step: Step, on: Tensor) -> Tensor:
        """Probabilities of what comes next: a field, or (last column) that no more does."""
        rows = filled_up(on)
        prior = step.prior[rows]
        x = rows_of(step.told, rows) + self.network.prior(prior)
        with precision():
            logits = self.network.field_logits(
                x, prior, static=step.static[rows], barred=step.barred[rows], due=step.due[rows]
            )
        return logits[: len(on)].softmax(dim=1)

    def _level(self, situation: Situation, step: Step, on: Tensor, *, field: int) -> tuple[Tensor, Tensor]:
        """Draw the level of one field for some rows, and the place inside its bin."""
        inside = self.draws.place(on, field)
        first, several = int(self.vocabulary.field_start[field]), self.sizes[field] > 1
        weights = self._level_weights(situation, step, on, field=field) if several else torch.ones(len(on), 1)
        if step.guide is not None:
            weights = step.guide.levels(weights, on, field)
        level = torch.full((len(on),), first)
        if several:
            level += self.draws.level(weights, on, field)
        if self.watch is not None and several:
            some = self.watch.levels[first : first + weights.shape[1]] * (1 - self.watch.fields[field])
            step.count(on, weights @ some)
            step.answer(on, self.watch.levels[level])
        return level, inside if step.guide is None else step.guide.place(level, on, inside)

    def _level_weights(self, situation: Situation, step: Step, on: Tensor, *, field: int) -> Tensor:
        """Probabilities of a field's levels, given what the moment knows and what the field said last."""
        rows, question = filled_up(on), self._question(situation, step, on, field=field)
        with precision():
            y = self.network.choose(rows_of(step.told, rows), question)
        return self.network.level_logits(y[: len(on)].float(), *self.tables.told[field]).softmax(dim=1)

    def _question(self, situation: Situation, step: Step, on: Tensor, *, field: int) -> Tensor:
        """See :meth:`Network.question`; one row where the field said nothing before to anybody."""
        column, rows = field - self.vocabulary.statics, on[:1]
        last, seen = torch.full((1,), self.vocabulary.levels), torch.zeros(1, 2)
        if 0 <= column < self.vocabulary.tracked and not bool(step.static[0]):
            everyone = filled_up(on)
            ever = (situation.count[everyone, column] > 0).float()
            if bool(ever.any()):
                rows, last = everyone, situation.level[everyone, column]
                gap = (situation.time[rows] - situation.last[rows, column]).clamp(min=0)
                seen = torch.stack([ever, torch.log1p(gap.float()) / 8 * ever], dim=1)
        return self.network.question(torch.full((len(rows),), field), self.tables.last[last], seen)

    def _due(self, situation: Situation) -> Tensor:
        """See :meth:`Network.due_logits`, for the moment that comes now."""
        since = situation.time[:, None] - situation.last
        return self.network.due_logits(due_steps(since, situation.count > 0, self.vocabulary.round_grains))

    def _barred(self, situation: Situation, static: Tensor) -> Tensor:
        """Fields not to be drawn now: had once already, or never seen so early or so late."""
        vocabulary, first = self.vocabulary, self.vocabulary.statics
        barred = torch.zeros(len(static), vocabulary.size, dtype=torch.bool)
        barred[:, first : first + vocabulary.tracked] = (situation.count > 0) & self.once
        time = situation.time[:, None]
        barred |= ~static[:, None] & ((time < self.earliest) | (time > self.latest))
        return barred

    def remember(self, situation: Situation, drawn: Drawn, wait: Tensor, static: Tensor) -> None:
        """Write what was drawn into the chart and move the recurrence on by this moment."""
        network = self.network
        place = torch.full((int(situation.row.max()) + 1 if len(situation.row) else 1,), -1)
        place[situation.row] = torch.arange(len(situation.row))
        row, level = place[torch.from_numpy(drawn.row)], torch.from_numpy(drawn.level)
        low, width = self.ranks[level].T
        rank = low + width * torch.from_numpy(drawn.inside)
        column = self.level_field[level] - self.vocabulary.statics
        kept = (column >= 0) & (column < self.vocabulary.tracked)
        situation.note(row[kept], column[kept], level=level[kept], rank=rank[kept])
        facts = torch.zeros(len(wait), network.size.width).index_add_(0, row, self.tables.said[level])
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
        situation.state = torch.cat([network.recurrence.step(inputs, hidden), inputs], dim=1)

    def dies(self, drawn: Drawn) -> IntArray:
        """Rows (patients of the call) for whom death was drawn."""
        return np.unique(drawn.row[self.deadly[drawn.level]])

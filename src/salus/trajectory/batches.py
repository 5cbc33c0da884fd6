"""A batch of patients as tensors, packed without padding, with the chart each prediction may look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from salus.trajectory.bins import FloatArray, IntArray
from salus.trajectory.encoding import Records
from salus.trajectory.vocabulary import Vocabulary

SCALES = 11
"""Time is shown to the network as tanh(t / 4^k) grains for k = 0 .. SCALES-1."""
CYCLES = {"day": (7.0, 365.25), "minute": (60.0, 1440.0), "second": (3600.0, 86400.0)}
"""Periods, in grains, whose phase the network sees: charting rounds, nights, weekdays, seasons."""
PADDING = -100
"""Target of a decision that only fills up the rows; it counts nowhere."""
ROWS = 1_024
"""Decisions are filled up to a multiple of this, so that the fact network sees few shapes."""
CHART_WIDTH = 7
"""Columns of the chart for each tracked code: see :meth:`Seen.chart`."""
TIME_WIDTH = 2 * SCALES + 2 * 2 + 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Tensors of one batch; ``facts`` F, ``moments`` M, ``decisions`` D = F + M, tracked codes K.

    A decision is one draw of the fact network: the next code of a moment, or that the moment is complete. Decisions
    and values are filled up with rows whose target is PADDING.
    """

    code: Tensor
    rank: Tensor
    fact_moment: Tensor
    moment_time: Tensor  # (M, TIME_WIDTH)
    chart: Tensor  # (M, CHART_WIDTH K), as of each moment's end
    previous: Tensor  # (M,) moment whose state predicts this one; M means the learned start state
    static: Tensor  # (M,) bool
    first_row: Tensor  # (M,) row of the running sum before each moment's first fact
    decision_row: Tensor  # (D,) row of the running sum over facts
    decision_moment: Tensor  # (D,)
    decision_prior: Tensor  # (D,) code drawn just before in this moment; vocabulary size: none
    decision_target: Tensor  # (D,) code, or vocabulary size: complete
    barred: Tensor  # (M, size) bool: codes not to be drawn here
    valued: Tensor  # (V,) decisions that draw a value
    value_target: Tensor  # (V,)
    value_last: Tensor  # (V, 3): seen, time since, last rank of the same code before this moment
    value_before: (
        Tensor  # (V,) rank of the fact drawn just before in the same moment, 0.5 where there is none
    )
    wait_from: Tensor  # (W,) moments after which something is awaited
    wait_bin: Tensor  # (W,)
    wait_inside: Tensor  # (W,) share of the bin lying beyond the wait
    wait_kind: Tensor  # (W,) 0 next moment observed; 1 follow-up ended; 2 anchor reached
    gru_order: Tensor  # (M,) moments in the packed order
    gru_sizes: Tensor  # batch sizes of the packed order

    @property
    def facts(self) -> int:
        """Number of facts."""
        return len(self.code)


def time_features(
    time: Tensor, wait: Tensor, age: Tensor, static: Tensor, *, vocabulary: Vocabulary
) -> Tensor:
    """What the network is told about when: place on the time axis, wait, phases, age; shape (rows, TIME_WIDTH).

    ``time``: grains from the anchor or time zero; ``wait``: grains since the moment before; ``age``: years at the
    reference moment (NaN: not known). The static moment is told nothing: its facts are when and how old.
    """
    scales = 4.0 ** torch.arange(SCALES)
    time, age = time.masked_fill(static, 0), age.masked_fill(static, torch.nan)
    t, w = time.double()[:, None], wait.double()[:, None]
    phases = [2 * torch.pi * t / period for period in CYCLES[vocabulary.clock.grain]]
    years = age.double() + time.double() * vocabulary.clock.grain_seconds / (365.25 * 86_400)
    known = ~torch.isnan(age)
    anchor = (time == 0) & ~static & (vocabulary.clock.anchor is not None)
    columns = [torch.tanh(t / scales), torch.tanh(w / scales)]
    columns += [wave(phase) for phase in phases for wave in (torch.sin, torch.cos)]
    flags = [torch.where(known, years / 100, 0.0), known.double(), static.double(), anchor.double()]
    return torch.cat([*columns, torch.stack(flags, dim=1)], dim=1).float()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is known of each tracked code: (rows, K) times seen, grains since, last rank, sum, lowest and highest."""

    count: Tensor
    since: Tensor
    rank: Tensor
    total: Tensor
    lowest: Tensor
    highest: Tensor

    def chart(self) -> Tensor:
        """As the network reads it, (rows, CHART_WIDTH K): seen, since, last, mean, lowest and highest rank, count."""
        ever = (self.count > 0).float()
        since = torch.log1p(self.since.float().clamp(min=0)) / 8
        mean = self.total / self.count.clamp(min=1)
        held = [since, self.rank, mean, self.lowest, self.highest]
        often = torch.log1p(self.count.float()) / 4
        return torch.cat([ever, *(part.float() * ever for part in held), often], dim=1)


class _Decisions(NamedTuple):
    """Every draw of the fact network, flat: see :class:`Batch`."""

    row: IntArray
    moment: IntArray
    prior: IntArray
    target: IntArray
    valued: IntArray


def make_batch(records: Records, vocabulary: Vocabulary) -> Batch:
    """Build the tensors of some patients (all patients of ``records``, in their order)."""
    moments, first = len(records.time), records.moment_start[:-1]
    patient = np.repeat(np.arange(records.patients), np.diff(records.moment_start))
    static = np.zeros(moments, dtype=bool)
    static[first] = True
    previous = np.arange(moments) - 1
    previous[first] = moments
    fact_moment = np.repeat(np.arange(moments), np.diff(records.fact_start))
    wait = np.r_[0, np.diff(records.time)]
    wait[static] = 0
    seen, before, barred = _charts(records, vocabulary, patient=patient, fact_moment=fact_moment)
    decisions = _decisions(records, vocabulary)
    facts_valued = decisions.row[decisions.valued]
    waits = _waits(records, vocabulary, patient=patient, static=static)
    order, gru_sizes = _packing(records.moment_start)
    t = torch.from_numpy
    time = time_features(t(records.time), t(wait), t(records.age[patient]), t(static), vocabulary=vocabulary)
    return Batch(
        code=t(records.code),
        rank=t(records.rank),
        fact_moment=t(fact_moment),
        moment_time=time,
        chart=seen.chart(),
        previous=t(previous),
        static=t(static),
        first_row=t(records.fact_start[:-1]),
        decision_row=t(padded(decisions.row, 0)),
        decision_moment=t(padded(decisions.moment, 0)),
        decision_prior=t(padded(decisions.prior, vocabulary.size)),
        decision_target=t(padded(decisions.target, PADDING)),
        barred=t(barred),
        valued=t(padded(decisions.valued, 0)),
        value_target=t(padded(records.bin[facts_valued], PADDING)),
        value_last=t(padded(before[facts_valued], 0)),
        value_before=t(padded(_ranks_before(records, facts_valued), 0)),
        wait_from=t(waits[0]),
        wait_bin=t(waits[1]),
        wait_inside=t(waits[2]),
        wait_kind=t(waits[3]),
        gru_order=t(order),
        gru_sizes=t(gru_sizes),
    )


def padded(values: np.ndarray, filling: int) -> np.ndarray:
    """Fill up the rows to the next multiple of ROWS."""
    room = [(0, -len(values) % ROWS)] + [(0, 0)] * (values.ndim - 1)
    return np.pad(values, room, constant_values=filling)


def _ranks_before(records: Records, facts: IntArray) -> FloatArray:
    """Rank of the fact just before each of ``facts`` in its moment; 0.5 where it is the moment's first."""
    first = np.zeros(records.facts + 1, dtype=bool)
    first[records.fact_start] = True
    ranks: FloatArray = np.where(first[facts], 0.5, records.rank[np.maximum(facts - 1, 0)]).astype(np.float32)
    return ranks


def _decisions(records: Records, vocabulary: Vocabulary) -> _Decisions:
    """One decision a fact, and one that each moment is complete."""
    counts, moments = np.diff(records.fact_start), len(records.time)
    moment = np.repeat(np.arange(moments), counts + 1)
    place = np.arange(len(moment)) - np.repeat(records.fact_start[:-1] + np.arange(moments), counts + 1)
    row = np.repeat(records.fact_start[:-1], counts + 1) + place
    padded = np.r_[records.code, vocabulary.size]
    target = np.where(place < counts[moment], padded[np.minimum(row, records.facts)], vocabulary.size)
    prior = np.where(place > 0, padded[np.maximum(row - 1, 0)], vocabulary.size)
    bins = np.asarray([entry.bins for entry in vocabulary.entries] + [0])
    return _Decisions(row, moment, prior, target, np.flatnonzero(bins[target] > 0))


def _charts(
    records: Records, vocabulary: Vocabulary, *, patient: IntArray, fact_moment: IntArray
) -> tuple[Seen, FloatArray, np.ndarray]:
    """What is seen after each moment; for each fact what was last seen of its code; codes not to be drawn again."""
    statics = sum(entry.static for entry in vocabulary.entries)
    tracked, moments = vocabulary.tracked, len(records.time)
    column = records.code - statics
    kept = (column >= 0) & (column < tracked)
    at, code = fact_moment[kept], column[kept]
    last = np.full((moments, tracked), -1, dtype=np.int64)
    last[at, code] = at
    ranks, counts = np.zeros((2, moments, tracked), dtype=np.float32)
    ranks[at, code] = records.rank[kept]
    counts[at, code] = 1
    np.maximum.accumulate(last, axis=0, out=last)
    first = records.moment_start[patient]
    ever = last >= first[:, None]
    held = np.where(ever, last, 0)
    seen = Seen(
        count=torch.from_numpy(_running(counts, first)),
        since=torch.from_numpy(np.where(ever, records.time[:, None] - records.time[held], 0)),
        rank=torch.from_numpy(np.where(ever, np.take_along_axis(ranks, held, axis=0), 0)),
        total=torch.from_numpy(_running(ranks, first)),
        lowest=torch.from_numpy(-_highest(np.where(counts > 0, -ranks, -2), patient)),
        highest=torch.from_numpy(_highest(np.where(counts > 0, ranks, -2), patient)),
    )
    before = np.zeros((records.facts, 3), dtype=np.float32)
    rows = np.flatnonzero(kept & (fact_moment > records.moment_start[patient[fact_moment]]))
    at, code = fact_moment[rows] - 1, column[rows]
    gap = np.where(ever[at, code], records.time[fact_moment[rows]] - records.time[held[at, code]], 0)
    before[rows] = np.stack(
        [ever[at, code], np.log1p(gap) / 8, np.where(ever[at, code], ranks[held[at, code], code], 0)], axis=1
    )
    return seen, before, _barred(records, vocabulary, ever=ever)


def _running(values: FloatArray, first: IntArray) -> FloatArray:
    """Sum over each patient's moments so far; ``first``: row of the patient's first moment."""
    total = np.cumsum(values, axis=0, dtype=np.float64)
    start: FloatArray = (total - (total[first] - values[first])).astype(np.float32)
    return start


def _highest(values: FloatArray, patient: IntArray) -> FloatArray:
    """Highest value over each patient's moments so far; values lie within -2 to 1, -2 where there is none."""
    step = 4.0 * patient[:, None]  # lifts every patient above those before, so that one pass serves all
    highest: FloatArray = (np.maximum.accumulate(values + step, axis=0) - step).astype(np.float32)
    return highest


def spans_of(vocabulary: Vocabulary) -> tuple[IntArray, IntArray]:
    """Grains between which each code was seen in training."""
    entries = vocabulary.entries
    return np.asarray([entry.earliest for entry in entries]), np.asarray([entry.latest for entry in entries])


def _barred(records: Records, vocabulary: Vocabulary, *, ever: np.ndarray) -> np.ndarray:
    """Codes not to be drawn at each moment: had once already, or never seen so early or so late."""
    statics, tracked = sum(entry.static for entry in vocabulary.entries), vocabulary.tracked
    once = np.asarray([entry.once for entry in vocabulary.entries])[statics : statics + tracked]
    barred = np.zeros((len(records.time), vocabulary.size), dtype=bool)
    barred[1:, statics : statics + tracked] = ever[:-1] & once
    barred[records.moment_start[:-1]] = False
    earliest, latest = spans_of(vocabulary)
    dated = np.ones(len(records.time), dtype=bool)
    dated[records.moment_start[:-1]] = False
    time = records.time[:, None]
    barred |= dated[:, None] & ((time < earliest) | (time > latest))
    return barred


def _waits(
    records: Records, vocabulary: Vocabulary, *, patient: IntArray, static: np.ndarray
) -> tuple[IntArray, IntArray, FloatArray, IntArray]:
    """What was awaited after each dated moment: its bin, the bin's share beyond it, and what ended the wait."""
    moments = len(records.time)
    final = np.zeros(moments, dtype=bool)
    final[records.moment_start[1:] - 1] = True
    following = np.r_[records.time[1:], 0]
    until = np.where(final, records.end[patient], following)
    wait = until - records.time
    anchored = vocabulary.clock.anchor is not None
    kind = np.where(final, 1, np.where(anchored & (following == 0) & (records.time < 0), 2, 0))
    rows = np.flatnonzero(~static & ~(final & records.died[patient]))
    edges = vocabulary.wait_edges
    bins = np.clip(np.searchsorted(edges, wait[rows], side="right") - 1, 0, len(edges) - 2)
    low, high = edges[bins], edges[bins + 1]
    beyond = high - wait[rows] - np.where(kind[rows] == 1, 1, 0)
    inside = np.clip(beyond / (high - low), 0, 1).astype(np.float32)
    return rows, bins, inside, kind[rows]


def _packing(moment_start: IntArray) -> tuple[IntArray, IntArray]:
    """Moments in packed order (all first moments, all second ones, …; longest patients first) and the sizes."""
    sizes = np.diff(moment_start)
    ranked = np.argsort(-sizes, kind="stable")
    place = np.arange(len(ranked))
    patient = np.repeat(ranked, sizes[ranked])
    position = np.arange(int(sizes.sum())) - np.repeat(
        np.cumsum(sizes[ranked]) - sizes[ranked], sizes[ranked]
    )
    by_step = np.lexsort((np.repeat(place, sizes[ranked]), position))
    steps = np.bincount(position, minlength=int(sizes.max()) if len(sizes) else 0)
    return (moment_start[patient] + position)[by_step], steps.astype(np.int64)

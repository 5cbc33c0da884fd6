"""A batch of patients as tensors, packed without padding, with the chart each prediction may look at."""

from __future__ import annotations

from dataclasses import dataclass

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
TIME_WIDTH = 2 * SCALES + 2 * 2 + 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Tensors of one batch; ``facts`` F, ``moments`` M, ``decisions`` D = F + M, tracked codes K.

    A decision is one draw of the fact network: the next code of a moment, or that the moment is complete.
    """

    code: Tensor
    rank: Tensor
    fact_moment: Tensor
    moment_time: Tensor  # (M, TIME_WIDTH)
    chart: Tensor  # (M, 3 K): seen, time since, last rank, as of each moment's end
    previous: Tensor  # (M,) moment whose state predicts this one; M means the learned start state
    static: Tensor  # (M,) bool
    decision_row: Tensor  # (D,) row of the running sum over facts
    decision_moment: Tensor  # (D,)
    decision_prior: Tensor  # (D,) code drawn just before in this moment; vocabulary size: none
    decision_target: Tensor  # (D,) code, or vocabulary size: complete
    seen: Tensor  # (M, size) bool: codes seen once already, not to be drawn again
    valued: Tensor  # (V,) decisions that draw a value
    value_target: Tensor  # (V,)
    value_last: Tensor  # (V, 3): seen, time since, last rank of the same code before this moment
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


def chart_since(since: Tensor) -> Tensor:
    """Scale grains since a code was last seen: log1p / 8."""
    return torch.log1p(since.float().clamp(min=0)) / 8


def make_batch(records: Records, vocabulary: Vocabulary) -> Batch:
    """Build the tensors of some patients (all patients of ``records``, in their order)."""
    moments = len(records.time)
    sizes = np.diff(records.moment_start)
    patient = np.repeat(np.arange(records.patients), sizes)
    first = records.moment_start[:-1]
    static = np.zeros(moments, dtype=bool)
    static[first] = True
    previous = np.arange(moments) - 1
    previous[first] = moments
    counts = np.diff(records.fact_start)
    fact_moment = np.repeat(np.arange(moments), counts)
    wait = np.r_[0, np.diff(records.time)]
    wait[static] = 0
    chart, before, seen = _charts(records, vocabulary, patient=patient, fact_moment=fact_moment)
    moment = np.repeat(np.arange(moments), counts + 1)
    place = np.arange(len(moment)) - np.repeat(records.fact_start[:-1] + np.arange(moments), counts + 1)
    row = np.repeat(records.fact_start[:-1], counts + 1) + place
    padded = np.r_[records.code, vocabulary.size]
    target = np.where(place < counts[moment], padded[np.minimum(row, records.facts)], vocabulary.size)
    prior = np.where(place > 0, padded[np.maximum(row - 1, 0)], vocabulary.size)
    bins = np.asarray([entry.bins for entry in vocabulary.entries] + [0])
    valued = np.flatnonzero(bins[target] > 0)
    waits = _waits(records, vocabulary, patient=patient, static=static)
    order, gru_sizes = _packing(records.moment_start)
    t = torch.from_numpy
    return Batch(
        code=t(records.code),
        rank=t(records.rank),
        fact_moment=t(fact_moment),
        moment_time=time_features(
            t(records.time), t(wait), t(records.age[patient]), t(static), vocabulary=vocabulary
        ),
        chart=t(chart),
        previous=t(previous),
        static=t(static),
        decision_row=t(row),
        decision_moment=t(moment),
        decision_prior=t(prior),
        decision_target=t(target),
        seen=t(seen),
        valued=t(valued),
        value_target=t(records.bin[row[valued]]),
        value_last=t(before[row[valued]]),
        wait_from=t(waits[0]),
        wait_bin=t(waits[1]),
        wait_inside=t(waits[2]),
        wait_kind=t(waits[3]),
        gru_order=t(order),
        gru_sizes=t(gru_sizes),
    )


def _charts(
    records: Records, vocabulary: Vocabulary, *, patient: IntArray, fact_moment: IntArray
) -> tuple[FloatArray, FloatArray, np.ndarray]:
    """The chart after each moment; for each fact what was last known of its code; and codes not to be drawn again."""
    statics = sum(entry.static for entry in vocabulary.entries)
    tracked, moments = vocabulary.tracked, len(records.time)
    column = records.code - statics
    kept = (column >= 0) & (column < tracked)
    last = np.full((moments, tracked), -1, dtype=np.int64)
    last[fact_moment[kept], column[kept]] = fact_moment[kept]
    ranks = np.zeros((moments, tracked), dtype=np.float32)
    ranks[fact_moment[kept], column[kept]] = records.rank[kept]
    np.maximum.accumulate(last, axis=0, out=last)
    start = records.moment_start[patient]
    ever = last >= start[:, None]
    held = np.where(ever, last, 0)
    since = np.where(ever, records.time[:, None] - records.time[held], 0)
    rank = np.where(ever, np.take_along_axis(ranks, held, axis=0), 0)
    scaled = np.log1p(since.astype(np.float32)) / 8
    chart = np.concatenate([ever, scaled, rank], axis=1, dtype=np.float32)
    before = np.zeros((records.facts, 3), dtype=np.float32)
    rows = np.flatnonzero(kept & (fact_moment > records.moment_start[patient[fact_moment]]))
    at, code = fact_moment[rows] - 1, column[rows]
    gap = records.time[fact_moment[rows]] - records.time[held[at, code]]
    before[rows] = np.stack(
        [ever[at, code], np.log1p(np.where(ever[at, code], gap, 0)) / 8, rank[at, code]], axis=1
    )
    once = np.asarray([entry.once for entry in vocabulary.entries])[statics : statics + tracked]
    seen = np.zeros((moments, vocabulary.size), dtype=bool)
    seen[1:, statics : statics + tracked] = ever[:-1] & once
    seen[records.moment_start[:-1]] = False
    return chart, before, seen


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

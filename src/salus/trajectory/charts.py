"""The chart: what is known of each field at each moment, and how long ago each was said last."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from salus.trajectory.bins import FloatArray, IntArray
from salus.trajectory.encoding import Records
from salus.trajectory.vocabulary import Vocabulary

CHART_WIDTH = 7
"""Columns of the chart for each tracked field: see :meth:`Seen.chart`."""
TENTHS, DUE_RATIO = 112, 1.1
HOURS_TOLD = 24
DUE_STEPS = TENTHS + HOURS_TOLD
"""How long ago a field was said last: in steps of a tenth, and to the minute on the hour where rounds are made.

What is charted every four hours comes after 240 minutes, and not after 235.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is known of each tracked field: (rows, K) times seen, grains since, last rank, sum, lowest and highest."""

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


class Charts(NamedTuple):
    """What is seen after each moment; last level of each fact's field and (seen, since); fields not to be drawn."""

    seen: Seen
    last: IntArray
    known: FloatArray
    barred: np.ndarray
    due: Tensor


def charts_of(
    records: Records, vocabulary: Vocabulary, *, patient: IntArray, fact_moment: IntArray
) -> Charts:
    """What is seen after each moment, and what each fact's field said before its moment."""
    tracked, moments = vocabulary.tracked, len(records.time)
    column = vocabulary.level_field[records.level] - vocabulary.statics
    kept = (column >= 0) & (column < tracked)
    at, field = fact_moment[kept], column[kept]
    last = np.full((moments, tracked), -1, dtype=np.int64)
    last[at, field] = at
    ranks, counts = np.zeros((2, moments, tracked), dtype=np.float32)
    levels = np.full((moments, tracked), vocabulary.levels, dtype=np.int64)
    ranks[at, field], levels[at, field] = records.rank[kept], records.level[kept]
    counts[at, field] = 1
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
    before = np.full(records.facts, vocabulary.levels, dtype=np.int64)
    known = np.zeros((records.facts, 2), dtype=np.float32)
    rows = np.flatnonzero(kept & (fact_moment > records.moment_start[patient[fact_moment]]))
    at, field = fact_moment[rows] - 1, column[rows]
    there = ever[at, field]
    gap = np.where(there, records.time[fact_moment[rows]] - records.time[held[at, field]], 0)
    before[rows] = np.where(there, levels[held[at, field], field], vocabulary.levels)
    known[rows] = np.stack([there, np.log1p(gap) / 8], axis=1)
    barred = _barred(records, vocabulary, ever=ever)
    return Charts(seen, before, known, barred, _due(records, vocabulary, ever=ever, said=records.time[held]))


def last_levels(records: Records, vocabulary: Vocabulary) -> Tensor:
    """What each tracked field said last in each record, (patients, K)."""
    moments = np.repeat(np.arange(len(records.time)), np.diff(records.fact_start))
    patient = np.searchsorted(records.moment_start, moments, side="right") - 1
    column = vocabulary.level_field[records.level] - vocabulary.statics
    kept = (column >= 0) & (column < vocabulary.tracked)
    last = np.full((records.patients, vocabulary.tracked), vocabulary.levels, dtype=np.int64)
    last[patient[kept], column[kept]] = records.level[kept]
    return torch.from_numpy(last)


def due_steps(since: Tensor, ever: Tensor, hour: int = 0) -> Tensor:
    """0 where a field was never said, else in which step of DUE_RATIO it was last, ``since`` grains ago.

    ``hour``: grains of an hour where rounds are made; each of the first hours has a step of its own.

    >>> due_steps(torch.tensor([5, 1, 235, 240, 255]), torch.tensor([False, True, True, True, True])).tolist()
    [0, 1, 58, 58, 59]
    >>> due_steps(torch.tensor([239, 240, 1500]), torch.tensor([True, True, True]), hour=60).tolist()
    [58, 115, 77]
    """
    step = torch.log(since.clamp(min=1).double()).div(math.log(DUE_RATIO)).floor().clamp(max=TENTHS - 2)
    steps = torch.where(ever, step.to(torch.uint8) + 1, 0)
    if hour:
        hours = since // hour
        told = ever & (since % hour == 0) & (hours >= 1) & (hours <= HOURS_TOLD)
        steps = torch.where(told, (TENTHS - 1 + hours).to(torch.uint8), steps)
    return steps


def _due(records: Records, vocabulary: Vocabulary, *, ever: np.ndarray, said: np.ndarray) -> Tensor:
    """Of each moment, by what was said before it: (M, K)."""
    before = np.maximum(np.arange(len(records.time)) - 1, 0)
    known = ever[before].copy()
    known[records.moment_start[:-1]] = False
    since = torch.from_numpy(records.time[:, None] - said[before])
    return due_steps(since, torch.from_numpy(known), vocabulary.round_grains)


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


def _barred(records: Records, vocabulary: Vocabulary, *, ever: np.ndarray) -> np.ndarray:
    """Fields not to be drawn at each moment: had once already, or never seen so early or so late."""
    statics, tracked = vocabulary.statics, vocabulary.tracked
    once = np.asarray([one.once for one in vocabulary.fields], dtype=bool)[statics : statics + tracked]
    barred = np.zeros((len(records.time), vocabulary.size), dtype=bool)
    barred[1:, statics : statics + tracked] = ever[:-1] & once
    barred[records.moment_start[:-1]] = False
    earliest, latest = vocabulary.spans()
    time = records.time[:, None]
    barred |= ~static_moments(records)[:, None] & ((time < earliest) | (time > latest))
    return barred


def static_moments(records: Records) -> np.ndarray:
    """Which moments hold the static facts: each patient's first."""
    static = np.zeros(len(records.time), dtype=bool)
    static[records.moment_start[:-1]] = True
    return static

"""A batch of patients as tensors, packed without padding, with the chart each prediction may look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from salus.trajectory.bins import FloatArray, IntArray
from salus.trajectory.charts import Charts, charts_of, static_moments
from salus.trajectory.encoding import Records
from salus.trajectory.rounds import NOWHERE, SIGNS, fine_edges, no_signs, recent_rows, sign_at, signs_of
from salus.trajectory.vocabulary import Vocabulary

SCALES = 11
"""Time is shown to the network as tanh(t / 4^k) grains for k = 0 .. SCALES-1."""
CYCLES = {"day": (7.0, 365.25), "minute": (60.0, 1440.0), "second": (3600.0, 86400.0)}
"""Periods, in grains, whose phase the network sees: charting rounds, nights, weekdays, seasons."""
PADDING = -100
"""Target of a decision that only fills up the rows; it counts nowhere."""
ROWS = 1_024
"""Decisions are filled up to a multiple of this, so that the fact network sees few shapes."""
TIME_WIDTH = 2 * SCALES + 2 * 2 + 4


class Asked(NamedTuple):
    """Questions A which field comes next in a moment; filled up with rows of target PADDING that count nowhere."""

    moment: Tensor  # (A,)
    row: Tensor  # (A,) row of the running sum over facts
    prior: Tensor  # (A,) field drawn just before in this moment; vocabulary size: none
    target: Tensor  # (A,) field, or vocabulary size: no more


class Choices(NamedTuple):
    """Choices C of a level, of fields with more than one level only, sorted by field and filled up as :class:`Asked`.

    ``level``: what was chosen, moment by moment in drawing order; ``row``, ``first``: rows of the running sum over
    it, before this choice and before the moment's first.
    """

    level: Tensor  # (C,) without filling
    row: Tensor  # (C,)
    first: Tensor  # (C,)
    moment: Tensor  # (C,)
    field: Tensor  # (C,)
    target: Tensor  # (C,) level within its field
    valued: Tensor  # (C,) bool: the level stands for a number
    last: Tensor  # (C,) last level of the same field before this moment; vocabulary levels: none
    seen: Tensor  # (C, 2) whether there was one, and how long ago
    counts: tuple[tuple[int, int], ...]  # how many of which field, in order

    @property
    def number(self) -> int:
        """How many choices there are, without the rows that only fill up."""
        return len(self.level)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Tensors of one batch; ``facts`` F, ``moments`` M, tracked fields K.

    A moment is drawn in two rounds: first which fields come, one after the other, each **asked** unless it is certain;
    then, knowing all of them, a **choice** of the level of each field that has more than one.
    """

    level: Tensor  # (F,)
    rank: Tensor  # (F,)
    field: Tensor  # (F,)
    fact_moment: Tensor  # (F,)
    fact_start: Tensor  # (M + 1,) row of the running sum over facts before each moment's first
    moment_time: Tensor  # (M, TIME_WIDTH)
    chart: Tensor  # (M, CHART_WIDTH K), as of each moment's end
    previous: Tensor  # (M,) moment whose state predicts this one; M means the learned start state
    static: Tensor  # (M,) bool
    barred: Tensor  # (M, size) bool: fields not to be drawn here
    due: Tensor  # (M, K) how long ago each tracked field was said last: see :func:`due_steps`
    certain: Tensor  # (M,) nats of what was certain and therefore not asked
    asked: Asked
    choices: Choices
    wait_from: Tensor  # (W,) moments after which something is awaited
    wait_bin: Tensor  # (W,)
    wait_inside: Tensor  # (W,) share of the bin lying beyond the wait
    wait_signs: Tensor  # (W, singles): see :func:`signs_of`
    arrival: Tensor  # (M,) what spoke for this moment: see :func:`sign_at`
    wait_kind: Tensor  # (W,) 0 next moment observed; 1 follow-up ended; 2 anchor reached
    gru_order: Tensor  # (M,) moments in the packed order
    gru_sizes: Tensor  # batch sizes of the packed order

    @property
    def facts(self) -> int:
        """Number of facts."""
        return len(self.level)


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


class Steps(NamedTuple):
    """Each field of each moment, and that no more comes, flat. ``target``: the field, or vocabulary size: no more."""

    row: IntArray
    moment: IntArray
    prior: IntArray
    target: IntArray


def make_batch(records: Records, vocabulary: Vocabulary, *, shuffled: float = 0.0, seed: int = 0) -> Batch:
    """Build the tensors of some patients (all patients of ``records``, in their order).

    ``shuffled``: share of the moments whose levels come in a random order, decided by ``seed``; the others come in
    the vocabulary's.
    """
    moments, first = len(records.time), records.moment_start[:-1]
    patient = np.repeat(np.arange(records.patients), np.diff(records.moment_start))
    static = static_moments(records)
    previous = np.arange(moments) - 1
    previous[first] = moments
    fact_moment = np.repeat(np.arange(moments), np.diff(records.fact_start))
    wait = np.r_[0, np.diff(records.time)]
    wait[static] = 0
    charts = charts_of(records, vocabulary, patient=patient, fact_moment=fact_moment)
    asked, certain = _asked(steps_of(records, vocabulary), static, vocabulary)
    fact = drawing_order(records, vocabulary, shuffled=shuffled, seed=seed)
    waits = _waits(records, vocabulary, patient=patient, static=static)
    signs = _signs(records, vocabulary, patient=patient, rows=waits[0])
    order, gru_sizes = _packing(records.moment_start)
    t = torch.from_numpy
    time = time_features(t(records.time), t(wait), t(records.age[patient]), t(static), vocabulary=vocabulary)
    return Batch(
        level=t(records.level),
        rank=t(records.rank),
        field=t(vocabulary.level_field[records.level]),
        fact_moment=t(fact_moment),
        fact_start=t(records.fact_start),
        moment_time=time,
        chart=charts.seen.chart(),
        previous=t(previous),
        static=t(static),
        barred=t(charts.barred),
        due=charts.due,
        certain=t(certain),
        asked=asked,
        choices=_choices(records, vocabulary, fact=fact, moment=fact_moment[fact], charts=charts),
        wait_from=t(waits[0]),
        wait_bin=t(waits[1]),
        wait_inside=t(waits[2]),
        wait_signs=signs,
        arrival=_arrival(signs, waits[0], records.time, last=records.moment_start[1:] - 1),
        wait_kind=t(waits[3]),
        gru_order=t(order),
        gru_sizes=t(gru_sizes),
    )


def padded(values: np.ndarray, filling: int) -> np.ndarray:
    """Fill up the rows to the next multiple of ROWS."""
    room = [(0, -len(values) % ROWS)] + [(0, 0)] * (values.ndim - 1)
    return np.pad(values, room, constant_values=filling)


def steps_of(records: Records, vocabulary: Vocabulary) -> Steps:
    """One step a fact, and one that each moment is complete."""
    counts, moments = np.diff(records.fact_start), len(records.time)
    moment = np.repeat(np.arange(moments), counts + 1)
    place = np.arange(len(moment)) - np.repeat(records.fact_start[:-1] + np.arange(moments), counts + 1)
    row = np.repeat(records.fact_start[:-1], counts + 1) + place
    fields = np.r_[vocabulary.level_field[records.level], vocabulary.size]
    target = np.where(place < counts[moment], fields[np.minimum(row, records.facts)], vocabulary.size)
    prior = np.where(place > 0, fields[np.maximum(row - 1, 0)], vocabulary.size)
    return Steps(row, moment, prior, target)


def _asked(steps: Steps, static: np.ndarray, vocabulary: Vocabulary) -> tuple[Asked, FloatArray]:
    """Leave out what is certain; what was certain and happened otherwise costs what one more such case would.

    Gives also these nats, summed for each moment.
    """
    kind = static[steps.moment].astype(np.int64)
    sure, seen = vocabulary.sure[kind, steps.prior], vocabulary.sure_seen[kind, steps.prior]
    is_sure = sure >= 0
    otherwise = np.log(seen + 1.0) + np.log(vocabulary.size + 1.0)
    nats = np.where(is_sure, np.where(sure == steps.target, np.log1p(1.0 / (seen + 1.0)), otherwise), 0.0)
    certain = np.bincount(steps.moment, nats, minlength=len(static)).astype(np.float32)
    open_ = np.flatnonzero(~is_sure)
    t = torch.from_numpy
    asked = Asked(
        moment=t(padded(steps.moment[open_], 0)),
        row=t(padded(steps.row[open_], 0)),
        prior=t(padded(steps.prior[open_], vocabulary.size)),
        target=t(padded(steps.target[open_], PADDING)),
    )
    return asked, certain


def drawing_order(records: Records, vocabulary: Vocabulary, *, shuffled: float, seed: int) -> IntArray:
    """Facts with a level to choose, moment by moment in the order in which their levels are drawn.

    Facts of one field that comes several times in a moment stay together, in their own order.
    """
    field = vocabulary.level_field[records.level]
    several = np.flatnonzero(np.diff(vocabulary.field_start)[field] > 1)
    if not shuffled or not len(several):
        return several
    random = np.random.default_rng(seed)
    moments = np.repeat(np.arange(len(records.time)), np.diff(records.fact_start))
    moment, field = moments[several], field[several]
    chosen = random.random(len(records.time)) < shuffled
    fresh = np.r_[True, (np.diff(moment) != 0) | (np.diff(field) != 0)]
    luck = random.random(len(several))[np.cumsum(fresh) - 1]
    found: IntArray = several[np.lexsort((np.where(chosen[moment], luck, 0.0), moment))]
    return found


def _choices(
    records: Records, vocabulary: Vocabulary, *, fact: IntArray, moment: IntArray, charts: Charts
) -> Choices:
    """The choices of levels, sorted by field; ``fact``, ``moment``: in drawing order."""
    level = records.level[fact]
    field = vocabulary.level_field[level]
    by_field = np.argsort(field, kind="stable")
    first = np.searchsorted(moment, moment, side="left")
    target = np.where(vocabulary.unsaid[level], PADDING, level - vocabulary.field_start[field])
    present, counts = np.unique(field, return_counts=True)

    def sorted_(values: np.ndarray, filling: int) -> Tensor:
        return torch.from_numpy(padded(values[by_field], filling))

    return Choices(
        level=torch.from_numpy(level),
        row=torch.from_numpy(padded(by_field, 0)),
        first=sorted_(first, 0),
        moment=sorted_(moment, 0),
        field=sorted_(field, 0),
        target=sorted_(target, PADDING),
        valued=sorted_(vocabulary.has_value[level], 0),
        last=sorted_(charts.last[fact], vocabulary.levels),
        seen=sorted_(charts.known[fact], 0),
        counts=tuple(zip(present.tolist(), counts.tolist(), strict=True)),
    )


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
    edges = fine_edges(vocabulary)
    bins = np.clip(np.searchsorted(edges, wait[rows], side="right") - 1, 0, len(edges) - 2)
    low, high = edges[bins], edges[bins + 1]
    beyond = high - wait[rows] - np.where(kind[rows] == 1, 1, 0)
    inside = np.clip(beyond / (high - low), 0, 1).astype(np.float32)
    return rows, bins, inside, kind[rows]


def _signs(records: Records, vocabulary: Vocabulary, *, patient: IntArray, rows: IntArray) -> Tensor:
    """What speaks for each wait after each of these moments."""
    if not vocabulary.round_grains:
        return no_signs(len(rows))
    return signs_of(*recent_of(records, rows, records.moment_start[patient[rows]] + 1), vocabulary)


def _arrival(signs: Tensor, rows: IntArray, time: IntArray, *, last: IntArray) -> Tensor:
    """What spoke for each moment, by the one before it; nothing for each patient's first."""
    found = torch.full((len(time),), SIGNS)
    going = ~np.isin(rows, last)
    before = rows[going]
    wait = torch.from_numpy(time[before + 1] - time[before])
    found[torch.from_numpy(before + 1)] = sign_at(signs[torch.from_numpy(going)], wait)
    return found


def recent_of(records: Records, rows: IntArray, first: IntArray) -> tuple[Tensor, Tensor]:
    """Times and facts of the last moments up to each of ``rows``: see :func:`signs_of`."""
    places, there = recent_rows(rows, first)
    time = np.where(there, records.time[places], NOWHERE)
    facts = np.where(there, np.diff(records.fact_start)[places], 0)
    return torch.from_numpy(time), torch.from_numpy(facts)


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

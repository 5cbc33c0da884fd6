"""The longest stretch of a record that stands word for word in another: successive facts, their values, their waits.

A fact is its code, its value to a tenth of the values that code has, and how long after the moment before it came, to
a factor of about 1.4. Long runs shared with a patient the model learnt from mean little by themselves: real patients
share them too. So runs of held-out patients stand beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from salus.evidence.discrimination import Floats

BIRTH = "MEDS_BIRTH"
SLICES = 10
WAITS_AN_OCTAVE = 2
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Records as rows of numbers, one a fact, one record after the other; ``start``: where each begins."""

    fact: Ints
    start: Ints
    subject: Ints

    def __len__(self) -> int:
        """How many records."""
        return len(self.start)


def write_records(groups: Sequence[pl.DataFrame]) -> tuple[Written, ...]:
    """Write each group's records in the same numbers; values are cut where the first group's values lie."""
    rows = pl.concat(
        [
            frame.select("subject_id", "time", "code", "numeric_value").with_columns(group=pl.lit(number))
            for number, frame in enumerate(groups)
        ]
    ).filter(pl.col("code") != BIRTH)
    rows = rows.sort("group", "subject_id", "time", "code", "numeric_value", nulls_last=False)
    own = ("group", "subject_id")
    hours = pl.col("time").diff().over(own).dt.total_seconds() / 3600
    octave = (hours.fill_null(0.0) + 1).log(2) * WAITS_AN_OCTAVE
    rows = rows.with_columns(wait=pl.when(pl.col("time").is_null()).then(-1).otherwise(octave.floor()))
    rows = rows.with_columns(slice=pl.Series(_slices(rows), dtype=pl.Int64))
    fact = rows.select(pl.struct("code", "slice", "wait").rank("dense")).to_series().cast(pl.Int64).to_numpy()
    found = []
    for number in range(len(groups)):
        place = np.flatnonzero((rows["group"] == number).to_numpy())
        subject = rows["subject_id"].to_numpy()[place]
        start = np.flatnonzero(np.diff(subject, prepend=subject[:1] - 1))
        found.append(Written(fact=fact[place], start=start, subject=subject[start]))
    return tuple(found)


def longest_runs(asked: Written, known: Written) -> Ints:
    """How many successive facts of each record stand in one record of ``known``, at most."""
    if not len(asked):
        return np.zeros(0, dtype=np.int64)
    text, own = _text(known, asked)
    levels = _ranks(text, longest=max(_longest(asked), _longest(known)))
    order = np.argsort(levels[-1], kind="stable")
    place = np.arange(len(order))
    of_known = own[order] == -1
    before = np.maximum.accumulate(np.where(of_known, place, -1))
    after = np.minimum.accumulate(np.where(of_known, place, len(place))[::-1])[::-1]
    wanted = np.flatnonzero(own[order] >= 0)
    best = np.zeros(len(wanted), dtype=np.int64)
    for side in (before[wanted], after[wanted]):
        there = (side >= 0) & (side < len(order))
        shared = _shared(levels, order[wanted[there]], order[side[there]])
        best[there] = np.maximum(best[there], shared)
    runs = np.zeros(len(asked), dtype=np.int64)
    np.maximum.at(runs, own[order[wanted]], best)
    return runs


def _slices(rows: pl.DataFrame) -> Ints:
    """Tenth of the code's values in the first group in which each value lies; -1 without a value."""
    code = rows["code"].rank("dense").to_numpy().astype(np.int64) - 1
    value = rows["numeric_value"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    first = (rows["group"] == 0).to_numpy() & np.isfinite(value)
    found = np.full(len(value), -1, dtype=np.int64)
    has = np.isfinite(value)
    for number in np.unique(code[has]):
        here = has & (code == number)
        known = value[first & (code == number)]
        cuts = (
            np.unique(np.quantile(known, np.linspace(0, 1, SLICES + 1)[1:-1])) if len(known) else np.zeros(0)
        )
        found[here] = np.searchsorted(cuts, value[here], side="right")
    return found


def _text(known: Written, asked: Written) -> tuple[Ints, Ints]:
    """All records in a row, each closed by a number of its own; whose each place is (-1: known's, -2: nobody's)."""
    pieces, owners, closed = [], [], int(max(known.fact.max(initial=0), asked.fact.max(initial=0))) + 1
    for written, mine in ((known, False), (asked, True)):
        ends = np.append(written.start[1:], len(written.fact))
        size = ends - written.start
        at = np.arange(len(written.fact)) + np.repeat(np.arange(len(written)), size)
        text = np.empty(len(written.fact) + len(written), dtype=np.int64)
        own = np.full(len(text), -2, dtype=np.int64)
        text[at] = written.fact
        own[at] = np.repeat(np.arange(len(written)), size) if mine else -1
        marks = np.setdiff1d(np.arange(len(text)), at)
        text[marks] = closed + np.arange(len(written))
        closed += len(written)
        pieces.append(text)
        owners.append(own)
    return np.concatenate(pieces), np.concatenate(owners)


def _ranks(text: Ints, *, longest: int) -> list[Ints]:
    """Ranks of the pieces of 1, 2, 4, … facts that start at each place (prefix doubling)."""
    levels = [np.unique(text, return_inverse=True)[1].astype(np.int64)]
    size = 1
    while size < longest:
        rank = levels[-1]
        later = np.zeros(len(rank), dtype=np.int64)
        later[:-size] = rank[size:] + 1
        levels.append(np.unique(rank * (len(rank) + 2) + later, return_inverse=True)[1].astype(np.int64))
        size *= 2
    return levels


def _shared(levels: list[Ints], one: Ints, other: Ints) -> Ints:
    """How many facts two places of the text have in common from there on."""
    length = np.zeros(len(one), dtype=np.int64)
    last = len(levels[0]) - 1
    for level in range(len(levels) - 1, -1, -1):
        a, b = one + length, other + length
        inside = (a <= last) & (b <= last)
        same = inside & (levels[level][np.minimum(a, last)] == levels[level][np.minimum(b, last)])
        length += np.where(same, 1 << level, 0)
    return length


def _longest(written: Written) -> int:
    return int(np.diff(np.append(written.start, len(written.fact))).max(initial=1))


def as_shares(runs: Ints, written: Written) -> Floats:
    """Runs as shares of their records."""
    size = np.diff(np.append(written.start, len(written.fact)))
    shares: Floats = runs / np.maximum(size, 1)
    return shares

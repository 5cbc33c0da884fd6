"""What is missing in real records and may be filled, and what of each moment is known and must come as it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import torch

from salus.errors import ConditionRefused, nearest
from salus.trajectory.bins import IntArray
from salus.trajectory.conditioning import Demand
from salus.trajectory.conditions import by_name
from salus.trajectory.encoding import Records, insides_of, ranges_of
from salus.trajectory.vocabulary import BIRTH, START, Vocabulary
from salus.trajectory.wanted import Wanted

BoolArray = npt.NDArray[np.bool_]


class Moments(StrEnum):
    """Which moments are filled: the static facts; these and the first dated moment; all."""

    STATIC = "static"
    FIRST = "first"
    EVERY = "every"

    @property
    def reach(self) -> int:
        """Number of the first moment of a record that is not filled any more."""
        return {Moments.STATIC: 1, Moments.FIRST: 2, Moments.EVERY: 2**60}[self]


class Using(StrEnum):
    """What the filled facts may be drawn from: the whole record, or only what came up to their own moment."""

    RECORD = "record"
    HISTORY = "history"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """What to fill: ``fields`` (None: whatever the model thinks was there), in which moments, how often each."""

    fields: tuple[int, ...] | None = None
    moments: Moments = Moments.FIRST
    using: Using = Using.RECORD
    samples: int = 1


class Known:
    """What each moment of real records says, and what is missing of it. Moments are numbered as in ``records``.

    ``said`` (moments, fields): recorded. ``missing``: to be filled for sure (where fields were named). ``open``
    (moments,): whatever the model thinks was there may come.
    """

    def __init__(self, records: Records, vocabulary: Vocabulary, gaps: Gaps) -> None:
        self.records, self.vocabulary = records, vocabulary
        moments, first = len(records.time), records.moment_start[:-1]
        self.patient = np.repeat(np.arange(records.patients), np.diff(records.moment_start))
        self.number = np.arange(moments) - first[self.patient]
        self.field = vocabulary.level_field[records.level]
        self.said = np.zeros((moments, vocabulary.size), dtype=bool)
        self.said[np.repeat(np.arange(moments), np.diff(records.fact_start)), self.field] = True
        chosen = self.number < gaps.moments.reach
        self.open = chosen & (gaps.fields is None)
        self.missing = np.zeros_like(self.said)
        if gaps.fields is not None:
            self.missing[:, list(gaps.fields)] = True
            self.missing &= chosen[:, None] & ~self.said & self._possible()
        self.inside = insides_of(records.level, records.rank, vocabulary)

    def _possible(self) -> BoolArray:
        """Where a field could be said: of its kind, in its span, and not a second time where it comes once."""
        fields, static = self.vocabulary.fields, self.number == 0
        possible: BoolArray = np.asarray([one.static for one in fields]) == static[:, None]
        earliest, latest = self.vocabulary.spans()
        time = self.records.time[:, None]
        possible &= static[:, None] | ((time >= earliest) & (time <= latest))
        ever = np.zeros((self.records.patients, len(fields)), dtype=bool)
        np.logical_or.at(ever, self.patient, self.said)
        possible &= ~(ever[self.patient] & np.asarray([one.once for one in fields]))
        return possible

    def _never(self) -> BoolArray:
        """Fields that are never filled: a death, the record's start, an age that could not be written down."""
        never: BoolArray = np.isin(np.arange(self.vocabulary.size), unfillable(self.vocabulary))
        return never

    def demand(self, moments: IntArray, copies: torch.Tensor) -> Demand:
        """What must come, and what may not, in so many ``copies`` of each of these moments."""
        facts = ranges_of(self.records.fact_start[moments], self.records.fact_start[moments + 1])
        counts = self.records.fact_start[moments + 1] - self.records.fact_start[moments]
        needed_row, needed = np.nonzero(self.missing[moments])
        row = np.r_[np.repeat(np.arange(len(moments)), counts), needed_row]
        field = np.r_[self.field[facts], needed]
        order = np.lexsort((field, row))
        row, field = row[order], field[order]
        level = np.r_[self.records.level[facts], np.full(len(needed), -1)][order]
        inside = np.r_[self.inside[facts], np.full(len(needed), np.nan)][order]
        lengths = np.bincount(row, minlength=len(moments))
        column = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        shape, size = (len(moments), int(lengths.max(initial=0))), self.vocabulary.size
        fields, levels, places = np.full(shape, size), np.full(shape, -1), np.full(shape, np.nan)
        fields[row, column], levels[row, column], places[row, column] = field, level, inside
        closed = np.where(self.open[moments, None], self.said[moments] | self._never(), True)
        queue = [torch.from_numpy(each).repeat_interleave(copies, dim=0) for each in (fields, levels, places)]
        return Demand(
            wanted=Wanted(*queue, size=size),
            closed=torch.from_numpy(closed).repeat_interleave(copies, dim=0),
            low=torch.zeros(self.vocabulary.levels),
            high=torch.ones(self.vocabulary.levels),
        )

    def fills(self) -> BoolArray:
        """Patients of whom something may be filled."""
        return np.bincount(self.patient, self.open | self.missing.any(axis=1)) > 0


def unfillable(vocabulary: Vocabulary) -> list[int]:
    """Fields that are never filled: a death, the record's start, an age that could not be written down."""
    unwritten = {START} | ({BIRTH} if vocabulary.clock.birth is None else set())
    return [
        number
        for number, one in enumerate(vocabulary.fields)
        if one.death or vocabulary.entries[one.first].code in unwritten
    ]


def find_fields(written: str, vocabulary: Vocabulary, *, where: str) -> tuple[int, ...] | None:
    """Fields by name, code or the last part of either, with commas between them; ``all``: None.

    Raises ConditionRefused (SAL-310).
    """
    if written.strip().casefold() == "all":
        return None
    barred = set(unfillable(vocabulary))
    names = by_name(
        (name, number)
        for number, one in enumerate(vocabulary.fields)
        for name in (one.name, *(entry.code for entry in vocabulary.entries[one.first : one.last]))
    )
    found = []
    for each in (part.strip() for part in written.split(",")):
        fields = names.get(each.casefold(), set())
        if len(fields) != 1 or fields & barred:
            known = [one.name for number, one in enumerate(vocabulary.fields) if number not in barred]
            problem = (
                f"'{each}' may be any of {len(fields)} fields"
                if len(fields) > 1
                else f"'{each}' is never filled"
                if fields
                else f"the model knows no field '{each}'{nearest(each, [*known, *names])}"
            )
            raise ConditionRefused(
                problem, where=where, fix=f"choose among {', '.join(known[:12])}, or write all"
            )
        found.append(next(iter(fields)))
    return tuple(dict.fromkeys(found))

"""Does the synthetic set point at exactly one real patient? Predicates made from it, tried on those it learnt from.

A predicate says something of one column (univariate: a value that only one synthetic patient has, the least, the
greatest) or of several (multivariate: what one synthetic patient has in them, or more extreme). Those that hold for
exactly one synthetic patient are guesses; a guess is right where it holds for exactly one of the patients the model
learnt from (Giomi et al. 2023, arXiv:2211.10459).

How easily a predicate fits exactly one by chance hangs on how many patients it is tried on, and those never learnt from
are mostly fewer. So they take the place of as many members. Let c of the N members fit, and exactly one of n others.
Were n members, drawn by lot, replaced by the others, exactly one patient would fit, an other, if all c had been among
the replaced; averaged over the lot and divided by n/N that is (N/n) (n)_c / (N)_c, where (n)_c = n(n-1)...(n-c+1). Had
the model learnt from none of them, attack and control would agree in expectation, without any curve being fitted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from salus.evidence.discrimination import Floats
from salus.evidence.guesses import Guesses, Question
from salus.evidence.patient_rows import PatientRows
from salus.evidence.withheld import told

MOST_GUESSES = 2_000
TRIES = 30
"""Predicates tried for each that is wanted; where fewer fit one synthetic patient, fewer are guessed with."""
TOGETHER = 3
"""Columns of a multivariate predicate."""


class Says(IntEnum):
    """What a condition says of a column."""

    SAME = 0
    AT_MOST = 1
    AT_LEAST = 2
    MISSING = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicates:
    """Conditions that hold together, a row each; ``owner``: the synthetic patient it was made from."""

    column: NDArray[np.int64]
    says: NDArray[np.int64]
    value: Floats
    owner: NDArray[np.int64]

    def __len__(self) -> int:
        """How many predicates."""
        return len(self.column)

    def of(self, chosen: np.ndarray) -> Predicates:
        """Take some of them."""
        return Predicates(
            column=self.column[chosen],
            says=self.says[chosen],
            value=self.value[chosen],
            owner=self.owner[chosen],
        )


def holding(predicates: Predicates, rows: PatientRows) -> NDArray[np.int64]:
    """For how many patients each predicate holds."""
    table = np.asfortranarray(rows.table)
    counts = np.zeros(len(predicates), dtype=np.int64)
    for number in range(len(predicates)):
        conditions = zip(
            predicates.column[number], predicates.says[number], predicates.value[number], strict=True
        )
        fits = [_fits(table[:, column], says, value) for column, says, value in conditions]
        counts[number] = np.count_nonzero(np.logical_and.reduce(fits))
    return counts


def univariate_predicates(rows: PatientRows, *, seed: int) -> Predicates:
    """Each value that only one patient has, the least and the greatest of each column, a value only one lacks."""
    found: list[tuple[int, Says, float, int]] = []
    for column in range(rows.table.shape[1]):
        values = rows.table[:, column]
        known = np.flatnonzero(np.isfinite(values))
        if len(known) == len(values) - 1:
            found.append((column, Says.MISSING, np.nan, int(np.flatnonzero(~np.isfinite(values))[0])))
        if not len(known):
            continue
        alone, first, times = np.unique(values[known], return_index=True, return_counts=True)
        once = times == 1
        found += [
            (column, Says.SAME, float(value), int(known[place]))
            for value, place in zip(alone[once], first[once], strict=True)
        ]
        if not rows.words[column]:
            for says, end in ((Says.AT_MOST, 0), (Says.AT_LEAST, -1)):
                if times[end] == 1:
                    found.append((column, says, float(alone[end]), int(known[first[end]])))
    order = np.random.default_rng(seed).permutation(len(found))[:MOST_GUESSES]
    return _gathered([found[number] for number in order])


def multivariate_predicates(rows: PatientRows, *, seed: int) -> Predicates:
    """What a patient drawn by lot has in three columns drawn by lot, or further from the middle; only if one fits."""
    if not len(rows):
        return _gathered([])
    rng = np.random.default_rng(seed)
    width = min(TOGETHER, rows.table.shape[1])
    middle = _middles(rows)
    kept: list[Predicates] = []
    for _ in range(TRIES):
        owner = rng.integers(0, len(rows), MOST_GUESSES)
        column = rng.permuted(np.tile(np.arange(rows.table.shape[1]), (MOST_GUESSES, 1)), axis=1)[:, :width]
        value = rows.table[owner[:, None], column]
        tried = Predicates(
            column=column, says=_directions(rows, column, value, middle), value=value, owner=owner
        )
        kept.append(tried.of(holding(tried, rows) == 1))
        if sum(map(len, kept)) >= MOST_GUESSES:
            break
    return _joined(kept).of(np.arange(min(sum(map(len, kept)), MOST_GUESSES)))


def random_predicates(rows: PatientRows, *, together: int, seed: int) -> Predicates:
    """Guesses by somebody without the synthetic set: plausible values of columns, each drawn apart, either way."""
    rng = np.random.default_rng(seed)
    width = min(together, rows.table.shape[1])
    column = rng.permuted(np.tile(np.arange(rows.table.shape[1]), (MOST_GUESSES, 1)), axis=1)[:, :width]
    value = rows.table[rng.integers(0, max(len(rows), 1), column.shape), column]
    says = np.where(rows.words[column], Says.SAME, rng.integers(1, 3, column.shape))
    says = np.where(np.isfinite(value), says, Says.MISSING)
    return Predicates(column=column, says=says, value=value, owner=np.arange(MOST_GUESSES))


def singling_out(
    synthetic: PatientRows, members: PatientRows, others: PatientRows, *, seed: int
) -> tuple[Question, ...]:
    """Both questions, univariate and multivariate, neither hiding the other."""
    if len(others) > len(members):
        drawn = np.random.default_rng(seed).permutation(len(others))[: len(members)]
        others = others.of(np.sort(drawn))
    ways: tuple[tuple[str, Callable[..., Predicates], int], ...] = (
        ("univariate", univariate_predicates, 1),
        ("multivariate", multivariate_predicates, TOGETHER),
    )
    return tuple(
        _asked(
            name,
            make(synthetic, seed=seed),
            random_predicates(others, together=together, seed=seed) if len(others) else _gathered([]),
            members=members,
            others=others,
        )
        for name, make, together in ways
    )


def swapped_in(fitting: NDArray[np.int64], others: NDArray[np.int64], *, sizes: tuple[int, int]) -> Floats:
    """The control's worth of each predicate: see the module's first lines. ``sizes``: N learnt from, n others.

    Two of four learnt from, one of two others fits: 4/2 * (2*1)/(4*3) = 1/3.

    >>> float(swapped_in(np.array([2]), np.array([1]), sizes=(4, 2))[0])
    0.3333333333333333
    """
    learnt, never = sizes
    worth = np.where(others == 1, learnt / max(never, 1), 0.0)
    for number, fits in enumerate(fitting.tolist()):
        if worth[number]:
            taken = np.arange(min(fits, never + 1))
            worth[number] *= np.prod((never - taken) / (learnt - taken))
    return worth


def _asked(
    name: str, predicates: Predicates, blind: Predicates, *, members: PatientRows, others: PatientRows
) -> Question:
    fitting, never = holding(predicates, members), holding(predicates, others)
    sizes = (len(members), len(others))
    return Question(
        metric=f"privacy.singling_{name}",
        method=f"{name} predicates that hold for one synthetic patient alone, tried on real patients (arXiv:2211.10459)"
        "; control: patients never learnt from in the place of as many drawn by lot; baseline: plausible values",
        attack=Guesses(right=(fitting == 1).astype(float), owner=predicates.owner),
        control=Guesses(
            right=swapped_in(fitting, never, sizes=sizes),
            owner=predicates.owner,
            most=max(1.0, sizes[0] / max(sizes[1], 1)),
        ),
        baseline=Guesses.each(holding(blind, members) == 1),
        population=f"{len(predicates):,} guesses at one of {told(sizes[0])} members",
        against=f"{len(predicates):,} guesses at one of {told(sizes[1])} never learnt from",
        patients=sizes,
    )


def _fits(values: Floats, says: int, value: float) -> NDArray[np.bool_]:
    if says == Says.MISSING:
        return np.asarray(np.isnan(values))
    if says == Says.SAME:
        return np.asarray(values == value)
    return np.asarray(values <= value if says == Says.AT_MOST else values >= value)


def _middles(rows: PatientRows) -> Floats:
    columns = (rows.table[:, number] for number in range(rows.table.shape[1]))
    known = [values[np.isfinite(values)] for values in columns]
    return np.array([np.median(values) if len(values) else np.nan for values in known])


def _directions(
    rows: PatientRows, column: NDArray[np.int64], value: Floats, middle: Floats
) -> NDArray[np.int64]:
    further = np.where(value > middle[column], Says.AT_LEAST, Says.AT_MOST)
    says = np.where(rows.words[column], Says.SAME, further)
    return np.where(np.isfinite(value), says, Says.MISSING)


def _gathered(found: list[tuple[int, Says, float, int]]) -> Predicates:
    return Predicates(
        column=np.array([[one[0]] for one in found], dtype=np.int64).reshape(-1, 1),
        says=np.array([[int(one[1])] for one in found], dtype=np.int64).reshape(-1, 1),
        value=np.array([[one[2]] for one in found], dtype=np.float64).reshape(-1, 1),
        owner=np.array([one[3] for one in found], dtype=np.int64),
    )


def _joined(parts: list[Predicates]) -> Predicates:
    return Predicates(
        column=np.concatenate([one.column for one in parts]),
        says=np.concatenate([one.says for one in parts]),
        value=np.concatenate([one.value for one in parts]),
        owner=np.concatenate([one.owner for one in parts]),
    )

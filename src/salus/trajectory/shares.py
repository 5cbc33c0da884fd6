"""How many patients of which groups, where their shares are asked for: each group's share exact, the rest as modelled.

Groups of different fields overlap (women, Asians). What belongs together in the model stays together: the model's own
joint shares are raked to the ones asked for (iterative proportional fitting, Deming & Stephan 1940) and then rounded so
that every group has just its number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import linprog

from salus.errors import ConditionRefused, ConditionUnmet
from salus.trajectory.bins import IntArray
from salus.trajectory.conditioning import chance_of
from salus.trajectory.conditions import Condition, find_code, having, shown, together
from salus.trajectory.draws import InTurn
from salus.trajectory.network import Network
from salus.trajectory.sampling import Sampler
from salus.trajectory.vocabulary import Vocabulary

CANDIDATES, MOST_CELLS = 8_192, 64
"""Candidates from whom each cell's own share is estimated; most cells (combinations of groups)."""
MOST_PASSES = 1_000
WHERE = "--share"

DoubleArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """As ``written``: the patients that have a ``code`` (position) shall be this ``share`` of all."""

    written: str
    code: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One combination of groups: its conditions, how many patients to draw, and the model's own share of it."""

    given: tuple[Condition, ...]
    groups: tuple[int, ...]  # positions of the codes its patients have
    patients: int = 0
    chance: float = 0.0


def read_shares(written: Sequence[str], vocabulary: Vocabulary) -> tuple[Share, ...]:
    """Read ``CODE=SHARE`` each (``SEX//F=0.5``). Raises ConditionRefused (SAL-310)."""
    shares = tuple(_read(text, vocabulary) for text in written)
    for field, members in _by_field(shares, vocabulary).items():
        name = shown(vocabulary, field)
        if len({one.code for one in members}) < len(members):
            raise ConditionRefused(
                f"a group of '{name}' has two shares", where=WHERE, fix="give each group one share"
            )
        if sum(one.share for one in members) > 1 + 1e-9:
            raise ConditionRefused(
                f"the shares of '{name}' are more than 1 together",
                where=WHERE,
                fix="codes of one field exclude each other: their shares add up to 1 or less",
            )
    return shares


def _read(text: str, vocabulary: Vocabulary) -> Share:
    code, _, share = (part.strip() for part in text.rpartition("="))
    try:
        number = float(share)
    except ValueError:
        number = math.nan
    if not code or not 0 <= number <= 1:
        raise ConditionRefused(
            f"'{text}' is not a share", where=WHERE, fix="write CODE=SHARE with a share of 0 to 1: SEX//F=0.5"
        )
    return Share(written=text, code=find_code(code, vocabulary, where=WHERE), share=number)


def _by_field(shares: Sequence[Share], vocabulary: Vocabulary) -> dict[int, list[Share]]:
    """Shares of groups that exclude each other, by their field."""
    found: dict[int, list[Share]] = {}
    for one in shares:
        found.setdefault(int(vocabulary.level_field[vocabulary.level_start[one.code]]), []).append(one)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A field's groups and, last, none of them: what each asks, its code (none: -1), and how many patients get it."""

    asks: tuple[tuple[Condition, ...], ...]
    codes: tuple[int, ...]
    patients: IntArray


def choices_of(shares: Sequence[Share], vocabulary: Vocabulary, patients: int) -> list[Choice]:
    """The fields that have groups; what nobody shall have is left out."""
    found = []
    for members in _by_field(shares, vocabulary).values():
        wanted = np.asarray([*(one.share for one in members), max(1 - sum(one.share for one in members), 0)])
        counts = apportion(wanted, patients)
        asks = [(having(vocabulary, one.code, said=True),) for one in members]
        none = tuple(having(vocabulary, one.code, said=False) for one in members)
        kept = np.flatnonzero(counts)
        found.append(
            Choice(
                asks=tuple([*asks, none][place] for place in kept),
                codes=tuple([*(one.code for one in members), -1][place] for place in kept),
                patients=counts[kept],
            )
        )
    return found


def plan_cells(
    network: Network,
    vocabulary: Vocabulary,
    *,
    given: tuple[Condition, ...],
    choices: Sequence[Choice],
    seed: int,
) -> tuple[Cell, ...]:
    """Say how many patients to draw of each combination of groups.

    Raises ConditionRefused (SAL-310: more than MOST_CELLS combinations, or groups that ``given`` excludes) or
    ConditionUnmet (SAL-311: the model never draws a group).
    """
    shape = tuple(len(choice.codes) for choice in choices)
    if math.prod(shape) > MOST_CELLS:
        raise ConditionRefused(
            f"the groups have {math.prod(shape)} combinations; at most {MOST_CELLS} can be planned",
            where=WHERE,
            fix="ask for the shares of fewer groups at once",
        )
    combined = list(product(*(range(size) for size in shape)))
    asked = [
        together(
            [*given, *(one for choice, at in zip(choices, places, strict=True) for one in choice.asks[at])],
            vocabulary,
            where="--given, --share",
        )
        for places in combined
    ]
    sampler = Sampler(network, vocabulary, draws=InTurn(seed))
    with torch.inference_mode():
        chances = np.asarray([chance_of(sampler, one, rows=CANDIDATES) for one in asked])
    counts = spread_over_cells(chances.reshape(shape), [choice.patients for choice in choices])
    return tuple(
        Cell(
            given=conditions,
            groups=tuple(choice.codes[at] for choice, at in zip(choices, places, strict=True)),
            patients=int(counts[places]),
            chance=float(chance),
        )
        for conditions, places, chance in zip(asked, combined, chances, strict=True)
    )


def apportion(shares: DoubleArray, number: int) -> IntArray:
    """Whole numbers in proportion to ``shares`` that add up to ``number``: largest remainders first.

    >>> apportion(np.array([0.5, 0.3, 0.2]), 7).tolist()
    [4, 2, 1]
    """
    exact = np.round(shares / shares.sum() * number, 9)
    counts: IntArray = np.floor(exact).astype(np.int64)
    largest = np.argsort(-(exact - counts), kind="stable")
    counts[largest[: number - int(counts.sum())]] += 1
    return counts


def spread_over_cells(chances: DoubleArray, margins: Sequence[IntArray]) -> IntArray:
    """Patients of each cell, whole numbers: each axis adds up to its margin; odds ratios are those of ``chances``.

    Raises ConditionUnmet (SAL-311) where cells that never come leave no way.
    """
    counts: IntArray = margins[0]
    for axis in range(1, len(margins)):
        others = tuple(range(axis + 1, chances.ndim))
        table = chances.sum(axis=others) if others else chances
        table = rake(table, [*margins[: axis + 1]])
        flat = table.reshape(-1, table.shape[-1])
        flat = rake(flat, [counts.ravel(), margins[axis]])
        counts = round_table(flat, counts.ravel(), margins[axis]).reshape(table.shape)
    if len(margins) == 1 and (chances[margins[0] > 0] <= 0).any():
        raise _never()
    return counts


def rake(table: DoubleArray, margins: Sequence[IntArray]) -> DoubleArray:
    """Scale a table, axis by axis, until each axis adds up to its margin."""
    scaled = table.astype(np.float64)
    for _ in range(MOST_PASSES):
        for axis, margin in enumerate(margins):
            others = tuple(other for other in range(scaled.ndim) if other != axis)
            sums = scaled.sum(axis=others, keepdims=True)
            wanted = np.asarray(margin, dtype=np.float64).reshape(sums.shape)
            if (wanted[sums <= 0] > 0).any():
                raise _never()
            scaled = scaled * np.divide(wanted, sums, out=np.zeros_like(sums), where=sums > 0)
        worst = max(
            float(np.abs(scaled.sum(axis=tuple(o for o in range(scaled.ndim) if o != axis)) - margin).max())
            for axis, margin in enumerate(margins)
        )
        if worst < 1e-9:
            return scaled
    if worst < 0.01:
        return scaled
    raise _never()


def round_table(table: DoubleArray, rows: IntArray, columns: IntArray) -> IntArray:
    """Round each cell up or down so that rows and columns add up to whole margins (a transport problem)."""
    low = np.floor(table + 1e-6).astype(np.int64)
    left, size = table - low, table.size
    sums = np.zeros((len(rows) + len(columns), size))
    for place, (row, column) in enumerate(product(range(len(rows)), range(len(columns)))):
        sums[[row, len(rows) + column], place] = 1
    open_rows, open_columns = rows - low.sum(axis=1), columns - low.sum(axis=0)
    solved = linprog(
        -left.ravel(),
        A_eq=sums,
        b_eq=np.r_[open_rows, open_columns],
        bounds=[(0, float(value > 0)) for value in table.ravel()],
        method="highs-ds",
    )
    if solved.status != 0:
        raise _never()
    rounded: IntArray = low + np.round(solved.x).astype(np.int64).reshape(table.shape)
    return rounded


def _never() -> ConditionUnmet:
    return ConditionUnmet(
        "the model never draws patients of these groups in these shares",
        where=WHERE,
        fix="ask for shares of groups that occur, and that occur together where both are large",
    )

"""How likely somebody in a table is recognised by what others may know of them: groups of people alike, and risks.

A table has one row a patient; its quasi-identifiers are the columns that somebody else may know (sex, year of birth,
postcode). Patients alike in all of them are a group. Sources: Sweeney 2002 (k-anonymity); Machanavajjhala et al. 2007
(l-diversity); Li, Li and Venkatasubramanian 2007 (t-closeness); El Emam 2013, Guide to the De-Identification of
Personal Health Information (prosecutor, journalist, marketer); Gionis and Tassa 2009 (information lost).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

SIZE, POPULATION = "patients alike", "people alike"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognition:
    """Three risks of one kind of attacker.

    ``above``: share of patients whose own risk is above the threshold. ``highest``: the highest risk of any patient.
    ``average``: the expected share of patients who are recognised if all are tried.
    """

    above: float
    highest: float
    average: float


def group_sizes(table: pl.DataFrame, quasi: Sequence[str]) -> pl.DataFrame:
    """The groups of patients alike, a missing value being a value like any other, with how many each has."""
    return table.group_by(list(quasi)).agg(pl.len().alias(SIZE)).sort(SIZE, *quasi)


def smallest_group(table: pl.DataFrame, quasi: Sequence[str]) -> int:
    """k: every patient is alike to k - 1 others or more; 0 for an empty table.

    >>> smallest_group(pl.DataFrame({"sex": ["F", "F", "M"]}), ["sex"])
    1
    """
    return int(group_sizes(table, quasi)[SIZE].min() or 0)  # type: ignore[arg-type]


def fewest_values(table: pl.DataFrame, quasi: Sequence[str], sensitive: str) -> int:
    """l: every group has l different values of what nobody shall learn, or more (distinct l-diversity)."""
    counted = table.group_by(list(quasi)).agg(pl.col(sensitive).n_unique().alias("values"))
    return int(counted["values"].min() or 0)  # type: ignore[arg-type]


def entropy_values(table: pl.DataFrame, quasi: Sequence[str], sensitive: str) -> float:
    """The l of entropy l-diversity: e to the smallest entropy of a group, as many values as if all were alike often."""
    lowest = math.inf
    for _, group in table.group_by(list(quasi)):
        shares = [count / group.height for count in group[sensitive].value_counts()["count"]]
        lowest = min(lowest, -sum(share * math.log(share) for share in shares))
    return math.exp(lowest) if lowest < math.inf else 0.0


def farthest_group(table: pl.DataFrame, quasi: Sequence[str], sensitive: str) -> float:
    """t: how far the values in a group are from those of all patients, at most (earth mover's distance).

    Numbers are ordered: a neighbour is nearer than what is far off. Words are all equally far from each other.
    """
    values = sorted(table[sensitive].drop_nulls().unique().to_list())
    ordered = table.schema[sensitive].is_numeric()
    everybody = _shares(table[sensitive], values)
    distances = [
        _distance(_shares(group[sensitive], values), everybody, ordered=ordered)
        for _, group in table.group_by(list(quasi))
    ]
    return max(distances, default=0.0)


def _shares(column: pl.Series, values: list[object]) -> list[float]:
    counts = dict(column.drop_nulls().value_counts().iter_rows())
    total = sum(counts.values()) or 1
    return [counts.get(value, 0) / total for value in values]


def _distance(one: list[float], other: list[float], *, ordered: bool) -> float:
    differences = [a - b for a, b in zip(one, other, strict=True)]
    if not ordered:
        return sum(map(abs, differences)) / 2
    moved, carried = 0.0, 0.0
    for difference in differences:
        carried += difference
        moved += abs(carried)
    return moved / max(len(differences) - 1, 1)


def prosecutor(table: pl.DataFrame, quasi: Sequence[str], threshold: float) -> Recognition:
    """Risks where the attacker knows that their target is in the table.

    With f the size of a group, n patients and J groups: a patient's risk is 1/f; highest 1/min f; average J/n.
    """
    sizes = group_sizes(table, quasi)[SIZE].to_list()
    people = sum(sizes) or 1
    return Recognition(
        above=sum(size for size in sizes if 1 / size > threshold) / people,
        highest=1 / min(sizes, default=1) if sizes else 0.0,
        average=len(sizes) / people if sizes else 0.0,
    )


def journalist(
    table: pl.DataFrame, population: pl.DataFrame, quasi: Sequence[str], threshold: float
) -> Recognition:
    """Risks where the attacker does not know whether their target is in the table, which is a part of ``population``.

    With F the size of the same group in the population: a patient's risk is 1/F; highest 1/min F over groups of the
    table; average the larger of J / sum of F and the marketer's risk.
    """
    groups = _beside(table, population, quasi)
    sizes = list(zip(groups[SIZE].to_list(), groups[POPULATION].to_list(), strict=True))
    people = sum(few for few, _ in sizes) or 1
    return Recognition(
        above=sum(few for few, many in sizes if 1 / many > threshold) / people,
        highest=max((1 / many for _, many in sizes), default=0.0),
        average=max(len(sizes) / (sum(many for _, many in sizes) or 1), marketer(table, population, quasi)),
    )


def marketer(table: pl.DataFrame, population: pl.DataFrame, quasi: Sequence[str]) -> float:
    """The expected share of patients whom somebody recognises who tries all of them: the mean of 1/F over patients."""
    groups = _beside(table, population, quasi)
    people = int(groups[SIZE].sum()) or 1
    return float((groups[SIZE] / groups[POPULATION]).sum()) / people


def _beside(table: pl.DataFrame, population: pl.DataFrame, quasi: Sequence[str]) -> pl.DataFrame:
    """Groups of a table with their sizes there and in the population, which has at least as many."""
    here = group_sizes(table, quasi)
    there = group_sizes(population, quasi).rename({SIZE: POPULATION})
    joined = here.join(there, on=list(quasi), how="left", nulls_equal=True)
    return joined.with_columns(pl.max_horizontal(SIZE, pl.col(POPULATION).fill_null(0)).alias(POPULATION))


def to_suppress(table: pl.DataFrame, quasi: Sequence[str], k: int) -> pl.Series:
    """Which rows lose their quasi-identifiers so that all groups have k members or more; the fewest whole groups.

    Those who lose them are alike in having none, and are a group too: where it would be smaller than k, the next
    smallest group joins it.
    """
    sized = table.with_row_index("row").join(group_sizes(table, quasi), on=list(quasi), nulls_equal=True)
    sized = sized.sort(SIZE, *quasi, "row", nulls_last=True)
    bare = pl.all_horizontal(pl.col(name).is_null() for name in quasi)
    already = int(sized.filter(bare).height)
    suppressed = (
        [group for group in sized.filter(~bare & (pl.col(SIZE) < k)).partition_by(*quasi)] if k > 1 else []
    )
    rows = [row for group in suppressed for row in group["row"]]
    left = sized.filter(~bare & (pl.col(SIZE) >= k)).partition_by(*quasi, maintain_order=True)
    while (rows or already) and len(rows) + already < k and left:
        rows += left.pop(0)["row"].to_list()
    marked = set(rows)
    return pl.Series("suppressed", [row in marked for row in range(table.height)], dtype=pl.Boolean)


def information_lost(before: pl.Series, after: pl.Series) -> float:
    """How much of what a column told is lost by making it coarser: 0 nothing, 1 all (non-uniform entropy).

    For each patient the bits needed to get from the coarser value back to the finer, -log2 of how often the finer one
    stands among those with the same coarser one; over the bits that the finer column told.

    >>> information_lost(pl.Series(["a", "b", "c", "d"]), pl.Series(["x", "x", "y", "y"]))
    0.5
    """
    both = pl.DataFrame({"fine": before, "coarse": after})
    told = both.with_columns(
        pl.len().over("fine", "coarse").alias("pair"),
        pl.len().over("coarse").alias("many"),
        pl.len().over("fine").alias("same"),
    )
    lost = float((told["pair"] / told["many"]).log(2).sum())
    had = float((told["same"] / both.height).log(2).sum()) if both.height else 0.0
    return lost / had if had else 0.0

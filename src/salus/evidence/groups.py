"""Groups of patients for whom everything is measured again: by what the record says, or by age at the index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

BIRTH = "MEDS_BIRTH"
YEAR_DAYS = 365.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One group: patients who have ``code`` by the index, or are ``low`` years or older and younger than ``high``.

    ``label`` and ``name`` are what a finding's population says: "sex F", "age 50 to 64". An end that is None is open.
    """

    label: str
    name: str
    code: str | None = None
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The patients of one group."""

    label: str
    name: str
    patients: tuple[int, ...]


def slices_of(known: pl.DataFrame, groups: Sequence[Group]) -> tuple[Slice, ...]:
    """Who belongs to each group, from what was known at the index; whoever the record tells nothing of is in none.

    ``known`` comes from :func:`salus.cohort.moments.known_at_index`.
    """
    age = (pl.col("prediction_time") - pl.col("time")).dt.total_seconds() / (86_400 * YEAR_DAYS)
    ages = known.filter(pl.col("code") == BIRTH).group_by("subject_id").agg(age=age.max()).drop_nulls()
    found = []
    for group in groups:
        if group.code is not None:
            people = known.filter(pl.col("code") == group.code)
        else:
            low, high = group.low or 0, float("inf") if group.high is None else group.high
            people = ages.filter((pl.col("age") >= low) & (pl.col("age") < high))
        patients = tuple(people["subject_id"].unique().sort().to_list())
        found.append(Slice(label=group.label, name=group.name, patients=patients))
    return tuple(found)

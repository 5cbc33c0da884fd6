"""Group by group: what the evidence says of each, and a reason where it cannot say anything.

Sex, age and ethnicity are always reported. What the records do not hold is said, not left out: a gap that nobody sees
is a gap that nobody closes.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from salus.evidence.groups import Group
from salus.findings import Finding
from salus.programme.usecase import UseCase
from salus.timeline.columns import BIRTH
from salus.usecases.contract import Slice
from salus.usecases.opened import Opened

ALWAYS = ("sex", "age", "ethnicity")
RECORDED_AS = {"sex": ("SEX", "GENDER"), "age": (BIRTH,), "ethnicity": ("ETHNICITY", "RACE")}
"""How the codes of each begin."""


def groups_of(usecase: UseCase) -> tuple[Group, ...]:
    """The groups that a use case names."""
    found = []
    for rule in usecase.groups:
        found += [Group(label=rule.label, name=name, code=code) for name, code in rule.codes]
        found += [Group(label=rule.label, name=one.name, low=one.low, high=one.high) for one in rule.bands]
    return tuple(found)


def slices(opened: Opened, metric: str, findings: Sequence[Finding]) -> tuple[Slice, ...]:
    """Every group with the findings about it; ``metric``: what is said not to be estimable where there is none.

    A finding is about a group where its population ends so: "held_out: death_30d; sex F".
    """
    found = [_slice(group, metric, findings) for group in groups_of(opened.usecase)]
    named = {rule.label for rule in opened.usecase.groups}
    for label in ALWAYS:
        if label not in named:
            unknown = _unknown(metric, label, _why_not(label, opened))
            found.append(Slice(label=label, group="", findings=(unknown,)))
    return tuple(found)


def _slice(group: Group, metric: str, findings: Sequence[Finding]) -> Slice:
    about = f"{group.label} {group.name}"
    own = tuple(one for one in findings if one.population.endswith(f"; {about}"))
    if not own:
        own = (_unknown(metric, about, "it was not measured in this group"),)
    return Slice(label=group.label, group=group.name, findings=own)


def _unknown(metric: str, about: str, why: str) -> Finding:
    return Finding(
        metric=metric, population=f"all; {about}", value=None, patients=0, method="not measured", reason=why
    )


def _why_not(label: str, opened: Opened) -> str:
    heads = opened.codes["code"].str.split("//").list.first()
    if heads.is_in(list(RECORDED_AS[label])).any():
        return f"{label} is recorded, but usecase.yaml names no groups of it"
    return f"{label} is not recorded in these records"


def of_group(events: pl.DataFrame, patients: Sequence[int]) -> pl.DataFrame:
    """The events of some patients."""
    return events.filter(pl.col("subject_id").is_in(list(patients)))

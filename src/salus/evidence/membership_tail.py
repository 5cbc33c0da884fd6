"""Membership where it hurts most: few false alarms, and patients unlike the others.

An average over everybody hides the few who are told apart for sure. So: how many members an attack finds while it takes
one in a hundred, or one in a thousand, of the others for a member (Carlini et al. 2022, arXiv:2112.03570); and the AUC
again for patients who hold the rarest codes, the oldest, and the smallest ethnic group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from salus.evidence.discrimination import Floats
from salus.evidence.guesses import Guesses, rate
from salus.evidence.membership import CONTROL, DRAWN, Membership, Trial, auc_of
from salus.evidence.resampling import class_weights, interval
from salus.evidence.withheld import SMALLEST, shown, told
from salus.findings import Finding, Interval

ALARMS: Mapping[str, float] = {"1pct": 0.01, "01pct": 0.001}
LEAST_OF_GROUP = 20
RAREST, OLDEST = 0.05, 0.1
ETHNIC = ("ETHNICITY", "RACE", "ETHNIC_GROUP")
BIRTH = "MEDS_BIRTH"
REPLICATES_AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Singled:
    """A group looked at apart: its name and who is in it."""

    name: str
    patients: frozenset[int]


def tail_findings(found: Membership, *, seed: int) -> list[Finding]:
    """How many members each attack finds at 1 % and at 0.1 % false alarms, with its control and the blind guess."""
    return [
        one
        for trial in found.trials
        for label, alarms in ALARMS.items()
        for one in _tail(trial, label, alarms=alarms, seed=seed)
    ]


def true_positives(first: Floats, others: Floats, *, alarms: float, seed: int) -> Interval:
    """Share of ``first`` above the score that ``alarms`` of the others reach.

    Bounds: patients of both groups drawn again, which moves the mark too; never closer than Wilson's at a fixed mark,
    for where nobody is found no drawing again finds anybody.
    """
    mark = _mark(others[None], np.ones((1, len(others))), alarms)[0]
    fixed = rate(Guesses.each(first > mark))
    drawn = []
    for at in range(0, 1000, REPLICATES_AT_ONCE):
        weights = class_weights([len(first), len(others)], replicates=REPLICATES_AT_ONCE, seed=seed + at)
        marks = _mark(others[None], weights[:, len(first) :], alarms)
        drawn.append((weights[:, : len(first)] * (first[None] > marks[:, None])).sum(axis=1) / len(first))
    bounds = interval(fixed.value or 0.0, np.concatenate(drawn))
    return Interval(
        fixed.value,
        min(_or(bounds.lower, 0.0), _or(fixed.lower, 0.0)),
        max(_or(bounds.upper, 1.0), _or(fixed.upper, 1.0)),
    )


def group_findings(found: Membership, groups: Sequence[Singled], *, seed: int) -> list[Finding]:
    """The AUC among the patients of each group, by the strongest attack that could be run, with the control's."""
    trial = next((each for each in found.trials if not each.reason), found.trials[0])
    return [one for group in groups for one in _of_group(trial, group, seed=seed)]


def worst_off(events: pl.DataFrame) -> tuple[Singled, ...]:
    """Who may stand out: by rare codes, by age, by the smallest ethnic group where the record names one."""
    groups = [_rarest(events), _oldest(events), _smallest_ethnic(events)]
    return tuple(group for group in groups if group is not None)


def _tail(trial: Trial, label: str, *, alarms: float, seed: int) -> list[Finding]:
    metric = f"privacy.{trial.name}_tpr_{label}"
    rows = []
    for side, method, pair in (
        ("attack", trial.method, trial.scores),
        ("control", CONTROL.format(method=trial.method), trial.control_scores),
        ("baseline", trial.blind_method, trial.blind_scores),
    ):
        why, value = trial.reason if pair is None else "", Interval(None)
        if not why and pair is not None:
            why = _too_few_others(len(pair[1]), alarms)
            if not why:
                value = true_positives(*pair, alarms=alarms, seed=seed)
        first, others = (0, 0) if pair is None else (len(pair[0]), len(pair[1]))
        who = "never learnt from" if side == "control" else "members"
        rows.append(
            Finding(
                metric=metric,
                population=f"{told(first)} {who} v {told(others)} others" if pair else f"{who} v others",
                value=value.value,
                lower=value.lower,
                upper=value.upper,
                patients=shown(first) + shown(others),
                method=f"{method}; share found where {alarms:.1%} of the others are taken for members; {DRAWN}",
                seed=seed,
                comparison=side,
                reason=why,
            )
        )
    return rows


def _too_few_others(others: int, alarms: float) -> str:
    least = round(1 / alarms)
    if others >= least:
        return ""
    return f"{alarms:.1%} false alarms need {least:,} others at least: one of them must be a whole alarm"


def _mark(others: Floats, weights: Floats, alarms: float) -> Floats:
    """In each replicate the score that at most ``alarms`` of the others lie above."""
    order = np.argsort(-others[0], kind="stable")
    ranked = others[0][order]
    above = np.cumsum(weights[:, order], axis=1)
    allowed = alarms * weights.sum(axis=1) + 1e-9
    place = (above > allowed[:, None]).argmax(axis=1)
    marks: Floats = ranked[place]
    return marks


def _of_group(trial: Trial, group: Singled, *, seed: int) -> list[Finding]:
    made = []
    for side, method, who in (
        ("attack", trial.method, "members"),
        ("control", CONTROL.format(method=trial.method), "never learnt from"),
    ):
        first, others, why = _scores_of(trial, group, control=side == "control")
        value = Interval(None)
        if not why:
            value = auc_of(np.concatenate([first, others]), len(first), seed=seed)
        made.append(
            Finding(
                metric="privacy.membership_group_auc",
                population=f"{told(len(first))} {who} v {told(len(others))} others; {group.name}",
                value=value.value,
                lower=value.lower,
                upper=value.upper,
                patients=shown(len(first)) + shown(len(others)),
                method=f"{method}; {DRAWN}",
                seed=seed,
                comparison=side,
                reason=why,
            )
        )
    return made


def _scores_of(trial: Trial, group: Singled, *, control: bool) -> tuple[Floats, Floats, str]:
    pair, who = (trial.control_scores, trial.control_subjects) if control else (trial.scores, trial.subjects)
    if trial.reason or pair is None or who is None:
        return np.zeros(0), np.zeros(0), trial.reason or "who they are is not known"
    inside = [np.isin(ids, np.array(sorted(group.patients), dtype=np.int64)) for ids in who]
    first, others = pair[0][inside[0]], pair[1][inside[1]]
    if min(len(first), len(others)) < LEAST_OF_GROUP:
        few = "on one side or both"
        return first, others, f"fewer than {LEAST_OF_GROUP} patients of this group {few}"
    return first, others, ""


def _rarest(events: pl.DataFrame) -> Singled | None:
    """The twentieth of patients whose rarest code is held by the fewest."""
    held = events.select("subject_id", "code").unique()
    if held.is_empty():
        return None
    rarity = (
        held.join(held.group_by("code").len("holders"), on="code")
        .group_by("subject_id")
        .agg(pl.col("holders").min())
    )
    mark = rarity["holders"].quantile(RAREST, "lower")
    few = rarity.filter(pl.col("holders") <= mark)
    if few.height > rarity.height / 2:
        return None
    return Singled(name="holders of the rarest codes", patients=frozenset(few["subject_id"].to_list()))


def _oldest(events: pl.DataFrame) -> Singled | None:
    """The tenth who were oldest when their record began."""
    ages = (
        events.group_by("subject_id")
        .agg(
            born=pl.col("time").filter(pl.col("code") == BIRTH).min(),
            begun=pl.col("time").filter(pl.col("code") != BIRTH).min(),
        )
        .with_columns(age=pl.col("begun") - pl.col("born"))
        .drop_nulls("age")
        .sort("age", "subject_id", descending=True)
    )
    oldest = ages.head(int(ages.height * OLDEST))["subject_id"].to_list()
    return Singled(name="the oldest tenth", patients=frozenset(oldest)) if oldest else None


def _smallest_ethnic(events: pl.DataFrame) -> Singled | None:
    """The ethnic group that fewest patients belong to; told by name only where it is not withheld."""
    prefix = pl.col("code").str.to_uppercase().str.split("//").list.first()
    groups = (
        events.filter(prefix.is_in(ETHNIC))
        .group_by("code")
        .agg(pl.col("subject_id").unique())
        .with_columns(patients=pl.col("subject_id").list.len())
        .filter(pl.col("patients") >= SMALLEST)
        .sort("patients", "code")
    )
    if groups.height < 2:
        return None
    code, patients = str(groups["code"][0]), groups["subject_id"][0].to_list()
    return Singled(name=f"the smallest ethnic group, {code}", patients=frozenset(patients))


def _or(value: float | None, other: float) -> float:
    return other if value is None else value

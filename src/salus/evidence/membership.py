"""Can it be told whom the model learnt from? Membership attacks, each with a control and a guess without any model.

The control is the same attack on patients none of whom the model learnt from: it has nothing to find. The baseline is
a guess from the record alone. An attack says something about the model only as far as it beats both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from salus.evidence.attacks import People, blind_scores, density_scores, likelihood_scores, nearest_scores
from salus.evidence.discrimination import Floats, auroc
from salus.evidence.resampling import BOUNDS, REPLICATES, class_weights, interval
from salus.evidence.withheld import shown, told
from salus.findings import Finding, Interval

TEXT = {"comparison": pl.String, "who": pl.String}
LEAST = 50
NOT_MEASURED = Interval(None)
DRAWN = f"{REPLICATES:,} bootstrap draws of patients within each group, {BOUNDS}"
METHODS = {
    "likelihood": "likelihood of the record under the model: {way}; the strongest of {ways} ways, a choice that"
    " overstates it a little",
    "density": "log odds of synthetic v real by LightGBM on the whole record's summary (DOMIAS, arXiv:2302.12580)",
    "nearest": "distance to the nearest synthetic patient; sees little, shown because it is often reported",
}
CONTROL = "the same attack on patients of whom the model learnt from none; {method}"
BASELINE = (
    "a guess from the record alone, in 5 folds: LightGBM on its summary, without model or synthetic patients"
)
NO_BETTER = "no better than guessing: the lower bound is not above 0.5"
SHIFTED = "the control is told apart as well: the groups differ in more than membership, which overstates the attack"
GUESSED = "a guess without the model does at least as well"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Who is compared: members, whom the model learnt from, with others, whom it did not.

    ``control`` and ``rest``: further patients whom it did not learn from. Attacks learn from both what is to be
    expected; the control's attack learns from ``rest`` alone. ``synthetic``: summaries of synthetic patients.
    ``without_model``: why there is no likelihood, where there is none.
    """

    members: People
    others: People
    control: People
    rest: People
    synthetic: Floats
    without_model: str = ""

    @property
    def named(self) -> str:
        """The population of the findings."""
        return f"{told(len(self.members))} members v {told(len(self.others))} others"


Pair: TypeAlias = tuple[Floats, Floats]
Ids: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One attack's scores, to be looked at further: of members (or control, or blindly guessed) and of the others.

    ``subjects``: who they are, where that is known; never written. None where the attack could not be run.
    """

    name: str
    method: str
    blind_method: str
    reason: str = ""
    scores: Pair | None = None
    control_scores: Pair | None = None
    blind_scores: Pair | None = None
    subjects: tuple[Ids, Ids] | None = None
    control_subjects: tuple[Ids, Ids] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """Findings, and the scores of each patient, without identifiers, by comparison and group.

    ``trials``: the same scores by attack, the strongest first; they stay in memory.
    """

    findings: list[Finding]
    scores: pl.DataFrame
    members: int
    others: int
    trials: tuple[Trial, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attack:
    """What one attack found, and its scores: members or control, then others. Or why it could not be run."""

    name: str
    method: str
    reason: str = ""
    found: Interval = NOT_MEASURED
    control: Interval = NOT_MEASURED
    scores: Floats | None = None
    control_scores: Floats | None = None


def membership(sides: Sides, *, seed: int) -> Membership:
    """Run every attack; what could not be measured has no value and says why."""
    if not sides.without_model:
        sides = _with_likelihood(sides)
    why, guess, blind = _too_few(sides), NOT_MEASURED, None
    if not why:
        blind = blind_scores(sides.members, sides.others, seed=seed)
        guess = auc_of(blind, len(sides.members), seed=seed)
    attacks = [_run(name, sides, seed=seed) for name in METHODS]
    best = _strongest(attacks)
    findings = [
        one for attack in (best, *attacks) for one in _findings(attack, guess, sides=sides, seed=seed)
    ]
    return Membership(
        findings=findings,
        scores=_table(attacks, sides, seed=seed),
        members=shown(len(sides.members)),
        others=shown(len(sides.others)),
        trials=tuple(_trial(attack, blind, sides) for attack in (best, *attacks)),
    )


def _trial(attack: _Attack, blind: Floats | None, sides: Sides) -> Trial:
    who, others = sides.members.subject, sides.others.subject
    control = sides.control.subject

    def parted(scores: Floats | None, first: int) -> Pair | None:
        return None if scores is None else (scores[:first], scores[first:])

    return Trial(
        name=attack.name,
        method=attack.method,
        blind_method=BASELINE,
        reason=attack.reason,
        scores=parted(attack.scores, len(sides.members)),
        control_scores=parted(attack.control_scores, len(sides.control)),
        blind_scores=parted(blind, len(sides.members)),
        subjects=None if who is None or others is None else (who, others),
        control_subjects=None if control is None or others is None else (control, others),
    )


def _with_likelihood(sides: Sides) -> Sides:
    """Leave out patients of whom the model knows no fact: nothing can be likely about them."""
    groups = {name: getattr(sides, name) for name in ("members", "others", "control", "rest")}
    known = {name: each.of(np.isfinite(each.nats) & (each.facts > 0)) for name, each in groups.items()}
    return replace(sides, **known)


def _too_few(sides: Sides) -> str:
    """Why these groups cannot be attacked, or nothing."""
    groups = {
        "members": sides.members,
        "others": sides.others,
        "patients for the control": sides.control,
        "further patients to learn from": sides.rest,
    }
    small = [name for name, people in groups.items() if len(people) < LEAST]
    return f"fewer than {LEAST} {' and '.join(small)}" if small else ""


def _run(name: str, sides: Sides, *, seed: int) -> _Attack:
    """Attack the members, choose the strongest way, then attack the control in that same way."""
    method = METHODS[name]
    why = sides.without_model if name == "likelihood" else ""
    if name != "likelihood" and len(sides.synthetic) < LEAST:
        why = f"fewer than {LEAST} synthetic patients"
    why = why or _too_few(sides)
    if why:
        return _Attack(name=name, method=method.format(way="nats", ways=3), reason=why)
    attack = _attack(name, sides.synthetic, seed=seed)
    members, control = len(sides.members), len(sides.control)
    ways = attack(sides.members.beside(sides.others), sides.control.beside(sides.rest))
    values = {way: auc_of(scores, members, seed=None).value or 0.0 for way, scores in ways.items()}
    way = max(values, key=lambda each: values[each])
    again = attack(sides.control.beside(sides.others), sides.rest)[way]
    return _Attack(
        name=name,
        method=method.format(way=way, ways=len(ways)),
        found=auc_of(ways[way], members, seed=seed),
        control=auc_of(again, control, seed=seed),
        scores=ways[way],
        control_scores=again,
    )


def _attack(name: str, synthetic: Floats, *, seed: int) -> Callable[[People, People], dict[str, Floats]]:
    """The attack of that name: suspects and reference to scores, by way."""
    if name == "likelihood":
        return lambda suspects, reference: likelihood_scores(suspects, reference, seed=seed)
    if name == "density":
        return lambda suspects, reference: {
            name: density_scores(suspects, reference, synthetic=synthetic, seed=seed)
        }
    return lambda suspects, reference: {name: nearest_scores(suspects, reference, synthetic=synthetic)}


def auc_of(scores: Floats, first: int, *, seed: int | None) -> Interval:
    """How well scores tell the first group from the second; with bounds where there is a seed."""
    outcome = (np.arange(len(scores)) < first).astype(float)
    value = float(auroc(outcome, scores)[0])
    if seed is None:
        return Interval(value)
    weights = class_weights([first, len(scores) - first], seed=seed)
    return interval(value, auroc(outcome, scores, weights=weights), patients=len(scores))


def _strongest(attacks: list[_Attack]) -> _Attack:
    """The stronger of the attacks on the model and on its output; without the first nothing can be concluded."""
    likelihood, density, _ = attacks
    if likelihood.reason:
        why = f"the attack on the model itself could not be run: {likelihood.reason}"
        return _Attack(name="membership", method="the stronger of likelihood and density", reason=why)
    best = max((likelihood, density), key=lambda each: each.found.value or 0.0)
    missing = f" (density: {density.reason})" if density.reason else ""
    method = f"{best.name}, the stronger of likelihood and density{missing}: {best.method}"
    return replace(best, name="membership", method=method)


def _findings(attack: _Attack, guess: Interval, *, sides: Sides, seed: int) -> list[Finding]:
    """The attack, its control and the guess without a model."""
    metric, method = f"privacy.{attack.name}_auc", attack.method
    remark = attack.reason or _remark(attack, guess)
    against = f"{told(len(sides.control))} never learnt from v {told(len(sides.others))} others"
    rows = (
        ("attack", sides.named, attack.found, method, remark, len(sides.members)),
        (
            "control",
            against,
            attack.control,
            CONTROL.format(method=method),
            attack.reason,
            len(sides.control),
        ),
        ("baseline", sides.named, guess, BASELINE, _too_few(sides), len(sides.members)),
    )
    return [
        Finding(
            metric=metric,
            population=population,
            value=found.value,
            lower=found.lower,
            upper=found.upper,
            patients=shown(first) + shown(len(sides.others)),
            method=f"{said}; {DRAWN}",
            seed=seed,
            comparison=comparison,
            reason=why,
        )
        for comparison, population, found, said, why, first in rows
    ]


def _remark(attack: _Attack, guess: Interval) -> str:
    """What a reader must know of a value that was measured."""
    found = attack.found
    value, lower = found.value or 0.0, found.lower or 0.0
    remarks = []
    if lower <= 0.5:
        remarks.append(NO_BETTER)
    if (attack.control.lower or 0.0) > 0.5:
        remarks.append(SHIFTED)
    if lower > 0.5 and (guess.value or 0.0) >= value:
        remarks.append(GUESSED)
    return "; ".join(remarks)


def _table(attacks: list[_Attack], sides: Sides, *, seed: int) -> pl.DataFrame:
    """Scores by comparison (attack, control) and group (member, control, other), in no order that tells who it is."""
    frames = []
    for comparison, who, first in (
        ("attack", "member", sides.members),
        ("control", "control", sides.control),
    ):
        groups = [who] * len(first) + ["other"] * len(sides.others)
        frame = pl.DataFrame({"comparison": [comparison] * len(groups), "who": groups}, schema_overrides=TEXT)
        for attack in attacks:
            scores = attack.scores if comparison == "attack" else attack.control_scores
            column = pl.Series([None] * len(groups) if scores is None else scores, dtype=pl.Float64)
            frame = frame.with_columns(column.round(4).alias(attack.name))
        frames.append(frame.sample(fraction=1, shuffle=True, seed=seed))
    return pl.concat(frames)

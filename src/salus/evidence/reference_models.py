"""Membership by reference models: how likely would this record be, had the model not been trained on it?

Models like the one attacked are trained on random halves of the same patients. The losses of those that did not see a
patient say what loss to expect of the record and how much chance scatters it; the score is by how many standard
deviations the attacked model knows it better (offline LiRA: Carlini et al. 2022, arXiv:2112.03570).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from salus.evidence.attacks import People, blind_scores
from salus.evidence.discrimination import Floats, auroc, found_at
from salus.evidence.membership import BASELINE, DRAWN, GUESSED, LEAST, NO_BETTER, SHIFTED
from salus.evidence.resampling import class_weights, interval
from salus.evidence.withheld import shown, told
from salus.findings import Finding, Interval

LEAST_MODELS = 4
PRIOR = 8.0
"""Models that the scatter common to all patients counts as: a handful of losses says little about one patient's own."""
METHOD = "offline LiRA (arXiv:2112.03570) with {models} reference models, each on a random half of {patients} patients"
CONTROL = "the same attack on patients of whom the model learnt from none; {method}"
METRICS_AT: Mapping[str, float | None] = {
    "privacy.reference_auc": None,
    "privacy.reference_tpr_1": 0.01,
    "privacy.reference_tpr_01": 0.001,
}
"""Which metric is the share of members found at which share of false alarms; None: over all of them, the AUROC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Some patients under the attacked model, and (patients, models) nats under those not trained on each; else nan."""

    people: People
    outside: Floats

    def __len__(self) -> int:
        """How many patients."""
        return len(self.people)

    def of(self, rows: NDArray[np.bool_]) -> Seen:
        """Take some of them."""
        return Seen(people=self.people.of(rows), outside=self.outside[rows])

    def beside(self, others: Seen) -> Seen:
        """These patients, then the others."""
        return Seen(
            people=self.people.beside(others.people), outside=np.vstack([self.outside, others.outside])
        )

    def known(self) -> Seen:
        """Those of whom the model knows a fact and whom two reference models or more were not trained on."""
        nats, facts = self.people.nats, self.people.facts
        return self.of(np.isfinite(nats) & (facts > 0) & (np.isfinite(self.outside).sum(axis=1) > 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenSides:
    """Members, others and control as in membership attacks; from ``rest`` alone is learnt what to expect of anybody."""

    members: Seen
    others: Seen
    control: Seen
    rest: Seen


def halves(patients: int, models: int, *, seed: int) -> NDArray[np.bool_]:
    """Who trains which reference model, shape (patients, models): everybody half of them, by lot.

    >>> halves(5, 4, seed=1).sum(axis=1).tolist()
    [2, 2, 2, 2, 2]
    """
    half = np.arange(models) < models // 2
    return np.random.default_rng(seed).permuted(np.tile(half, (patients, 1)), axis=1)


def reference_scores(suspects: Seen, rest: Seen) -> Floats:
    """By how many standard deviations the attacked model knows each record better than models that never saw it.

    Reference models are cheaper than the attacked one: how its losses follow from theirs is a line learnt from
    ``rest``. The scatter of nats grows as the root of facts; a patient's own is drawn towards that of all.
    """
    middle, spread = _outside(suspects)
    known, known_spread = _outside(rest)
    line = np.linalg.lstsq(_terms(known, rest), _scaled(rest), rcond=None)[0]
    models = np.isfinite(suspects.outside).sum(axis=1)
    common = max(float(known_spread.mean()), float(np.finfo(np.float64).tiny))
    variance = (PRIOR * common + (models - 1) * spread) / (PRIOR + models - 1)
    scores: Floats = (_terms(middle, suspects) @ line - _scaled(suspects)) / np.sqrt(variance)
    return scores


def reference_attack(sides: SeenSides, *, seed: int) -> list[Finding]:
    """AUROC and members found at 1 % and 0.1 % false alarms, each beside its control and a guess without the model."""
    known = SeenSides(
        **{name: getattr(sides, name).known() for name in ("members", "others", "control", "rest")}
    )
    why = _too_few(known)
    method = METHOD.format(models=sides.members.outside.shape[1], patients=f"{_everybody(sides):,}")
    games = [] if why else _games(known, seed=seed)
    found = []
    for metric, false_alarms in METRICS_AT.items():
        measured = [_measured(game, false_alarms, seed=seed) for game in games] or [Interval(None)] * 3
        short = why or _none_to_alarm(known, false_alarms)
        remark = short or _remark(measured, chance=0.5 if false_alarms is None else false_alarms)
        found += _findings(metric, measured, known, said=(method, remark), seed=seed)
    return found


@dataclass(frozen=True, slots=True)
class _Game:
    """Scores of the suspected, ``first`` of them, then of the others."""

    scores: Floats
    first: int


def _games(sides: SeenSides, *, seed: int) -> list[_Game]:
    """The attack, its control and the guess without the model."""
    members, control = len(sides.members), len(sides.control)
    return [
        _Game(reference_scores(sides.members.beside(sides.others), sides.rest), members),
        _Game(reference_scores(sides.control.beside(sides.others), sides.rest), control),
        _Game(blind_scores(sides.members.people, sides.others.people, seed=seed), members),
    ]


def _measured(game: _Game, false_alarms: float | None, *, seed: int) -> Interval:
    number, others = len(game.scores), len(game.scores) - game.first
    if false_alarms is not None and others * false_alarms < 1:
        return Interval(None)
    outcome = (np.arange(number) < game.first).astype(np.float64)
    measure: Callable[..., Floats] = (
        auroc if false_alarms is None else partial(found_at, false_alarms=false_alarms)
    )
    weights = class_weights([game.first, others], seed=seed)
    value = float(measure(outcome, game.scores)[0])
    return interval(value, measure(outcome, game.scores, weights=weights), patients=number)


def _findings(
    metric: str, measured: list[Interval], sides: SeenSides, *, said: tuple[str, str], seed: int
) -> list[Finding]:
    """The attack, its control and the guess. ``said``: the method, and what a reader must know."""
    method, reason = said
    members, others, control = (len(each) for each in (sides.members, sides.others, sides.control))
    population = f"{told(members)} members v {told(others)} others"
    against = f"{told(control)} never learnt from v {told(others)} others"
    rows = (
        ("attack", population, method, members),
        ("control", against, CONTROL.format(method=method), control),
        ("baseline", population, BASELINE, members),
    )
    return [
        Finding(
            metric=metric,
            population=who,
            value=found.value,
            lower=found.lower,
            upper=found.upper,
            patients=shown(first) + shown(others),
            method=f"{how}; {DRAWN}",
            seed=seed,
            comparison=comparison,
            reason=reason if comparison == "attack" or found.value is None else "",
        )
        for (comparison, who, how, first), found in zip(rows, measured, strict=True)
    ]


def _remark(measured: list[Interval], *, chance: float) -> str:
    """What a reader must know of a value that was measured."""
    attack, control, guess = measured
    lower = attack.lower or 0.0
    remarks = [NO_BETTER.replace("0.5", f"{chance:g}")] if lower <= chance else []
    if (control.lower or 0.0) > chance:
        remarks.append(SHIFTED)
    if lower > chance and (guess.value or 0.0) >= (attack.value or 0.0):
        remarks.append(GUESSED)
    return "; ".join(remarks)


def _none_to_alarm(sides: SeenSides, false_alarms: float | None) -> str:
    if false_alarms is None or len(sides.others) * false_alarms >= 1:
        return ""
    return f"fewer than {round(1 / false_alarms):,} others: {false_alarms:.1%} of them is nobody"


def _too_few(sides: SeenSides) -> str:
    """Why these groups cannot be attacked, or nothing."""
    if sides.members.outside.shape[1] < LEAST_MODELS:
        return f"fewer than {LEAST_MODELS} reference models"
    small = [name for name in ("members", "others", "control", "rest") if len(getattr(sides, name)) < LEAST]
    return f"fewer than {LEAST} patients as {' and '.join(small)}" if small else ""


def _everybody(sides: SeenSides) -> int:
    return sum(len(each) for each in (sides.members, sides.others, sides.control, sides.rest))


def _scaled(seen: Seen) -> Floats:
    return seen.people.nats / np.sqrt(seen.people.facts)


def _outside(seen: Seen) -> tuple[Floats, Floats]:
    """Mean and variance of each patient's nats under models not trained on it, over the root of facts."""
    scaled = seen.outside / np.sqrt(seen.people.facts)[:, None]
    return np.nanmean(scaled, axis=1), np.nanvar(scaled, axis=1, ddof=1)


def _terms(middle: Floats, seen: Seen) -> Floats:
    """A constant, what the reference models say, and nats a fact, all over the root of facts."""
    return np.column_stack([np.ones(len(middle)), middle, np.sqrt(seen.people.facts)])

"""How much privacy a model has surely lost, from one training run: a lower bound on ε.

Each of m canary patients was trained on or left out by a fair coin. Whoever holds the model guesses r coins and is
right v times. A model that is (ε, δ)-differentially private allows no more right guesses than a binomial with
q = e^ε / (1 + e^ε), and a little for δ; more of them prove that ε is larger. Steinke, Nasr, Jagielski 2023,
arXiv:2305.08846.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from salus.evidence.discrimination import Floats, auroc
from salus.evidence.resampling import BOUNDS, LEVEL, REPLICATES, class_weights, interval
from salus.evidence.withheld import told
from salus.findings import Finding, Interval

LEAST_CANARIES = 100
"""Fewer than these could not show an ε of 3 even if every guess were right."""
GUESSED = (0.1, 0.2, 0.4, 1.0)
"""Shares of the canaries that are guessed, the surest first: written down before any coin is looked at."""
ROUNDS = 60
METRIC, AUC = "privacy.empirical_epsilon", "privacy.canary_auc"
THEOREM = "one-run lower bound (Steinke, Nasr & Jagielski 2023, arXiv:2305.08846, Theorem 5.2)"
NOTHING = "no more right guesses than luck explains: the bound is 0"
BROKEN = "above the ε that was proved: the proof or the training is wrong"
BLIND = "guesses from the record alone do as well: the coins were not fair, or not secret"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guesses:
    """Of so many canaries, so many coins were guessed, and so many guesses were right."""

    canaries: int
    made: int
    right: int

    def __post_init__(self) -> None:
        if not 0 <= self.right <= self.made <= self.canaries:
            raise ValueError("no more guesses than canaries, no more right ones than guesses")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tossed:
    """What an audit measured of each canary, in an order that the coins had no part in.

    ``included``: the coins. ``scores``: higher where the model knows the record better than one expects (nan: no
    guess); ``way`` says how. ``blind``: a score of the record alone, without the model. ``proved``: the ε that the
    accountant of private training gives for ``delta``; None: nothing is proved.
    """

    included: NDArray[np.bool_]
    scores: Floats
    blind: Floats
    delta: float
    way: str
    proved: float | None = None


def p_value(guesses: Guesses, *, epsilon: float, delta: float) -> float:
    """How likely at least so many right guesses are, at most, if the training is (ε, δ)-private: Theorem 5.2.

    With m canaries, r guesses, v of them right, W binomial of r and q = e^ε / (1 + e^ε)::

        P[right >= v]  <=  P[W >= v]  +  2 m δ max over i = 1..m of  P[v > W >= v - i] / i

    The window below v has nothing left after i = v while i goes on growing, so the maximum lies at v or before.

    >>> round(p_value(Guesses(canaries=10, made=10, right=10), epsilon=0.0, delta=0.0), 6)  # ten coins, all right
    0.000977
    """
    made, right = guesses.made, guesses.right
    rate = 1 / (1 + math.exp(-epsilon))
    windows = np.cumsum(binom.pmf(np.arange(right - 1, -1, -1), made, rate)) / np.arange(1, right + 1)
    slack = 2 * guesses.canaries * delta * float(windows.max(initial=0.0))
    return min(1.0, float(binom.sf(right - 1, made, rate)) + slack)


def epsilon_at_least(guesses: Guesses, *, delta: float, level: float = LEVEL) -> float:
    """A lower bound on ε, wrong with chance 1 - ``level`` at most: so many right guesses refute every smaller ε.

    Whatever is (ε, δ)-private is so for every larger ε too. A refuted ε therefore refutes all below it, and it does
    not matter which refuted one the halving finds.
    """

    def refuted(epsilon: float) -> bool:
        return p_value(guesses, epsilon=epsilon, delta=delta) < 1 - level

    if not guesses.made or not refuted(0.0):
        return 0.0
    low, high = 0.0, 1.0
    while refuted(high):
        low, high = high, 2 * high
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        low, high = (middle, high) if refuted(middle) else (low, middle)
    return low


def make_guesses(scores: Floats, included: NDArray[np.bool_], *, made: int) -> Guesses:
    """Guess that the highest half of ``made`` scores was trained on and that the lowest half was not.

    Canaries without a score are not guessed. Of equal scores the earlier counts as lower: the order must not know
    the coins.

    >>> some = make_guesses(np.array([4.0, 3.0, 2.0, 1.0]), np.array([True, False, True, False]), made=2)
    >>> some.right, some.made
    (2, 2)
    """
    known = np.flatnonzero(np.isfinite(scores))
    order = known[np.argsort(scores[known], kind="stable")]
    half = min(made, len(order)) // 2
    right = int(included[order[len(order) - half :]].sum()) + int((~included[order[:half]]).sum())
    return Guesses(canaries=len(scores), made=2 * half, right=right)


@dataclass(frozen=True, slots=True, kw_only=True)
class LowerBound:
    """The strongest of the bounds at the numbers of guesses fixed beforehand, and the guesses it rests on."""

    epsilon: float
    guesses: Guesses


def lower_bound(
    scores: Floats, included: NDArray[np.bool_], *, delta: float, shares: Sequence[float] = GUESSED
) -> LowerBound:
    """Bound ε at every number of guesses and keep the best; each at its part of 5 %, so that all hold together."""
    level = 1 - (1 - LEVEL) / len(shares)
    found = []
    for share in shares:
        guesses = make_guesses(scores, included, made=round(share * len(scores)))
        found.append(LowerBound(epsilon=epsilon_at_least(guesses, delta=delta, level=level), guesses=guesses))
    return max(found, key=lambda one: (one.epsilon, one.guesses.made))


def most_provable(canaries: int, *, delta: float) -> float:
    """The bound if every coin were guessed right: more than this no model can be shown to give away.

    >>> round(most_provable(100, delta=0.0), 2), round(most_provable(1000, delta=0.0), 2)
    (3.11, 5.43)
    """
    every = np.arange(canaries) < canaries // 2
    return lower_bound(every.astype(np.float64), every, delta=delta).epsilon


@dataclass(frozen=True, slots=True)
class _Side:
    """One game: scores against coins, and what it is."""

    name: str
    scores: Floats
    coins: NDArray[np.bool_]
    way: str


def empirical_epsilon(tossed: Tossed, *, seed: int) -> list[Finding]:
    """The bound on ε, and how well canaries are told apart: each beside a control and a guess without the model.

    Control: the same scores against coins tossed anew with ``seed``, which the model cannot know.
    """
    anew = np.random.default_rng(seed).random(len(tossed.scores)) < 0.5
    sides = (
        _Side("attack", tossed.scores, tossed.included, tossed.way),
        _Side("control", tossed.scores, anew, f"the same against coins tossed anew; {tossed.way}"),
        _Side("baseline", tossed.blind, tossed.included, "a guess from the record alone, without the model"),
    )
    bounds = {one.name: lower_bound(one.scores, one.coins, delta=tossed.delta) for one in sides}
    epsilons = [_epsilon(one, bounds[one.name], tossed, seed=seed) for one in sides]
    said = replace(epsilons[0], reason=_remark(bounds, tossed.proved))
    return [said, *epsilons[1:], *(_area(one, seed=seed) for one in sides)]


def _epsilon(side: _Side, bound: LowerBound, tossed: Tossed, *, seed: int) -> Finding:
    """The bound as a finding. There is no upper bound but a proved one; the value is the lower bound itself."""
    guesses = bound.guesses
    proved = tossed.proved if side.name == "attack" else None
    above = "" if proved is None else f"; upper: proved by the accountant, ε = {proved:.2f}"
    return Finding(
        metric=METRIC,
        population=_named(side),
        value=bound.epsilon,
        lower=bound.epsilon,
        upper=proved,
        level=LEVEL,
        patients=len(side.scores),
        method=f"{THEOREM}: {guesses.right:,} of {guesses.made:,} guesses right, δ = {tossed.delta:.1g}; the best of "
        f"{len(GUESSED)} numbers of guesses fixed beforehand, at 1 - 0.05/{len(GUESSED)} each{above}; {side.way}",
        seed=seed,
        comparison=side.name,
    )


def _area(side: _Side, *, seed: int) -> Finding:
    """How well the scores tell canaries trained on from canaries left out."""
    known = np.isfinite(side.scores)
    scores, coins = side.scores[known], side.coins[known]
    order = np.argsort(~coins, kind="stable")
    scores, outcome = scores[order], coins[order].astype(np.float64)
    sizes = [int(coins.sum()), int((~coins).sum())]
    found = Interval(None)
    if min(sizes) > 1:
        weights = class_weights(sizes, seed=seed)
        value = float(auroc(outcome, scores)[0])
        found = interval(value, auroc(outcome, scores, weights=weights), patients=len(scores))
    return Finding(
        metric=AUC,
        population=_named(side),
        value=found.value,
        lower=found.lower,
        upper=found.upper,
        level=LEVEL,
        patients=len(scores),
        method=f"AUROC; {side.way}; {REPLICATES:,} bootstrap draws of patients within each group, {BOUNDS}",
        seed=seed,
        comparison=side.name,
        reason="" if found.value is not None else "the coins left one side empty",
    )


def _named(side: _Side) -> str:
    return f"{told(len(side.scores))} canaries, each trained on or left out by a fair coin"


def _remark(bounds: dict[str, LowerBound], proved: float | None) -> str:
    """What a reader must know of the bound."""
    found = bounds["attack"].epsilon
    remarks = []
    if found <= 0:
        remarks.append(NOTHING)
    if 0 < found <= bounds["baseline"].epsilon:
        remarks.append(BLIND)
    if proved is not None and found > proved:
        remarks.append(BROKEN)
    return "; ".join(remarks)

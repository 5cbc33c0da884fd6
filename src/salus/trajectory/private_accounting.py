"""What privacy costs: which noisy answers were given, how much noise a budget demands, and the ε of all together.

Everything that is learnt from patients is a noisy sum to which one patient adds a vector of bounded length (a Gaussian
mechanism; training takes a random sample of patients first), so that one accountant adds up all of it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from salus.errors import BudgetTooSmall, PrivacyRefused

ERROR = 0.01
"""How far the accountant's ε may lie above the true one; the upper bound is what is recorded."""
MOST_NOISE = 40.0
"""Noise a step, in units of one patient's longest gradient, beyond which nothing is learnt."""
DoubleArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One kind of noisy answer: ``noise``, the standard deviation in units of what one patient changes at most.

    ``rate``: the chance of a patient to take part in one; ``times``: how many were given.
    """

    what: str
    noise: float
    rate: float = 1.0
    times: int = 1


def accountant() -> str:
    """Who adds up, with its version. Raises PrivacyRefused (SAL-316) where opacus is not installed."""
    _load()
    return f"PRV (Gopi, Lee & Wutschitz 2021) of opacus {version('opacus')}"


def _load() -> Any:
    try:
        return import_module("opacus.accountants")
    except ImportError as error:
        raise PrivacyRefused(
            "private training needs opacus, whose accountant adds up what is spent",
            where="--private",
            fix="pip install 'salus[private]'",
        ) from error


def epsilon_of(answers: Sequence[Answer], *, delta: float) -> float:
    """The ε of all answers together at ``delta``: an upper bound."""
    counted = _load().PRVAccountant()
    counted.history = [(one.noise, one.rate, one.times) for one in answers if one.times]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a logarithm of 0 where a rate of 1 leaves nothing to chance
        return float(counted.get_epsilon(delta=delta, eps_error=ERROR))


def noise_for(share: float, *, epsilon: float, delta: float) -> float:
    """The noise of one answer that takes ``share`` of the budget, by zero-concentrated privacy (Bun & Steinke 2016)."""
    log = math.log(1 / delta)
    whole = (math.sqrt(log + epsilon) - math.sqrt(log)) ** 2
    return math.sqrt(1 / (2 * share * whole))


def training_noise(
    before: Sequence[Answer], *, rate: float, steps: int, epsilon: float, delta: float
) -> float:
    """The least noise of ``steps`` steps that keeps all answers together within ``epsilon``.

    Raises BudgetTooSmall (SAL-317) where a step would have to be mostly noise.
    """

    def spent(noise: float) -> float:
        training = Answer(what="training", noise=noise, rate=rate, times=steps)
        return epsilon_of([*before, training], delta=delta)

    low, high = 0.3, MOST_NOISE
    if spent(high) > epsilon:
        raise BudgetTooSmall(
            f"ε = {epsilon:g} at δ = {delta:.2g} leaves a step more than {MOST_NOISE:g} times as much noise as one "
            "patient's gradient",
            where="--epsilon",
            fix="give a larger --epsilon (1 to 10 are usual), or ingest more patients",
        )
    while high / low > 1.002:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if spent(middle) <= epsilon else (middle, high)
    return high


def gaussian(random: np.random.Generator, size: int, scale: float) -> DoubleArray:
    """Noise from a generator whose seed nobody keeps.

    Each number is half the sum of four: what the floating point of one gives away is hidden by the others
    (Holohan & Braghin 2021, arXiv:2107.10138).
    """
    noise: DoubleArray = random.standard_normal((4, size)).sum(axis=0) * (scale / 2)
    return noise

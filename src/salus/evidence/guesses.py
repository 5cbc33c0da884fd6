"""How often an attacker guesses right, and how much of it the attacked set gave away.

Every question is put three times: about patients the model learnt from (attack), about patients it did not (control),
and to somebody who guesses without the synthetic patients (baseline). What the set gave away is the attack's success
above the control's, as a share of what was left to gain: risk = (attack - control) / (1 - control) (Giomi et al. 2023,
arXiv:2211.10459). It is not cut off at nought: where nothing leaks, half of all risks measured are below it.

Bounds of a rate are Wilson's (J Am Stat Assoc 1927) for as many independent guesses as those made are worth, guesses
of one owner being alike; bounds of a risk are made of the two rates' bounds (Donner & Zou, Stat Methods Med Res 2012).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from salus.evidence.discrimination import Floats
from salus.evidence.withheld import shown
from salus.findings import Finding, Interval

LEVEL = 0.95
LEAST = 50
"""Guesses below which a rate says nothing."""
NO_MORE = "no more than about patients never learnt from: the lower bound of the risk is not above nought"
GUESSED = "a guess without the synthetic patients does at least as well"
NOTHING_LEFT = "the control was right every time: nothing was left to give away"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guesses:
    """Guesses that were right (1) or wrong (0), and whose they are: an owner's guesses stand or fall together.

    ``most``: the largest value that one may have; above 1 where guesses stand for more than themselves.
    """

    right: Floats
    owner: NDArray[np.int64]
    most: float = 1.0

    @classmethod
    def each(cls, right: Floats | NDArray[np.bool_]) -> Guesses:
        """One guess an owner."""
        return cls(right=np.asarray(right, dtype=np.float64), owner=np.arange(len(right)))

    def __len__(self) -> int:
        """How many guesses."""
        return len(self.right)

    @property
    def rate(self) -> float:
        """The share that was right."""
        return float(self.right.mean()) if len(self) else float("nan")

    @property
    def worth(self) -> float:
        """How many independent guesses they are worth."""
        share, owners = self.rate, len(np.unique(self.owner))
        apart = np.bincount(np.unique(self.owner, return_inverse=True)[1], weights=self.right - share)
        spread = float((apart**2).sum()) / len(self) ** 2
        if spread <= 0 or not 0 < share < 1:
            return owners / self.most
        return min(share * (1 - share) / spread, float(len(self)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What was asked of three groups. ``metric``: the rate's name; its risk is called ``metric`` + "_risk".

    ``population``, ``against``: who was asked about in the attack and in the control; ``patients``: how many in each.
    """

    metric: str
    method: str
    attack: Guesses
    control: Guesses
    baseline: Guesses
    population: str
    against: str
    patients: tuple[int, int] = (0, 0)
    reason: str = ""
    remarks: tuple[str, ...] = field(default=())


def rate(guesses: Guesses, *, level: float = LEVEL) -> Interval:
    """The share of right guesses with Wilson's bounds.

    >>> found = rate(Guesses.each(np.arange(10) < 2))
    >>> found.value, round(found.lower, 4), round(found.upper, 4)
    (0.2, 0.0567, 0.5098)
    """
    if not len(guesses):
        return Interval(None)
    share, worth = min(guesses.rate, 1.0), guesses.worth
    z = float(norm.ppf((1 + level) / 2))
    middle = (share + z**2 / (2 * worth)) / (1 + z**2 / worth)
    reach = z / (1 + z**2 / worth) * sqrt(share * (1 - share) / worth + z**2 / (4 * worth**2))
    return Interval(guesses.rate, max(0.0, min(middle - reach, share)), min(1.0, max(middle + reach, share)))


def risk(attack: Interval, control: Interval) -> Interval:
    """What the attacked set gave away: (attack - control) / (1 - control), with bounds from those of the two rates."""
    rates = (attack.value, attack.lower, attack.upper, control.value, control.lower, control.upper)
    if any(one is None for one in rates):
        return Interval(None)
    missed, least, most = (1.0 - float(one or 0.0) for one in (attack.value, attack.upper, attack.lower))
    left, fewest, largest = (1.0 - float(one or 0.0) for one in (control.value, control.upper, control.lower))
    if left <= 0 or fewest <= 0:
        return Interval(None)
    both = missed * left
    low = both**2 - least * largest * (2 * missed - least) * (2 * left - largest)
    high = both**2 - most * fewest * (2 * missed - most) * (2 * left - fewest)
    upper = 1 - max(0.0, (both - sqrt(max(low, 0.0))) / (largest * (2 * left - largest)))
    lower = 1 - (both + sqrt(max(high, 0.0))) / (fewest * (2 * left - fewest))
    return Interval(1 - missed / left, lower, upper)


def answers(question: Question, *, seed: int) -> list[Finding]:
    """The rates of attack, control and baseline, and the risk; what cannot be estimated says why."""
    why = question.reason or _too_few(question)
    attack, control, baseline = (
        Interval(None) if why else rate(each)
        for each in (question.attack, question.control, question.baseline)
    )
    added = risk(attack, control)
    lost = why or (NOTHING_LEFT if added.value is None else "")
    remark = lost or _remark(added, attack, baseline, question)
    rows = (
        (question.metric, "attack", question.population, attack, remark),
        (question.metric, "control", question.against, control, why),
        (question.metric, "baseline", question.population, baseline, why),
        (f"{question.metric}_risk", "attack", question.population, added, remark),
    )
    seen, never = question.patients
    return [
        Finding(
            metric=metric,
            population=population,
            value=found.value,
            lower=found.lower,
            upper=found.upper,
            patients=shown(never) if side == "control" else shown(seen),
            method=question.method,
            seed=seed,
            comparison=side,
            reason=reason,
        )
        for metric, side, population, found, reason in rows
    ]


def _too_few(question: Question) -> str:
    groups = {
        "at members": question.attack,
        "at patients never learnt from": question.control,
        "without the set": question.baseline,
    }
    small = [name for name, guesses in groups.items() if len(guesses) < LEAST]
    return f"fewer than {LEAST} guesses {' and '.join(small)}" if small else ""


def _remark(added: Interval, attack: Interval, baseline: Interval, question: Question) -> str:
    remarks = list(question.remarks)
    if (added.lower or 0.0) <= 0:
        remarks.append(NO_MORE)
    if (attack.value or 0.0) <= (baseline.value or 0.0):
        remarks.append(GUESSED)
    return "; ".join(remarks)

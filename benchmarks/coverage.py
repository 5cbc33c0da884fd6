"""Do 95 % intervals hold the truth 95 times in 100 where patients have several stays each, alike within a patient?

500 invented data sets of 150 patients with 8 stays. How ill a patient tends to be, and how high the patient scores, are
the patient's own, so 1,200 stays are worth far fewer. Each stay's score is normal about 0 without and about ``APART``
with the outcome, so that the truth is known from formulas: AUROC = Phi(APART / sqrt 2); the risk is the right one with
its log odds stretched by ``STRETCH``, so that the slope is 1 / STRETCH; the Brier score is one integral.

Run: `python -m benchmarks.coverage`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.integrate import quad
from scipy.stats import norm

from benchmarks.rows import Row, commit, machine
from salus.evidence.calibration import calibration_line
from salus.evidence.discrimination import Floats, auroc, brier, delong_variance
from salus.evidence.resampling import REPLICATES, interval, patient_weights

COMMAND = "make bench"
SETS, PATIENTS, STAYS = 500, 150, 8
APART, STRETCH, FREQUENT = 1.2, 1.25, 0.3
ILL_ALIKE, SCORES_ALIKE = 0.6, 0.7
"""How alike the stays of one patient are: correlation of outcomes, and of scores about the outcome's mean."""
WANTED = (0.93, 0.97)


@dataclass(frozen=True, slots=True)
class Stays:
    """One invented data set: whose each stay is, its outcome and its forecast risk."""

    owner: np.ndarray
    outcome: Floats
    risk: Floats


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of ``sets`` intervals so many held the truth; beside it those of a method that takes stays for patients."""

    name: str
    truth: float
    held: int
    sets: int
    naive: int | None = None

    @property
    def share(self) -> float:
        """The share of intervals that held the truth."""
        return self.held / self.sets


def invent_stays(seed: int, *, patients: int = PATIENTS, stays: int = STAYS) -> Stays:
    """Draw one data set; two patients in one data set are independent, two stays of one patient are not."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(patients), stays)
    alike = 1 / ILL_ALIKE - 1  # a beta distribution whose Bernoulli draws correlate by ILL_ALIKE
    chance = rng.beta(FREQUENT * alike, (1 - FREQUENT) * alike, patients)
    outcome = (rng.random(len(owner)) < chance[owner]).astype(float)
    own, passing = rng.normal(0, 1, patients), rng.normal(0, 1, len(owner))
    score = APART * outcome + np.sqrt(SCORES_ALIKE) * own[owner] + np.sqrt(1 - SCORES_ALIKE) * passing
    return Stays(owner, outcome, risk_of(score))


def risk_of(score: Floats) -> Floats:
    """The forecast: the right log odds for this score, stretched."""
    log_odds = np.log(FREQUENT / (1 - FREQUENT)) + APART * score - APART**2 / 2
    return 1 / (1 + np.exp(-STRETCH * log_odds))


def true_auroc() -> float:
    """Two normal scores of spread 1, APART from each other."""
    return float(norm.cdf(APART / np.sqrt(2)))


def true_brier() -> float:
    """Mean squared error over both classes."""

    def error(score: float) -> float:
        risk = float(risk_of(np.array([score]))[0])
        ill = FREQUENT * norm.pdf(score - APART) * (1 - risk) ** 2
        return float(ill + (1 - FREQUENT) * norm.pdf(score) * risk**2)

    return float(quad(error, -10, 12)[0])


def measures() -> dict[str, tuple[float, Callable[..., Floats]]]:
    """Each measure's truth, and how it is computed on all draws at once."""
    return {
        "AUROC": (true_auroc(), auroc),
        "calibration slope": (1 / STRETCH, lambda *given, **more: calibration_line(*given, **more)[0]),
        "Brier score": (true_brier(), brier),
    }


def cover(*, sets: int = SETS, replicates: int = REPLICATES, seed: int = 1) -> list[Coverage]:
    """Count the intervals that hold the truth."""
    asked = measures()
    held, naive = dict.fromkeys(asked, 0), 0
    for number in range(sets):
        drawn = invent_stays(seed * 1_000_003 + number)
        weights = patient_weights(drawn.owner, replicates=replicates, seed=number)
        for name, (truth, measure) in asked.items():
            value = float(measure(drawn.outcome, drawn.risk)[0])
            redrawn = measure(drawn.outcome, drawn.risk, weights=weights)
            bounds = interval(value, redrawn, patients=int(drawn.owner.max()) + 1)
            if bounds.lower is not None and bounds.upper is not None:
                held[name] += bounds.lower <= truth <= bounds.upper
        half = 1.959964 * np.sqrt(delong_variance(drawn.outcome, drawn.risk))
        naive += abs(float(auroc(drawn.outcome, drawn.risk)[0]) - asked["AUROC"][0]) <= half
    return [
        Coverage(name, asked[name][0], held[name], sets, naive if name == "AUROC" else None) for name in asked
    ]


def rows(folder: Path, seed: int) -> list[Row]:
    """Two rows a measure: enough intervals hold the truth, and not more than they should (too wide)."""
    began, spent = time.monotonic(), time.process_time()
    found = cover(seed=seed)
    cost = time.monotonic() - began, time.process_time() - spent
    return [row for each in found for row in _rows(each, seed=seed, cost=cost)]


def _rows(found: Coverage, *, seed: int, cost: tuple[float, float]) -> Iterator[Row]:
    spread = 1.96 * np.sqrt(found.share * (1 - found.share) / found.sets)
    for direction, target, said in (
        ("max", WANTED[0], "hold the truth"),
        ("min", WANTED[1], "hold it, not too wide"),
    ):
        beside = "" if found.naive is None else " (beside it: DeLong's, which take stays for patients)"
        met = found.share >= target if direction == "max" else found.share <= target
        yield Row(
            name=f"evidence: share of 95 % intervals of the {found.name} that {said}{beside}",
            value=found.share,
            lower=float(found.share - spread),
            upper=float(min(found.share + spread, 1.0)),
            unit="1",
            direction=direction,
            target=target,
            met=met,
            baseline=None if found.naive is None else found.naive / found.sets,
            command=COMMAND,
            seed=seed,
            commit=commit(),
            hardware=machine(),
            seconds=round(cost[0], 2),
            cpu_seconds=round(cost[1], 2),
        )


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    json.dump([asdict(row) for row in rows(Path(), given.seed)], sys.stdout, indent=1)


if __name__ == "__main__":
    main()

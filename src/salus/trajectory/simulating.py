"""Two arms of the same futures: as they would go, and with interventions placed; the same luck in both.

Differences between the arms are due to the intervention alone, as far as the model knows it: what it expects after such
a fact from the care it has learnt from. That is no causal effect until evidence says otherwise: who was treated
differed from who was not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from salus.trajectory.bins import FloatArray
from salus.trajectory.forecasting import Asked, Histories, Risks, Start, monte_carlo, set_out, walk
from salus.trajectory.keyed import Keyed
from salus.trajectory.network import Network
from salus.trajectory.placing import Placement, Plan, advance
from salus.trajectory.situation import Drawn, Situation
from salus.trajectory.vocabulary import Vocabulary

EXPECTED = "what the model expects, not a causal effect, until evidence says otherwise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """What was known of each patient at the index, and what is placed after it."""

    histories: Histories
    placements: tuple[Placement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Risks of both arms, and the paired differences (with less without) of shape (patients, questions).

    ``lower``, ``upper``: 95 % Monte Carlo bounds. ``error`` is their standard error, for means over patients.
    """

    without: Risks
    having: Risks
    difference: FloatArray
    lower: FloatArray
    upper: FloatArray
    error: FloatArray


def compare_arms(
    network: Network, vocabulary: Vocabulary, *, arms: tuple[Arm, Arm], asked: Asked, seed: int
) -> Compared:
    """Simulate each patient's futures without and with interventions, with common random numbers."""
    with torch.inference_mode():
        chances = [
            arm_chances(network, vocabulary, arm=arm, asked=asked, seed=seed).reshape(
                arm.histories.records.patients, asked.samples, -1
            )
            for arm in arms
        ]
    without, having = (
        Risks(**dict(zip(("risk", "lower", "upper"), monte_carlo(one), strict=True)), samples=asked.samples)
        for one in chances
    )
    mean, error = paired(chances[1] - chances[0])
    reach = 1.96 * error
    return Compared(
        without=without,
        having=having,
        difference=mean.astype(np.float32),
        lower=np.clip(mean - reach, -1, 1).astype(np.float32),
        upper=np.clip(mean + reach, -1, 1).astype(np.float32),
        error=error.astype(np.float32),
    )


def arm_chances(network: Network, vocabulary: Vocabulary, *, arm: Arm, asked: Asked, seed: int) -> FloatArray:
    """The chance of each outcome that each future of one arm adds up, (futures, questions); in inference mode."""
    futures = arm.histories.records.patients * asked.samples
    draws = Keyed(seed, rows=futures, fields=vocabulary.size)
    sampler, many, settling = set_out(network, vocabulary, histories=arm.histories, asked=asked, draws=draws)
    plan = Plan(arm.placements, vocabulary, torch.from_numpy(settling.index))

    def step(situation: Situation, silent: torch.Tensor | None) -> tuple[Situation, Drawn]:
        return advance(sampler, situation, plan, draws=draws, silent_until=silent)

    chances = np.zeros((futures, len(asked.questions)), dtype=np.float32)
    for moment in walk(
        Start(sampler=sampler, situation=many, settling=settling, step=step), to_the_end=False
    ):
        chances[moment.row] += moment.chance
    return chances


def paired(differences: FloatArray) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean over futures and its standard error: (patients, futures, questions) -> two of (patients, questions).

    With one future nothing is known of its scatter: the error is without bound.
    """
    futures = differences.shape[1]
    mean = differences.mean(axis=1, dtype=np.float64)
    if futures < 2:
        return mean, np.full_like(mean, np.inf)
    return mean, differences.std(axis=1, ddof=1, dtype=np.float64) / np.sqrt(futures)


def over_patients(compared: Sequence[Compared]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean difference of each question over all patients, and its 95 % Monte Carlo bounds."""
    difference = np.concatenate([part.difference for part in compared]).astype(np.float64)
    error = np.concatenate([part.error for part in compared]).astype(np.float64)
    mean, reach = difference.mean(axis=0), 1.96 * np.sqrt((error**2).sum(axis=0)) / len(error)
    low, high = np.clip(mean - reach, -1, 1), np.clip(mean + reach, -1, 1)
    return mean.astype(np.float32), low.astype(np.float32), high.astype(np.float32)

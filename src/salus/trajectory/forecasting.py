"""Risk of an outcome from sampled futures, with the Monte Carlo error stated.

Each future counts not whether the outcome was drawn but the chance it had at every moment up to then (its compensator,
see :class:`salus.trajectory.sampling.Sampler`): the mean is the same, and a hundred futures say what thousands of
counted ones would.

Follow-up does not end in a sampled future: censoring happens to records, not to patients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from salus.trajectory.bins import FloatArray, IntArray
from salus.trajectory.draws import Draws, InTurn
from salus.trajectory.encoding import Records
from salus.trajectory.network import Network
from salus.trajectory.sampling import Sampler
from salus.trajectory.situation import Drawn, Situation, Watch
from salus.trajectory.vocabulary import FOREVER, Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One outcome: any of ``codes`` within ``within`` grains (None: no limit) and not after any of ``until``."""

    name: str
    codes: tuple[str, ...]
    within: int | None = None
    until: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The questions, and how many futures to draw for each patient."""

    questions: tuple[Question, ...]
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Risks:
    """Shape (patients, questions): expected share of futures with the outcome; its Monte Carlo bounds (95 %)."""

    risk: FloatArray
    lower: FloatArray
    upper: FloatArray
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Histories:
    """What was known of each patient; ``known_until`` (patients,): grains of the index moment."""

    records: Records
    known_until: IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """When to stop: grains of the index (rows,); ``horizons`` after it and levels that settle it, for each question."""

    index: IntArray
    horizons: IntArray
    settles: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where sampled futures begin, a row a future: the sampler that watches the outcomes, and where each row stands.

    ``step``: moves every row on to its next moment (None: as the model draws it); nothing is known to have happened up
    to the grains given.
    """

    sampler: Sampler
    situation: Situation
    settling: Settling
    step: Callable[[Situation, torch.Tensor | None], tuple[Situation, Drawn]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The next moment of every future that goes on: its ``row`` and ``time`` in grains, and what was drawn.

    ``chance`` (rows, questions): what it adds to the chance of each outcome; nought where that is settled or too late.
    """

    row: IntArray
    time: IntArray
    chance: FloatArray
    drawn: Drawn


def start_futures(
    network: Network, vocabulary: Vocabulary, *, histories: Histories, asked: Asked, seed: int
) -> Start:
    """Read each history and set ``asked.samples`` futures at its end; to be called in inference mode."""
    sampler, many, settling = set_out(
        network, vocabulary, histories=histories, asked=asked, draws=InTurn(seed)
    )
    return Start(sampler=sampler, situation=many, settling=settling)


def set_out(
    network: Network, vocabulary: Vocabulary, *, histories: Histories, asked: Asked, draws: Draws
) -> tuple[Sampler, Situation, Settling]:
    """Set ``asked.samples`` futures at the end of each history, with a sampler that watches the outcomes."""
    outcome, ending = settling_levels(vocabulary, asked.questions)
    watch = Watch(torch.from_numpy(outcome.T).float(), vocabulary)
    sampler = Sampler(network, vocabulary, draws=draws, watch=watch)
    patients = torch.arange(histories.records.patients)
    many = sampler.from_history(histories.records).of(patients.repeat_interleave(asked.samples))
    many.row = torch.arange(len(many.row))
    settling = Settling(
        index=np.repeat(histories.known_until, asked.samples),
        horizons=horizons_of(asked.questions),
        settles=outcome | ending,
    )
    return sampler, many, settling


def walk(start: Start, *, to_the_end: bool) -> Iterator[Moment]:
    """Simulate moment by moment; a future ends when every question of it is settled, and with death.

    ``to_the_end``: it goes on to the longest horizon even when all is settled, where there is a horizon.
    """
    sampler, situation, settling = start.sampler, start.situation, start.settling
    limit = np.minimum(settling.index[:, None] + settling.horizons, FOREVER)
    final = limit.max(axis=1)
    settled_ends = not to_the_end or bool(settling.horizons.max() >= FOREVER)
    unsettled = np.ones(limit.shape, dtype=bool)
    silent: torch.Tensor | None = torch.from_numpy(settling.index)
    for _ in range(sampler.vocabulary.longest_record):
        if start.step is None:
            situation, drawn, _ = sampler.next_moment(situation, ends=False, silent_until=silent)
        else:
            situation, drawn = start.step(situation, silent)
        silent, live, time = None, situation.row.numpy(), situation.time.numpy()
        if drawn.chance is None:
            raise ValueError("the sampler of a forecast must watch its outcomes")
        counted = unsettled[live] & (time[:, None] <= limit[live])
        yield Moment(row=live, time=time, chance=drawn.chance.numpy() * counted, drawn=drawn)
        for number, levels in enumerate(settling.settles):
            unsettled[drawn.row[levels[drawn.level]], number] = False
        unsettled[live] &= time[:, None] < limit[live]
        going = (time < final[live]) & ~np.isin(live, sampler.dies(drawn))
        if settled_ends:
            going &= unsettled[live].any(axis=1)
        situation = situation.of(torch.from_numpy(going).nonzero()[:, 0])
        if not len(situation.row):
            break


def draw_risks(
    network: Network, vocabulary: Vocabulary, *, histories: Histories, asked: Asked, seed: int
) -> Risks:
    """Sample futures of each history and count outcomes; no future event lies at or before the index moment."""
    with torch.inference_mode():
        start = start_futures(network, vocabulary, histories=histories, asked=asked, seed=seed)
        chances = np.zeros((len(start.settling.index), len(asked.questions)), dtype=np.float32)
        for moment in walk(start, to_the_end=False):
            chances[moment.row] += moment.chance
    risk, lower, upper = monte_carlo(chances.reshape(histories.records.patients, asked.samples, -1))
    return Risks(risk=risk, lower=lower, upper=upper, samples=asked.samples)


def horizons_of(questions: tuple[Question, ...]) -> IntArray:
    """Grains after the index up to which each question looks."""
    return np.asarray([FOREVER if question.within is None else question.within for question in questions])


def settling_levels(vocabulary: Vocabulary, questions: tuple[Question, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Which levels are an outcome, and which end the question: shape (questions, levels), bool."""
    names = [vocabulary.entries[code].code for code in vocabulary.level_code]
    outcome = np.asarray([[name in question.codes for name in names] for question in questions])
    ending = np.asarray([[name in question.until for name in names] for question in questions])
    return outcome, ending


def monte_carlo(chances: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean over futures and its 95 % bounds by the central limit theorem: (patients, futures, questions) -> three.

    With one future nothing is known of its scatter: the bounds are 0 and 1.
    """
    futures = chances.shape[1]
    mean = chances.mean(axis=1, dtype=np.float64)
    error = (
        1.96 * chances.std(axis=1, ddof=1, dtype=np.float64) / np.sqrt(futures)
        if futures > 1
        else np.ones_like(mean)
    )
    low, high = np.clip(mean - error, 0, 1), np.clip(mean + error, 0, 1)
    return np.clip(mean, 0, 1).astype(np.float32), low.astype(np.float32), high.astype(np.float32)

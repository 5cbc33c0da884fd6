"""Risk of an outcome from sampled futures: the share in which it happens, with the Monte Carlo error stated.

Follow-up does not end in a sampled future: censoring happens to records, not to patients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import beta

from salus.trajectory.bins import FloatArray, IntArray
from salus.trajectory.encoding import Records
from salus.trajectory.network import Network
from salus.trajectory.sampling import Sampler, Situation
from salus.trajectory.vocabulary import Vocabulary

MOST_STEPS = 2_000
"""A sampled future is cut here; what has not happened by then counts as not happened."""
NEVER = np.iinfo(np.int64).max


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
    """Shape (patients, questions): share of futures with the outcome; its Monte Carlo bounds (95 %)."""

    risk: FloatArray
    lower: FloatArray
    upper: FloatArray
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Histories:
    """What was known of each patient; ``known_until`` (patients,): grains of the index moment."""

    records: Records
    known_until: IntArray


def draw_risks(
    network: Network, vocabulary: Vocabulary, *, histories: Histories, asked: Asked, seed: int
) -> Risks:
    """Sample futures of each history and count outcomes; no future event lies at or before the index moment."""
    sampler = Sampler(network, vocabulary, seed=seed)
    patients, samples = histories.records.patients, asked.samples
    with torch.inference_mode():
        now = sampler.from_history(histories.records)
        many = now.of(torch.arange(patients).repeat_interleave(samples))
        many.row = torch.arange(len(many.row))
        index = torch.from_numpy(np.repeat(histories.known_until, samples))
        happened, ended = _follow(sampler, many, index=index, questions=asked.questions)
    hits = _hits(happened, ended, index.numpy(), questions=asked.questions)
    counts = hits.reshape(patients, samples, len(asked.questions)).sum(axis=1)
    lower, upper = clopper_pearson(counts, samples)
    return Risks(risk=(counts / samples).astype(np.float32), lower=lower, upper=upper, samples=samples)


def _follow(
    sampler: Sampler, situation: Situation, *, index: torch.Tensor, questions: tuple[Question, ...]
) -> tuple[IntArray, IntArray]:
    """Simulate until every question is settled; grains of the first outcome and the first ending, NEVER if none."""
    rows = len(situation.row)
    outcome, ending = _tables(sampler, questions)
    happened = np.full((rows, len(questions)), NEVER)
    ended = np.full((rows, len(questions)), NEVER)
    limits = [NEVER if question.within is None else question.within for question in questions]
    horizon = index.numpy()[:, None] + np.minimum(limits, NEVER - int(index.max()) - 1)[None]
    silent: torch.Tensor | None = index
    for _ in range(MOST_STEPS):
        situation, drawn, _ = sampler.next_moment(situation, ends=False, silent_until=silent)
        silent = None
        for number in range(len(questions)):
            for table, first in ((outcome, happened), (ending, ended)):
                hit = table[number][drawn.code]
                np.minimum.at(first[:, number], drawn.row[hit], drawn.time[hit])
        live = situation.row.numpy()
        open_ = (happened[live] == NEVER) & (ended[live] == NEVER)
        open_ &= situation.time.numpy()[:, None] < horizon[live]
        keep = open_.any(axis=1) & ~np.isin(live, sampler.dies(drawn))
        situation = situation.of(torch.from_numpy(keep).nonzero()[:, 0])
        if not len(situation.row):
            break
    return happened, ended


def _tables(sampler: Sampler, questions: tuple[Question, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Which codes are an outcome, and which end the question: shape (questions, codes), bool."""
    names = [entry.code for entry in sampler.vocabulary.entries]
    outcome = np.asarray([[name in question.codes for name in names] for question in questions])
    ending = np.asarray([[name in question.until for name in names] for question in questions])
    return outcome, ending


def _hits(
    happened: IntArray, ended: IntArray, index: IntArray, *, questions: tuple[Question, ...]
) -> np.ndarray:
    """Whether each outcome happened in time and not after an ending."""
    hits = (happened < NEVER) & (happened <= ended)
    for number, question in enumerate(questions):
        if question.within is not None:
            hits[:, number] &= happened[:, number] - index <= question.within
    return hits


def clopper_pearson(counts: IntArray, samples: int, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Exact binomial bounds of a share (Clopper & Pearson, Biometrika 1934)."""
    tail = (1 - level) / 2
    lower = np.where(counts > 0, beta.ppf(tail, counts, samples - counts + 1), 0.0)
    upper = np.where(counts < samples, beta.ppf(1 - tail, counts + 1, samples - counts), 1.0)
    return lower.astype(np.float32), upper.astype(np.float32)

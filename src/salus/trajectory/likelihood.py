"""How likely records are under the model: of a whole set in nats per fact, and of each patient alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import torch

from salus.trajectory.batches import make_batch
from salus.trajectory.bins import FloatArray, IntArray
from salus.trajectory.encoding import Records
from salus.trajectory.network import Network
from salus.trajectory.vocabulary import Vocabulary

PARTS = ("code", "value", "wait")


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientLikelihood:
    """One entry a patient, shape (patients,): nats of codes, of values and of waits, and how many facts.

    Of all patients together: ``seldom``, nats of the question about what seldom happens (part of the codes), and
    ``impossible``, draws that no training patient had; they have no likelihood and are left out.
    """

    code: FloatArray
    value: FloatArray
    wait: FloatArray
    facts: IntArray
    seldom: float
    impossible: float

    def a_fact(self) -> dict[str, float]:
        """The whole set's nats a fact, by part."""
        facts = max(int(self.facts.sum()), 1)
        sums = {name: float(getattr(self, name).sum(dtype=np.float64)) for name in PARTS}
        sums |= {"seldom": self.seldom, "impossible": self.impossible}
        return {name: value / facts for name, value in sums.items()}

    def each_a_fact(self) -> FloatArray:
        """Each patient's nats a fact, all parts together."""
        nats = self.code + self.value + self.wait
        return (nats / np.maximum(self.facts, 1)).astype(np.float32)


def groups_of(records: Records, facts: int, *, seed: int | None) -> list[IntArray]:
    """Cut patients into groups of about ``facts`` facts, of like length (less recurrence), shuffled by ``seed``."""
    sizes = records.fact_start[records.moment_start[1:]] - records.fact_start[records.moment_start[:-1]]
    moments = np.diff(records.moment_start)
    random = None if seed is None else np.random.default_rng(seed)
    spread = 0 if random is None else random.normal(0, 0.2, records.patients)
    order = np.argsort(np.log(moments) + spread, kind="stable")
    filled = np.cumsum(sizes[order])
    cuts = np.searchsorted(filled, np.arange(facts, int(filled[-1]) if len(filled) else 0, facts))
    groups = [group for group in np.split(order, np.unique(cuts)) if len(group)]
    if random is not None:
        random.shuffle(groups)
    return groups


class Pieces(Sequence[Records]):
    """Records cut into batches of about ``facts`` facts, each taken when it is asked for."""

    def __init__(self, records: Records, facts: int) -> None:
        self.records, self.groups = records, groups_of(records, facts, seed=None)

    def __len__(self) -> int:
        return len(self.groups)

    @overload
    def __getitem__(self, index: int) -> Records: ...
    @overload
    def __getitem__(self, index: slice) -> list[Records]: ...
    def __getitem__(self, index: int | slice) -> Records | list[Records]:
        if isinstance(index, slice):
            return [self.records.of(group) for group in self.groups[index]]
        return self.records.of(self.groups[index])


def patient_likelihood(
    network: Network, records: Records, vocabulary: Vocabulary, *, batch_facts: int = 20_000
) -> PatientLikelihood:
    """Negative log-likelihood of each patient's record in nats, in the order of ``records``, nothing dropped."""
    pieces = Pieces(records, batch_facts)
    return put_together(pieces, (batch_likelihood(network, piece, vocabulary) for piece in pieces))


def put_together(pieces: Pieces, found: Iterable[PatientLikelihood]) -> PatientLikelihood:
    """The likelihood of all patients in the order of their records, from that of each piece."""
    nats = {name: np.zeros(pieces.records.patients, dtype=np.float32) for name in PARTS}
    facts, seldom, impossible = np.zeros(pieces.records.patients, dtype=np.int64), 0.0, 0.0
    for group, part in zip(pieces.groups, found, strict=True):
        for name in PARTS:
            nats[name][group] = getattr(part, name)
        facts[group] = part.facts
        seldom, impossible = seldom + part.seldom, impossible + part.impossible
    return PatientLikelihood(**nats, facts=facts, seldom=seldom, impossible=impossible)


def batch_likelihood(network: Network, records: Records, vocabulary: Vocabulary) -> PatientLikelihood:
    """The same for patients few enough to be looked at together."""
    network.eval()
    with torch.no_grad():
        batch = make_batch(records, vocabulary)
        losses = network.losses(batch)
        patient = torch.from_numpy(np.repeat(np.arange(records.patients), np.diff(records.moment_start)))
        of_choice = patient[batch.choices.moment[: batch.choices.number]]
        values = batch.choices.valued[: batch.choices.number]
        told = {
            "code": [
                (patient[batch.asked.moment], losses.field),
                (of_choice[~values], losses.level[~values]),
                (patient, batch.certain),
            ],
            "value": [(of_choice[values], losses.level[values])],
            "wait": [(patient[batch.wait_from], losses.wait)],
        }
        nats = {name: np.zeros(records.patients, dtype=np.float32) for name in PARTS}
        for name, parts in told.items():
            for owner, loss in parts:
                summed = torch.bincount(owner, loss.double(), minlength=records.patients)
                nats[name] += summed.numpy().astype(np.float32)
        seldom, impossible = float(losses.seldom.sum()), float(losses.impossible.sum())
    facts = np.diff(records.fact_start[records.moment_start])
    return PatientLikelihood(**nats, facts=facts, seldom=seldom, impossible=impossible)

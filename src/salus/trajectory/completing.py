"""Filling what is missing in real records: several possible pasts of each patient, weighed by all that was recorded.

Candidates of one patient go through the record moment by moment (a particle filter, Gordon, Salmond & Smith 1993). At
each moment what was recorded must come and what is missing is drawn, so a candidate weighs as much as the recorded
facts and waits are likely after what was drawn for it; those that fit badly give way to copies of those that fit well.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from salus.trajectory.batches import make_batch
from salus.trajectory.bins import FloatArray, IntArray
from salus.trajectory.conditioning import Conditioned, systematic
from salus.trajectory.draws import InTurn
from salus.trajectory.encoding import Records, ranges_of
from salus.trajectory.gaps import Gaps, Known, Using
from salus.trajectory.keyed import bits_of, named
from salus.trajectory.network import Network
from salus.trajectory.sampling import Sampler
from salus.trajectory.situation import Drawn, Situation
from salus.trajectory.vocabulary import Vocabulary

CANDIDATES = 32
"""Candidates of each patient, at least; four for each sample asked for."""
AHEAD = 32
"""How many moments after the last that is filled are weighed: what comes later still says little more."""
HARDLY = 1e-4
"""A candidate with less of the weight than this is given up once all is filled."""


def candidates_of(gaps: Gaps) -> int:
    """How many candidates of each patient there are."""
    return max(CANDIDATES, 4 * gaps.samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """Facts that were filled, one a row: ``patient`` and ``moment`` (as in the records), sample, level, place in it.

    ``effective`` (patients,): how many independent candidates each patient's were worth when they were worth least.
    """

    patient: IntArray
    sample: IntArray
    moment: IntArray
    level: IntArray
    inside: FloatArray
    effective: FloatArray


@dataclass(slots=True, kw_only=True)
class _Candidates:
    """Where all candidates stand: ``situation`` of those whose record goes on, sorted by row.

    ``logs`` (patients, candidates): log-weights, of a pruned one -inf; ``alike``: how many equal ones each stands for.
    ``told``: for every moment what was filled (facts sorted by row) and whose copies went on (row -> row). ``keys``
    (rows,): equal where all that was filled is equal.
    """

    situation: Situation
    logs: Tensor
    alike: Tensor
    keys: npt.NDArray[np.uint64]
    told: list[tuple[Drawn, IntArray]] = field(default_factory=list)


def complete(network: Network, vocabulary: Vocabulary, *, records: Records, gaps: Gaps, seed: int) -> Filled:
    """Draw what is missing; nothing recorded is drawn anew."""
    with torch.inference_mode():
        return _Completion(
            network, vocabulary, known=Known(records, vocabulary, gaps), gaps=gaps, seed=seed
        ).run()


class _Completion:
    """One run over some patients."""

    def __init__(
        self, network: Network, vocabulary: Vocabulary, *, known: Known, gaps: Gaps, seed: int
    ) -> None:
        self.draws = InTurn(seed)
        self.sampler = Sampler(network, vocabulary, draws=self.draws)
        self.known, self.records, self.gaps = known, known.records, gaps
        self.copies = candidates_of(gaps)
        self.lengths = np.diff(self.records.moment_start)
        self.batch = make_batch(self.records, vocabulary)
        self.effective = torch.full((self.records.patients,), float(self.copies), dtype=torch.float64)
        self.wait_of = np.full(len(self.records.time), -1)
        self.wait_of[self.batch.wait_from.numpy()] = np.arange(len(self.batch.wait_from))

    def run(self) -> Filled:
        """Go through the moments, while there is something to fill or to weigh."""
        reach, found = self.gaps.moments.reach, list[Filled]()
        ahead = AHEAD if self.gaps.using is Using.RECORD else 0
        candidates = self._begin()
        for number in range(min(int(self.lengths.max(initial=0)), reach + ahead)):
            rows = self._going(candidates, number)
            filled = self._moment(candidates, rows, number)
            if self.gaps.using is Using.HISTORY:
                found.append(self._taken(filled, candidates, number))
            self._weigh_wait(candidates, rows, number)
            if number + 1 < reach:
                parents = self._renew(candidates, rows)
            else:
                parents = np.arange(self.records.patients * self.copies)
                self._thin(candidates)
            candidates.told.append((filled, parents))
        if self.gaps.using is Using.RECORD:
            found = self._traced(candidates)
        return self._joined(found)

    def _begin(self) -> _Candidates:
        shape = (self.records.patients, self.copies)
        return _Candidates(
            situation=self.sampler.blank(shape[0] * shape[1]),
            logs=torch.zeros(shape, dtype=torch.float64),
            alike=torch.ones(shape, dtype=torch.float64),
            keys=np.repeat(np.arange(shape[0], dtype=np.uint64), shape[1]),
        )

    def _going(self, candidates: _Candidates, number: int) -> Tensor:
        """Rows that have this moment; once all is filled, only of patients who have a choice left."""
        alive = candidates.logs > -torch.inf
        going = alive & torch.from_numpy(self.lengths > number)[:, None]
        if number >= self.gaps.moments.reach:
            going &= alive.sum(dim=1, keepdim=True) > 1
        return going.flatten().nonzero()[:, 0]

    def _moment(self, candidates: _Candidates, rows: Tensor, number: int) -> Drawn:
        """Draw one moment of each record that has it; gives what was filled there, facts sorted by row."""
        patients, counts = np.unique(rows.numpy() // self.copies, return_counts=True)
        moments, copies = self.records.moment_start[patients] + number, torch.from_numpy(counts)
        guide = Conditioned(self.known.demand(moments, copies), self.sampler.vocabulary)
        time = torch.from_numpy(self.records.time[moments]).repeat_interleave(copies)
        if number == 0:
            drawn = self.sampler.statics(len(rows), guide)
            situation = self.sampler.begin(len(rows), drawn)
            age = torch.from_numpy(self.records.age).repeat_interleave(self.copies)
            situation.time, situation.age = time, torch.where(age.isnan(), situation.age, age)
        else:
            situation = candidates.situation.of(torch.searchsorted(candidates.situation.row, rows))
            wait, signs = time - situation.time, self.sampler.signs(situation)
            situation.time = time
            drawn = self.sampler.moment(situation, wait, signs=signs, guide=guide)
        candidates.situation = situation
        candidates.logs.view(-1)[rows] += guide.log_weight
        return self._new(candidates, drawn, number)

    def _new(self, candidates: _Candidates, drawn: Drawn, number: int) -> Drawn:
        """Facts that were not recorded, sorted by row."""
        moment = self.records.moment_start[drawn.row // self.copies] + number
        fields = self.sampler.vocabulary.level_field[drawn.level]
        new = np.flatnonzero(~self.known.said[moment, fields])
        new = new[np.argsort(drawn.row[new], kind="stable")]
        filled = Drawn(
            row=drawn.row[new], time=drawn.time[new], level=drawn.level[new], inside=drawn.inside[new]
        )
        facts = named(
            named(moment[new].astype(np.uint64), filled.level.astype(np.uint64)), bits_of(filled.inside)
        )
        np.add.at(candidates.keys, filled.row, facts)
        return filled

    def _weigh_wait(self, candidates: _Candidates, rows: Tensor, number: int) -> None:
        """How likely the wait that followed this moment was after it: the next moment, or the end of follow-up."""
        moments = self.records.moment_start[rows.numpy() // self.copies] + number
        awaited = torch.from_numpy(self.wait_of[moments])
        some = (awaited >= 0).nonzero()[:, 0]
        at = awaited[some]
        batch = replace(
            self.batch,
            wait_from=self.batch.wait_from[at],
            wait_bin=self.batch.wait_bin[at],
            wait_signs=self.batch.wait_signs[at],
            wait_inside=self.batch.wait_inside[at],
            wait_kind=self.batch.wait_kind[at],
        )
        loss = self.sampler.network.wait_loss(candidates.situation.state[some], batch)
        candidates.logs.view(-1)[rows[some]] -= loss.double()

    def _worth(self, candidates: _Candidates) -> tuple[Tensor, Tensor]:
        """Weights of each patient's candidates, and how many independent ones they are worth; the least is kept."""
        weights = candidates.logs.softmax(dim=1)
        worth = 1 / (weights**2 / candidates.alike.clamp(min=1)).sum(dim=1)
        self.effective = torch.minimum(self.effective, worth)
        return weights, worth

    def _renew(self, candidates: _Candidates, rows: Tensor) -> IntArray:
        """Let copies of what fits take the place of what does not, where few are left that do."""
        weights, worth = self._worth(candidates)
        parents = torch.arange(self.records.patients * self.copies).view(-1, self.copies)
        poor = (worth < self.copies / 2).nonzero()[:, 0]
        chosen = systematic(weights[poor], self.copies, self.draws.generator)
        parents[poor] = poor[:, None] * self.copies + chosen
        candidates.logs[poor] = 0
        whose = parents.flatten()
        candidates.keys = candidates.keys[whose.numpy()]
        candidates.situation = candidates.situation.of(torch.searchsorted(rows, whose[rows]))
        candidates.situation.row = rows
        return whose.numpy()

    def _thin(self, candidates: _Candidates) -> None:
        """All is filled: equal candidates become one, and those that hardly fit are given up."""
        weights, _ = self._worth(candidates)
        _, first, group = np.unique(candidates.keys, return_index=True, return_inverse=True)
        summed = np.bincount(group.ravel(), weights.flatten().numpy())
        alike = np.bincount(group.ravel(), candidates.alike.flatten().numpy())
        together = np.zeros(weights.numel())
        together[first] = np.where(summed < HARDLY, 0, summed)
        candidates.alike = torch.zeros_like(weights)
        candidates.alike.view(-1)[torch.from_numpy(first)] = torch.from_numpy(alike)
        candidates.logs = torch.from_numpy(together).view_as(weights).log()

    def _taken(self, filled: Drawn, candidates: _Candidates, number: int) -> Filled:
        """What chosen candidates were filled with at one moment."""
        rows, patients = self._chosen(candidates)
        return self._gathered(filled, rows, patients, number)

    def _chosen(self, candidates: _Candidates) -> tuple[IntArray, IntArray]:
        """Rows chosen by weight, one a patient and sample, and their patients."""
        chosen = systematic(candidates.logs.softmax(1), self.gaps.samples, self.draws.generator).numpy()
        patients = np.repeat(np.arange(self.records.patients), self.gaps.samples)
        return patients * self.copies + chosen.ravel(), patients

    def _traced(self, candidates: _Candidates) -> list[Filled]:
        """Choose among those left at the end, and follow them back to what their forebears were filled with."""
        rows, patients = self._chosen(candidates)
        found = []
        for number, (filled, parents) in reversed([*enumerate(candidates.told)]):
            rows = parents[rows]
            found.append(self._gathered(filled, rows, patients, number))
        return found

    def _gathered(self, filled: Drawn, rows: IntArray, patients: IntArray, number: int) -> Filled:
        first, last = (np.searchsorted(filled.row, rows, side=side) for side in ("left", "right"))
        facts, counts = ranges_of(first, last), last - first
        patient = np.repeat(patients, counts)
        return Filled(
            patient=patient,
            sample=np.repeat(np.arange(len(rows)) % self.gaps.samples, counts),
            moment=self.records.moment_start[patient] + number,
            level=filled.level[facts],
            inside=filled.inside[facts],
            effective=np.zeros(0, dtype=np.float32),
        )

    def _joined(self, found: list[Filled]) -> Filled:
        """All moments together, sorted by sample and moment."""
        columns = {
            name: np.concatenate([getattr(part, name) for part in found])
            for name in ("patient", "sample", "moment", "level", "inside")
        }
        order = np.lexsort((columns["level"], columns["moment"], columns["sample"]))
        effective = self.effective.numpy().astype(np.float32)
        return Filled(**{name: column[order] for name, column in columns.items()}, effective=effective)

"""Attacks that guess whom a model learnt from. Each gives one score a patient, higher for those it takes for members.

By likelihood: a model finds records that it learnt likelier than others like them. By density: synthetic patients lie
closer together where members lie (van Breugel et al. 2023, arXiv:2302.12580). By the nearest synthetic patient: the
attack most often reported, and one that sees little.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import lightgbm
import numpy as np
from numpy.typing import NDArray

from salus.evidence.discrimination import Floats
from salus.evidence.outcome_model import ROUNDS, SETTINGS

EXPECTING: Mapping[str, object] = {
    **SETTINGS,
    "objective": "regression",
    "learning_rate": 0.05,
    "feature_fraction": 0.6,
    "min_data_in_leaf": 20,
}
FOLDS = 5
AT_ONCE = 500
PER_FACT = "nats per fact"
BY_FACTS = "nats less those expected of its number of facts"
BY_RECORD = "nats less those expected of its whole summary (difficulty calibration, arXiv:2111.08440)"


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Some patients: the summary of each whole record (nan: not recorded), its nats under the model, its facts.

    ``nats`` and ``facts`` are nan where no model was asked. ``subject``: who they are, to look at groups apart.
    """

    summary: Floats
    nats: Floats
    facts: Floats
    subject: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        """How many patients."""
        return len(self.summary)

    def of(self, rows: np.ndarray) -> People:
        """Take some of them, by number or by yes and no."""
        who = None if self.subject is None else self.subject[rows]
        return People(summary=self.summary[rows], nats=self.nats[rows], facts=self.facts[rows], subject=who)

    def beside(self, others: People) -> People:
        """These patients, then the others; who they are is dropped."""
        return People(
            summary=np.vstack([self.summary, others.summary]),
            nats=np.concatenate([self.nats, others.nats]),
            facts=np.concatenate([self.facts, others.facts]),
        )


def likelihood_scores(suspects: People, reference: People, *, seed: int) -> dict[str, Floats]:
    """How much likelier each record is than one would expect, by three ways of expecting.

    Expectations are learnt from ``reference``: patients whom the model did not learn from and who are not suspected.
    """
    root, known_root = np.sqrt(suspects.facts), np.sqrt(reference.facts)
    wanted, known = _with_facts(suspects), _with_facts(reference)
    data = lightgbm.Dataset(known, reference.nats / known_root)
    model = lightgbm.train({**EXPECTING, "seed": seed}, data, num_boost_round=ROUNDS)
    by_record = np.asarray(model.predict(wanted), dtype=np.float64)
    return {
        PER_FACT: -suspects.nats / suspects.facts,
        BY_FACTS: (_expected(suspects.facts, reference) - suspects.nats) / root,
        BY_RECORD: by_record - suspects.nats / root,
    }


def density_scores(suspects: People, reference: People, *, synthetic: Floats, seed: int) -> Floats:
    """Log odds that a record is a synthetic patient rather than one of ``reference``."""
    outcome = np.concatenate([np.ones(len(synthetic)), np.zeros(len(reference))])
    return _log_odds(np.vstack([synthetic, reference.summary]), outcome, suspects.summary, seed=seed)


def nearest_scores(suspects: People, reference: People, *, synthetic: Floats) -> Floats:
    """Minus the distance to the nearest synthetic patient, each column measured in the spread it has in reference."""
    known = np.isfinite(reference.summary)
    size = np.maximum(known.sum(axis=0), 1)
    middle = np.where(known, reference.summary, 0.0).sum(axis=0) / size
    spread = np.sqrt(np.where(known, (reference.summary - middle) ** 2, 0.0).sum(axis=0) / size)

    def scaled(table: Floats) -> Floats:
        placed = (table - middle) / np.where(spread > 0, spread, np.inf)
        return np.where(np.isfinite(placed), placed, 0.0)

    invented = scaled(synthetic)
    length = (invented**2).sum(axis=1)
    found = [np.zeros(0)]
    for first in range(0, len(suspects), AT_ONCE):
        here = scaled(suspects.summary[first : first + AT_ONCE])
        apart = (here**2).sum(axis=1)[:, None] + length - 2 * here @ invented.T
        found.append(-np.sqrt(np.maximum(apart.min(axis=1), 0.0)))
    return np.concatenate(found)


def blind_scores(members: People, others: People, *, seed: int) -> Floats:
    """A guess from the record alone, without a model or its output: members, then others.

    Learnt from members and others themselves, in folds, so that nobody is guessed by a rule that saw them. It should
    find nothing; what it finds sets members apart from others in other ways than membership.
    """
    both = members.beside(others)
    table = np.column_stack([both.summary, both.facts])
    outcome = np.concatenate([np.ones(len(members)), np.zeros(len(others))])
    rng = np.random.default_rng(seed)
    fold = np.concatenate([rng.permutation(len(side)) % FOLDS for side in (members, others)])
    scores = np.zeros(len(both))
    for number in range(FOLDS):
        out = fold == number
        scores[out] = _log_odds(table[~out], outcome[~out], table[out], seed=seed)
    return scores


def _log_odds(table: Floats, outcome: Floats, asked: Floats, *, seed: int) -> Floats:
    data = lightgbm.Dataset(table, outcome)
    model = lightgbm.train({**SETTINGS, "seed": seed}, data, num_boost_round=ROUNDS)
    return np.asarray(model.predict(asked, raw_score=True), dtype=np.float64)


def _with_facts(people: People) -> Floats:
    return np.column_stack([people.summary, people.facts])


def _expected(facts: Floats, reference: People) -> Floats:
    """Nats by weighted least squares on facts and their logarithm; the spread of nats grows as the root of facts."""
    root = np.sqrt(reference.facts)
    terms = _terms(reference.facts) / root[:, None]
    line = np.linalg.lstsq(terms, reference.nats / root, rcond=None)[0]
    expected: Floats = _terms(facts) @ line
    return expected


def _terms(facts: Floats) -> Floats:
    return np.column_stack([np.ones(len(facts)), facts, np.log(facts)])

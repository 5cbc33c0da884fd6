"""Audit a model that was trained for it: what it gives away of canaries, as findings and in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from salus.cohort.canaries import Canaries
from salus.errors import AuditBroken, NothingToCompare
from salus.evidence.attacks import BY_RECORD, People, likelihood_scores
from salus.evidence.empirical_epsilon import METRIC, Tossed, empirical_epsilon, most_provable
from salus.evidence.membership import LEAST
from salus.evidence.summary_features import learn_columns, whole_record
from salus.findings import Finding
from salus.timeline.store import read_codes, read_settings, read_timeline
from salus.trajectory.artefact import load_model
from salus.workflows.canaries_file import read_canaries
from salus.workflows.membership import MOST, patient_nats, people_of


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditResult:
    """What an audit found. ``provable``: the bound if every guess had been right; ``proved``: ε of private training."""

    findings: list[Finding]
    canaries: int
    delta: float
    provable: float
    proved: float | None = None

    @property
    def bound(self) -> Finding:
        """The lower bound on ε."""
        return next(one for one in self.findings if (one.metric, one.comparison) == (METRIC, "attack"))

    def in_words(self) -> list[str]:
        """What was found, for people who know no statistics."""
        shown = f"at least {self.bound.value:.2f}" if self.bound.value else "not shown to be above 0"
        words = [
            f"ε, what the model gives away of those it learnt from, is {shown} (95 % sure; {self.canaries:,} canary "
            f"patients; δ = {self.delta:.1g}; had every guess been right, this audit would have shown "
            f"{self.provable:.2f})",
            "an audit cannot show that ε is small: only private training proves an upper bound"
            if self.proved is None
            else f"private training proves that ε is at most {self.proved:.2f}",
        ]
        return [*words, *([self.bound.reason] if self.bound.reason else [])]


def measure_audit(model: Path, timeline: Path, *, seed: int, delta: float | None = None) -> AuditResult:
    """Guess for each canary whether the model was trained on it, and bound ε by how many guesses are right.

    A canary's score is how much likelier its record is than expected of such a record; expectations are learnt from
    held-out and tuning patients. This way is fixed, so that no choice has to be paid for. ``delta``: that of private
    training, else a tenth of one in so many patients, where it is not given.

    Raises NotAudited (SAL-471), AuditBroken (SAL-472) or NothingToCompare (SAL-452).
    """
    loaded = load_model(model)
    canaries = read_canaries(model, loaded.audit)
    events, codes = read_timeline(timeline), read_codes(timeline)
    everybody = _everybody(events, canaries)
    reference = _reference(events, seed=seed)
    asked = pl.Series([*everybody, *reference], dtype=pl.Int64).implode()
    events = events.filter(pl.col("subject_id").is_in(asked)).drop("split")
    nats = patient_nats(model, events, codes, settings=read_settings(timeline))
    others = events.filter(pl.col("subject_id").is_in(pl.Series(reference, dtype=pl.Int64).implode()))
    summary = whole_record(events, learn_columns(others)).join(nats, on="subject_id", how="left")
    suspects, rest = people_of(summary, everybody), _known(people_of(summary, reference))
    if len(rest) < LEAST:
        raise NothingToCompare(
            f"fewer than {LEAST} held-out and tuning patients: nobody can say what to expect of a record",
            where=str(timeline),
            fix="give the source.yaml's splits some held-out patients",
        )
    proved = loaded.privacy
    by_default = proved.delta if proved else _usual_delta(loaded.lineage.patients_train)
    chance = by_default if delta is None else delta
    scores, blind = _scores(suspects, rest, seed=seed)
    members = set(canaries.included)
    tossed = Tossed(
        included=np.array([one in members for one in everybody]),
        scores=scores,
        blind=blind,
        delta=chance,
        way=BY_RECORD,
        proved=proved.epsilon if proved else None,
    )
    return AuditResult(
        findings=empirical_epsilon(tossed, seed=seed),
        canaries=len(everybody),
        delta=chance,
        provable=most_provable(len(everybody), delta=chance),
        proved=tossed.proved,
    )


def _everybody(events: pl.DataFrame, canaries: Canaries) -> list[int]:
    """All canaries by id: an order that the coins had no part in."""
    everybody = sorted([*canaries.included, *canaries.left_out])
    train = set(events.filter(pl.col("split") == "train")["subject_id"].unique().to_list())
    missing = sum(one not in train for one in everybody)
    if missing:
        raise AuditBroken(
            f"{missing:,} of {len(everybody):,} canaries are not among the timeline's training patients",
            where="data/train",
            fix="give the timeline that the model was trained on",
        )
    return everybody


def _reference(events: pl.DataFrame, *, seed: int) -> list[int]:
    """Patients of whom the model learnt nothing: held-out ones, and tuning ones where these are few."""
    found = list[int]()
    for split in ("held_out", "tuning"):
        people = events.filter(pl.col("split") == split)["subject_id"].unique().sort()
        found += people.sample(min(len(people), MOST - len(found)), seed=seed).to_list()
    return found


def _known(people: People) -> People:
    """Those of whom the model knows a fact."""
    return people.of(np.isfinite(people.nats) & (people.facts > 0))


def _scores(suspects: People, rest: People, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """How much likelier each record is than expected, and the expectation alone; nan where nothing is known of it."""
    known = np.isfinite(suspects.nats) & (suspects.facts > 0)
    scores, blind = np.full(len(suspects), np.nan), np.full(len(suspects), np.nan)
    people = suspects.of(known)
    scores[known] = likelihood_scores(people, rest, seed=seed)[BY_RECORD]
    blind[known] = -(scores[known] + people.nats / np.sqrt(people.facts))
    return scores, blind


def _usual_delta(patients: int) -> float:
    """The power of ten that is at most a tenth of one in so many patients, as for private training."""
    return float(10.0 ** -math.ceil(math.log10(10 * max(patients, 1))))

"""A vocabulary learnt from noisy counts alone: whatever it says of patients is inside the budget.

What the ordinary vocabulary takes exactly (which codes there are, bins, longest records, what always follows what) is
asked here in four noisy answers; records are then cut to what they said, each patient's by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from salus.errors import BudgetTooSmall
from salus.trajectory.ancestors import back_off, parents_of
from salus.trajectory.batches import steps_of
from salus.trajectory.bins import FloatArray
from salus.trajectory.charts import static_moments
from salus.trajectory.encoding import BEFORE_TIME, Records, Spans, encode
from salus.trajectory.private_accounting import Answer, noise_for
from salus.trajectory.private_contents import Extent, contents_of, extent_of, things_of
from salus.trajectory.private_counts import Noise, at_most, noisy_cells
from salus.trajectory.private_fields import Plan, plan_of
from salus.trajectory.private_values import values_of, waits_of_cells
from salus.trajectory.vocabulary import Clock, Vocabulary

SHARES = {
    "how many patients, how long their records": 0.01,
    "waits": 0.01,
    "which codes, and how they behave": 0.06,
    "values": 0.04,
    "what always follows what": 0.01,
}
"""Share of the budget that each answer takes; the rest is for training."""
SECRET_CODES = 0.1
"""Share of δ for the chance that a code of a single patient shows."""
BINS, WAITS, TRACKED, FIELDS = 32, 48, 128, 256
HIDDEN = 5.0
"""All patients together must be so many times the noise of a count, or nearly every code is hidden by it."""
SURE_SHARE, SURE_TIMES = 0.99, 10.0
"""What follows in this share of what is counted, so many times its noise, is taken to follow always."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateLessons:
    """Records cut to a vocabulary that was learnt privately; ``level_shares``: how common each level is in its field.
    ``wait_shares``, ``field_rates``: how common bins of waits are, and which share of patients has each field.

    ``patients``: a noisy count. ``answers``: what was asked.
    """

    records: Records
    vocabulary: Vocabulary
    level_shares: FloatArray
    wait_shares: FloatArray
    field_rates: FloatArray
    patients: float
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What all may cost together, and where luck comes from."""

    epsilon: float
    delta: float
    random: np.random.Generator

    def noise(self, what: str) -> Noise:
        """The noise of one answer."""
        return Noise(noise_for(SHARES[what], epsilon=self.epsilon, delta=self.delta), self.random)

    def answers(self) -> tuple[Answer, ...]:
        """What the vocabulary costs."""
        return tuple(Answer(what=what, noise=self.noise(what).multiplier) for what in SHARES)


def learn_privately(spans: Spans, codes: pl.DataFrame, clock: Clock, budget: Budget) -> PrivateLessons:
    """Learn the vocabulary, and cut and encode the records by it.

    Raises BudgetTooSmall (SAL-317) where no dated code stands out from the noise.
    """
    how_long, waits, which, values, sure = (budget.noise(what) for what in SHARES)
    things = things_of(spans.facts, codes)
    extent = extent_of(things, spans.moments, spans.patients, how_long)
    contents = contents_of(things, codes, most=extent.things, delta=SECRET_CODES * budget.delta, noise=which)
    if extent.patients < HIDDEN * which.scale(extent.things) or contents.codes["static"].all():
        raise _nothing_stands_out(budget)
    learnt = values_of(
        spans.facts,
        contents.codes,
        most=min(extent.things, max(contents.codes["decimals"].drop_nulls().len(), 1)),
        bins=BINS,
        noise=values,
    )
    plan = plan_of(contents, learnt, codes=codes, patients=extent.patients, most=FIELDS)
    if all(one.static for one in plan.fields):
        raise _nothing_stands_out(budget)
    cut = _cut(spans, plan, extent, parents_of(codes))
    waited = waits_of_cells(_waits(cut), clock.grain, most=WAITS, noise=waits)
    vocabulary = _vocabulary(plan, extent, clock, waited.edges)
    records = encode(cut, vocabulary, {})
    return PrivateLessons(
        records=records,
        vocabulary=_with_certainties(vocabulary, records, sure),
        level_shares=plan.shares,
        wait_shares=waited.shares,
        field_rates=plan.rates,
        patients=extent.patients,
        answers=budget.answers(),
    )


def _nothing_stands_out(budget: Budget) -> BudgetTooSmall:
    return BudgetTooSmall(
        f"with ε = {budget.epsilon:g} hardly any dated code stands out from the noise",
        where="--epsilon",
        fix="give a larger --epsilon, or ingest more patients; train without --private where no proof is needed",
    )


def _vocabulary(plan: Plan, extent: Extent, clock: Clock, wait_edges: np.ndarray) -> Vocabulary:
    nothing = np.zeros((2, len(plan.fields) + 1), dtype=np.int64)
    return Vocabulary(
        entries=plan.entries,
        fields=plan.fields,
        clock=clock,
        lows=plan.lows,
        inner=plan.inner,
        wait_edges=wait_edges,
        sure=nothing - 1,
        sure_seen=nothing,
        longest_moment=len(plan.fields),
        longest_record=extent.moments,
        latest=extent.latest,
        tracked=min(TRACKED, sum(not one.static for one in plan.fields)),
        protection=plan.protection,
    )


def _cut(spans: Spans, plan: Plan, extent: Extent, parents: Mapping[str, str]) -> Spans:
    """Leave of each record what the vocabulary can say, however it was: nobody's depends on anybody else's."""
    dated = spans.moments.filter(pl.col("moment") != BEFORE_TIME)
    first = pl.col("moment") == pl.col("moment").min().over("subject_id")
    kept = dated.filter((pl.col("moment") <= extent.latest) | first).sort("subject_id", "moment")
    kept = kept.group_by("subject_id", maintain_order=True).head(extent.moments - 1)
    ends = kept.group_by("subject_id").agg(kept_last=pl.col("moment").max())
    patients = spans.patients.join(ends, on="subject_id", maintain_order="left")
    whole = pl.col("kept_last") == pl.col("last")
    patients = patients.with_columns(
        end=pl.when(whole)
        .then(pl.max_horizontal(pl.min_horizontal("end", pl.lit(extent.latest)), "kept_last"))
        .otherwise("kept_last"),
        died=pl.col("died") & whole,
        last=pl.col("kept_last"),
    ).drop("kept_last")
    statics = patients.select("subject_id", moment=pl.lit(BEFORE_TIME, dtype=pl.Int64))
    moments = pl.concat([kept.select("subject_id", "moment"), statics]).sort("subject_id", "moment")
    facts = _fitting(back_off(spans.facts, set(plan.about["code"]), parents), plan)
    return Spans(
        facts=facts.join(moments, on=["subject_id", "moment"], how="semi"),
        moments=moments,
        patients=patients,
        after_death=0,
    )


def _fitting(facts: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """One fact a field and moment; of a field that comes once, the first."""
    mine = facts.join(plan.about, on=["code", "static"], maintain_order="left")
    first = pl.col("moment") == pl.col("moment").min().over("subject_id", "field")
    mine = mine.filter(~pl.col("once") | first)
    return mine.unique(["subject_id", "moment", "field"], keep="first", maintain_order=True).select(
        facts.columns
    )


def _waits(spans: Spans) -> pl.DataFrame:
    """Grains between moments, and from the last to the end of follow-up."""
    dated = spans.moments.filter(pl.col("moment") != BEFORE_TIME)
    gaps = dated.select("subject_id", wait=pl.col("moment").diff().over("subject_id")).drop_nulls()
    ends = spans.patients.select("subject_id", wait=pl.col("end") - pl.col("last"))
    return pl.concat([gaps, ends])


def _with_certainties(vocabulary: Vocabulary, records: Records, noise: Noise) -> Vocabulary:
    """What nearly always follows what: of each patient some of the pairs of fields that he shows."""
    size, most = vocabulary.size + 1, 2 * vocabulary.size
    steps, static = steps_of(records, vocabulary), static_moments(records)
    patient = np.repeat(np.arange(records.patients), np.diff(records.moment_start))
    cell = (static[steps.moment].astype(np.int64) * size + steps.prior) * size + steps.target
    pairs = pl.DataFrame({"subject_id": patient[steps.moment], "cell": cell}).unique(maintain_order=True)
    taken = at_most(pairs, most, noise.random).with_columns(weight=pl.lit(1.0))
    scale = noise.scale(most)
    counts = noisy_cells(taken, most=most, size=2 * size * size, noise=noise).reshape(2, size, size)
    there = np.where(counts > 3 * scale, counts, 0.0)
    best, whole = there.argmax(axis=2), there.sum(axis=2)
    most_often = there.max(axis=2)
    sure = (most_often >= SURE_SHARE * whole) & (most_often > SURE_TIMES * scale)
    return replace(
        vocabulary,
        sure=np.where(sure, best, -1).astype(np.int64),
        sure_seen=np.where(sure, most_often, 0).astype(np.int64),
    )

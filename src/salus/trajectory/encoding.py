"""From timeline rows to flat arrays and back: facts within moments within patients, nothing padded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from salus.trajectory.ancestors import back_off
from salus.trajectory.bins import INNER, FloatArray, IntArray, Tally
from salus.trajectory.tallies import MOST_WAITS, all_together, highest, reached_by
from salus.trajectory.vocabulary import BIRTH, START, YEAR_SECONDS, Clock, Vocabulary
from salus.trajectory.vocabulary_learning import LEAST_PATIENTS, Reach

FACT_COLUMNS = ("subject_id", "moment", "static", "code", "numeric_value", "text")
BEFORE_TIME = -(2**60)
"""Moment key of static facts: sorts before every dated moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Patients as flat arrays; each patient's moment 0 holds the static facts.

    ``level`` (what is said, see :class:`Vocabulary`), ``rank`` (its place in its field's distribution, 0 to 1): one a
    fact.
    ``fact_start`` (moments+1,): first fact of each moment. ``time`` (moments,): grains from time zero; the static
    moment carries its patient's first time. ``moment_start`` (patients+1,). ``end`` (patients,): grains at which
    follow-up stops; ``died`` (patients,): the last moment holds death, so nothing follows by nature.
    ``age`` (patients,): years at the anchor (or at the record's start); NaN where the birth is not known.
    """

    subject: IntArray
    level: IntArray
    rank: FloatArray
    fact_start: IntArray
    time: IntArray
    moment_start: IntArray
    end: IntArray
    died: npt.NDArray[np.bool_]
    age: FloatArray

    @property
    def patients(self) -> int:
        """Number of patients."""
        return len(self.subject)

    @property
    def facts(self) -> int:
        """Number of facts, static ones included."""
        return len(self.level)

    def of(self, patients: IntArray) -> Records:
        """Take the records of some patients, in the order given."""
        moments = ranges_of(self.moment_start[patients], self.moment_start[patients + 1])
        facts = ranges_of(self.fact_start[moments], self.fact_start[moments + 1])
        moment_counts = self.moment_start[patients + 1] - self.moment_start[patients]
        fact_counts = self.fact_start[moments + 1] - self.fact_start[moments]
        return Records(
            subject=self.subject[patients],
            level=self.level[facts],
            rank=self.rank[facts],
            fact_start=np.r_[0, np.cumsum(fact_counts)],
            time=self.time[moments],
            moment_start=np.r_[0, np.cumsum(moment_counts)],
            end=self.end[patients],
            died=self.died[patients],
            age=self.age[patients],
        )


def joined(parts: Sequence[Records]) -> Records:
    """The patients of all parts, one part after another."""
    facts = np.cumsum([0, *(part.facts for part in parts)])
    moments = np.cumsum([0, *(len(part.time) for part in parts)])

    def shifted(name: str, by: IntArray) -> IntArray:
        starts = [getattr(part, name)[1:] + more for part, more in zip(parts, by, strict=False)]
        return np.concatenate([np.zeros(1, dtype=np.int64), *starts])

    plain = ("subject", "level", "rank", "time", "end", "died", "age")
    return Records(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in plain},
        fact_start=shifted("fact_start", facts),
        moment_start=shifted("moment_start", moments),
    )


def ranges_of(starts: IntArray, stops: IntArray) -> IntArray:
    """Concatenate ``range(start, stop)`` for all pairs, without a loop."""
    lengths = stops - starts
    offsets = np.repeat(starts - np.r_[0, np.cumsum(lengths)[:-1]], lengths)
    found: IntArray = np.arange(int(lengths.sum()), dtype=np.int64) + offsets
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """One row a patient: subject_id, start, reference (anchor or start), end (all in grains), died; and moments."""

    facts: pl.DataFrame
    moments: pl.DataFrame
    patients: pl.DataFrame
    after_death: int


def facts_of(events: pl.DataFrame, clock: Clock, death: list[str]) -> Spans:
    """Sort timeline rows into facts of moments: pseudo-facts for start and age added, rows after death set aside.

    Rows of the anchor, birth and end of follow-up are not facts: they become the time axis, the age and censoring.
    """
    rows = _in_grains(events, clock)
    birth = (
        rows.filter(pl.col("code") == (clock.birth or ""))
        .group_by("subject_id")
        .agg(birth=pl.col("at").min())
    )
    end = rows.filter(pl.col("code") == (clock.follow_up_end or "")).group_by("subject_id")
    dated = rows.filter(pl.col("code") != (clock.birth or ""), pl.col("code") != (clock.follow_up_end or ""))
    died = dated.filter(pl.col("code").is_in(death)).group_by("subject_id").agg(death=pl.col("moment").min())
    dated = dated.join(died, on="subject_id", how="left")
    late = dated.filter(pl.col("moment") > pl.col("death")).height
    dated = dated.filter(pl.col("death").is_null() | (pl.col("moment") <= pl.col("death")))
    moments = dated.filter(~pl.col("static")).select("subject_id", "moment").unique()
    patients = (
        moments.group_by("subject_id")
        .agg(start=pl.col("moment").min(), last=pl.col("moment").max())
        .join(end.agg(stop=pl.col("moment").max()), on="subject_id", how="left")
        .join(died, on="subject_id", how="left")
        .join(birth, on="subject_id", how="left")
        .with_columns(
            end=pl.max_horizontal("last", pl.col("stop").fill_null(pl.col("last"))),
            died=pl.col("death").is_not_null(),
            reference=pl.lit(0) if clock.anchor else pl.col("start"),
        )
        .sort("subject_id")
    )
    facts = dated.filter(pl.col("code") != (clock.anchor or "")).select(FACT_COLUMNS)
    facts = pl.concat([facts, _pseudo_facts(patients, clock)])
    statics = patients.select("subject_id", moment=pl.lit(BEFORE_TIME, dtype=pl.Int64))
    return Spans(
        facts=facts.join(patients.select("subject_id"), on="subject_id", how="semi"),
        moments=pl.concat([moments, statics]).sort("subject_id", "moment"),
        patients=patients,
        after_death=late,
    )


def _in_grains(events: pl.DataFrame, clock: Clock) -> pl.DataFrame:
    """Rows with ``at`` (microseconds from time zero) and ``moment`` (grains, rounded down)."""
    return events.select(
        "subject_id",
        "code",
        "numeric_value",
        pl.col("time").is_null().alias("static"),
        since_zero(pl.col("time"), clock).alias("at"),
        text=pl.col("text_value").is_not_null() if "text_value" in events.columns else pl.lit(False),
        moment=pl.when(pl.col("time").is_null()).then(BEFORE_TIME).otherwise(grain_of(pl.col("time"), clock)),
    )


def since_zero(time: pl.Expr, clock: Clock) -> pl.Expr:
    """Microseconds from time zero."""
    zero = pl.lit(clock.zero, dtype=pl.Datetime("us"))
    return (time.cast(pl.Datetime("us")) - zero).dt.total_microseconds()


def grain_of(time: pl.Expr, clock: Clock) -> pl.Expr:
    """The grain, counted from time zero, in which a time lies."""
    return since_zero(time, clock).floordiv(clock.grain_seconds * 1_000_000)


def time_of(grain: pl.Expr, clock: Clock) -> pl.Expr:
    """The time at which a grain begins."""
    zero = pl.lit(clock.zero, dtype=pl.Datetime("us"))
    return (zero + pl.duration(seconds=grain * clock.grain_seconds)).cast(pl.Datetime("us"))


def _pseudo_facts(patients: pl.DataFrame, clock: Clock) -> pl.DataFrame:
    """The record's start and the age at the reference moment, as facts of the static moment."""
    common = [pl.lit(BEFORE_TIME, dtype=pl.Int64).alias("moment"), pl.lit(True).alias("static")]
    start = patients.select(
        "subject_id",
        *common,
        code=pl.lit(START),
        numeric_value=pl.col("start").cast(pl.Float32),
        text=pl.lit(False),
    )
    age = (
        patients.with_columns(numeric_value=_years(patients, clock))
        .drop_nulls("birth")
        .select("subject_id", *common, code=pl.lit(BIRTH), numeric_value="numeric_value", text=pl.lit(False))
    )
    return pl.concat([start, age])


def _years(patients: pl.DataFrame, clock: Clock) -> pl.Series:
    """Age at the reference moment in years; null where the birth is not known."""
    seconds = pl.col("reference") * clock.grain_seconds - pl.col("birth") / 1e6
    return patients.select((seconds / YEAR_SECONDS).cast(pl.Float32).alias("age"))["age"]


def reach_of(shards: Iterable[Spans], *, least: int = LEAST_PATIENTS) -> Reach:
    """How far these records go: no further than ``least`` patients do; a longer wait counts as the longest such."""
    tallies, moments, ends, longest = list[Tally](), list[IntArray](), list[IntArray](), list[IntArray]()
    for spans in shards:
        tallies = [all_together([*tallies, Tally.of(waits_of(spans))], most=MOST_WAITS)]
        moments.append(highest(least, _moments_of(spans)))
        ends.append(highest(least, spans.patients["end"].to_numpy()))
        longest.append(highest(least, _longest_waits(spans)))
    most, found = reached_by(least, longest), tallies[0]
    waits = all_together([Tally(np.minimum(found.values, most), found.counts)], most=MOST_WAITS)
    return Reach(waits=waits, moments=max(reached_by(least, moments), 1), latest=reached_by(least, ends))


def _moments_of(spans: Spans) -> IntArray:
    """How many moments each patient has."""
    counts: IntArray = spans.moments.group_by("subject_id").len()["len"].to_numpy().astype(np.int64)
    return counts


def _longest_waits(spans: Spans) -> IntArray:
    """Each patient's longest wait, the one for the end of follow-up among them."""
    dated = spans.moments.filter(pl.col("moment") != BEFORE_TIME)
    gaps = dated.group_by("subject_id", maintain_order=True).agg(gap=pl.col("moment").diff().max())
    both = spans.patients.select("subject_id", last=pl.col("end") - pl.col("last")).join(
        gaps, on="subject_id", how="left"
    )
    found: IntArray = both.select(pl.max_horizontal("last", "gap")).to_series().to_numpy().astype(np.int64)
    return found


def waits_of(spans: Spans) -> IntArray:
    """Grains between successive moments, and from the last moment to the end of follow-up."""
    dated = spans.moments.filter(pl.col("moment") != BEFORE_TIME)
    gaps = dated.select(pl.col("moment").diff().over("subject_id")).drop_nulls()["moment"].to_numpy()
    ends = (spans.patients["end"] - spans.patients["last"]).to_numpy()
    waits: IntArray = np.r_[gaps, ends].astype(np.int64)
    return waits


def encode(spans: Spans, vocabulary: Vocabulary, parents: Mapping[str, str]) -> Records:
    """Turn facts into arrays in drawing order.

    A code the vocabulary does not know counts as the nearest of its ``parents`` that it does; else it is left out.
    """
    index = vocabulary.index()
    moments = spans.moments.with_row_index("row")
    facts = (
        back_off(spans.facts, set(index), parents)
        .filter(pl.col("code").is_in(list(index)))
        .with_columns(position=pl.col("code").replace_strict(index, return_dtype=pl.Int64))
        .join(moments, on=["subject_id", "moment"], how="inner")
        .sort("row", "position", "numeric_value")
    )
    codes = facts["position"].to_numpy().astype(np.int64)
    levels, ranks = place_values(codes, facts["numeric_value"].to_numpy().astype(np.float32), vocabulary)
    counts = np.bincount(facts["row"].to_numpy(), minlength=moments.height)
    sizes = moments.group_by("subject_id", maintain_order=True).len()["len"].to_numpy()
    starts = np.r_[0, np.cumsum(sizes)].astype(np.int64)
    time = moments["moment"].to_numpy().astype(np.int64)
    time[starts[:-1]] = spans.patients["start"].to_numpy()
    return Records(
        subject=spans.patients["subject_id"].to_numpy().astype(np.int64),
        level=levels,
        rank=ranks,
        fact_start=np.r_[0, np.cumsum(counts)].astype(np.int64),
        time=time,
        moment_start=starts,
        end=spans.patients["end"].to_numpy().astype(np.int64),
        died=spans.patients["died"].to_numpy(),
        age=_years(spans.patients, vocabulary.clock).to_numpy().astype(np.float32),
    )


def place_values(codes: IntArray, values: FloatArray, vocabulary: Vocabulary) -> tuple[IntArray, FloatArray]:
    """Level and rank of each fact; rank is the level's place plus the place inside its bin, as a share of the field."""
    levels = vocabulary.level_start[codes]
    inside = np.full(len(codes), 0.5, dtype=np.float32)
    order = np.argsort(codes, kind="stable")
    edges = np.searchsorted(codes[order], np.arange(len(vocabulary.entries) + 1))
    for position in np.flatnonzero(np.diff(edges)):
        entry = vocabulary.entries[position]
        if not entry.bins:
            continue
        rows = order[edges[position] : edges[position + 1]]
        start, real = vocabulary.level_start[position], entry.bins - int(entry.absent)
        column = values[rows]
        lows = vocabulary.lows[start : start + real]
        placed = np.clip(np.searchsorted(lows, column, side="right") - 1, 0, real - 1)
        inner = vocabulary.inner[start + placed]
        width = np.maximum(inner[:, INNER - 1] - inner[:, 0], 1e-9)
        place = np.where(inner[:, INNER - 1] > inner[:, 0], (column - inner[:, 0]) / width, 0.5)
        missing = np.isnan(column)
        levels[rows] = start + np.where(missing, real if entry.absent else real // 2, placed)
        inside[rows] = np.where(missing, 0.5, np.clip(place, 0, 1))
    low, width = vocabulary.level_ranks[levels].T
    ranks: FloatArray = (low + width * inside).astype(np.float32)
    return levels, ranks


def insides_of(levels: IntArray, ranks: FloatArray, vocabulary: Vocabulary) -> FloatArray:
    """The place of each fact inside its level, 0 to 1, from its rank; the middle where the level has no width."""
    low, width = vocabulary.level_ranks[levels].T
    inside = np.divide(ranks - low, width, out=np.full(len(levels), 0.5, dtype=np.float32), where=width > 0)
    found: FloatArray = np.clip(inside, 0, 1)
    return found


def draw_values(levels: IntArray, inside: FloatArray, vocabulary: Vocabulary) -> FloatArray:
    """Invert the in-bin distribution at ``inside`` (0 to 1), rounded to the code's decimals; NaN: no value."""
    points = inside * (INNER - 1)
    left = np.minimum(points.astype(np.int64), INNER - 2)
    rows = np.arange(len(levels))
    inner = vocabulary.inner[levels]
    low, high = inner[rows, left], inner[rows, left + 1]
    drawn = low + (high - low) * (points - left)
    decimals = np.asarray([entry.decimals for entry in vocabulary.entries])[vocabulary.level_code[levels]]
    scale = 10.0**decimals
    values: FloatArray = (np.round(drawn.astype(np.float64) * scale) / scale).astype(np.float32)
    return values

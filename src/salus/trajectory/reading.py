"""From a timeline's rows to what the model learns from: clock, facts, vocabulary, records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from salus.errors import OtherTimeline, TooFewPatients, ValueNotFinite
from salus.timeline.settings import TimelineSettings
from salus.trajectory.batches import static_moments, steps_of
from salus.trajectory.encoding import Records, encode, facts_of, reach_of
from salus.trajectory.vocabulary import GRAIN_SECONDS, Clock, Vocabulary
from salus.trajectory.vocabulary_learning import back_off, fit_vocabulary, parents_of, with_certainties

LEAST_TRAIN, LEAST_TUNING = 10, 2
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""Time zero where the source's times are absolute: it only names the grains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lessons:
    """Training and tuning patients as arrays, with the vocabulary learned from the training patients."""

    train: Records
    tuning: Records
    vocabulary: Vocabulary
    after_death: int


def clock_of(codes: pl.DataFrame, settings: TimelineSettings) -> Clock:
    """How this timeline counts time, from its settings and the roles of its codes."""
    roles = dict(
        codes.filter(pl.col("role").is_in(["follow_up_end", "birth"])).select("role", "code").iter_rows()
    )
    zero = settings.time_zero or EPOCH
    return Clock(
        time_zero=zero.isoformat(),
        grain=settings.grain if settings.grain in GRAIN_SECONDS else "second",
        anchor=settings.anchor if settings.time_zero else None,
        follow_up_end=roles.get("follow_up_end"),
        birth=roles.get("birth"),
        order_only=settings.order_only,
    )


def death_codes(codes: pl.DataFrame) -> list[str]:
    """Codes after which nothing follows."""
    return codes.filter(pl.col("role") == "death")["code"].to_list()


def prepare(events: pl.DataFrame, codes: pl.DataFrame, settings: TimelineSettings) -> Lessons:
    """Read training and tuning patients. ``events``: all rows with their ``split``.

    Raises TooFewPatients (SAL-305), OtherTimeline (SAL-306: a subject lacks the anchor) or ValueNotFinite (SAL-315).
    """
    _check_patients(events)
    _check_finite(events)
    clock = clock_of(codes, settings)
    _check_anchor(events, clock)
    death = death_codes(codes)
    train = facts_of(events.filter(pl.col("split") == "train"), clock, death)
    tuning = facts_of(events.filter(pl.col("split") == "tuning"), clock, death)
    vocabulary = fit_vocabulary(train.facts, reach_of(train), codes=codes, clock=clock)
    if vocabulary.statics == vocabulary.size:
        raise TooFewPatients(
            f"no dated code is shared by {vocabulary.protection.least_patients} or more training patients",
            where="data/train",
            fix="ingest more patients: rarer codes are withheld to protect the few who have them",
        )
    parents = parents_of(codes)
    records = encode(train, vocabulary, parents)
    steps = steps_of(records, vocabulary)
    static = static_moments(records)[steps.moment]
    vocabulary = with_certainties(vocabulary, steps.prior, steps.target, static)
    return Lessons(
        train=records,
        tuning=encode(tuning, vocabulary, parents),
        vocabulary=vocabulary,
        after_death=train.after_death + tuning.after_death,
    )


def _check_patients(events: pl.DataFrame) -> None:
    """There are enough patients to learn from and to stop by; who has no dated row has no moment to learn from."""
    counted = events.group_by("split").agg(
        pl.col("subject_id").n_unique().alias("all"),
        pl.col("subject_id").filter(pl.col("time").is_not_null()).n_unique().alias("dated"),
    )
    counts = {split: (everyone, dated) for split, everyone, dated in counted.iter_rows()}
    for split, least in (("train", LEAST_TRAIN), ("tuning", LEAST_TUNING)):
        everyone, dated = counts.get(split, (0, 0))
        if dated < least:
            said = "" if everyone < least else " have a dated row"
            raise TooFewPatients(
                f"{dated if said else everyone} patients in split '{split}'{said}; at least {least} are needed",
                where="data/" + split,
                fix="ingest more patients, or change the splits in source.yaml",
            )


def _check_finite(events: pl.DataFrame) -> None:
    """Every number is one: a single infinite value would spoil its code's distribution, and then the whole loss."""
    bad = events.filter(pl.col("numeric_value").is_not_null() & ~pl.col("numeric_value").is_finite())
    if bad.is_empty():
        return
    codes = bad["code"].unique().sort()
    more = f" and {len(codes) - 1} more codes" if len(codes) > 1 else ""
    raise ValueNotFinite(
        f"{bad.height} rows of {codes[0]}{more} hold a value that is infinite or not a number",
        where="data, column numeric_value",
        fix="leave the value empty (null) where there is none, then ingest again",
    )


def _check_anchor(events: pl.DataFrame, clock: Clock) -> None:
    """Every subject has the anchor exactly at time zero, or times cannot be counted from it."""
    if clock.anchor is None:
        return
    anchored = events.filter((pl.col("code") == clock.anchor) & (pl.col("time") == clock.zero))[
        "subject_id"
    ].n_unique()
    everyone = events["subject_id"].n_unique()
    if anchored != everyone:
        raise OtherTimeline(
            f"{everyone - anchored} of {everyone} patients lack the anchor {clock.anchor} at time zero",
            where="metadata/dataset.json",
            fix="give every patient the anchor in source.yaml, or name no anchor and no time zero",
        )


def read_histories(
    events: pl.DataFrame, codes: pl.DataFrame, settings: TimelineSettings, vocabulary: Vocabulary
) -> Records:
    """Read histories with a trained vocabulary; codes it does not know are left out (:func:`left_out` counts them).

    Raises OtherTimeline (SAL-306) when the timeline counts time otherwise or shares no code with the model, and
    ValueNotFinite (SAL-315).
    """
    _check_finite(events)
    clock, trained = clock_of(codes, settings), vocabulary.clock
    if (clock.grain, clock.anchor, clock.time_zero) != (trained.grain, trained.anchor, trained.time_zero):
        raise OtherTimeline(
            f"the timeline counts in {clock.grain}s from {clock.anchor or clock.time_zero}, "
            f"the model in {trained.grain}s from {trained.anchor or trained.time_zero}",
            where="metadata/dataset.json",
            fix="use a timeline ingested with the source.yaml of the model's training data",
        )
    if clock.order_only != trained.order_only:
        raise OtherTimeline(
            "the times of the timeline say only an order, those of the model say when"
            if clock.order_only
            else "the times of the model say only an order, those of the timeline say when",
            where="metadata/dataset.json",
            fix="use a timeline ingested with the source.yaml of the model's training data",
        )
    known, parents = {entry.code for entry in vocabulary.entries}, parents_of(codes)
    if back_off(events.select("code"), known, parents).filter(pl.col("code").is_in(known)).is_empty():
        raise OtherTimeline(
            "the timeline and the model share no code",
            where="metadata/codes.parquet",
            fix="use a timeline ingested with the source.yaml of the model's training data",
        )
    return encode(facts_of(events, trained, death_codes(codes)), vocabulary, parents)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """What of histories a model cannot read: rows, and how many codes they have."""

    rows: int
    codes: int


def left_out(events: pl.DataFrame, codes: pl.DataFrame, vocabulary: Vocabulary) -> LeftOut:
    """Count rows whose code the model does not know, nor what it is a kind of, nor as something of a choice it knows.

    The anchor, birth and the end of follow-up are no facts: the model reads them in another way.
    """
    clock, known = vocabulary.clock, {entry.code for entry in vocabulary.entries}
    read = known | {code for code in (clock.anchor, clock.birth, clock.follow_up_end) if code}
    unread = back_off(events.select("code"), read, parents_of(codes)).filter(~pl.col("code").is_in(read))
    return LeftOut(rows=unread.height, codes=unread["code"].n_unique())

"""From a timeline's rows to what the model learns from: clock, facts, vocabulary, records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from salus.errors import OtherTimeline, TooFewPatients
from salus.timeline.columns import SPLITS
from salus.timeline.settings import TimelineSettings
from salus.trajectory.ancestors import back_off, parents_of
from salus.trajectory.batches import steps_of
from salus.trajectory.census import Census, check_values, take_census
from salus.trajectory.charts import static_moments
from salus.trajectory.encoding import Records, Spans, encode, facts_of, joined, reach_of
from salus.trajectory.memorisation import MOST_FACTS, MOST_PATIENTS, SHARE
from salus.trajectory.shelf import WINDOW_FACTS, Shelf, by_lot, shelved
from salus.trajectory.spans_on_disk import SpansOnDisk
from salus.trajectory.vocabulary import GRAIN_SECONDS, Clock, Vocabulary
from salus.trajectory.vocabulary_learning import Decisions, fit_vocabulary, with_certainties

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""Time zero where the source's times are absolute: it only names the grains."""
TUNING_ROWS = 1_000_000
"""Rows of tuning patients that are read; of more patients, some are taken by lot: a look must stay cheap."""

Shards = Callable[[str], Iterable[pl.DataFrame]]
"""Gives the rows of a split, a frame a shard, as often as it is asked; no patient is in two shards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lessons:
    """Training and tuning patients as arrays, with the vocabulary learned from the training patients.

    ``train``: records, or files of them where they are too many to be held together. ``held_out``: patients set aside.
    """

    train: Records | Shelf
    tuning: Records
    vocabulary: Vocabulary
    after_death: int
    held_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Where records too many for memory may lie meanwhile, and how many facts are held together."""

    folder: Path
    window_facts: int = WINDOW_FACTS


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
    """Read training and tuning patients. ``events``: all rows with their ``split``, held in memory.

    Raises TooFewPatients (SAL-305), OtherTimeline (SAL-306: a subject lacks the anchor) or ValueNotFinite (SAL-315).
    """
    return prepare_shards(lambda split: [events.filter(pl.col("split") == split)], codes, settings, room=None)


def prepare_shards(
    shards: Shards, codes: pl.DataFrame, settings: TimelineSettings, *, room: Room | None
) -> Lessons:
    """The same, a shard at a time where the training rows are more than ``room`` holds together."""
    clock, death = clock_of(codes, settings), death_codes(codes)
    census = take_census(((split, shard) for split in SPLITS for shard in shards(split)), clock)
    census.check(clock)
    spans: list[Spans] | SpansOnDisk
    if room is None or census.rows["train"] <= room.window_facts:
        spans = [facts_of(pl.concat(shards("train")), clock, death)]
    else:
        spans = SpansOnDisk.of((facts_of(shard, clock, death) for shard in shards("train")), room.folder)
    facts = spans.facts if isinstance(spans, SpansOnDisk) else [one.facts for one in spans]
    vocabulary = fit_vocabulary(facts, reach_of(spans), codes=codes, clock=clock)
    if vocabulary.statics == vocabulary.size:
        raise TooFewPatients(
            f"no dated code is shared by {vocabulary.protection.least_patients} or more training patients",
            where="data/train",
            fix="ingest more patients: rarer codes are withheld to protect the few who have them",
        )
    parents = parents_of(codes)
    records = (encode(one, vocabulary, parents) for one in spans)
    train: Records | Shelf
    if room is None or isinstance(spans, list):
        train = joined([*records])
        decisions: Iterable[Decisions] = [_decisions(train, vocabulary)]
    else:
        train = shelved(
            records, room.folder / "records", share=_looked_at(census), window_facts=room.window_facts
        )
        decisions = (_decisions(part, vocabulary) for part in train.each())
    vocabulary = with_certainties(vocabulary, decisions)
    tuning, late = _tuning(shards, census, vocabulary, codes=codes)
    return Lessons(
        train=train,
        tuning=tuning,
        vocabulary=vocabulary,
        after_death=sum(one.after_death for one in spans) + late,
        held_out=census.patients["held_out"],
    )


def _decisions(records: Records, vocabulary: Vocabulary) -> Decisions:
    """What was drawn after what in these records."""
    steps = steps_of(records, vocabulary)
    return Decisions(steps.prior, steps.target, static_moments(records)[steps.moment])


def _looked_at(census: Census) -> float:
    """Share of training patients kept at hand: enough to look at as many as in a whole set."""
    patients, rows = census.patients["train"], census.rows["train"]
    return min(1.0, SHARE * MOST_PATIENTS / patients, SHARE * MOST_FACTS / rows)


def _tuning(
    shards: Shards, census: Census, vocabulary: Vocabulary, *, codes: pl.DataFrame
) -> tuple[Records, int]:
    """Tuning patients, of very many as many as suffice; and their rows after death."""
    share = min(1.0, TUNING_ROWS / max(census.rows["tuning"], 1))
    death, parents = death_codes(codes), parents_of(codes)
    found, late = list[Records](), 0
    for shard in _by_lot(shards("tuning"), share):
        spans = facts_of(shard, vocabulary.clock, death)
        found.append(encode(spans, vocabulary, parents))
        late += spans.after_death
    return joined(found), late


def _by_lot(shards: Iterable[pl.DataFrame], share: float) -> Iterator[pl.DataFrame]:
    """The rows of about this share of patients."""
    for shard in shards:
        taken = by_lot(shard["subject_id"].to_numpy().astype(np.int64), share)
        yield shard if share >= 1 else shard.filter(pl.Series(taken))


def read_histories(
    events: pl.DataFrame, codes: pl.DataFrame, settings: TimelineSettings, vocabulary: Vocabulary
) -> Records:
    """Read histories with a trained vocabulary; codes it does not know are left out (:func:`left_out` counts them).

    Raises OtherTimeline (SAL-306) when the timeline counts time otherwise or shares no code with the model, and
    ValueNotFinite (SAL-315).
    """
    check_values([events])
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

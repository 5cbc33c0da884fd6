"""Embed: a vector for each patient of a timeline as of a moment, from what was known by then."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from salus.at_rest.files import configured_ring, write_private
from salus.cohort.moments import MOMENTS, index_moments, known_at_index
from salus.cohort.task import Task, check_codes, read_task
from salus.errors import SettingsRefused, TooFewPatients
from salus.programme.lock import NO_LEAVE, answers_of
from salus.progress import Progress
from salus.timeline.answers import AnswerOrigin
from salus.timeline.columns import SPLITS
from salus.timeline.settings import TimelineSettings
from salus.timeline.store import read_codes, read_settings, read_shards
from salus.trajectory.artefact import Model, load_model
from salus.trajectory.embedding import embed_histories
from salus.trajectory.reading import LeftOut, left_out, read_histories
from salus.workflows.forecast import used_on
from salus.workflows.stages import cpu_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedSettings:
    """As of which moment: ``task`` (a task file's index moment), ``at`` (ISO 8601 with zone), or each record's end.

    ``split``: whom (None: all).
    """

    task: Path | None = None
    at: str | None = None
    split: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedResult:
    """What was written, in how long. ``without_history``: patients of whom nothing dated was known at the moment.

    ``left_out_rows``: rows of histories whose code the model does not know. ``synthetic``: what of it all is; empty:
    nothing.
    """

    vectors: Path
    patients: int
    without_history: int
    width: int
    left_out_rows: int
    synthetic: str
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Embedding:
    """What every shard is read with."""

    model: Model
    codes: pl.DataFrame
    told: TimelineSettings
    task: Task | None
    at: datetime | None

    def moments(self, events: pl.DataFrame) -> pl.DataFrame:
        """As of when each patient is looked at: subject_id, prediction_time."""
        if self.task is not None:
            return index_moments(events, self.task)
        known = events.group_by("subject_id").agg(prediction_time=pl.col("known_time").max())
        if self.at is not None:
            known = known.with_columns(prediction_time=pl.lit(self.at))
        found = known.drop_nulls("prediction_time").sort("subject_id")
        return found.select(pl.col(name).cast(kind) for name, kind in MOMENTS.items())

    def vectors(self, events: pl.DataFrame) -> tuple[pl.DataFrame, LeftOut]:
        """One row a patient of the shard of whom something dated was known."""
        moments = self.moments(events)
        known = known_at_index(events, moments)
        dated = known.filter(pl.col("time").is_not_null())["subject_id"].unique()
        known = known.filter(pl.col("subject_id").is_in(dated.implode()))
        width = len(self.model.network.start)
        schema = {**MOMENTS, "vector": pl.Array(pl.Float32, width)}
        if known.is_empty():
            return pl.DataFrame(schema=schema), LeftOut(rows=0, codes=0)
        vocabulary = self.model.vocabulary
        records = read_histories(known, self.codes, self.told, vocabulary)
        found = pl.DataFrame(
            {
                "subject_id": records.subject,
                "vector": embed_histories(self.model.network, vocabulary, records),
            },
            schema={"subject_id": pl.Int64, "vector": schema["vector"]},
        )
        return found.join(moments, on="subject_id", maintain_order="left").select(schema.keys()), left_out(
            known, self.codes, vocabulary
        )


def embed(
    model: Path, timeline: Path, *, to: Path, settings: EmbedSettings, progress: Progress
) -> EmbedResult:
    """Write ``to`` (Parquet): subject_id, prediction_time, vector; shard after shard.

    Raises SettingsRefused (SAL-308), TooFewPatients (SAL-305), OtherTimeline (SAL-306), task and timeline errors.
    """
    if settings.task is not None and settings.at is not None:
        raise SettingsRefused(
            "two moments are given: --task and --at",
            where="--at",
            fix="give one of them, or none: then everything known counts",
        )
    at = None if settings.at is None else _moment(settings.at)
    task = None if settings.task is None else read_task(settings.task)
    codes = read_codes(timeline)
    if task is not None:
        check_codes(task, codes["code"].to_list(), where=str(settings.task))
    loaded = load_model(model)
    began, spent = time.monotonic(), cpu_seconds()
    work = _Embedding(model=loaded, codes=codes, told=read_settings(timeline), task=task, at=at)
    used = used_on("embed", loaded, timeline)
    origin = answers_of(used, NO_LEAVE, timeline)
    patients = everyone = unread = 0
    with progress.step("Reading histories", unit="patients") as step, _writer(to, origin) as write:
        for split in SPLITS if settings.split is None else (settings.split,):
            for shard in read_shards(timeline, split):
                frame, without = work.vectors(shard)
                write(frame)
                patients, unread = patients + frame.height, unread + without.rows
                everyone += shard["subject_id"].n_unique()
                step.advance(frame.height)
        if not patients:
            raise TooFewPatients(
                f"of no patient of split '{settings.split or 'all'}' anything was known at that moment",
                where=str(timeline),
                fix="choose another --split or a later moment",
            )
    return EmbedResult(
        vectors=to,
        patients=patients,
        without_history=everyone - patients,
        width=len(loaded.network.start),
        left_out_rows=unread,
        synthetic=used.synthetic,
        seconds=time.monotonic() - began,
        cpu_seconds=cpu_seconds() - spent,
    )


def _moment(written: str) -> datetime:
    """A moment with its zone, as the timeline's times are written: UTC without zone."""
    try:
        found = datetime.fromisoformat(written)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise SettingsRefused(
            f"'{written}' is not a moment with a zone",
            where="--at",
            fix="write it as 2026-03-01T09:00+00:00",
        )
    return found.astimezone(UTC).replace(tzinfo=None)


@contextmanager
def _writer(to: Path, origin: AnswerOrigin) -> Iterator[_Parquet]:
    """A Parquet file that frames are written into one after another; it appears whole or not at all."""
    to.parent.mkdir(parents=True, exist_ok=True)
    fresh = to.with_name(f".{to.name}.partial")
    file = _Parquet(fresh, origin)
    try:
        yield file
        file.close()
        fresh.replace(to)
    finally:
        file.close()
        fresh.unlink(missing_ok=True)


class _Parquet:
    """Writes frames of one schema into a file; what is to be sealed waits in memory until the end."""

    def __init__(self, path: Path, origin: AnswerOrigin) -> None:
        self.path, self.origin = path, origin
        self.held = io.BytesIO() if configured_ring() else None
        self.file: pq.ParquetWriter | None = None

    def __call__(self, frame: pl.DataFrame) -> None:
        table = frame.to_arrow().replace_schema_metadata(self.origin.as_metadata())
        if self.file is None:
            self.file = pq.ParquetWriter(self.held or self.path, table.schema, compression="zstd")
        self.file.write_table(table)

    def close(self) -> None:
        """End the file."""
        if self.file is not None:
            self.file.close()
        if self.held is not None:
            write_private(self.path, self.held.getvalue())
            self.held = None

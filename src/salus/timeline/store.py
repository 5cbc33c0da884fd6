"""Read and write timelines: MEDS data sets on disk, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from meds.schema import (
    CodeMetadataSchema,
    DataSchema,
    DatasetMetadataSchema,
    SubjectSplitSchema,
    code_metadata_filepath,
    data_subdirectory,
    dataset_metadata_filepath,
    subject_splits_filepath,
)

from salus import __version__
from salus.at_rest.files import read_private, read_private_parquet, write_private, write_private_parquet
from salus.errors import TimelineBroken, TimelineMissing, nearest
from salus.timeline.columns import CODE_COLUMNS, EVENT_COLUMNS, REJECTED_COLUMNS, SPLITS, fit_columns
from salus.timeline.folder import whole_folder
from salus.timeline.settings import TimelineSettings, settings_from_json
from salus.timeline.suspension import check_in_use

EVENTS_A_SHARD = 500_000
SETTINGS_FILE = dataset_metadata_filepath
HARDLY_REPEATED = ("time", "known_time", "source")
"""Columns for which a dictionary is sought in vain: half of the time that writing takes."""
BOOKS_FILE, REJECTED_FILE = "books.json", "rejected.parquet"


def read_timeline(folder: Path, split: str | None = None) -> pl.DataFrame:
    """Read all events, or those of one split; without ``split`` a column says which split each belongs to."""
    if split is not None and split not in SPLITS:
        raise TimelineMissing(
            f"no split '{split}'{nearest(split, SPLITS)}",
            where=str(folder),
            fix=f"use one of: {', '.join(SPLITS)}",
        )
    frames = []
    for name in SPLITS if split is None else (split,):
        frame = pl.concat([*read_shards(folder, name)] or [pl.DataFrame(schema=EVENT_COLUMNS)])
        frames.append(frame.with_columns(split=pl.lit(name)) if split is None else frame)
    return pl.concat(frames)


def read_shards(folder: Path, split: str) -> Iterator[pl.DataFrame]:
    """Read one split's events a shard at a time; no subject is in two. Raises Suspended (SAL-478)."""
    _require(folder)
    check_in_use(folder)
    return map(_read_shard, sorted((folder / data_subdirectory / split).glob("*.parquet")))


def read_codes(folder: Path) -> pl.DataFrame:
    """Read what is known of each code: description, role, unit, plausible range, decimals."""
    _require(folder)
    return fit_columns(_read_parquet(folder / code_metadata_filepath), CODE_COLUMNS, what="codes")


def read_splits(folder: Path) -> pl.DataFrame:
    """Read which split each subject belongs to."""
    _require(folder)
    return _read_parquet(folder / subject_splits_filepath)


def read_rejected(folder: Path) -> pl.DataFrame:
    """Read the rows that were refused: file, line, column, reason."""
    return _read_parquet(folder / REJECTED_FILE)


def read_settings(folder: Path) -> TimelineSettings:
    """Read what the timeline says of itself."""
    path = folder / SETTINGS_FILE
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise TimelineMissing(
            f"'{folder.name}' is not a timeline: it has no {SETTINGS_FILE}",
            where=str(folder),
            fix="name a folder that `salus ingest` wrote, or run it again",
        ) from error
    except ValueError as error:
        raise _broken("it is not JSON", path) from error
    if not isinstance(content, dict):
        raise _broken("it is not a JSON object", path)
    return settings_from_json(content)


def timeline_digest(folder: Path) -> str:
    """One sha256 over the names and bytes of all data files and of the codes."""
    _require(folder)
    digest = hashlib.sha256()
    for path in [
        *sorted((folder / data_subdirectory).rglob("*.parquet")),
        folder / code_metadata_filepath,
    ]:
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(hashlib.sha256(read_private(path)).digest())
    return digest.hexdigest()


def write_timeline(
    folder: Path,
    events: pl.DataFrame | Iterable[pl.DataFrame],
    *,
    codes: pl.DataFrame,
    settings: TimelineSettings,
    rejected: pl.DataFrame | None = None,
) -> None:
    """Write events (with a ``split`` column) as a MEDS data set; the folder appears whole or not at all.

    ``events`` may come in frames, one after another by subject, none of whom is in two: then no more than a shard of
    each split is held. ``rejected`` is the frame of refused rows; books, where there are any, are added with
    :func:`write_books`.
    """
    with whole_folder(folder, mark=SETTINGS_FILE) as partial:
        write_into(partial, events, codes=codes, settings=settings, rejected=rejected)


def write_into(
    folder: Path,
    events: pl.DataFrame | Iterable[pl.DataFrame],
    *,
    codes: pl.DataFrame,
    settings: TimelineSettings,
    rejected: pl.DataFrame | None = None,
) -> None:
    """Write all files of a timeline into an existing folder (see :func:`write_timeline`)."""
    codes = fit_columns(codes, CODE_COLUMNS, what="codes")
    (folder / "metadata").mkdir()
    open_shards = {name: _OpenShard(folder / data_subdirectory / name) for name in SPLITS}
    found = []
    for frame in [events] if isinstance(events, pl.DataFrame) else events:
        fitted = fit_columns(frame, {**EVENT_COLUMNS, "split": pl.String()}, what="events")
        _check_codes(fitted, codes)
        found.append(fitted.select("subject_id", "split").unique())
        _check_splits(found[-1])
        for name, shard in open_shards.items():
            shard.add(fitted.filter(pl.col("split") == name).drop("split"))
    for shard in open_shards.values():
        shard.close()
    splits = pl.concat(found or [pl.DataFrame(schema={"subject_id": pl.Int64, "split": pl.String})])
    splits = splits.sort("subject_id")
    _check_splits(splits)
    _write_parquet(folder / code_metadata_filepath, codes, CodeMetadataSchema)
    _write_parquet(folder / subject_splits_filepath, splits, SubjectSplitSchema)
    refused = pl.DataFrame(schema=REJECTED_COLUMNS) if rejected is None else rejected
    rows = fit_columns(refused, REJECTED_COLUMNS, what="rejections")
    write_private_parquet(rows, folder / REJECTED_FILE)
    _write_settings(folder / SETTINGS_FILE, settings)


def write_books(folder: Path, books: Mapping[str, object]) -> None:
    """Write the books of an intake beside its timeline."""
    (folder / BOOKS_FILE).write_text(json.dumps(books, indent=2) + "\n", encoding="utf-8")


def _write_settings(path: Path, settings: TimelineSettings) -> None:
    content: dict[str, object] = {
        "dataset_name": settings.name,
        "license": settings.licence,
        "etl_name": "salus",
        "etl_version": __version__,
        "meds_version": version("meds"),
        "raw_source_id_columns": ["source"],
        "code_modifier_columns": ["unit"],
        "other_extension_columns": ["known_time"],
    }
    DatasetMetadataSchema.validate(content)
    path.write_text(json.dumps({**content, "salus": settings.as_json()}, indent=2) + "\n", encoding="utf-8")


def _check_codes(events: pl.DataFrame, codes: pl.DataFrame) -> None:
    unknown = sorted(set(events["code"].unique().to_list()) - set(codes["code"].to_list()), key=str)
    if unknown:
        raise TimelineBroken(
            f"{len(unknown)} codes of the events are not described, the first is '{unknown[0]}'",
            where="metadata/codes.parquet",
            fix="describe every code",
        )


def _check_splits(splits: pl.DataFrame) -> None:
    twice = splits.height - splits["subject_id"].n_unique()
    strange = set(splits["split"].to_list()) - set(SPLITS)
    if twice or strange:
        raise TimelineBroken(
            f"{twice} subjects are in two splits and {len(strange)} splits are unknown",
            where="metadata/subject_splits.parquet",
            fix=f"give each subject one of: {', '.join(SPLITS)}",
        )


class _OpenShard:
    """Rows of one split that wait until they fill a shard: cut between subjects, about ``EVENTS_A_SHARD`` rows each."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.number, self.written, self.seen = folder, 0, 0, 0
        self.last: int | None = None
        self.waiting: list[pl.DataFrame] = []
        folder.mkdir(parents=True)

    def add(self, rows: pl.DataFrame) -> None:
        """Take more rows; shards that are full are written."""
        if rows.is_empty():
            return
        subjects = rows["subject_id"]
        if not subjects.is_sorted() or (self.last is not None and subjects[0] <= self.last):
            raise TimelineBroken(
                "events are not sorted by subject", where="data", fix="sort by subject_id, time (nulls first)"
            )
        self.last = subjects[-1]
        ends = self.seen + rows.group_by("subject_id", maintain_order=True).len()["len"].cum_sum().cast(
            pl.Int64
        )
        shard_of = ((ends - 1) // EVENTS_A_SHARD).to_numpy()
        start = 0
        for place in [*(shard_of[1:] != shard_of[:-1]).nonzero()[0].tolist(), len(ends) - 1]:
            if shard_of[place] != self.number:
                self._write()
                self.number = int(shard_of[place])
            end = int(ends[place]) - self.seen
            self.waiting.append(rows[start:end])
            start = end
        self.seen += rows.height

    def close(self) -> None:
        """Write what still waits."""
        self._write()

    def _write(self) -> None:
        if self.waiting:
            _write_parquet(self.folder / f"{self.written:04d}.parquet", pl.concat(self.waiting), DataSchema)
            self.waiting, self.written = [], self.written + 1


def _write_parquet(path: Path, frame: pl.DataFrame, schema: type) -> None:
    table = _as_meds(frame)
    schema.validate(table)  # type: ignore[attr-defined]
    repeating = [name for name in table.column_names if name not in HARDLY_REPEATED]
    held = io.BytesIO()
    pq.write_table(
        table,
        held,
        compression="zstd",
        row_group_size=1 << 18,
        use_dictionary=repeating if len(repeating) < table.num_columns else True,
    )
    write_private(path, held.getbuffer())


def _as_meds(frame: pl.DataFrame) -> pa.Table:
    """Arrow types exactly as MEDS names them: plain strings, except the large ones of ``text_value``."""
    table = frame.to_arrow()
    fields = []
    for field in table.schema:
        kind = field.type
        if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            kind = pa.large_string() if field.name == "text_value" else pa.string()
        elif pa.types.is_large_list(kind):
            kind = pa.list_(pa.string())
        fields.append(pa.field(field.name, kind))
    return table.cast(pa.schema(fields))


def _require(folder: Path) -> None:
    for name in (
        SETTINGS_FILE,
        code_metadata_filepath,
        subject_splits_filepath,
        data_subdirectory,
    ):
        if not (folder / name).exists():
            raise TimelineMissing(
                f"'{folder.name}' is not a whole timeline: it has no {name}",
                where=str(folder),
                fix="name a folder that `salus ingest` wrote, or run it again",
            )


def _read_shard(path: Path) -> pl.DataFrame:
    return fit_columns(_read_parquet(path), EVENT_COLUMNS, what="events")


def _read_parquet(path: Path) -> pl.DataFrame:
    try:
        return read_private_parquet(path)
    except FileNotFoundError as error:
        raise TimelineMissing(
            f"there is no '{path.name}'", where=str(path), fix="run `salus ingest` again"
        ) from error
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _broken("it is cut short or not Parquet", path) from error


def _broken(why: str, path: Path) -> TimelineBroken:
    return TimelineBroken(
        f"'{path.name}' cannot be read: {why}", where=str(path), fix="run `salus ingest` again"
    )

"""A timeline without some patients, in the place of the one with them: whole, or as it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from salus.timeline.columns import SPLITS
from salus.timeline.folder import whole_folder
from salus.timeline.store import (
    BOOKS_FILE,
    SETTINGS_FILE,
    read_codes,
    read_rejected,
    read_settings,
    read_shards,
    write_books,
    write_into,
)
from salus.workflows.ingest_parts import VALIDATION


def rewrite_without(folder: Path, numbers: frozenset[int]) -> pl.DataFrame:
    """Rewrite the timeline without these patients; gives their rows (with ``split``), which now are nowhere else.

    Codes that nobody else has go too: what is rare tells who it was. The books count what was erased.
    """
    gone, met, left = [], set[str](), set[str]()
    for frame in _frames(folder):
        theirs = pl.col("subject_id").is_in(list(numbers))
        gone.append(frame.filter(theirs))
        met.update(frame["code"].unique())
        left.update(frame.filter(~theirs)["code"].unique())
    erased = pl.concat(gone)
    with whole_folder(folder, mark=SETTINGS_FILE) as partial:
        write_into(
            partial,
            (frame.filter(~pl.col("subject_id").is_in(list(numbers))) for frame in _frames(folder)),
            codes=_codes_left(read_codes(folder), met - left, left),
            settings=read_settings(folder),
            rejected=read_rejected(folder),
        )
        write_books(partial, _books(folder, patients=len(numbers), events=erased.height))
        if (folder / VALIDATION).exists():
            shutil.copyfile(folder / VALIDATION, partial / VALIDATION)
    for scratch in (f".{folder.name}.parts", f".{folder.name}.linked"):
        shutil.rmtree(folder.with_name(scratch), ignore_errors=True)
    return erased


def _frames(folder: Path) -> Iterator[pl.DataFrame]:
    for split in SPLITS:
        for frame in read_shards(folder, split):
            yield frame.with_columns(split=pl.lit(split))


def _codes_left(codes: pl.DataFrame, gone: set[str], left: set[str]) -> pl.DataFrame:
    """All codes but those that only the erased had; parents of what is left stay."""
    above = set(codes.filter(pl.col("code").is_in(list(left)))["parent_codes"].explode().drop_nulls())
    return codes.filter(~pl.col("code").is_in(list(gone - above)))


def _books(folder: Path, *, patients: int, events: int) -> dict[str, object]:
    path = folder / BOOKS_FILE
    books = json.loads(path.read_bytes()) if path.exists() else {}
    before = books.get("erased") or {"patients": 0, "events": 0}
    books["erased"] = {"patients": before["patients"] + patients, "events": before["events"] + events}
    return dict(books)

"""The rows that pictures and quantiles are made of: all of them, or whole shards up to what memory holds."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from salus.timeline.columns import EVENT_COLUMNS, SPLITS
from salus.timeline.store import read_shards, read_timeline

MOST_ROWS = 5_000_000


def look_at(timeline: Path, rows: int, most: int = MOST_ROWS) -> tuple[pl.DataFrame, bool]:
    """All rows of a timeline; of one with more than ``most`` whole shards in turn from each split, and True."""
    if rows <= most:
        return read_timeline(timeline), False
    frames: list[pl.DataFrame] = []
    waiting = [(name, read_shards(timeline, name)) for name in SPLITS]
    held = 0
    while waiting and held < most:
        name, shards = waiting.pop(0)
        shard = next(shards, None)
        if shard is not None:
            frames.append(shard.with_columns(split=pl.lit(name)))
            held += shard.height
            waiting.append((name, shards))
    empty = pl.DataFrame(schema={**EVENT_COLUMNS, "split": pl.String()})
    return pl.concat(frames or [empty]), True

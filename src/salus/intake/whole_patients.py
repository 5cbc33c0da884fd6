"""Frames that come in order of patient, cut so that no patient is in two."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import polars as pl


def whole_patients(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Hold back the last patient of each frame until the next one shows that no more rows of theirs come."""
    waiting: list[pl.DataFrame] = []
    for rows in frames:
        if rows.is_empty():
            continue
        last = rows["subject_id"][-1]
        if waiting and waiting[-1]["subject_id"][-1] != rows["subject_id"][0]:
            yield pl.concat(waiting)
            waiting = []
        cut = int(rows["subject_id"].search_sorted(last, side="left"))
        if cut:
            yield pl.concat([*waiting, rows[:cut]])
            waiting = []
        waiting.append(rows[cut:])
    if waiting:
        yield pl.concat(waiting)

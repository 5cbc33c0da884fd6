"""Is a drawn patient somebody? Exact copies of the dated record of a patient trained on."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from salus.timeline.store import read_timeline
from salus.usecases.contract import Proposal
from salus.usecases.opened import Opened

FRAMES = ("anchor", "birth", "follow_up_end", "death")
"""Roles of what everybody has: it is compared, but makes nobody recognisable."""
LEAST_FACTS = 3
"""A record with fewer dated facts is common by chance: it is nobody's in particular."""


def copies_of_trained(opened: Opened, proposal: Proposal) -> int:
    """How many of the proposed patients are exact copies of one that the model was trained on."""
    frame = opened.codes.filter(pl.col("role").is_in(FRAMES))["code"].to_list()
    return count_copies(proposal.rows, read_timeline(opened.folder.timeline, "train"), frame=frame)


def count_copies(drawn: pl.DataFrame, real: pl.DataFrame, *, frame: Collection[str]) -> int:
    """How many drawn patients have exactly the dated record of a real one: every time, code and value.

    ``frame``: codes that everybody has; they are compared, but a record needs other facts too.
    """
    mine, theirs = (_records(events, frame) for events in (drawn, real))
    return mine.join(theirs, on="record", how="semi").height


def _records(events: pl.DataFrame, frame: Collection[str]) -> pl.DataFrame:
    """One line a patient: all dated rows, in an order of their own."""
    row = pl.concat_str(
        pl.col("time").dt.epoch("us"),
        "code",
        pl.col("numeric_value").cast(pl.Float64).round(4),
        separator="|",
        ignore_nulls=True,
    )
    return (
        events.lazy()
        .filter(pl.col("time").is_not_null())
        .with_columns(row=row)
        .sort("subject_id", "row")
        .group_by("subject_id")
        .agg(record=pl.col("row").str.join("\n"), facts=(~pl.col("code").is_in(list(frame))).sum())
        .filter(pl.col("facts") >= LEAST_FACTS)
        .select("subject_id", "record")
        .collect()
    )

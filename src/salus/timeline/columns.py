"""The columns of a timeline, in order, and what they mean."""

from __future__ import annotations

import polars as pl

from salus.errors import TimelineBroken

EVENT_COLUMNS: dict[str, pl.DataType] = {
    "subject_id": pl.Int64(),
    "time": pl.Datetime("us"),  # UTC without zone; null: static
    "code": pl.String(),
    "numeric_value": pl.Float32(),
    "text_value": pl.String(),
    "unit": pl.String(),  # UCUM, never lower-cased
    "known_time": pl.Datetime("us"),  # when staff could see it
    "source": pl.String(),  # where it came from: "nafld2:1045"
}

CODE_COLUMNS: dict[str, pl.DataType] = {
    "code": pl.String(),
    "description": pl.String(),
    "parent_codes": pl.List(pl.String()),
    "role": pl.String(),  # event, birth, death, follow_up_end, anchor
    "unit": pl.String(),
    "low": pl.Float64(),
    "high": pl.Float64(),
    "range_source": pl.String(),
    "decimals": pl.Int8(),
}

REJECTED_COLUMNS: dict[str, pl.DataType] = {
    "file": pl.String(),
    "line": pl.Int64(),
    "column": pl.String(),
    "reason": pl.String(),
}

SPLITS = ("train", "tuning", "held_out")

BIRTH, DEATH = "MEDS_BIRTH", "MEDS_DEATH"


def fit_columns(frame: pl.DataFrame, columns: dict[str, pl.DataType], *, what: str) -> pl.DataFrame:
    """Put a frame's columns in order and type; those that carry no identity may be absent."""
    absent = [name for name in columns if name not in frame.columns]
    needed = [name for name in absent if name in ("subject_id", "time", "code", "split", "file", "line")]
    if needed:
        raise TimelineBroken(
            f"{what} lack the column '{needed[0]}'",
            where="salus.timeline.columns",
            fix=f"add it: {', '.join(columns)}",
        )
    frame = frame.with_columns(pl.lit(None, dtype=columns[name]).alias(name) for name in absent)
    return frame.select(pl.col(name).cast(kind) for name, kind in columns.items())

"""Tables drawn in tests, read into frames of a timeline's columns."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from salus.timeline.columns import EVENT_COLUMNS, fit_columns

PATIENTS = {name: number for number, name in enumerate("ABCDEFGHIJKL", start=1)}


def rows(drawing: str) -> list[dict[str, str]]:
    """Each line below the head as a mapping; an empty cell is left out."""
    head, *lines = [line for line in drawing.strip().splitlines() if line.strip()]
    names = [cell.strip() for cell in head.split("|")]
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    return [{n: c for n, c in zip(names, line, strict=True) if c} for line in cells]


def moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def events(drawing: str) -> pl.DataFrame:
    """Columns patient, time, code and, where drawn, known_time (else: as time) and value."""
    read = [
        {
            "subject_id": PATIENTS[row["patient"]],
            "time": moment(row.get("time")),
            "code": row["code"],
            "numeric_value": float(row["value"]) if "value" in row else None,
            "known_time": moment(row.get("known_time", row.get("time"))),
        }
        for row in rows(drawing)
    ]
    kinds = {name: EVENT_COLUMNS[name] for name in read[0]}
    frame = pl.DataFrame(read, schema_overrides=kinds)
    return fit_columns(frame, EVENT_COLUMNS, what="events").sort("subject_id", "time", nulls_last=False)

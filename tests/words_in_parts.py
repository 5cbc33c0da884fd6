"""A reader of files of words: id, version, patient, time, code, value, unit and known time of an event a line."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import polars as pl

from salus.intake.parts import CodeMet, Counted, Part, PartRead, rejection_frame
from salus.timeline.subjects import subject_number


def number(text: str) -> int:
    """A hash of a name."""
    return subject_number(text) >> 1


def read_words(part: Part) -> Iterator[PartRead]:
    """A reader of the lines above: a line without a time is rejected."""
    rows, rejected = [], []
    lines = Path(part.where).read_text().splitlines()
    for place, line in enumerate(lines, start=1):
        if not line:
            continue
        name, version, patient, time, code, value, unit, known = line.split()
        if time == "-":
            rejected.append((part.name, place, "time", "no time"))
            continue
        rows.append(
            {
                "patient": patient,
                "time": datetime.fromisoformat(time),
                "code": code,
                "numeric_value": float(value),
                "unit": unit,
                "known_time": None if known == "-" else datetime.fromisoformat(known),
                "origin": "Observation",
                "resource": number(name),
                "version": int(version),
                "content": number(line),
                "place": 0,
                "file": part.name,
                "line": place,
            }
        )
    read = len(rows) + len(rejected)
    yield PartRead(
        events=pl.DataFrame(rows),
        codes={row["code"]: CodeMet(row["code"]) for row in rows},
        rejected=rejection_frame(rejected),
        counted={"Observation": Counted(read, len(rows), len(rejected))},
    )

"""Why a draft passes a file over: what of it, and where, keeps it from being a table of patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from salus.intake import column_words as words
from salus.intake.column_look import ColumnLook

Key = tuple[str, ...]
HEADER = 1
NO_TABLE = "no table"
NO_PATIENT = "no column looks like the number of a patient"


def passed_over(
    names: Sequence[str],
    groups: Mapping[Key, Sequence[Path]],
    *,
    frames: Mapping[Key, pl.DataFrame],
    looks: Mapping[Key, Sequence[ColumnLook]],
    subjects: Mapping[Key, str],
) -> dict[str, str]:
    """For each file that is not read the reason; ``subjects``: the patient's column of the tables that have one."""
    key_of = {path.name: key for key, paths in groups.items() for path in paths}
    told = set(subjects.values())
    return {
        name: _why(looks[key_of[name]], frames[key_of[name]], told) if name in key_of else NO_TABLE
        for name in names
    }


def _why(looks: Sequence[ColumnLook], frame: pl.DataFrame, told: set[str]) -> str:
    meant = [look for look in looks if look.name in told or look.named(*words.PATIENT)]
    if not meant:
        return NO_PATIENT
    best = max(meant, key=lambda look: look.name in told)
    cells = frame[best.name].fill_null("")
    wrong = ~cells.str.contains(r"^\s*[+-]?\d+\s*$")
    if not wrong.any():
        return "beside the patient it says nothing that is a fact"
    first = int(wrong.arg_true()[0]) + HEADER + 1
    count = int(wrong.sum())
    cells_said = "1 cell that is" if count == 1 else f"{count:,} cells that are"
    return (
        f"'{best.name}' has {cells_said} no whole number, the first in line {first}: it cannot be the patient"
    )

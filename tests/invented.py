"""Invented patients with a known relation: the higher the blood pressure, the more often the disease."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from salus.cohort.task import IndexRule, Outcome, Task
from salus.timeline.columns import CODE_COLUMNS, EVENT_COLUMNS, fit_columns

ZERO = datetime(2000, 1, 1)
ROLES = {"MEDS_BIRTH": "birth", "MEDS_DEATH": "death", "END": "follow_up_end", "ENTRY": "anchor"}
CODES = fit_columns(
    pl.DataFrame(
        [{"code": code, "role": ROLES.get(code, "event")} for code in (*ROLES, "SEX//F", "SBP", "DISEASE")]
    ),
    CODE_COLUMNS,
    what="codes",
)
TASK_YAML = """
name: invented
index: {code: ENTRY}
outcomes:
  - {name: disease, any_of: [DISEASE], within: {days: 100}}
"""
TASK = Task(
    name="invented",
    index=IndexRule(code="ENTRY"),
    outcomes=(Outcome(name="disease", any_of=("DISEASE",), within=timedelta(days=100)),),
)


def invent(patients: int, *, seed: int, first: int = 0, related: bool = True) -> pl.DataFrame:
    """Three blood pressures before the index, then disease (or not) at day 50, end at day 200."""
    rng = np.random.default_rng(seed)
    usual = rng.normal(130, 15, patients)
    risk = 1 / (1 + np.exp(-(usual - 135) / 5))
    ill = rng.random(patients) < (risk if related else rng.permutation(risk))
    rows: list[dict[str, object]] = []

    def add(patient: int, day: int | None, code: str, value: float | None = None) -> None:
        when = None if day is None else ZERO + timedelta(days=day)
        known = {"subject_id": first + patient, "time": when, "known_time": when}
        rows.append({**known, "code": code, "numeric_value": value})

    for patient in range(patients):
        if rng.random() < 0.5:
            add(patient, None, "SEX//F")
        add(patient, -20000 + int(rng.integers(0, 5000)), "MEDS_BIRTH")
        for day in (-30, -10, 0):
            add(patient, day, "SBP", float(round(usual[patient] + rng.normal(0, 5))))
        add(patient, 0, "ENTRY")
        if ill[patient]:
            add(patient, 50, "DISEASE")
        add(patient, 200, "END")
    kinds = {
        name: EVENT_COLUMNS[name] for name in ("subject_id", "time", "known_time", "code", "numeric_value")
    }
    frame = fit_columns(pl.DataFrame(rows, schema=kinds), EVENT_COLUMNS, what="events")
    return frame.sort("subject_id", "time", nulls_last=False, maintain_order=True)

"""An invented ward, large enough to train on in seconds: what happens to a patient follows from simple rules.

Every patient enters at time zero. Women (SEX//F) get a potassium near 4 mmol/L every 10 days and leave follow-up on
day 60. Men (SEX//M) get a potassium near 6 mmol/L every 5 days and die on day 20.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from salus.timeline.settings import TimelineSettings

ZERO = datetime(2000, 1, 1)
SETTINGS = TimelineSettings(
    name="invented ward", time_zero=ZERO.replace(tzinfo=UTC), grain="day", anchor="WARD//ENTRY"
)
CODES = pl.DataFrame(
    {
        "code": [
            "SEX//F",
            "SEX//M",
            "WARD//ENTRY",
            "MEDS_BIRTH",
            "MEDS_DEATH",
            "FOLLOW_UP//END",
            "LOINC//2823-3",
        ],
        "description": ["female", "male", "entry", "birth", "death", "follow-up ended", "potassium"],
        "parent_codes": [None] * 7,
        "role": ["event", "event", "anchor", "birth", "death", "follow_up_end", "event"],
        "unit": [None] * 6 + ["mmol/L"],
        "low": [None] * 6 + [1.0],
        "high": [None] * 6 + [10.0],
        "range_source": [None] * 6 + ["invented"],
        "decimals": pl.Series([None] * 6 + [1], dtype=pl.Int8),
    },
    schema_overrides={"parent_codes": pl.List(pl.String), "low": pl.Float32, "high": pl.Float32},
)


def ward(patients: int, *, seed: int = 1) -> pl.DataFrame:
    """The ward's events, half women, half men, with a split: the last fifth held out, the fifth before it tuning."""
    random = np.random.default_rng(seed)
    rows: list[tuple[int, datetime | None, str, float | None]] = []
    for subject in range(1, patients + 1):
        woman = subject % 2 == 0
        rows += [(subject, None, "SEX//F" if woman else "SEX//M", None), (subject, ZERO, "WARD//ENTRY", None)]
        rows.append(
            (subject, ZERO - timedelta(days=365.25 * int(random.integers(40, 80))), "MEDS_BIRTH", None)
        )
        for day in range(0, 51, 10) if woman else range(0, 20, 5):
            value = round(float((4.0 if woman else 6.0) + random.normal(0, 0.2)), 1)
            rows.append((subject, ZERO + timedelta(days=day), "LOINC//2823-3", value))
        last = (60, "FOLLOW_UP//END") if woman else (20, "MEDS_DEATH")
        rows.append((subject, ZERO + timedelta(days=last[0]), last[1], None))
    frame = pl.DataFrame(
        rows,
        schema={
            "subject_id": pl.Int64,
            "time": pl.Datetime("us"),
            "code": pl.String,
            "numeric_value": pl.Float32,
        },
        orient="row",
    )
    place = pl.col("subject_id") / patients
    return frame.with_columns(
        text_value=pl.lit(None, dtype=pl.String),
        unit=pl.when(pl.col("numeric_value").is_not_null()).then(pl.lit("mmol/L")),
        known_time=pl.col("time"),
        source=pl.lit("invented"),
        split=pl.when(place > 0.8)
        .then(pl.lit("held_out"))
        .when(place > 0.6)
        .then(pl.lit("tuning"))
        .otherwise(pl.lit("train")),
    ).sort("subject_id", "time", nulls_last=False, maintain_order=True)

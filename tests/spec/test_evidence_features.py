"""The summary of a record at one moment, column by column."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from salus.evidence.summary_features import learn_columns, summary_features
from tests.drawn import events

KNOWN = """
    patient | time             | code       | value
    A       |                  | SEX//F     |
    A       | 1950-01-01T00:00 | MEDS_BIRTH |
    A       | 2000-01-01T00:00 | HDL        | 40
    A       | 2000-01-02T00:00 | HDL        | 70
    A       | 2000-01-02T12:00 | HDL        | 55
    A       | 2000-01-01T12:00 | SMOKING    |
    B       | 2000-01-01T00:00 | SMOKING    |
    C       | 2000-01-01T00:00 | OTHER      | 1
"""


def table() -> pl.DataFrame:
    drawn = events(KNOWN).with_columns(prediction_time=datetime(2000, 1, 3))
    moments = pl.DataFrame({"subject_id": [1, 2, 4], "prediction_time": [datetime(2000, 1, 3)] * 3})
    moments = moments.with_columns(pl.col("prediction_time").cast(pl.Datetime("us")))
    return summary_features(
        drawn, moments, learn_columns(drawn.filter(pl.col("subject_id") < 3), least_patients=1)
    )


def test_what_was_measured():
    row = table().row(0, named=True)
    expected = {"last": 55, "first": 40, "mean": 55, "least": 40, "greatest": 70, "spread": 15, "change": 15}
    assert {name: row[f"HDL {name}"] for name in expected} == expected
    assert (row["HDL count"], row["HDL hours"]) == (3, 12)


def test_what_was_stated_and_the_whole_record():
    """1950 to 2000 is 18,264 days of 365.25 to the year; sex and birth are no moments."""
    row = table().row(0, named=True)
    assert (row["SMOKING count"], row["SMOKING hours"]) == (1, 36)
    assert (row["SEX//F count"], row["SEX//F hours"]) == (1, None)
    assert round(row["age"], 3) == round(18264 / 365.25, 3)
    assert (row["moments"], row["recorded_hours"], row["rows"]) == (4, 48, 6)


def test_never_recorded_is_unknown_and_not_nought():
    frame = table()
    assert frame["HDL last"].to_list() == [55, None, None]
    assert frame["HDL count"].to_list() == [3, 0, 0]
    assert frame["age"].to_list()[1:] == [None, None]


def test_every_population_gets_the_same_columns():
    """A code that the real patients do not have is no column; a patient without rows is a row all the same."""
    frame = table()
    assert not [name for name in frame.columns if name.startswith("OTHER")]
    assert frame["subject_id"].to_list() == [1, 2, 4]

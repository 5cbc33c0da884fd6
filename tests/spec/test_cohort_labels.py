"""What was known at the index, and whether the outcome happened after it."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest

from salus.cohort.labels import label
from salus.cohort.moments import index_moments, known_at_index, known_by
from salus.cohort.task import IndexRule, Outcome, Task
from tests.drawn import PATIENTS, events

POTASSIUM = """
    patient | time             | known_time       | code         | value
    A       |                  |                  | SEX//F       |
    A       | 2026-03-01T08:00 | 2026-03-01T09:10 | LOINC/2823-3 | 5.9
"""

CODES = pl.DataFrame(
    {
        "code": ["ENTRY", "DIABETES", "MEDS_DEATH", "END", "HOME", "HDL"],
        "role": ["anchor", "event", "death", "follow_up_end", "event", "event"],
    }
)
ENTRY = IndexRule(code="ENTRY")
DIABETES = Outcome(
    name="diabetes", any_of=("DIABETES",), within=timedelta(days=10), unless_before=("DIABETES",)
)
DEATH = Outcome(name="death", any_of=("MEDS_DEATH",), until=("HOME",))


def answers(
    drawing: str, outcome: Outcome, index: IndexRule = ENTRY
) -> dict[str, tuple[bool | None, str | None]]:
    found = label(events(drawing), Task(name="t", index=index, outcomes=(outcome,)), CODES)
    names = {number: name for name, number in PATIENTS.items()}
    return {names[row["subject_id"]]: (row["label"], row["reason"]) for row in found.to_dicts()}


def test_a_result_not_yet_released_is_not_known():
    """A potassium drawn at 08:00 and released at 09:10 is not known at 09:00; the sex is."""
    at_nine = known_by(events(POTASSIUM), datetime(2026, 3, 1, 9, 0))
    assert at_nine["code"].to_list() == ["SEX//F"]
    assert known_by(events(POTASSIUM), datetime(2026, 3, 1, 9, 10)).height == 2


def test_a_timed_row_that_does_not_say_when_it_was_known_is_never_known():
    unknown = events(POTASSIUM).with_columns(known_time=pl.lit(None, dtype=pl.Datetime("us")))
    assert known_by(unknown, datetime(2030, 1, 1))["code"].to_list() == ["SEX//F"]


def test_each_patient_is_seen_at_their_own_moment():
    drawn = events("""
        patient | time       | known_time | code  | value
        A       | 2000-01-01 |            | ENTRY |
        A       | 2000-01-02 | 2000-01-02 | HDL   | 50
        A       | 2000-01-03 | 2000-01-04 | HDL   | 51
        B       | 2000-01-09 |            | ENTRY |
        B       | 2000-01-10 | 2000-01-12 | HDL   | 60
        C       | 2000-01-10 | 2000-01-10 | HDL   | 70
    """)
    task = Task(name="t", index=IndexRule(code="ENTRY", after=timedelta(days=2)), outcomes=())
    moments = index_moments(drawn, task)
    assert moments["prediction_time"].to_list() == [datetime(2000, 1, 3), datetime(2000, 1, 11)]
    seen = known_at_index(drawn, moments).filter(pl.col("code") == "HDL")
    assert seen["numeric_value"].to_list() == [50.0]


def test_the_first_index_row_counts():
    drawn = events("""
        patient | time       | code
        A       | 2000-01-05 | ENTRY
        A       | 2000-01-01 | ENTRY
    """)
    assert index_moments(drawn, Task(name="t", index=ENTRY, outcomes=()))["prediction_time"].to_list() == [
        datetime(2000, 1, 1)
    ]


def test_yes_no_and_why_there_is_no_answer():
    """Ten days after 1 January is 11 January; the outcome counts on that day still."""
    assert answers(
        """
        patient | time       | code
        A       | 2000-01-01 | ENTRY
        A       | 2000-01-11 | DIABETES
        A       | 2000-01-12 | END
        B       | 2000-01-01 | ENTRY
        B       | 2000-01-12 | DIABETES
        B       | 2000-01-20 | END
        C       | 1999-12-01 | DIABETES
        C       | 2000-01-01 | ENTRY
        C       | 2000-03-01 | END
        D       | 2000-01-01 | ENTRY
        D       | 2000-01-10 | END
        E       | 2000-01-01 | ENTRY
        E       | 2000-01-10 | MEDS_DEATH
        F       | 2000-01-05 | DIABETES
        G       | 2000-01-01 | ENTRY
        G       | 2000-01-11 | END
        H       | 2000-01-01 | ENTRY
        H       | 2000-01-01 | DIABETES
        H       | 2000-03-01 | END
        I       | 2000-01-01 | ENTRY
        I       | 2000-01-03 | DIABETES
        I       | 2000-01-05 | END
        """,
        DIABETES,
    ) == {
        "A": (True, None),
        "B": (False, None),
        "C": (None, "prior"),
        "D": (None, "censored"),
        "E": (False, None),
        "F": (None, "no index"),
        "G": (False, None),
        "H": (None, "prior"),
        "I": (True, None),
    }


def test_what_comes_first_decides():
    """Death in hospital counts; death after going home does not; gone before the index has no answer."""
    assert answers(
        """
        patient | time             | code
        A       | 2000-01-01T00:00 | ENTRY
        A       | 2000-01-04T00:00 | MEDS_DEATH
        B       | 2000-01-01T00:00 | ENTRY
        B       | 2000-01-05T00:00 | HOME
        B       | 2000-02-05T00:00 | MEDS_DEATH
        C       | 2000-01-01T00:00 | ENTRY
        C       | 2000-01-02T12:00 | HOME
        D       | 2000-01-01T00:00 | ENTRY
        D       | 2000-01-05T00:00 | HDL
        E       | 2000-01-01T00:00 | ENTRY
        E       | 2000-01-02T12:00 | MEDS_DEATH
        """,
        DEATH,
        IndexRule(code="ENTRY", after=timedelta(hours=48)),
    ) == {
        "A": (True, None),
        "B": (False, None),
        "C": (None, "ended"),
        "D": (None, "censored"),
        "E": (None, "ended"),
    }


@pytest.mark.parametrize("shift", [timedelta(0), timedelta(days=7000)])
def test_moving_all_dates_changes_no_answer(shift):
    drawn = events("""
        patient | time       | code
        A       | 2000-01-01 | ENTRY
        A       | 2000-01-11 | DIABETES
        B       | 2000-01-01 | ENTRY
        B       | 2000-01-09 | END
    """).with_columns(pl.col("time") + shift)
    found = label(drawn, Task(name="t", index=ENTRY, outcomes=(DIABETES,)), CODES)
    assert found["label"].to_list() == [True, None]

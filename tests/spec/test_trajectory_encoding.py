"""Timeline rows become facts of moments, and what is not a fact becomes time, age and censoring."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from salus.errors import OtherTimeline, TooFewPatients
from salus.trajectory.encoding import facts_of, waits_of
from salus.trajectory.reading import clock_of, prepare, read_histories
from tests.small_ward import CODES, SETTINGS, ZERO, ward

CLOCK = clock_of(CODES, SETTINGS)


def rows(*facts: tuple[int | None, str, float | None]) -> pl.DataFrame:
    """Rows of one patient: day (None: static), code, value."""
    return pl.DataFrame(
        {
            "subject_id": [1] * len(facts),
            "time": [None if day is None else ZERO + timedelta(days=day) for day, _, _ in facts],
            "code": [code for _, code, _ in facts],
            "numeric_value": [value for _, _, value in facts],
        },
        schema={
            "subject_id": pl.Int64,
            "time": pl.Datetime("us"),
            "code": pl.String,
            "numeric_value": pl.Float32,
        },
    )


def test_end_of_follow_up_is_censoring_and_not_a_fact():
    """Entry on day 0, a potassium on day 3, follow-up ends on day 10: waits are 3 days, then 7 without an event."""
    spans = facts_of(
        rows(
            (None, "SEX//F", None),
            (0, "WARD//ENTRY", None),
            (3, "LOINC//2823-3", 4.1),
            (10, "FOLLOW_UP//END", None),
        ),
        CLOCK,
        ["MEDS_DEATH"],
    )
    assert "FOLLOW_UP//END" not in spans.facts["code"].to_list()
    assert waits_of(spans).tolist() == [3, 7]
    assert spans.patients.select("end", "died").row(0) == (10, False)


def test_rows_after_death_are_set_aside_and_counted():
    spans = facts_of(
        rows((0, "WARD//ENTRY", None), (5, "MEDS_DEATH", None), (6, "LOINC//2823-3", 4.0)),
        CLOCK,
        ["MEDS_DEATH"],
    )
    assert spans.after_death == 1
    assert "LOINC//2823-3" not in spans.facts["code"].to_list()


def test_age_is_counted_in_years_at_the_anchor():
    """Born 20 x 365.25 days before entry: 20 years old at entry."""
    events = rows((0, "WARD//ENTRY", None), (-7305, "MEDS_BIRTH", None))
    facts = facts_of(events, CLOCK, []).facts
    assert facts.filter(pl.col("code") == "SALUS//AGE")["numeric_value"].to_list() == [20.0]


def test_records_hold_moments_in_time_order_with_facts_in_drawing_order():
    """The ward's women have a static moment and six potassiums; the first lies at the anchor, day 0."""
    lessons = prepare(ward(100), CODES, SETTINGS)
    woman = lessons.train.of(np.flatnonzero(lessons.train.subject == 2))
    assert woman.time.tolist() == [0, 0, 10, 20, 30, 40, 50]
    assert woman.end.tolist() == [60]
    names = [entry.code for entry in lessons.vocabulary.entries]
    statics = lessons.vocabulary.level_code[woman.level[: woman.fact_start[1]]]
    assert sorted(names[code] for code in statics) == ["SALUS//AGE", "SALUS//START", "SEX//F"]


def test_a_patient_without_the_anchor_is_refused():
    events = ward(100).filter((pl.col("subject_id") != 7) | (pl.col("code") != "WARD//ENTRY"))
    with pytest.raises(OtherTimeline, match="1 of 100 patients lack the anchor"):
        prepare(events, CODES, SETTINGS)


def test_too_few_patients_are_refused():
    with pytest.raises(TooFewPatients, match="split 'train'"):
        prepare(ward(100).filter(pl.col("subject_id") > 55), CODES, SETTINGS)


def test_a_timeline_of_another_clock_does_not_fit_a_model():
    lessons = prepare(ward(100), CODES, SETTINGS)
    other = type(SETTINGS)(time_zero=datetime.fromisoformat("2001-01-01T00:00:00+00:00"), grain="minute")
    with pytest.raises(OtherTimeline, match="counts in minutes"):
        read_histories(ward(10), CODES, other, lessons.vocabulary)


def test_codes_of_fewer_than_five_patients_are_withheld():
    """Four patients with a rare code: it is not in the vocabulary, and four facts are counted as withheld."""
    rare = (
        rows((1, "DIAGNOSIS//RARE", None))
        .drop("subject_id")
        .join(pl.DataFrame({"subject_id": [2, 4, 6, 8]}), how="cross")
    )
    events = pl.concat([ward(100), rare.with_columns(split=pl.lit("train"))], how="diagonal")
    vocabulary = prepare(events, CODES, SETTINGS).vocabulary
    assert "DIAGNOSIS//RARE" not in vocabulary.index()
    assert (vocabulary.protection.withheld_codes, vocabulary.protection.withheld_facts) == (1, 4)

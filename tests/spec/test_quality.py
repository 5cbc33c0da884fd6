"""What the quality measures count, worked out by hand on drawn rows."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from salus.timeline.columns import CODE_COLUMNS, fit_columns
from salus.timeline.quality import measure_quality, withhold
from salus.timeline.quality_completeness import per_code, per_patient, per_period, per_place
from salus.timeline.quality_order import duplicates, known_times, time_order
from salus.timeline.quality_plausibility import (
    histograms,
    outside_range,
    twin_codes,
    unit_conflicts,
    value_spread,
)
from tests.drawn import events

CODES = fit_columns(
    pl.DataFrame(
        {
            "code": ["HDL", "CHOL", "SBP", "ENTRY", "MEDS_BIRTH", "MEDS_DEATH", "END", "SEX//F"],
            "description": [
                "HDL",
                "Cholesterol",
                "Systolic pressure",
                "Entry",
                "Birth",
                "Death",
                "End",
                "Female",
            ],
            "role": ["event", "event", "event", "anchor", "birth", "death", "follow_up_end", "event"],
            "unit": ["mg/dL", "mg/dL", "mm[Hg]", None, None, None, None, None],
            "low": [5.0, None, 50.0, None, None, None, None, None],
            "high": [200.0, None, 300.0, None, None, None, None, None],
            "range_source": ["house", None, "house", None, None, None, None, None],
        }
    ),
    CODE_COLUMNS,
    what="codes",
)


def found(frame: pl.DataFrame, **wanted: object) -> dict[str, object]:
    """The one row with these cells."""
    rows = frame.filter(pl.all_horizontal(pl.col(name) == value for name, value in wanted.items())).to_dicts()
    assert len(rows) == 1
    return rows[0]


def test_completeness_counts_rows_patients_and_values_that_are_not_there():
    """Two of three patients have an HDL, in three rows, one of them without its number."""
    drawn = events("""
        patient | time       | code   | value
        A       | 2026-01-01 | HDL    | 40
        A       | 2026-02-01 | HDL    |
        B       | 2026-01-01 | HDL    | 50
        C       |            | SEX//F |
    """)
    row = found(per_code(drawn), code="HDL")
    assert (row["rows"], row["patients"], row["missing_value"]) == (3, 2, 1)
    assert row["share_of_patients"] == 2 / 3
    assert found(per_code(drawn), code="SEX//F")["missing_value"] == 0, "a category has no value to miss"


def test_a_patient_is_counted_in_rows_codes_moments_and_days():
    """Four rows, three codes, three moments; ten days from first to last, as birth does not count into them."""
    drawn = events("""
        patient | time       | code       | value
        A       | 1950-01-01 | MEDS_BIRTH |
        A       | 2026-01-01 | HDL        | 40
        A       | 2026-01-01 | CHOL       | 140
        A       | 2026-01-11 | HDL        | 41
    """)
    row = per_patient(drawn, CODES).row(0, named=True)
    assert (row["rows"], row["codes"], row["moments"], row["days"]) == (4, 3, 3, 10.0)


def test_rows_are_counted_by_year_since_time_zero():
    """A year is 365.25 days. Day −1096 is in year −4, days 1 and 360 in 0, day 1100 in 3; entry is not counted."""
    drawn = events("""
        patient | time       | code  | value
        A       | 1996-12-31 | HDL   | 40
        A       | 2000-01-01 | ENTRY |
        A       | 2000-01-02 | HDL   | 40
        A       | 2000-12-26 | HDL   | 40
        B       | 2000-01-02 | HDL   | 40
        B       | 2003-01-05 | HDL   | 40
    """)
    periods = per_period(drawn, CODES, datetime(2000, 1, 1))
    assert periods.select("start", "rows", "patients").rows() == [(-4, 1, 1), (0, 3, 2), (3, 1, 1)]
    assert found(periods, start=0)["rows_per_patient"] == 1.5


def test_where_times_are_only_an_order_places_stand_for_periods_and_no_days_are_told():
    """First moments: three rows of A and B; second moments: one row of A. The two years between them mean nothing."""
    drawn = events("""
        patient | time       | code  | value
        A       | 2000-01-01 | ENTRY |
        A       | 2000-01-02 | HDL   | 40
        A       | 2000-01-02 | CHOL  | 140
        A       | 2002-01-02 | HDL   | 41
        B       | 2000-01-02 | HDL   | 40
    """)
    places = per_place(drawn, CODES)
    assert places.select("start", "rows", "patients").rows() == [(1, 3, 2), (2, 1, 1)]
    measured = measure_quality(drawn, CODES, time_zero=datetime(2000, 1, 1), order_only=True)
    assert measured.order_only
    assert measured.per_patient["measure"].to_list() == ["rows", "codes", "moments"]
    assert measured.periods["start"].to_list() == [1, 2]


def test_values_outside_the_plausible_range_are_counted_not_changed():
    """Of 4, 200 and 13682, one lies below 50 and one above 300; a value on the bound is plausible."""
    drawn = events("""
        patient | time       | code | value
        A       | 2026-01-01 | SBP  | 4
        A       | 2026-01-02 | SBP  | 200
        B       | 2026-01-02 | SBP  | 13682
        B       | 2026-01-03 | SBP  | 300
    """)
    row = found(outside_range(drawn, CODES), code="SBP")
    assert (row["values"], row["below"], row["above"], row["patients"]) == (4, 1, 1, 2)
    assert row["range_source"] == "house"


def test_rows_after_death_after_the_end_and_before_birth_are_found():
    """One HDL a day after death, one two days after the end, one before birth; the moment itself is in order."""
    drawn = events("""
        patient | time       | code       | value
        A       | 2026-01-02 | MEDS_DEATH |
        A       | 2026-01-02 | HDL        | 40
        A       | 2026-01-03 | HDL        | 40
        B       | 2026-01-02 | END        |
        B       | 2026-01-04 | HDL        | 40
        C       | 1950-01-01 | MEDS_BIRTH |
        C       | 1949-12-31 | HDL        | 40
    """)
    order = time_order(drawn, CODES)
    assert order["rows"].to_list() == [1, 1, 1]
    assert order["patients"].to_list() == [1, 1, 1]


def test_repeats_and_contradictions_are_different_things():
    """40, 40, 41 at one moment: one row repeats another, and the moment contradicts itself."""
    drawn = events("""
        patient | time       | code | value
        A       | 2026-01-01 | HDL  | 40
        A       | 2026-01-01 | HDL  | 40
        A       | 2026-01-01 | HDL  | 41
        A       | 2026-01-02 | HDL  | 40
    """)
    row = found(duplicates(drawn), code="HDL")
    assert (row["repeats"], row["contradictions"]) == (1, 1)


def test_two_units_for_one_code_and_a_unit_nobody_declared_are_conflicts():
    drawn = events("""
        patient | time       | code | value
        A       | 2026-01-01 | HDL  | 40
        A       | 2026-01-02 | HDL  | 1
        A       | 2026-01-01 | SBP  | 120
        A       | 2026-01-02 | CHOL | 200
    """).with_columns(unit=pl.Series(["mm[Hg]", "mg/dL", "mg/dL", "mmol/L"]))
    drawn = drawn.sort("code", "time").with_columns(unit=pl.Series(["mg/dL", "mg/dL", "mmol/L", "kPa"]))
    conflicts = unit_conflicts(drawn, CODES)
    assert conflicts.select("code", "unit").rows() == [("HDL", "mg/dL"), ("HDL", "mmol/L"), ("SBP", "kPa")]


def moments(values: list[tuple[int, int]]) -> pl.DataFrame:
    """HDL and CHOL of one patient on consecutive days."""
    lines = ["patient | time | code | value"]
    for day, (hdl, chol) in enumerate(values, start=1):
        lines += [f"A | 2026-01-{day:02d} | HDL | {hdl}", f"A | 2026-01-{day:02d} | CHOL | {chol}"]
    return events("\n".join(lines))


def test_codes_that_are_always_the_same_number_are_twins():
    """Twenty days on which HDL equals cholesterol: a column was copied over another."""
    same = moments([(40 + day, 40 + day) for day in range(20)])
    row = twin_codes(same).row(0, named=True)
    assert (row["code"], row["twin"], row["moments"], row["identical"]) == ("CHOL", "HDL", 20, 20)


def test_codes_that_differ_once_in_twenty_days_are_not_twins():
    nearly = [(40 + day, 40 + day) for day in range(19)] + [(60, 200)]
    assert twin_codes(moments(nearly)).is_empty()


def test_nineteen_shared_moments_prove_nothing():
    assert twin_codes(moments([(40 + day, 40 + day) for day in range(19)])).is_empty()


def test_a_constant_is_nobodys_twin():
    """Two scores that are always 0 are not copies of one another."""
    assert twin_codes(moments([(0, 0)] * 25)).is_empty()


def test_known_times_are_counted():
    drawn = events("""
        patient | time       | known_time | code | value
        A       | 2026-01-02 | 2026-01-01 | HDL  | 40
        A       | 2026-01-02 | 2026-01-03 | HDL  | 41
    """)
    row = known_times(drawn).row(0, named=True)
    assert (row["dated"], row["without_known_time"], row["known_before_time"]) == (2, 0, 1)


def test_quantiles_of_a_code_are_values_that_occur():
    drawn = events("""
        patient | time       | code | value
        A       | 2026-01-01 | HDL  | 30
        B       | 2026-01-01 | HDL  | 40
        C       | 2026-01-01 | HDL  | 50
    """)
    row = found(value_spread(drawn), code="HDL")
    assert (row["values"], row["distinct"], row["median"]) == (3, 3, 40.0)


def test_a_bar_is_a_whole_number_of_recorded_steps_wide():
    """Whole numbers from 0 to 9 in at most 4 bins: 9/4 steps are too narrow, so 3 wide, edges between numbers."""
    rows = [(patient, float(value)) for value in range(10) for patient in range(6)]
    frame = pl.DataFrame(rows, schema={"subject_id": pl.Int64, "numeric_value": pl.Float32}, orient="row")
    bars = histograms(frame.with_columns(code=pl.lit("HDL")), CODES.with_columns(decimals=pl.lit(0)), bins=4)
    assert bars.select("start", "end", "values").rows() == [
        (-0.5, 2.5, 18),
        (2.5, 5.5, 18),
        (5.5, 8.5, 18),
        (8.5, 11.5, 6),
    ]


def test_a_bar_of_fewer_than_five_patients_is_left_out():
    """Ten patients at 10, one at 20 (the middle of the 1st to 99th percentile), ten at 30."""
    rows = (
        [(patient, 10.0) for patient in range(10)]
        + [(10, 20.0)]
        + [(patient, 30.0) for patient in range(11, 21)]
    )
    frame = pl.DataFrame(rows, schema={"subject_id": pl.Int64, "numeric_value": pl.Float32}, orient="row")
    bars = histograms(frame.with_columns(code=pl.lit("HDL")), CODES, bins=4)
    assert bars.select("start", "end", "values").rows() == [(10.0, 15.0, 10), (30.0, 35.0, 10)]


def test_counts_of_one_to_four_patients_are_withheld_and_none_is_said():
    frame = pl.DataFrame({"patients": [0, 1, 4, 5], "rows": [0, 9, 9, 9]})
    hidden = withhold(frame, "rows")
    assert hidden["rows"].to_list() == [0, None, None, 9]
    assert hidden["patients"].to_list() == [0, None, None, 5]
    assert hidden["withheld"].to_list() == [False, True, True, False]


def test_an_empty_timeline_has_a_quality_too():
    empty = events("""
        patient | time       | code | value
        A       | 2026-01-01 | HDL  | 40
    """).clear()
    measured = measure_quality(empty, CODES, time_zero=None)
    assert (measured.patients, measured.rows) == (0, 0)
    assert measured.twins.is_empty()
    assert measured.time_order["rows"].to_list() == [0, 0, 0]

"""Synthetic beside real patients: the frames behind the pictures, the tables of findings, single timelines."""

from __future__ import annotations

import math
from datetime import datetime

import polars as pl

from salus.findings import Finding
from salus.workflows.pages.comparison import (
    ENOUGH,
    busy_periods,
    code_shares,
    main_codes,
    pair_correlations,
    rates_by_period,
    value_shares,
)
from salus.workflows.pages.evidence_tables import (
    code_table,
    forecast_table,
    privacy_notes,
    privacy_table,
    utility_table,
)
from salus.workflows.pages.patient_timelines import choose, ground, since, timeline_picture
from tests.drawn import events
from tests.spec.test_quality import CODES

ZERO = datetime(2000, 1, 1)


def plain(text: str) -> str:
    """With ordinary spaces."""
    return text.replace("\N{NO-BREAK SPACE}", " ")


def finding(
    metric: str, comparison: str, value: float | None, *, population: str = "held_out: death"
) -> Finding:
    """A finding with bounds 0.1 to each side."""
    bounds = {} if value is None else {"lower": value - 0.1, "upper": value + 0.1}
    return Finding(
        metric=metric, population=population, value=value, patients=1234, events=None, method="by hand",
        comparison=comparison, **bounds,
    )  # fmt: skip


def crowd(name: str, patients: int, value: float) -> str:
    letters = "ABCDEFGHIJKL"[:patients]
    return "\n".join(
        f"{letter} | 2000-01-{day} | {name} | {value}" for letter in letters for day in ("02", "03")
    )


HEAD = "patient | time | code | value\n"


def test_a_code_of_fewer_than_five_patients_is_not_a_dot():
    """Six of six real patients have HDL, four have SBP: only HDL is compared."""
    real = events(HEAD + crowd("HDL", 6, 40) + "\n" + crowd("SBP", 4, 120))
    shares = code_shares(real, events(HEAD + crowd("HDL", 5, 40) + "\n" + "F | 2000-01-02 | SEX//F | "))
    assert shares.rows() == [("HDL", 1.0, 5 / 6)]


def test_rates_are_rows_a_patient_of_the_whole_population():
    """All six patients have a row at hour 24 and one at hour 48: periods 6 and 12 of four hours, one row each."""
    rates = rates_by_period(
        events(HEAD + crowd("HDL", 6, 40)),
        events(HEAD + crowd("HDL", 5, 40)),
        codes=CODES,
        time_zero=ZERO,
    )
    assert rates.select("start", "rate", "who").rows() == [
        (6, 1.0, "real"),
        (12, 1.0, "real"),
        (6, 1.0, "synthetic"),
        (12, 1.0, "synthetic"),
    ]


def test_periods_that_hold_next_to_nothing_are_not_drawn():
    """Of 1000 rows a patient, 4 lie in the first period and 3 in the last: less than half a hundredth each."""
    rates = pl.DataFrame({"start": [-1, 0, 1, 2], "rate": [4.0, 500.0, 493.0, 3.0]})
    assert busy_periods(rates)["start"].to_list() == [0, 1]


def test_values_are_shares_in_the_same_bins():
    """Six patients at 40 and six at 41 against six at 40: half and half against all."""
    both = pl.concat([events(HEAD + crowd("HDL", 6, 40)), events(HEAD + crowd("HDL", 6, 41))])
    shares = value_shares(both, events(HEAD + crowd("HDL", 6, 40)), "HDL", decimals=0)
    assert shares.rows() == [
        (39.5, 40.5, 0.5, "real"),
        (40.5, 41.5, 0.5, "real"),
        (39.5, 40.5, 1.0, "synthetic"),
        (40.5, 41.5, 0.0, "synthetic"),
    ]


def test_a_constant_has_no_distribution_to_draw():
    one = events(HEAD + crowd("HDL", 6, 40))
    assert value_shares(one, one, "HDL").is_empty()
    assert main_codes(one, CODES) == [], "fewer than a hundred patients"


def test_the_codes_furthest_apart_come_first():
    """MI differs by 10 % of patients, HDL by half its values, SEX by nothing."""
    by_code = pl.DataFrame(
        {
            "code": ["SEX//F", "MI", "HDL"],
            "real_share": [0.5, 0.2, 0.9],
            "share": [0.5, 0.1, 0.9],
            "real_rows": [0.5, 0.2, 4.0],
            "rows": [0.5, 0.1, 4.0],
            "values_alike": [None, None, 0.5],
        }
    )
    rows = code_table(by_code, {"MI": "Infarction"}).rows
    assert [row[0] for row in rows] == ["HDL", "MI", "SEX//F"]
    assert [plain(cell) for cell in rows[1]] == ["MI", "Infarction", "20.0 %", "10.0 %", "0.2", "0.1", "–"]


def test_a_finding_is_told_with_its_interval_and_a_missing_one_as_not_computed():
    found = [finding("forecast.auroc", "", 0.8), finding("forecast.auprc", "", None)]
    row = dict(zip(forecast_table(found).heads, forecast_table(found).rows[0], strict=True))
    assert row["outcome"] == "death"
    assert row["patients (with it)"] == "1,234 (fewer than 5)"
    assert plain(row["AUROC"]) == "0.800 [0.700 to 0.900]"
    assert (row["AUPRC"], row["Brier score"]) == ("not computed", "not computed")
    assert utility_table(found).rows == ()


def test_groups_of_patients_are_not_mixed_with_everybody():
    found = [finding("forecast.auroc", "", 0.8, population="held_out: death; sex F")]
    assert forecast_table(found).rows == ()


def test_an_attack_stands_beside_its_control_and_the_naive_guess():
    about = "9 members v 9 others"
    found = [
        finding("privacy.nearest_auc", kind, value, population=about)
        for kind, value in (("attack", 0.6), ("control", 0.5), ("baseline", 0.55))
    ]
    row = [plain(cell) for cell in privacy_table(found).rows[0]]
    assert row == [
        "nearest synthetic patient",
        "0.600 [0.500 to 0.700]",
        "0.500 [0.400 to 0.600]",
        "0.550 [0.450 to 0.650]",
    ]
    assert privacy_notes(found) == ("9 members v 9 others.",)


def people(values: list[tuple[float, float]]) -> pl.DataFrame:
    """One patient a pair, with a HDL and an SBP."""
    rows = [
        (number, ZERO, code, value)
        for number, pair in enumerate(values)
        for code, value in zip(("HDL", "SBP"), pair, strict=True)
    ]
    return pl.DataFrame(rows, schema=["subject_id", "time", "code", "numeric_value"], orient="row")


def test_what_rises_together_in_real_and_falls_in_synthetic_patients_is_plus_and_minus_one():
    up = people([(40.0 + n, 120.0 + n**2) for n in range(ENOUGH)])
    down = people([(40.0 + n, 120.0 - n) for n in range(ENOUGH)])
    pairs = pair_correlations(up, down, codes=CODES)
    assert pairs.select("kind", "first", "second").rows() == [("mean values", "HDL", "SBP")]
    assert math.isclose(pairs["real"][0], 1.0)
    assert math.isclose(pairs["synthetic"][0], -1.0)


def test_a_pair_of_fewer_than_a_hundred_patients_is_no_mark():
    few = people([(40.0 + n, 120.0 + n) for n in range(ENOUGH - 1)])
    assert pair_correlations(few, few, codes=CODES).is_empty()


def test_every_kth_patient_by_number_of_rows_is_shown():
    """Patients 1 to 6 have 6 to 1 rows: of three places the middles are the 2nd, 4th and 6th in order of rows."""
    drawn = pl.concat(
        [
            pl.DataFrame(
                {"subject_id": [who] * (7 - who), "time": [ZERO] * (7 - who), "code": ["HDL"] * (7 - who)}
            )
            for who in range(1, 7)
        ]
    )
    assert [one["subject_id"][0] for one in choose(drawn, 3)] == [5, 3, 1]
    assert len(choose(drawn, 12)) == 6
    assert choose(drawn.clear(), 12) == []


PATIENT = """
    patient | time             | code   | value
    A       |                  | SEX//F |
    A       | 2000-01-01T06:00 | HDL    | 40
    A       | 2000-01-02T06:00 | HDL    | 60
    A       | 2000-01-03T06:00 | MI     |
"""


def test_a_timeline_says_synthetic_or_real_in_the_picture_and_holds_no_id():
    """Two values are drawn filled, the lower one smaller; a fact without value is drawn hollow."""
    mine = since(events(PATIENT), ZERO)
    on = ground([mine], codes=CODES, real=events(PATIENT))
    figure, svg = timeline_picture(mine, on, label="SYNTHETIC", number=3)
    assert (figure.label, figure.file) == ("SYNTHETIC", "patient-synthetic-03.svg")
    assert ">SYNTHETIC</text>" in svg
    assert "SYNTHETIC patient 3, Female: 3 dated rows of 2 codes" in figure.alternative
    assert f'viewBox="0 0 {figure.width} {figure.height}"' in svg
    assert on.rank("HDL", 40) == 0.25
    assert on.rank("HDL", 60) == 0.75
    assert svg.count('opacity="0.57"/>') == 1, "0.45 + 0.5 × 0.25"


def test_what_lies_far_outside_the_axis_stands_at_its_end_and_is_counted():
    near = "\n".join(
        f"A | 2000-01-01T{hour:02}:{minute} | HDL | 40" for hour in range(24) for minute in (10, 40, 50)
    )
    far = since(events(HEAD + near + "\nA | 2000-03-01 | HDL | 41"), ZERO)
    on = ground([far], codes=CODES, real=far)
    assert on.last < 48
    figure, svg = timeline_picture(far, on, label="REAL", number=1)
    assert "1 row outside the axis" in figure.caption
    assert svg.count(">›</text>") == 1

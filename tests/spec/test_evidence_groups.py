"""Forecasts are measured again in each group; a group too small has a reason and its counts stay untold."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from salus.evidence.forecast_accuracy import forecast_accuracy
from salus.evidence.groups import Group, Slice, slices_of
from salus.evidence.withheld import shown, told
from salus.findings import Finding

INDEX = datetime(2026, 3, 1)
GROUPS = (
    Group(label="sex", name="F", code="SEX//F"),
    Group(label="sex", name="M", code="SEX//M"),
    Group(label="age", name="under 50", high=50),
    Group(label="age", name="50 to 64", low=50, high=65),
    Group(label="age", name="65 or over", low=65),
)


def known(*rows: tuple[int, str, float | None]) -> pl.DataFrame:
    """Rows of patient, code and years before the index."""
    return pl.DataFrame(
        {
            "subject_id": [patient for patient, _, _ in rows],
            "code": [code for _, code, _ in rows],
            "time": [
                None if years is None else INDEX - timedelta(days=365.25 * years) for _, _, years in rows
            ],
            "prediction_time": [INDEX] * len(rows),
        },
        schema_overrides={"time": pl.Datetime("us"), "prediction_time": pl.Datetime("us")},
    )


def test_a_birthday_moves_a_patient_into_the_next_group():
    """49.99 years is under 50, 50 is not; whoever has no birth recorded has no age group."""
    events = known(
        (1, "MEDS_BIRTH", 49.99), (2, "MEDS_BIRTH", 50.01), (3, "MEDS_BIRTH", 70.0), (4, "SEX//F", None)
    )
    assert {one.name: one.patients for one in slices_of(events, GROUPS)} == {
        "F": (4,),
        "M": (),
        "under 50": (1,),
        "50 to 64": (2,),
        "65 or over": (3,),
    }


def measured(outcome: np.ndarray, slices: tuple[Slice, ...], risk: np.ndarray | None = None):
    people = pl.DataFrame({"subject_id": range(len(outcome)), "task": ["disease"] * len(outcome)})
    labels = people.with_columns(label=pl.Series(outcome.astype(bool)))
    forecast = people.with_columns(
        risk=pl.Series(np.linspace(0.01, 0.99, len(outcome)) if risk is None else risk), samples=pl.lit(100)
    )
    baseline = people.with_columns(real_risk=pl.lit(0.5))
    found = forecast_accuracy(forecast, labels, baseline=baseline, seed=1, slices=slices).findings
    return {(one.population.removeprefix("held_out: disease"), one.metric): one for one in found}


def women_and_men(women: int, patients: int) -> tuple[Slice, Slice]:
    everyone = tuple(range(patients))
    return (
        Slice(label="sex", name="F", patients=everyone[:women]),
        Slice(label="sex", name="M", patients=everyone[women:]),
    )


def test_each_group_has_its_own_numbers():
    """Women: the forecast is right about all, men: about none. Together: half of the pairs within each half."""
    ill, well = np.ones(10), np.zeros(10)
    outcome = np.concatenate([ill, well, ill, well])
    risk = np.concatenate([ill * 0.8, well + 0.2, ill * 0.2, well + 0.8])
    found = measured(outcome, women_and_men(20, 40), risk)
    assert found["; sex F", "forecast.auroc"].value == 1.0
    assert found["; sex M", "forecast.auroc"].value == 0.0
    assert found["", "forecast.auroc"].value == 0.5
    assert found["; sex F", "forecast.brier"].value == pytest.approx(0.04)
    assert found["; sex M", "forecast.brier"].value == pytest.approx(0.64)
    assert (found["; sex F", "forecast.auroc"].patients, found["; sex F", "forecast.auroc"].events) == (
        20,
        10,
    )
    assert {metric for population, metric in found if population} == {
        "forecast.auroc",
        "forecast.brier",
        "forecast.slope",
        "forecast.intercept",
    }


@pytest.mark.parametrize(
    ("women", "ill", "said"),
    [
        (0, 0, "0 with the outcome among 0; 5 of each and 10 in all"),
        (3, 1, "fewer than 5 with the outcome among fewer than 5"),
        (9, 5, "fewer than 5 without the outcome among 9"),
        (30, 4, "fewer than 5 with the outcome among 30"),
        (30, 27, "fewer than 5 without the outcome among 30"),
    ],
)
def test_a_group_too_small_has_a_reason_and_its_counts_stay_untold(women, ill, said):
    outcome = np.concatenate([np.ones(ill), np.zeros(women - ill), np.tile([0.0, 1.0], 50)])
    found = measured(outcome, women_and_men(women, women + 100))
    one = found["; sex F", "forecast.auroc"]
    assert one.value is None
    assert said in one.reason
    assert one.patients == (women if women >= 5 else 0)
    if ill:
        assert one.events is None


def test_where_one_group_s_events_are_withheld_so_are_its_sisters_whose_events_add_up():
    outcome = np.concatenate([np.ones(2), np.zeros(28), np.tile([0.0, 1.0], 50)])
    found = measured(outcome, women_and_men(30, 130))
    assert found["; sex M", "forecast.auroc"].value is not None
    assert found["; sex M", "forecast.auroc"].events is None
    assert found["", "forecast.auroc"].events == 52


def test_counts_of_one_to_four_are_not_told():
    assert [told(count) for count in (0, 1, 4, 5)] == ["0", "fewer than 5", "fewer than 5", "5"]
    assert [shown(count) for count in (0, 1, 4, 5)] == [0, 0, 0, 5]


def test_without_groups_nothing_is_added():
    found = measured(np.tile([0.0, 1.0], 50), ())
    assert all(isinstance(one, Finding) for one in found.values())
    assert {population for population, _ in found} == {""}

"""What synthetic patients let one conclude, compared with the real ones: the arithmetic, by hand."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import polars as pl
import pytest

from benchmarks.inference import Compared, Estimate, combined, estimates

ENTRY = datetime(2000, 1, 1)


def events_of(people: list[tuple[bool, float, float, float | None]]) -> pl.DataFrame:
    """Each (man?, height, years followed, years to diabetes or never), 50 years old at entry."""
    rows: list[tuple[int, datetime | None, str, float | None]] = []
    for number, (man, height, followed, diabetes) in enumerate(people):
        rows.append((number, None, "SEX//M" if man else "SEX//F", None))
        rows.append((number, ENTRY - timedelta(days=50 * 365.25), "MEDS_BIRTH", None))
        rows.append((number, ENTRY, "COHORT//ENTRY", None))
        rows.append((number, ENTRY, "LOINC//8302-2", height))
        if diabetes is not None:
            rows.append((number, ENTRY + timedelta(days=diabetes * 365.25), "DIAGNOSIS//DIABETES", None))
        rows.append((number, ENTRY + timedelta(days=followed * 365.25), "FOLLOW_UP//END", None))
    kinds = {
        "subject_id": pl.Int64,
        "time": pl.Datetime("us"),
        "code": pl.String,
        "numeric_value": pl.Float32,
    }
    return pl.DataFrame(rows, schema=kinds, orient="row")


def test_a_difference_of_means_has_the_variance_of_both_groups():
    """Men 180 and 184, women 160 and 166: 182 - 163 = 19; variances 8 / 2 and 18 / 2."""
    people = [
        (True, 180.0, 5.0, None),
        (True, 184.0, 5.0, None),
        (False, 160.0, 5.0, None),
        (False, 166.0, 5.0, None),
    ]
    stated = {"differences": [{"code": "LOINC//8302-2", "of": "male"}], "rates": [], "hazards": []}
    (found,) = estimates(events_of(people), stated)
    assert found.value == pytest.approx(19.0)
    assert found.variance == pytest.approx(8 / 2 + 18 / 2)


def test_a_rate_counts_years_until_the_outcome_or_the_end():
    """Men: 2 events in 1 + 3 + 6 years; women: 1 in 4 + 6. The log of (2 / 10) / (1 / 10); variance 1/2 + 1/1."""
    people = [(True, 1.0, 5.0, 1.0), (True, 1.0, 5.0, 3.0), (True, 1.0, 6.0, None), (False, 1.0, 5.0, 4.0),
              (False, 1.0, 6.0, None)]  # fmt: skip
    stated = {"differences": [], "rates": [{"outcome": "DIAGNOSIS//DIABETES", "of": "male"}], "hazards": []}
    (found,) = estimates(events_of(people), stated)
    assert found.value == pytest.approx(math.log(2))
    assert found.variance == pytest.approx(1.5)


def test_who_had_the_outcome_at_entry_is_not_at_risk():
    people = [(True, 1.0, 5.0, 0.0), (True, 1.0, 5.0, 1.0), (False, 1.0, 5.0, 5.0)]
    stated = {"differences": [], "rates": [{"outcome": "DIAGNOSIS//DIABETES", "of": "male"}], "hazards": []}
    (found,) = estimates(events_of(people), stated)
    assert found.value == pytest.approx(math.log((1 / 1) / (1 / 5)))


def test_synthetic_sets_are_combined_for_the_population_and_for_the_real_estimate():
    """Two sets: mean 1.5, mean variance 0.2; half as many patients each: 0.2 (1/2 + 1/2) and 0.2 / 2 / 2."""
    found = combined(Estimate("x", 1.0, 0.2), [Estimate("x", 1.0, 0.1), Estimate("x", 2.0, 0.3)], ratio=0.5)
    assert (found.value, found.population, found.observed) == pytest.approx((1.5, 0.2, 0.05))


@pytest.mark.parametrize(
    ("real", "value", "agrees"),
    [
        (1.0, 0.5, True),
        (1.0, -0.5, False),
        (1.0, 0.1, False),
        (0.1, 0.1, True),
        (0.1, -0.1, True),
        (0.1, 0.5, False),
    ],
)
def test_one_agrees_who_would_conclude_the_same(real: float, value: float, agrees: bool):
    """Standard errors of 0.2: 1.96 of them are 0.392."""
    assert Compared(Estimate("x", real, 0.04), value, 0.04, 0.04).agrees is agrees


def test_an_interval_covers_up_to_its_end():
    found = Compared(Estimate("x", 1.0, 0.04), 1.39, 0.04, 0.03)
    assert found.covers(found.population)
    assert not found.covers(found.observed)

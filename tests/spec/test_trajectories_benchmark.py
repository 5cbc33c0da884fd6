"""The courses of two groups of patients compared: every expected number is worked out by hand."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from benchmarks import trajectories
from benchmarks.icu_stays import caught
from benchmarks.peers.salus.stays import _below, _wait_words
from benchmarks.trajectories import (
    Grouping,
    Scale,
    apart,
    autocorrelation,
    by_group,
    cross_correlation,
    waits,
)

NOON = datetime(2000, 1, 1, 12)
SCALE = Scale(values={"HR": np.asarray([60.0, 80.0])}, waits={"HR": np.asarray([1.0, 2.0])})


def placed(rows: list[tuple[int, float, str, float]]) -> pl.DataFrame:
    """Rows of (patient, hours from noon, code, place)."""
    return pl.DataFrame(
        {
            "subject_id": [row[0] for row in rows],
            "time": [NOON + timedelta(hours=row[1]) for row in rows],
            "code": [row[2] for row in rows],
            "place": [row[3] for row in rows],
        }
    )


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pairs, and one stay, are enough here."""
    monkeypatch.setattr(trajectories, "LEAST_PAIRS", 2)
    monkeypatch.setattr(trajectories, "LEAST_STAYS", 1)


def test_a_value_is_paired_with_the_next_of_its_kind_and_patient_only() -> None:
    rising = [(1, 0, "HR", 0.0), (1, 1, "HR", 0.5), (1, 2, "HR", 1.0), (2, 3, "HR", 0.0)]
    assert autocorrelation(placed(rising)) == {("HR",): pytest.approx(1.0)}


def test_values_of_one_hour_are_paired_across_codes() -> None:
    # HR and BP move against each other in the three hours they share; at 3 h only HR is charted.
    rows = [(1, hour, "HR", place) for hour, place in enumerate([0.0, 0.5, 1.0, 0.0])]
    rows += [(1, hour + 0.5, "BP", 1.0 - hour / 2) for hour in range(3)]
    assert cross_correlation(placed(rows)) == {("BP", "HR"): pytest.approx(-1.0)}


def test_waits_are_shares_of_the_real_steps() -> None:
    # Waits of 1 h, 1 h, 3 h: two of three reach no further than the first cut (1 h), one lies beyond the last (2 h).
    rows = [(1, hour, "HR", 0.5) for hour in (0, 1, 2, 5)]
    found = waits(placed(rows), SCALE)
    assert found == {("HR", "0"): pytest.approx(2 / 3), ("HR", "1"): 0.0, ("HR", "2"): pytest.approx(1 / 3)}


def test_values_are_told_apart_by_group_and_outcome() -> None:
    events = pl.DataFrame(
        {"subject_id": [1, 2, 2], "code": ["WARD//A", "WARD//A", "DEATH"]},
        schema={"subject_id": pl.Int64, "code": pl.String},
    )
    rows = [(1, 0, "HR", 0.25), (1, 1, "HR", 0.75), (2, 0, "HR", 1.0)]
    found = by_group(placed(rows), events, Grouping(prefix="WARD//", outcome="DEATH"))
    assert found == {("HR", "WARD//A", "false"): 0.5, ("HR", "WARD//A", "true"): 1.0}


def test_what_only_one_side_has_counts_as_nought_on_the_other() -> None:
    assert apart({("a",): 0.3}, {("b",): 0.1}, [("a",), ("b",)]) == pytest.approx(0.2)


def test_members_are_caught_above_the_highest_of_the_others() -> None:
    scores = pl.DataFrame(
        {
            "comparison": ["attack"] * 5 + ["control"] * 4,
            "who": ["member", "member", "other", "other", "other", "control", "other", "other", "other"],
            "likelihood": [5.0, 1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0],
        }
    )
    assert caught(scores, "likelihood") == (0.5, 0.0)


def test_a_bin_is_shared_out_by_the_quartiles_it_holds() -> None:
    # Quartiles 10, 20, 30, 40, 50: a quarter lies below 20, three eighths below 25; a bin of one value is whole.
    inner = np.asarray([[10, 20, 30, 40, 50], [7, 7, 7, 7, 7]])
    assert _below(inner, np.asarray([20.0, 25.0, 60.0])).tolist() == [[0.25, 0.375, 1.0], [1.0, 1.0, 1.0]]


def test_waits_fall_into_the_words_that_hold_their_minutes() -> None:
    # Words begin at 0, 1, 5, 10 … minutes: the bin 4 to 6 lies half in the second and half in the third.
    words = _wait_words(np.asarray([0, 1, 4, 6]))
    assert words[:, :3].tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.5, 0.5]]

"""Values become bins and come back; waits become bins. Numbers worked out by hand from the definitions."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from salus.trajectory.bins import Tally, fit_bins, fit_wait_edges, protected_extremes
from salus.trajectory.encoding import draw_values, place_values
from salus.trajectory.tallies import values_of
from salus.trajectory.vocabulary import Clock, CodeEntry, Field, Vocabulary


def vocabulary_of(values: list[float], *, most: int, decimals: int) -> Vocabulary:
    """A vocabulary of one code with these values."""
    column = np.asarray(values, dtype=np.float32)
    bins = fit_bins(Tally.of(column), float(column.min()), float(column.max()), most=most)
    entry = CodeEntry(code="LOINC//2823-3", bins=bins.count, decimals=decimals)
    return Vocabulary(
        entries=(entry,),
        fields=(Field(name="LOINC//2823-3", first=0, last=1),),
        clock=Clock(time_zero="2000-01-01T00:00:00+00:00", grain="day"),
        lows=bins.lows,
        inner=bins.inner,
        wait_edges=np.asarray([0, 1, 2]),
        sure=np.full((2, 2), -1),
        sure_seen=np.zeros((2, 2), dtype=np.int64),
        longest_moment=1,
        longest_record=2,
        latest=1,
        tracked=1,
    )


def test_a_common_value_gets_a_bin_of_its_own():
    """Half of eight values are 1: with bins of about two values, 1 stands alone, then {2, 3}, then {4, 5}."""
    bins = fit_bins(Tally.of(np.asarray([1, 1, 1, 1, 2, 3, 4, 5], dtype=np.float32)), 1, 5, most=4)
    assert bins.lows.tolist() == [1, 2, 4]
    assert bins.inner[0].tolist() == [1, 1, 1, 1, 1]
    assert bins.inner[2].tolist() == [4, 4.25, 4.5, 4.75, 5]


def test_a_drawn_value_lies_between_the_quartiles_of_its_bin_and_keeps_its_decimals():
    """In the bin {4, 5} the place 0 is 4, the place 1 is 5, and the place 0.5 is their middle 4.5."""
    vocabulary = vocabulary_of([1, 1, 1, 1, 2, 3, 4, 5], most=4, decimals=1)
    inside = np.asarray([0.0, 0.5, 1.0], dtype=np.float32)
    drawn = draw_values(np.full(3, 2), inside, vocabulary)
    np.testing.assert_allclose(drawn, [4.0, 4.5, 5.0], atol=1e-6)


def test_extremes_that_few_patients_reach_are_never_drawn():
    """Six patients with highest values 1 to 6: the second highest is 5, the second lowest 2."""
    values = np.asarray([1, 2, 3, 4, 5, 6], dtype=np.float32)
    assert protected_extremes(Tally.of(values), values, values, patients=2) == (2.0, 5.0)


def test_one_patients_many_high_values_count_as_one_patient():
    """Patient 0 holds the three highest values; the second patient to reach high is at 3."""
    facts = pl.DataFrame(
        {"subject_id": [0, 0, 0, 1, 2, 3], "code": "K", "numeric_value": [9.0, 8, 7, 3, 1, 2]},
        schema_overrides={"numeric_value": pl.Float32},
    )
    found = values_of([facts], least=2)["K"]
    assert protected_extremes(found.tally, found.lowest, found.highest, patients=2) == (2.0, 3.0)


def test_the_first_waiting_bin_is_at_once_and_the_last_edge_lies_beyond_all_waits():
    edges = fit_wait_edges(Tally.of(np.asarray([0, 60, 60, 60, 60, 61, 120])), most=2)
    assert edges[:2].tolist() == [0, 1]
    assert edges[-1] == 121
    assert 60 in edges and 61 in edges  # the common wait of exactly 60 has a bin of its own


@given(
    st.lists(st.integers(0, 400), min_size=1, max_size=200),
    st.integers(1, 64),
    st.floats(0, 1, exclude_max=True, width=32),
)
def test_a_value_drawn_from_a_bin_falls_into_that_bin(values, most, inside):
    """Whatever the values, drawing back from a bin gives a value that would be placed in the same bin."""
    vocabulary = vocabulary_of([float(value) for value in values], most=most, decimals=0)
    for number in range(vocabulary.entries[0].bins):
        code, place = np.zeros(1, dtype=np.int64), np.asarray([number])
        drawn = draw_values(place, np.asarray([inside], dtype=np.float32), vocabulary)
        levels, ranks = place_values(code, drawn, vocabulary)
        assert levels[0] == number
        assert 0 <= ranks[0] <= 1

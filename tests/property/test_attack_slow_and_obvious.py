"""Slow, obvious versions referee the attacks: longest shared runs, patients who take others' place, marks."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.evidence.copies import beyond
from salus.evidence.singling_out import swapped_in
from salus.evidence.verbatim_runs import Written, longest_runs

RECORDS = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=9), min_size=1, max_size=6)


def written(records: list[list[int]]) -> Written:
    start = np.cumsum([0, *[len(one) for one in records]])[:-1]
    return Written(
        fact=np.array([fact for one in records for fact in one], dtype=np.int64),
        start=start.astype(np.int64),
        subject=np.arange(len(records)),
    )


def slow(record: list[int], known: list[list[int]]) -> int:
    pieces = [
        record[first:last] for first in range(len(record)) for last in range(first + 1, len(record) + 1)
    ]
    return max(
        (
            len(piece)
            for piece in pieces
            for other in known
            for at in range(len(other))
            if other[at : at + len(piece)] == piece
        ),
        default=0,
    )


@settings(max_examples=300, deadline=None)
@given(RECORDS, RECORDS)
def test_the_longest_shared_run_is_the_longest_piece_found_anywhere(asked, known):
    found = longest_runs(written(asked), written(known))
    assert found.tolist() == [slow(record, known) for record in asked]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.booleans(), min_size=3, max_size=6), st.lists(st.booleans(), min_size=1, max_size=3))
def test_others_in_the_place_of_members_is_the_mean_over_all_ways_to_draw_who_makes_place(members, others):
    """Every choice of n members is replaced by the n others; counted: exactly one fits, and it is one of them."""
    size = len(others)
    ways = list(combinations(range(len(members)), size))
    hits = 0
    for gone in ways:
        left = [fits for place, fits in enumerate(members) if place not in gone]
        hits += sum(left) == 0 and sum(others) == 1
    found = swapped_in(np.array([sum(members)]), np.array([sum(others)]), sizes=(len(members), size))[0]
    assert found == pytest.approx(hits / len(ways) * len(members) / size)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_the_chance_of_as_many_beyond_the_mark_is_fair(seed):
    """Both groups drawn from one: a chance below 5 % comes about one time in twenty, not one in three."""
    rng = np.random.default_rng(seed)
    low = 0
    for _ in range(60):
        found = beyond(rng.normal(0, 1, 300), rng.normal(0, 1, 200))
        assert found is not None
        low += found.chance < 0.05
    assert low <= 12

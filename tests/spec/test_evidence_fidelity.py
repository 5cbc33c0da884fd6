"""Fidelity lies between shuffled columns and other real patients, and 1 means the same."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from salus.errors import NothingToCompare
from salus.evidence.fidelity import fidelity
from salus.evidence.likeness import MEASURES, PARTS, overlap
from salus.evidence.yardstick import common_codes, learn_yardstick, moments_of, place, shuffled
from tests.drawn import events
from tests.invented import invent


def measured(synthetic: pl.DataFrame, held_out: pl.DataFrame | None = None) -> dict[str, dict[str, float]]:
    other = invent(600, seed=2, first=5000) if held_out is None else held_out
    found = fidelity(invent(600, seed=1), synthetic, real_held_out=other, anchor="ENTRY", seed=3)
    return {row["measure"]: row for row in found.scores.to_dicts()}


def test_the_same_patients_score_one():
    rows = measured(invent(600, seed=1))
    found = {name: rows[name]["synthetic"] for name in (*MEASURES, *PARTS, "overall")}
    assert found.pop("dependence: codes") is None  # sex and disease are unrelated: nothing to reproduce
    assert list(found.values()) == pytest.approx([1.0] * 16)


def test_other_real_patients_come_near_and_shuffled_columns_lose_the_relations():
    rows = measured(invent(600, seed=4))
    overall = rows["overall"]
    assert overall["synthetic"] == pytest.approx(overall["ceiling"], abs=0.05)
    assert overall["lower"] <= overall["synthetic"] <= overall["upper"]
    assert overall["floor"] < overall["ceiling"] - 0.1  # dependence is one part of five
    assert rows["dependence: values"]["floor"] < 0.4 < 0.75 < rows["dependence: values"]["ceiling"]
    assert rows["marginals: share"]["floor"] == pytest.approx(rows["marginals: share"]["ceiling"])


def test_a_generator_without_relations_is_told_from_one_with_them():
    with_them, without = measured(invent(600, seed=4)), measured(invent(600, seed=4, related=False))
    assert without["dependence"]["synthetic"] < with_them["dependence"]["synthetic"] - 0.2
    assert without["marginals"]["synthetic"] == pytest.approx(with_them["marginals"]["synthetic"], abs=0.05)


def test_a_generator_that_makes_no_values_gets_nothing_for_them():
    blank = invent(600, seed=4).with_columns(numeric_value=pl.lit(None, dtype=pl.Float32))
    rows = measured(blank)
    assert rows["marginals: values"]["synthetic"] == 0
    assert rows["dependence: successive"]["synthetic"] == 0


def test_findings_say_which_side_and_small_groups_are_withheld():
    few = invent(600, seed=2, first=5000).filter(
        (pl.col("code") != "DISEASE") | (pl.col("subject_id") < 5010)
    )
    found = fidelity(
        invent(600, seed=1), invent(600, seed=4), real_held_out=few, anchor="ENTRY", seed=3
    ).findings
    sides = {(one.comparison, one.population): one for one in found if one.metric == "fidelity.code_share"}
    assert sides["ceiling", "DISEASE"].value is None
    assert "fewer than 10" in sides["ceiling", "DISEASE"].reason
    assert sides["synthetic", "DISEASE"].value is not None
    whole = [one for one in found if one.metric == "fidelity.overall"]
    assert [one.comparison for one in whole] == ["synthetic", "ceiling", "floor"]
    assert {one.seed for one in found} == {3}


def test_the_same_seed_gives_the_same_numbers():
    twice = [
        fidelity(
            invent(300, seed=1),
            invent(300, seed=4),
            real_held_out=invent(200, seed=5),
            anchor="ENTRY",
            seed=3,
        )
        for _ in range(2)
    ]
    assert twice[0].findings == twice[1].findings
    assert {one.patients for one in twice[0].findings} == {200}


@pytest.mark.parametrize("nobody", ["synthetic", "held-out"])
def test_nobody_to_compare_is_an_error(nobody):
    real, empty = invent(30, seed=1), invent(0, seed=1)
    with pytest.raises(NothingToCompare, match=nobody):
        fidelity(
            real,
            empty if nobody == "synthetic" else real,
            real_held_out=empty if nobody == "held-out" else real,
            anchor="ENTRY",
            seed=3,
        )


def test_overlap_by_hand():
    """|1-3| + |3-3| over 1+3+3+3."""
    assert overlap(np.array([[1.0, 3.0]]), np.array([[3.0, 3.0]])).tolist() == [0.8]
    assert overlap(np.array([[0.5]]), np.array([[-0.5]])).tolist() == [0.0]


def test_moments_are_distinct_times_and_waits_lie_between_them():
    drawn = events("""
        patient | time             | code
        A       | 2000-01-01T00:00 | X
        A       | 2000-01-01T00:00 | Y
        A       | 2000-01-01T06:00 | X
        B       | 2000-01-03T00:00 | X
    """)
    placed = place(drawn, ("X", "Y"), anchor=None)
    patient, hours, waits = moments_of(placed)
    assert patient.tolist() == [0, 0, 1]
    assert hours.tolist() == [0, 6, 0]
    assert waits[1] == 6
    assert np.isnan(waits[[0, 2]]).all()


def test_shuffling_keeps_every_column():
    real = invent(200, seed=1)
    codes = common_codes(real)
    placed = place(real, codes, anchor="ENTRY")
    mixed = shuffled(placed, seed=1)
    for code in range(len(codes)):
        mine = placed.code == code
        assert np.array_equal(np.sort(placed.value[mine]), np.sort(mixed.value[mine]), equal_nan=True)
        assert len(set(placed.patient[mine])) == len(set(mixed.patient[mine]))
    assert learn_yardstick(placed, codes).codes == codes

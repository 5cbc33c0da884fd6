"""Shares of groups: exactly as many as asked for, who belongs together stays together, what cannot be is refused."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.errors import ConditionRefused, ConditionUnmet
from salus.progress import QUIET
from salus.timeline.store import read_timeline
from salus.trajectory.generating import draw_rows
from salus.trajectory.shares import apportion, rake, read_shares, round_table, spread_over_cells
from salus.workflows.generate_given import GivenSettings, generate_given
from tests.small_model import trained_folder, varied, varied_folder

VOCABULARY = varied().vocabulary


def members(events: pl.DataFrame, code: str) -> set[int]:
    return set(events.filter(pl.col("code") == code)["subject_id"])


def test_a_quarter_of_women_is_exactly_a_quarter_and_they_live_as_women_do(tmp_path):
    """200 patients at a share of 0.25: 50 women near 4 mmol/L and 150 men near 6, by whom the mean is 5.5 a patient."""
    asked = GivenSettings(patients=200, shares=("SEX//F=0.25",), seed=3)
    result = generate_given(trained_folder(), tmp_path / "out", settings=asked, progress=QUIET)
    events = read_timeline(tmp_path / "out")
    women = members(events, "SEX//F")
    assert len(women) == 50
    assert len(members(events, "SEX//M")) == 150
    assert events["subject_id"].n_unique() == 200
    assert sum(woman <= 100 for woman in women) == pytest.approx(25, abs=13)  # shuffled: four standard errors
    potassium = events.filter(pl.col("code") == "LOINC//2823-3")
    hers = pl.col("subject_id").is_in(list(women))
    assert potassium.filter(hers)["numeric_value"].mean() == pytest.approx(4, abs=0.2)
    assert potassium.filter(~hers)["numeric_value"].mean() == pytest.approx(6, abs=0.2)
    assert [(group.code, group.patients) for group in result.groups] == [("SEX//F", 50)]
    assert result.groups[0].model_share == pytest.approx(0.5, abs=0.1)
    assert "no sample of the population" in result.note


def log_odds_ratio(events: pl.DataFrame) -> float:
    """How much likelier an allergy is in women than in men: the logarithm of the odds ratio."""
    women, allergic = members(events, "SEX//F"), members(events, "ALLERGY")
    both, hers, his = len(women & allergic), len(women - allergic), len(allergic - women)
    return math.log(both * (events["subject_id"].n_unique() - both - hers - his) / (hers * his))


def test_shares_of_two_fields_are_both_exact_and_what_belongs_together_stays_together(tmp_path):
    """Allergies, with the women: the odds ratio stays the model's, whatever the shares.

    The cells hold some 400, 400, 1,600 and 1,600 patients: the logarithm's standard error is 0.08, and 0.06 in the
    model's own 6,000; four of both together are 0.4. Shares that pulled the two apart would give nought.
    """
    own = log_odds_ratio(draw_rows(varied().network, VOCABULARY, patients=6_000, seed=1, first_subject=1))
    assert own > 5 * 0.06, "the model knows that they belong together"
    asked = GivenSettings(
        patients=4_000, shares=("SEX//F=0.2", "ALLERGY=0.5", "ORIGIN//Elsewhere=0.3"), seed=3
    )
    generate_given(varied_folder(), tmp_path / "out", settings=asked, progress=QUIET)
    events = read_timeline(tmp_path / "out")
    women, allergic = members(events, "SEX//F"), members(events, "ALLERGY")
    assert (len(women), len(allergic), len(members(events, "ORIGIN//Elsewhere"))) == (800, 2_000, 1_200)
    assert log_odds_ratio(events) == pytest.approx(own, abs=0.4)


def test_the_same_seed_gives_the_same_patients(tmp_path):
    asked = GivenSettings(patients=60, given=("age=50..",), shares=("SEX//F=0.9",), seed=8)
    for name in ("one", "two"):
        generate_given(trained_folder(), tmp_path / name, settings=asked, progress=QUIET)
    one, two = (read_timeline(tmp_path / name) for name in ("one", "two"))
    assert one.equals(two)
    assert len(members(one, "SEX//F")) == 54


def test_odds_ratios_survive_raking():
    """Even shares, odds ratio 9 (cells 3:1 and 1:3), raked to a quarter and a half: still 9, and the margins hold."""
    raked = rake(np.array([[3.0, 1.0], [1.0, 3.0]]), [np.array([100, 300]), np.array([200, 200])])
    assert raked.sum(axis=1) == pytest.approx([100, 300])
    assert raked.sum(axis=0) == pytest.approx([200, 200])
    assert raked[0, 0] * raked[1, 1] / (raked[0, 1] * raked[1, 0]) == pytest.approx(9)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_every_axis_adds_up_to_its_margin(data):
    """Whatever the table: whole numbers, each margin exact, nobody where the model draws nobody."""
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    chances = np.array(
        data.draw(st.lists(st.floats(0.001, 1), min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
    )
    number = data.draw(st.integers(1, 500))
    margins = []
    for size in shape:
        weights = data.draw(st.lists(st.floats(0.01, 1), min_size=size, max_size=size))
        margins.append(apportion(np.array(weights), number))
    counts = spread_over_cells(chances.reshape(shape), margins)
    assert counts.shape == shape
    assert (counts >= 0).all()
    for axis, margin in enumerate(margins):
        others = tuple(other for other in range(len(shape)) if other != axis)
        assert counts.sum(axis=others).tolist() == margin.tolist()


def test_rounding_a_table_moves_no_cell_by_one_or_more():
    table = np.array([[1.5, 2.25, 0.25], [0.5, 1.75, 1.75]])
    rounded = round_table(table, np.array([4, 4]), np.array([2, 4, 2]))
    assert rounded.sum(axis=1).tolist() == [4, 4]
    assert rounded.sum(axis=0).tolist() == [2, 4, 2]
    assert (np.abs(rounded - table) < 1).all()


def test_a_cell_that_never_comes_stays_empty_and_shares_that_need_it_are_refused():
    """No man is pregnant: half women and a tenth pregnant can be; half women and three in five pregnant cannot."""
    chances = np.array([[0.1, 0.4], [0.0, 0.5]])
    counts = spread_over_cells(chances, [np.array([50, 50]), np.array([10, 90])])
    assert counts.tolist() == [[10, 40], [0, 50]]
    with pytest.raises(ConditionUnmet):
        spread_over_cells(chances, [np.array([50, 50]), np.array([60, 40])])


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (["SEX//F=0.7", "SEX//M=0.5"], "the shares of 'sex' are more than 1 together"),
        (["SEX//F=0.2", "sex//f=0.5"], "a group of 'sex' has two shares"),
        (["SEX//F=1.5"], "'SEX//F=1.5' is not a share"),
        (["SEX//F=many"], "is not a share"),
        (["SEX//F"], "is not a share"),
        (["SEX//X=0.5"], "knows no static 'SEX//X' (did you mean"),
    ],
)
def test_shares_that_cannot_be_are_refused(written, says):
    with pytest.raises(ConditionRefused) as refused:
        read_shares(written, VOCABULARY)
    assert says in refused.value.what


def test_a_group_that_the_conditions_exclude_is_refused(tmp_path):
    asked = GivenSettings(patients=10, given=("sex=F",), shares=("SEX//M=0.5",))
    with pytest.raises(ConditionRefused) as refused:
        generate_given(trained_folder(), tmp_path / "out", settings=asked, progress=QUIET)
    assert "exclude each other" in refused.value.what

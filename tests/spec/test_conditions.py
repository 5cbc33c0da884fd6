"""Conditions on static facts: what may be written, what it means in the model's levels, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from salus.errors import ConditionRefused
from salus.trajectory.conditions import Condition, places_between, read_conditions
from tests.small_model import varied

VOCABULARY = varied().vocabulary


def read(*written: str) -> tuple[Condition, ...]:
    return read_conditions(written, VOCABULARY, where="--given")


def allowed(condition: Condition) -> list[str]:
    """Codes of which something is allowed."""
    first = VOCABULARY.field_start[condition.field]
    levels = first + np.flatnonzero(condition.share > 0)
    return sorted({VOCABULARY.entries[VOCABULARY.level_code[level]].code for level in levels})


@pytest.mark.parametrize(
    "written", ["sex=F", "SEX=f", "Sex=SEX//F", "SEX//F=yes", "f=yes", "SEX//M=no", " sex = F "]
)
def test_a_name_is_a_field_or_a_code_or_its_last_part_in_capitals_or_not(written):
    (found,) = read(written)
    assert allowed(found) == ["SEX//F"]


def test_not_having_a_code_allows_the_others_and_nothing_at_all():
    (found,) = read("ORIGIN//There=no")
    assert (allowed(found), found.needed) == (["ORIGIN//Elsewhere", "ORIGIN//Here"], False)


def test_several_levels_stand_with_commas_between_them():
    (found,) = read("origin=here,Elsewhere")
    assert (allowed(found), found.needed) == (["ORIGIN//Elsewhere", "ORIGIN//Here"], True)


def test_conditions_on_one_field_are_taken_together():
    (found,) = read("origin=Here,There", "ORIGIN//There=no")
    assert (allowed(found), found.needed) == (["ORIGIN//Here"], True)


def test_a_range_takes_from_a_bin_that_it_cuts_the_share_that_lies_in_it():
    """A bin with values 60, 62, 64, 66, 68 at its quarters: 63 lies at 3/8, so 5/8 of it are 63 or more."""
    bin_of_five = np.array([60.0, 62.0, 64.0, 66.0, 68.0])
    assert places_between(bin_of_five, 63, 99) == (0.375, 1.0)
    assert places_between(bin_of_five, 0, 65) == (0.0, 0.625)
    assert places_between(bin_of_five, 62, 66) == (0.25, 0.75)
    assert places_between(bin_of_five, 69, 99) == (0.0, 0.0)


def test_a_bin_of_one_value_is_in_a_range_or_not():
    one = np.full(5, 15.0)
    assert places_between(one, 15, 15) == (0.0, 1.0)
    assert places_between(one, 14, 16) == (0.0, 1.0)
    assert places_between(one, 15.1, 16) == (0.0, 0.0)


def test_both_halves_of_a_range_are_the_whole():
    """Ages are shown as whole years: up to 59, and 60 or more, are all ages, but for what rounding leaves open."""
    (low,), (high,) = read("age=..59"), read("age=60..")
    assert low.share + high.share == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("written", "what", "fix"),
    [
        (["sxe=F"], "knows no static 'sxe' (did you mean 'sex'?)", "age, sex, origin"),
        (["origin=Hree"], "knows no static 'Hree' (did you mean 'Here'?)", "Here"),
        (["2823-3=4..5"], "knows no static '2823-3'", "what is dated"),
        (["age=80..60"], "the range 80..60 is empty", "60..80"),
        (["age=200..300"], "no age lies in 200..300", "the model draws from"),
        (["age=60.2..60.8"], "no age lies in", "the model draws from"),
        (["age=old"], "'old' is not a range", "low..high"),
        (["age=.."], "'..' is not a range", "low..high"),
        (["age=nan..80"], "is not a range", "low..high"),
        (["sex"], "'sex' is not a condition", "NAME=LEVELS"),
        (["sex="], "is not a condition", "NAME=LEVELS"),
        (["sex=F", "sex=M"], "two conditions on 'sex' exclude each other", "overlap"),
        (["age=40..50", "age=60..70"], "two conditions on 'age' exclude each other", "overlap"),
        (["sex=*"], "knows no static '*'", "withheld"),
        (["start=0"], "knows no static 'start'", "age"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_or_met_is_refused_with_the_way_out(written, what, fix):
    with pytest.raises(ConditionRefused) as refused:
        read(*written)
    assert refused.value.code == "SAL-310"
    assert refused.value.where == "--given"
    assert what in refused.value.what
    assert fix in refused.value.fix


def test_yes_and_no_of_a_number_mean_that_it_was_recorded_or_not():
    (there,), (absent,) = read("height=yes"), read("height=no")
    assert (there.needed, bool(there.share.all())) == (True, True)
    assert (absent.needed, bool(absent.share.any())) == (False, False)

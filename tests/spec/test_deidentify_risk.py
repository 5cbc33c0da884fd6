"""Groups of patients alike and the risks that follow, worked out by hand."""

from __future__ import annotations

import math

import polars as pl
import pytest

from salus.deidentify.risk import (
    entropy_values,
    farthest_group,
    fewest_values,
    group_sizes,
    information_lost,
    journalist,
    marketer,
    prosecutor,
    smallest_group,
    to_suppress,
)

QUASI = ["sex", "year"]
TABLE = pl.DataFrame(
    {
        "sex": ["F", "F", "F", "M", "M", "M", "M", None],
        "year": ["1950", "1950", "1950", "1950", "1950", "1960", "1960", None],
        "illness": ["flu", "flu", "gout", "flu", "gout", "flu", "flu", "flu"],
    }
)
"""Groups of 3, 2, 2 and 1."""


def test_groups_by_hand():
    assert group_sizes(TABLE, QUASI)["patients alike"].to_list() == [1, 2, 2, 3]
    assert smallest_group(TABLE, QUASI) == 1
    assert smallest_group(TABLE.head(7), QUASI) == 2
    assert smallest_group(TABLE.clear(), QUASI) == 0


def test_prosecutor_by_hand():
    """1/f is 1/3, 1/2, 1/2, 1; above 0.4 are the patients of the groups of 2, 2 and 1; 4 groups of 8 patients."""
    found = prosecutor(TABLE, QUASI, 0.4)
    assert (found.above, found.highest, found.average) == (5 / 8, 1.0, 4 / 8)


def test_one_in_eleven_is_just_above_the_threshold_of_nine_per_cent():
    """1/11 = 0.0909: groups of 11 are above 0.09, groups of 12 are not."""
    for size, above in ((11, 1.0), (12, 0.0)):
        assert prosecutor(pl.DataFrame({"sex": ["F"] * size}), ["sex"], 0.09).above == above


def test_journalist_and_marketer_by_hand():
    """Table: 3 F and 1 M; population: 6 F and 4 M. Risks 1/6 and 1/4; the mean over 4 patients is (3/6 + 1/4) / 4."""
    table = pl.DataFrame({"sex": ["F", "F", "F", "M"]})
    population = pl.DataFrame({"sex": ["F"] * 6 + ["M"] * 4})
    assert marketer(table, population, ["sex"]) == pytest.approx(0.1875)
    found = journalist(table, population, ["sex"], 0.2)
    assert (found.above, found.highest) == (1 / 4, 1 / 4)
    assert found.average == pytest.approx(max(2 / 10, 0.1875))


def test_l_diversity_by_hand():
    """F/1950 has flu, flu, gout; M/1960 has flu alone."""
    assert fewest_values(TABLE, QUASI, "illness") == 1
    assert fewest_values(TABLE.head(5), QUASI, "illness") == 2
    expected = math.exp(-(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3)))
    assert entropy_values(TABLE.head(5), QUASI, "illness") == pytest.approx(expected)


def test_t_closeness_of_words_is_half_the_sum_of_differences():
    """Of the first five: flu 3/5, gout 2/5; F: 2/3, 1/3 is 1/15 away; M: 1/2, 1/2 is 1/10 away."""
    assert farthest_group(TABLE.head(5), QUASI, "illness") == pytest.approx(0.1)


def test_t_closeness_of_numbers_as_in_the_paper():
    """Li et al. 2007: salaries 3k to 11k; {3k, 4k, 5k} is 0.375 away from all, {6k, 8k, 11k} 0.167."""
    table = pl.DataFrame(
        {"group": ["a"] * 3 + ["b"] * 3 + ["c"] * 3, "salary": [3, 4, 5, 6, 8, 11, 7, 9, 10]}
    )
    assert farthest_group(table, ["group"], "salary") == pytest.approx(0.375)
    rest = table.with_columns(pl.col("group").replace("a", "c"))
    assert farthest_group(rest, ["group"], "salary") == pytest.approx(0.167, abs=0.0005)


def test_suppression_takes_whole_groups_until_the_bare_ones_are_many_enough():
    """k = 3: groups of 2, 2 go; with the one that is bare already they are 5 alike in having nothing."""
    marked = to_suppress(TABLE, QUASI, 3)
    assert marked.to_list() == [False, False, False, True, True, True, True, False]
    bare = TABLE.with_columns(pl.when(~marked).then(pl.col(name)).alias(name) for name in QUASI)
    assert smallest_group(bare, QUASI) == 3


def test_suppression_takes_the_next_smallest_group_too_where_the_bare_are_too_few():
    """k = 3 in groups of 4, 3 and 1: the one alone would be alike to nobody, so the three go with it."""
    table = pl.DataFrame({"sex": ["F"] * 4 + ["M"] * 3 + ["O"]})
    assert to_suppress(table, ["sex"], 3).to_list() == [False] * 4 + [True] * 4
    assert not to_suppress(table, ["sex"], 1).any()


def test_information_lost_by_hand():
    """Nothing where all is told, all where nothing is, half where 8 values become 2 of 4: 2 of 3 bits."""
    fine = pl.Series([str(number) for number in range(8)])
    assert information_lost(fine, fine) == 0
    assert information_lost(fine, pl.Series([None] * 8, dtype=pl.String)) == 1
    assert information_lost(fine, pl.Series(["x"] * 4 + ["y"] * 4)) == pytest.approx(2 / 3)


def test_as_pycanon_has_it():
    """pyCANON 1.3.6 on the same ten rows: k 2, l 2, entropy l 1 (it rounds down), t 0.4 for words, 0.35 for numbers."""
    rows = [
        *(
            ("F", "1950", "flu", 1),
            ("F", "1950", "gout", 2),
            ("F", "1950", "flu", 9),
            ("M", "1950", "flu", 4),
        ),
        *(
            ("M", "1950", "cold", 4),
            ("M", "1960", "gout", 7),
            ("M", "1960", "flu", 8),
            ("F", "1960", "cold", 3),
        ),
        *(("F", "1960", "gout", 5), ("F", "1960", "gout", 6)),
    ]
    table = pl.DataFrame(rows, schema=["sex", "year", "illness", "value"], orient="row")
    assert smallest_group(table, QUASI) == 2
    assert fewest_values(table, QUASI, "illness") == 2
    assert int(entropy_values(table, QUASI, "illness")) == 1
    assert farthest_group(table, QUASI, "illness") == pytest.approx(0.4)
    assert farthest_group(table, QUASI, "value") == pytest.approx(0.35)

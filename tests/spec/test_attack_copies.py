"""Copies, long stretches, leaked hold-outs, few false alarms and groups: what each number means, by hand."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from salus.evidence.copies import beyond, copied, long_runs, near_copies
from salus.evidence.fingerprints import fingerprints, leak_between
from salus.evidence.guesses import answers, rate
from salus.evidence.membership import Membership, Trial
from salus.evidence.membership_tail import (
    Singled,
    group_findings,
    tail_findings,
    true_positives,
    worst_off,
)
from salus.evidence.patient_rows import learn_rows, patient_rows
from salus.evidence.row_distances import nearest_apart, place
from salus.evidence.verbatim_runs import longest_runs, write_records
from tests.small_ward import ward

DAY = datetime(2000, 1, 1)
COLUMNS = ["subject_id", "time", "code", "numeric_value"]


def events(*rows: tuple[int, int | None, str, float | None]) -> pl.DataFrame:
    """Rows of patient, day (None: static), code, value."""
    dated = [
        (who, None if day is None else DAY + timedelta(days=day), code, value)
        for who, day, code, value in rows
    ]
    kinds = {
        "subject_id": pl.Int64,
        "time": pl.Datetime("us"),
        "code": pl.String,
        "numeric_value": pl.Float32,
    }
    return pl.DataFrame(dated, schema=kinds, orient="row")


def small(patients: int, *, seed: int, first: int = 0) -> pl.DataFrame:
    return ward(patients, seed=seed).select((pl.col("subject_id") + first).alias("subject_id"), *COLUMNS[1:])


ONE = ((1, 0, "A", 1.0), (1, 3, "B", 5.0), (1, 4, "C", None), (1, None, "SEX//F", None), (1, 9, "A", 2.0))


def test_the_same_record_a_year_later_under_another_number_is_the_same():
    later = tuple((7, None if day is None else day + 365, code, value) for _, day, code, value in ONE)
    assert fingerprints(events(*later)).within(fingerprints(events(*ONE))).tolist() == [True]


@pytest.mark.parametrize("place", range(5))
def test_a_record_that_differs_in_one_row_is_another(place):
    who, day, code, value = ONE[place]
    other = [*ONE]
    other[place] = (who, day, f"{code}X", value)
    assert not fingerprints(events(*other)).within(fingerprints(events(*ONE))).any()


def test_copies_by_hand():
    """Sixty synthetic patients, thirty of them members' records: half are copies, of the others none."""
    members, others = small(100, seed=1), small(100, seed=2)
    synthetic = pl.concat([members.filter(pl.col("subject_id") <= 30), small(30, seed=3, first=500)])
    asked = copied(fingerprints(synthetic), fingerprints(members), fingerprints(others))
    assert rate(asked.attack).value == 0.5
    assert rate(asked.control).value == 0.0
    assert rate(asked.baseline).value == 0.0


def test_the_mark_lies_at_the_control_s_largest_where_one_in_a_thousand_may_lie_there():
    """1 to 1,000: one in a thousand is 1,000 itself. Five of 1,000 others lie beyond: 6 in all, one is a control.

    Halves drawn by lot: at most one of six is of the first half with chance (1 + 6) / 64 = 0.109.
    """
    control = np.arange(1, 1001).astype(float)
    found = beyond(np.concatenate([np.full(5, 2000.0), np.full(995, 999.0)]), control)
    assert (found.mark, found.share, found.found) == (1000.0, 0.001, 5)
    assert found.chance == pytest.approx(7 / 64, abs=0.001)


def test_a_small_control_sets_a_mark_at_one_in_a_hundred_and_a_smaller_one_none():
    assert beyond(np.ones(10), np.arange(999.0)).share == 0.01
    assert beyond(np.ones(10), np.arange(99.0)) is None
    few = answers(long_runs(np.ones(100), np.ones(99), members=10), seed=1)
    assert all("no mark can be set" in one.reason and one.value is None for one in few)


def test_nearer_counts_as_beyond():
    control = np.linspace(1, 2, 1000)
    asked = near_copies(np.concatenate([np.zeros(60), np.full(40, 1.5)]), control, members=9)
    assert rate(asked.attack).value == 0.6


def test_a_stretch_word_for_word_by_hand():
    """A, then B after 3 days, then C after 1. In the second record A comes after a week, so B and C are shared."""
    known = events((1, 0, "A", None), (1, 3, "B", None), (1, 4, "C", None), (1, 50, "D", None))
    asked = events(
        *((2, 0, "X", None), (2, 8, "A", None), (2, 11, "B", None), (2, 12, "C", None), (2, 13, "E", None)),
        *((3, 0, "A", None), (3, 3, "B", None), (3, 90, "C", None)),
        *((4, 0, "Z", None), (4, 1, "Y", None)),
    )
    members, others = write_records([known, asked])
    assert longest_runs(others, members).tolist() == [2, 2, 0]


def test_values_are_compared_by_tenths_of_the_members_values():
    """1 to 100: 5 and 9 lie in the first tenth, 15 in the second."""
    known = events(*((who, 0, "A", float(who)) for who in range(1, 101)))
    asked = events((201, 0, "A", 5.0), (202, 0, "A", 15.0), (203, 0, "A", None))
    _, others = write_records([known, asked])
    assert len({*others.fact.tolist()}) == 3
    near = events((201, 0, "A", 5.0), (202, 0, "A", 9.0))
    _, others = write_records([known, near])
    assert len({*others.fact.tolist()}) == 1


def test_no_stretch_goes_over_the_end_of_a_record():
    known = events((1, 0, "A", None), (2, 0, "B", None))
    asked = events((3, 0, "A", None), (3, 0, "B", None))
    members, others = write_records([known, asked])
    assert longest_runs(others, members).tolist() == [1]


def test_a_record_lies_nowhere_from_itself_and_a_word_counts_one():
    people = events(
        *((who, day, "K", float(who + day)) for who in range(1, 31) for day in (0, 5)),
        *((who, None, "SEX//F" if who % 2 else "SEX//M", None) for who in range(1, 31)),
    )
    form = learn_rows(people)
    assert form.fields == ("SEX", "age", "recorded_hours", "moments", "rows", "K")
    rows = patient_rows(people, form)
    placed = place(rows, rows)
    assert nearest_apart(placed, placed).tolist() == [0.0] * 30
    swapped = patient_rows(
        people.with_columns(pl.col("code").replace({"SEX//F": "SEX//M", "SEX//M": "SEX//F"})).filter(
            pl.col("subject_id") == 1
        ),
        form,
    )
    one = place(rows.of(np.array([0])), rows)
    assert nearest_apart(place(swapped, rows), one)[0] == pytest.approx(1 / len(form.columns))


def test_held_out_patients_under_other_numbers_are_found_by_digest():
    train = small(300, seed=1)
    again = train.filter(pl.col("subject_id") <= 60).with_columns(pl.col("subject_id") + 1000)
    leak = leak_between(fingerprints(train), fingerprints(pl.concat([again, small(60, seed=2, first=5000)])))
    assert (leak.leaked, leak.held_out, leak.twins) == (60, 120, 0)
    assert leak.is_sure


def test_strangers_do_not_leak_and_records_that_are_all_the_same_prove_nothing():
    assert not leak_between(fingerprints(small(300, seed=1)), fingerprints(small(200, seed=2))).is_sure
    same = pl.concat([events(*((who, day, "A", None) for day in range(6))) for who in range(50)])
    leak = leak_between(fingerprints(same), fingerprints(same.with_columns(pl.col("subject_id") + 100)))
    assert (leak.leaked, leak.twins) == (50, 50)
    assert not leak.is_sure


def test_members_found_at_few_false_alarms_by_hand():
    """Others score 0 to 999: at 1 % ten may lie above, so the mark is 989; of members at 980 to 999 half lie above."""
    others, members = np.arange(1000.0), np.tile(np.arange(980.0, 1000.0), 10)
    found = true_positives(members, others, alarms=0.01, seed=1)
    assert found.value == 0.5
    assert found.lower < 0.45 < 0.55 < found.upper


def test_nobody_found_still_has_an_upper_bound():
    found = true_positives(np.zeros(100), np.arange(1000.0), alarms=0.001, seed=1)
    assert (found.value, found.lower) == (0.0, 0.0)
    assert found.upper > 0.02


def trial(members: int, others: int) -> Trial:
    rng = np.random.default_rng(1)
    pair = (rng.normal(0, 1, members), rng.normal(0, 1, others))
    return Trial(
        name="density",
        method="invented",
        blind_method="a guess",
        scores=pair,
        control_scores=pair,
        blind_scores=pair,
        subjects=(np.arange(members), np.arange(members, members + others)),
        control_subjects=(np.arange(5000, 5000 + members), np.arange(members, members + others)),
    )


def found_by(one: Trial) -> Membership:
    return Membership(findings=[], scores=pl.DataFrame(), members=0, others=0, trials=(one,))


def test_a_thousandth_of_false_alarms_needs_a_thousand_others():
    by_name = {one.metric: one for one in tail_findings(found_by(trial(500, 999)), seed=1)}
    assert by_name["privacy.density_tpr_1pct"].value is not None
    few = by_name["privacy.density_tpr_01pct"]
    assert few.value is None
    assert "1,000 others at least" in few.reason
    enough = {one.metric: one for one in tail_findings(found_by(trial(500, 1000)), seed=1)}
    assert enough["privacy.density_tpr_01pct"].value is not None


def test_a_group_is_measured_apart_and_a_small_one_is_not():
    large = Singled(name="large", patients=frozenset([*range(100), *range(500, 600), *range(5000, 5050)]))
    tiny = Singled(name="tiny", patients=frozenset([1, 2, 3, 500, 501, 502]))
    found = group_findings(found_by(trial(500, 1000)), [large, tiny], seed=1)
    assert [one.comparison for one in found] == ["attack", "control"] * 2
    assert found[0].population == "100 members v 100 others; large"
    assert found[0].patients == 200
    assert found[1].population == "50 never learnt from v 100 others; large"
    assert found[2].value is None
    assert found[2].population == "fewer than 5 members v fewer than 5 others; tiny"
    assert found[2].patients == 0


def test_who_stands_out_by_hand():
    """Of 100: five hold a code nobody else has; the ten born first; and the smaller of two ethnic groups."""
    rows = [(who, 0, "ENTRY", None) for who in range(100)]
    rows += [(who, -20000 - who, "MEDS_BIRTH", None) for who in range(100)]
    rows += [(who, 1, "RARE", None) for who in range(5)]
    rows += [(who, None, "RACE//WHITE" if who >= 30 else "RACE//OTHER", None) for who in range(100)]
    found = {group.name: group.patients for group in worst_off(events(*rows))}
    assert found == {
        "holders of the rarest codes": frozenset(range(5)),
        "the oldest tenth": frozenset(range(90, 100)),
        "the smallest ethnic group, RACE//OTHER": frozenset(range(30)),
    }


def test_where_everybody_holds_the_same_codes_nobody_is_rare():
    found = worst_off(events(*((who, day, "A", None) for who in range(20) for day in (0, 1))))
    assert found == ()


def test_ties_are_counted_on_both_sides():
    """Seven of 200 controls lie at nought, where all synthetic patients lie: 3.5 % against all of them."""
    control = np.concatenate([np.zeros(7), np.ones(193)])
    asked = near_copies(np.zeros(100), control, members=9)
    assert (rate(asked.attack).value, rate(asked.control).value) == (1.0, 0.035)

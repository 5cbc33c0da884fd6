"""Singling out, linking and guessing, counted by hand; a copy of the members is caught, strangers are not."""

from __future__ import annotations

import numpy as np
import pytest

from salus.evidence.guesses import Guesses, rate, risk
from salus.evidence.linking import _luck, inference, linkability
from salus.evidence.patient_rows import PatientRows
from salus.evidence.singling_out import (
    Predicates,
    Says,
    holding,
    multivariate_predicates,
    singling_out,
    univariate_predicates,
)

NAN = float("nan")


def rows(table, words=None) -> PatientRows:
    found = np.asarray(table, dtype=float)
    return PatientRows(
        fields=tuple("abcdefgh"[: found.shape[1]]),
        words=np.zeros(found.shape[1], dtype=bool) if words is None else np.array(words),
        table=found,
        subject=np.arange(len(found)),
    )


def crowd(count: int, *, seed: int) -> PatientRows:
    """Three related numbers and a word each: nobody's row tells anything about another's."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(0, 1, count)
    numbers = hidden[:, None] + rng.normal(0, 1, (count, 3))
    return rows(np.column_stack([numbers, rng.integers(0, 4, count)]), words=[False, False, False, True])


def made(count: int, step: int, shift: int) -> PatientRows:
    i = np.arange(count)
    table = np.column_stack(
        [(i * i * step + shift) % 397, (i * i * step + 3 * shift) % 61, (i * step + shift) % 3]
    )
    return rows(table, words=[False, False, True])


def risk_of(question):
    return risk(rate(question.attack), rate(question.control))


def test_predicates_of_one_column_by_hand():
    """1, 2, 2, 5 and one missing: missing is one, 1 and 5 are each alone, least and greatest; the word 1 is alone."""
    table = rows([[1, 0], [2, 0], [2, 0], [5, 1], [NAN, 0]], words=[False, True])
    found = univariate_predicates(table, seed=1)
    said = {
        (int(c[0]), Says(int(s[0])), None if np.isnan(v[0]) else float(v[0]), int(o))
        for c, s, v, o in zip(found.column, found.says, found.value, found.owner, strict=True)
    }
    assert said == {
        (0, Says.MISSING, None, 4),
        (0, Says.SAME, 1.0, 0),
        (0, Says.SAME, 5.0, 3),
        (0, Says.AT_MOST, 1.0, 0),
        (0, Says.AT_LEAST, 5.0, 3),
        (1, Says.SAME, 1.0, 3),
    }
    assert holding(found, table).tolist() == [1] * 6


def test_how_many_fit_by_hand():
    """At least 2 and word 0: the second and third. At most 2 and missing: nobody."""
    table = rows([[1, 0], [2, 0], [2, 0], [5, 1]], words=[False, True])
    asked = Predicates(
        column=np.array([[0, 1], [0, 0]]),
        says=np.array([[Says.AT_LEAST, Says.SAME], [Says.AT_MOST, Says.MISSING]]),
        value=np.array([[2.0, 0.0], [2.0, NAN]]),
        owner=np.array([0, 1]),
    )
    assert holding(asked, table).tolist() == [2, 0]


def test_predicates_of_three_columns_fit_one_synthetic_patient_and_no_other():
    table = crowd(300, seed=1)
    found = multivariate_predicates(table, seed=1)
    assert len(found) > 100
    assert set(holding(found, table).tolist()) == {1}
    assert all(len(set(columns)) == 3 for columns in found.column.tolist())


def test_predicates_and_their_success_are_those_of_anonymeter():
    """Printed by anonymeter 1.1.0: of its univariate queries so many fit one original, so many one control patient."""
    question = singling_out(made(60, 7, 1), made(60, 11, 5), made(60, 13, 2), seed=1)[0]
    assert (len(question.attack), question.attack.right.sum(), question.control.right.sum()) == (64, 12, 11)


@pytest.mark.parametrize("place", [0, 1])
def test_a_copy_is_singled_out_and_strangers_are_not(place):
    members, others = crowd(1500, seed=1), crowd(900, seed=2)
    caught = risk_of(singling_out(members, members, others, seed=1)[place])
    assert caught.value == pytest.approx(1.0)
    assert caught.lower > 0.9
    free = risk_of(singling_out(crowd(1500, seed=3), members, others, seed=1)[place])
    assert free.lower < 0 < free.upper < 0.2


def test_more_others_than_members_are_drawn_down_to_as_many():
    asked = singling_out(crowd(400, seed=3), crowd(300, seed=1), crowd(900, seed=2), seed=1)
    assert all("300 never learnt from" in one.against for one in asked)


def test_a_copy_links_every_list_and_strangers_link_none():
    members, others = crowd(1500, seed=1), crowd(1500, seed=2)
    caught = linkability(members, members, others, known=("a", "b"), seed=1)
    assert caught.attack.rate == 1.0
    free = risk_of(linkability(crowd(1500, seed=3), members, others, known=("a", "b"), seed=1))
    assert free.lower < 0 < free.upper


def test_two_look_ups_by_lot_meet_as_often_as_counted():
    """Five of ten twice: they miss only if the second are the five others, 1 in C(10, 5) = 252."""
    assert _luck(10) == pytest.approx(1 - 1 / 252)
    assert _luck(5) == 1.0


def test_a_copy_tells_every_secret_and_strangers_tell_what_everybody_could_guess():
    members, others, spare = (crowd(900, seed=seed) for seed in (1, 2, 4))
    whole, *apart = inference(members, members, others, known=(), reference=spare)
    assert [one.population.split("; ")[1] for one in apart] == [f"secret {name}" for name in "abcd"]
    assert whole.attack.rate > 0.99
    assert risk_of(whole).lower > 0.95
    free = inference(crowd(900, seed=3), members, others, known=(), reference=spare)
    for one in free:
        found = risk_of(one)
        assert found.lower < 0.02
        assert found.upper > 0


def test_a_secret_by_hand():
    """Known a, secret b: synthetic patients (0, 10) and (9, 20) tell a patient (1, 10.4) right and (8, 30) wrong."""
    synthetic, members = rows([[0, 10], [9, 20]]), rows([[1, 10.4], [8, 30], [5, NAN]])
    others = rows([[value, 10] for value in range(10)])
    (whole, only) = inference(synthetic, members, others, known=("a",), reference=others)
    assert only.attack.right.tolist() == [1.0, 0.0]
    assert only.attack.owner.tolist() == [0, 1]
    assert only.baseline.right.tolist() == [1.0, 0.0]
    assert isinstance(whole.attack, Guesses)


def test_what_is_known_is_no_secret():
    members, others = crowd(200, seed=1), crowd(200, seed=2)
    asked = inference(members, members, others, known=("a", "d"), reference=others)
    assert [one.population.split("; secret ")[1] for one in asked[1:]] == ["b", "c"]

"""A patient's rounds: what speaks for each minute that the next moment may come in, and what waits make of it."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
import torch

from salus.trajectory.batches import make_batch
from salus.trajectory.charts import TENTHS, due_steps
from salus.trajectory.draws import InTurn
from salus.trajectory.network import Network, Size
from salus.trajectory.reading import prepare
from salus.trajectory.rounds import (
    AS_LAST,
    FULL,
    HELD,
    NOWHERE,
    SIGNS,
    fine_edges,
    recent_rows,
    sign_at,
    signs_of,
    singles,
)
from salus.trajectory.sampling import Sampler
from tests.small_ward import CODES, SETTINGS, ZERO, ward


def charted(patients: int = 60) -> pl.DataFrame:
    """The ward's patients, charted ten times, every hour at a minute of their own, with one result in between."""
    statics = ward(patients).filter(
        pl.col("time").is_null() | pl.col("code").is_in(["WARD//ENTRY", "MEDS_BIRTH"])
    )
    rows = []
    for subject in statics["subject_id"].unique().sort():
        minutes = [60 * hour + subject % 50 for hour in range(10)]
        minutes.insert(6, minutes[5] + 16 + subject % 9)
        rows += [(subject, ZERO + timedelta(minutes=at), "LOINC//2823-3", 4.0) for at in minutes]
        rows.append((subject, ZERO + timedelta(minutes=minutes[-1] + 90), "FOLLOW_UP//END", None))
    events = pl.DataFrame(rows, schema=["subject_id", "time", "code", "numeric_value"], orient="row")
    splits = statics.select("subject_id", "split").unique()
    told = events.join(splits, on="subject_id").with_columns(pl.col("numeric_value").cast(pl.Float32))
    return pl.concat([statics, told.cast({"time": statics.schema["time"]})], how="diagonal").sort(
        "subject_id", "time", nulls_last=False
    )


LESSONS = prepare(charted(), CODES, replace(SETTINGS, grain="minute"))
VOCABULARY = LESSONS.vocabulary


def test_days_have_no_rounds_and_waits_are_as_they_were():
    days = prepare(ward(40), CODES, SETTINGS).vocabulary
    assert (days.round_grains, VOCABULARY.round_grains) == (0, 60)
    assert fine_edges(days) is days.wait_edges
    network = Network(days, Size(width=16))
    assert network.rounds is None
    assert len(network.waits(torch.randn(1, 32), torch.zeros(1, 0))[0][0]) == len(days.wait_edges) - 1


def signs(times: list[int], facts: list[int] | None = None) -> dict[int, int]:
    """What speaks for each wait after the last of these moments, by the wait; nought is left out."""
    recent = torch.tensor([[NOWHERE] * (HELD - len(times)) + times])
    counts = torch.tensor([[0] * (HELD - len(times)) + (facts or [1] * len(times))])
    found = signs_of(recent, counts, VOCABULARY)[0].tolist()
    return {wait: said for wait, said in enumerate(found, start=1) if said}


def test_what_came_at_the_same_minute_of_the_last_hours_speaks_for_that_minute():
    """At 03:23, after 00:07, 01:07, 02:07 (nine facts each), 02:08 (one fact).

    In 44 minutes it is 04:07: two and three hours after a moment (and four, which is not told). In 45 it is 04:08: two
    hours after. 03:38 is a quarter after 03:23, 03:53 a half, 04:23 an hour, all nine facts. The last wait was 75
    minutes: 04:38 would be as the last.
    """
    found = signs([7, 67, 127, 128, 203], [9, 9, 9, 1, 9])
    within = {wait: said for wait, said in found.items() if wait <= 100}
    assert within == {44: 0b11000, 45: 0b01000, 15: 0b00001, 30: 0b00010, 60: 0b00100 | FULL, 75: AS_LAST}


def test_a_moment_with_less_than_half_the_facts_of_the_fullest_is_not_full():
    """Four of nine facts are less than half, five are not."""
    assert signs([0, 20], [9, 5])[60] & FULL
    assert not signs([0, 20], [9, 4])[60] & FULL
    assert signs([0, 20], [9, 4])[40] == 0b00100 | FULL


def test_moments_before_the_anchor_lie_in_hours_too():
    """20 minutes before the anchor and 20 after: 20 minutes on is an hour after the first."""
    assert signs([-20, 20])[20] & 0b00100


def test_after_a_first_moment_only_its_own_hour_speaks():
    """A quarter of an hour on, a half, one, two and three, as far as waits are told apart; no wait was before."""
    found = signs([500])
    assert set(found) == {wait for wait in (15, 30, 60, 120, 180) if wait <= singles(VOCABULARY)}
    assert found[60] == 0b00100 | FULL


def test_no_more_than_the_last_moments_of_the_patient_are_remembered():
    """The second patient's moments begin at row 60; the first has more than are held."""
    places, there = recent_rows(np.asarray([59, 61]), np.asarray([0, 60]))
    assert places[0].tolist() == list(range(60 - HELD, 60))
    assert there[0].all()
    assert places[1][there[1]].tolist() == [60, 61]


def test_short_waits_are_told_apart_by_the_minute():
    """All waits of the invented ward are shorter than four hours; the ordinary edges are among the fine ones."""
    edges = fine_edges(VOCABULARY)
    assert set(VOCABULARY.wait_edges) <= set(edges)
    longest = int(edges[-1])
    assert edges[: min(longest, 241)].tolist() == list(range(min(longest, 241)))
    assert singles(VOCABULARY) == min(longest - 2, 240)


@pytest.fixture
def network():
    torch.manual_seed(2)
    made = Network(VOCABULARY, Size(width=16, dropout=0.0)).eval()
    assert made.rounds is not None
    return made


def test_before_anything_is_learnt_of_rounds_a_minute_is_as_likely_as_its_ordinary_bin_has_it(network):
    """Probabilities add to one, and those of an ordinary bin's minutes to that of the bin, in equal parts."""
    state = torch.randn(1, 32)
    told = torch.randint(0, SIGNS, (1, singles(VOCABULARY)), dtype=torch.uint8)
    with torch.inference_mode():
        fine = network.waits(state, told)[0][0].exp()
        coarse = network.next_wait(state)[0, 1:].softmax(dim=0)  # never at once
    edges, ordinary = fine_edges(VOCABULARY), VOCABULARY.wait_edges
    within = np.searchsorted(ordinary, edges[:-1], side="right") - 1
    for number in range(1, len(ordinary) - 1):
        part = fine[torch.from_numpy(within == number)]
        assert math.isclose(float(part.sum()), float(coarse[number - 1]), rel_tol=1e-4)
    assert math.isclose(float(fine.sum()), 1.0, rel_tol=1e-5)


def test_minutes_that_something_speaks_for_draw_the_next_moment_to_them(network):
    """A weight of 3 on a moment two hours before: 44 minutes on, where it was, is e^3 times as likely as without."""
    with torch.no_grad():
        network.rounds.often.bias[0b01000] = 3.0
    state, none = torch.randn(1, 32), torch.zeros(1, singles(VOCABULARY), dtype=torch.uint8)
    told = none.clone()
    told[0, 43] = 0b01000
    with torch.inference_mode():
        odds = [network.waits(state, said)[0][0, [44, 43]] for said in (told, none)]
    ratio = (odds[0][0] - odds[0][1]) - (odds[1][0] - odds[1][1])
    assert math.isclose(float(ratio), 3.0, rel_tol=1e-4)


def test_signs_are_the_same_in_drawing_as_in_learning(network):
    """After a history they are those that the batch has of its last moment; one more moment joins them."""
    some = LESSONS.train.of(np.arange(5))
    batch = make_batch(some, VOCABULARY)
    final = torch.from_numpy(np.isin(batch.wait_from.numpy(), some.moment_start[1:] - 1))
    with torch.inference_mode():
        sampler = Sampler(network, VOCABULARY, draws=InTurn(1))
        situation = sampler.from_history(some)
        told = signs_of(situation.recent, situation.facts, VOCABULARY)
        torch.testing.assert_close(told, batch.wait_signs[final])
        before = situation.time.clone()
        going, drawn, _ = sampler.next_moment(situation, ends=False)
        assert (going.recent[:, -1] == going.time).all()
        assert (going.recent[:, -2] == before).all()
        assert going.facts[:, -1].tolist() == np.bincount(drawn.row, minlength=5).tolist()


def test_the_charted_minute_stands_out_after_a_result_in_between():
    """Entry, six hourly moments, then the result: one, two and three hours before the next there was a moment."""
    man = LESSONS.train.of(np.arange(1))
    batch = make_batch(man, VOCABULARY)
    wait = int(man.time[9] - man.time[8])
    assert int(batch.wait_signs[7, wait - 1]) & 0b11100 == 0b11100
    assert sum(int(said) & 0b11100 == 0b11100 for said in batch.wait_signs[7]) == 1


def test_what_is_charted_every_four_hours_is_due_to_the_minute():
    """235 and 245 minutes are steps of a tenth, as elsewhere; 240 is the fourth hour, a step of its own."""
    since = torch.tensor([235, 240, 245])
    told = due_steps(since, torch.tensor([True] * 3), hour=60).tolist()
    assert told[0] == due_steps(since, torch.tensor([True] * 3)).tolist()[0]
    assert told[1] == TENTHS + 3
    assert told[2] == due_steps(since, torch.tensor([True] * 3)).tolist()[2]
    assert due_steps(since, torch.tensor([False] * 3), hour=60).tolist() == [0, 0, 0]


def test_the_facts_of_a_moment_hear_what_spoke_for_it_in_drawing_as_in_learning(network):
    """The last moment of each record, and the same moment drawn after the history before it."""
    some = LESSONS.train.of(np.arange(5))
    last = some.moment_start[1:] - 1
    batch = make_batch(some, VOCABULARY)
    before, there = recent_rows(last - 1, some.moment_start[:-1] + 1)
    recent = torch.from_numpy(np.where(there, some.time[before], NOWHERE))
    facts = torch.from_numpy(np.where(there, np.diff(some.fact_start)[before], 0))
    wait = torch.from_numpy(some.time[last] - some.time[last - 1])
    told = sign_at(signs_of(recent, facts, VOCABULARY), wait)
    assert batch.arrival[torch.from_numpy(last)].tolist() == told.tolist()
    assert (told < SIGNS).any()


def test_nothing_speaks_for_a_first_moment_or_one_after_a_long_wait():
    """The static moment and the first dated one; 100,000 minutes are not told apart."""
    some = LESSONS.train.of(np.arange(1))
    assert make_batch(some, VOCABULARY).arrival[:2].tolist() == [SIGNS, SIGNS]
    signs = torch.zeros(1, singles(VOCABULARY), dtype=torch.uint8)
    assert sign_at(signs, torch.tensor([100_000])).tolist() == [SIGNS]
    assert sign_at(signs, torch.tensor([0])).tolist() == [SIGNS]
    assert sign_at(signs, torch.tensor([1])).tolist() == [0]

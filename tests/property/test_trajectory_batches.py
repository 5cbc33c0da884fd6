"""A slow, obvious reading of each patient referees the packed tensors; probabilities of what may happen add to one."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.trajectory.batches import PADDING, drawing_order, make_batch, steps_of
from salus.trajectory.charts import CHART_WIDTH, TENTHS, due_steps, static_moments
from salus.trajectory.draws import InTurn
from salus.trajectory.encoding import Records
from salus.trajectory.gradients import GradientPool
from salus.trajectory.learner import Share
from salus.trajectory.network import NEVER, Network, Size
from salus.trajectory.reading import prepare, read_histories
from salus.trajectory.sampling import Sampler
from salus.trajectory.situation import Drawn, Situation
from salus.trajectory.vocabulary_learning import Decisions, with_certainties
from tests.small_ward import CODES, SETTINGS, ZERO, ward

LESSONS = prepare(ward(100), CODES, SETTINGS)
VOCABULARY = LESSONS.vocabulary
NO_ROUNDS = torch.zeros(1, 0, dtype=torch.uint8)
NOT_DUE = torch.zeros(1, VOCABULARY.tracked)
STATICS = VOCABULARY.statics
DATED = range(STATICS, VOCABULARY.size)


@st.composite
def records(draw) -> Records:
    """A few invented patients with one to six dated moments of up to three facts, in drawing order."""
    level, rank, counts, time, sizes, ends = [], [], [], [], [], []
    for _ in range(draw(st.integers(1, 4))):
        moments = draw(st.integers(1, 6))
        sizes.append(moments + 1)
        counts.append(0)
        at = 0
        time.append(at)
        for _ in range(moments):
            facts = sorted(draw(st.sets(st.sampled_from(DATED), max_size=3)))
            level += [VOCABULARY.field_start[field] for field in facts]
            rank += [draw(st.floats(0, 1, width=32)) for _ in facts]
            counts.append(len(facts))
            time.append(at)
            at += draw(st.integers(1, 40))
        ends.append(time[-1] + draw(st.integers(0, 30)))
    patients = len(sizes)
    return Records(
        subject=np.arange(patients),
        level=np.asarray(level, dtype=np.int64),
        rank=np.asarray(rank, dtype=np.float32),
        fact_start=np.r_[0, np.cumsum(counts)].astype(np.int64),
        time=np.asarray(time, dtype=np.int64),
        moment_start=np.r_[0, np.cumsum(sizes)].astype(np.int64),
        end=np.asarray(ends, dtype=np.int64),
        died=np.zeros(patients, dtype=bool),
        age=np.full(patients, 50, dtype=np.float32),
    )


@given(records())
@settings(max_examples=60, deadline=None)
def test_the_chart_holds_what_was_last_seen_of_each_field(given_records):
    """Moment by moment with plain loops: seen or not, since, last, mean, lowest and highest rank, how often."""
    batch = make_batch(given_records, VOCABULARY)
    tracked = VOCABULARY.tracked
    for patient in range(given_records.patients):
        held: dict[int, list[tuple[int, float]]] = {}
        for moment in range(given_records.moment_start[patient], given_records.moment_start[patient + 1]):
            now = int(given_records.time[moment])
            for fact in range(given_records.fact_start[moment], given_records.fact_start[moment + 1]):
                column = int(VOCABULARY.level_field[given_records.level[fact]]) - STATICS
                held.setdefault(column, []).append((now, float(given_records.rank[fact])))
            for column in range(tracked):
                found = [batch.chart[moment, column + part * tracked].item() for part in range(CHART_WIDTH)]
                had = held.get(column, [])
                ranks = [rank for _, rank in had]
                since = math.log1p(now - had[-1][0]) / 8 if had else 0
                drawn = [ranks[-1], sum(ranks) / len(ranks), min(ranks), max(ranks)] if had else [0.0] * 4
                wanted = [float(bool(had)), since, *drawn, math.log1p(len(had)) / 4]
                assert np.allclose(found, wanted, atol=1e-5)


@given(records())
@settings(max_examples=60, deadline=None)
def test_every_fact_and_every_end_of_a_moment_is_asked_or_certain(given_records):
    """Where nothing is certain each is asked once, in order."""
    nothing_certain = replace(VOCABULARY, sure=np.full_like(VOCABULARY.sure, -1))
    batch = make_batch(given_records, nothing_certain)
    asked = batch.asked.target[batch.asked.target != PADDING]
    wanted = []
    for moment in range(len(given_records.time)):
        facts = range(given_records.fact_start[moment], given_records.fact_start[moment + 1])
        wanted += [VOCABULARY.level_field[given_records.level[fact]] for fact in facts] + [VOCABULARY.size]
    assert asked.tolist() == wanted
    assert batch.certain.sum() == 0
    assert sorted(batch.gru_order.tolist()) == list(range(len(given_records.time)))


@given(records())
@settings(max_examples=60, deadline=None)
def test_a_level_is_chosen_only_where_a_field_has_several_and_knows_what_the_field_said_last(given_records):
    """Each choice once, sorted by field, with the last level of the same field at an earlier moment."""
    choices = make_batch(given_records, VOCABULARY).choices
    wanted = []
    for patient in range(given_records.patients):
        held: dict[int, int] = {}
        first = given_records.moment_start[patient]
        for moment in range(first, given_records.moment_start[patient + 1]):
            now = {}
            for fact in range(given_records.fact_start[moment], given_records.fact_start[moment + 1]):
                level = int(given_records.level[fact])
                field = int(VOCABULARY.level_field[level])
                now[field] = level
                if VOCABULARY.field_start[field + 1] - VOCABULARY.field_start[field] > 1:
                    last = held.get(field, VOCABULARY.levels) if moment > first else VOCABULARY.levels
                    wanted.append((field, level - int(VOCABULARY.field_start[field]), last))
            held |= now
    number = choices.number
    found = zip(
        choices.field[:number].tolist(), choices.target[:number].tolist(), choices.last[:number].tolist(),
        strict=True,
    )  # fmt: skip
    assert list(found) == sorted(wanted, key=lambda choice: choice[0])


@given(records(), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_levels_come_in_a_random_order_within_their_moment_and_each_knows_the_ones_before_it(
    given_records, seed
):
    """Each fact with a choice once; its running sum begins with its moment; a field's own facts keep their order."""
    batch = make_batch(given_records, VOCABULARY, shuffled=1.0, seed=seed)
    choices, number = batch.choices, batch.choices.number
    field_of, sizes = VOCABULARY.level_field, np.diff(VOCABULARY.field_start)
    choosing = np.flatnonzero(sizes[field_of[given_records.level]] > 1)
    moment_of = batch.fact_moment.numpy()
    drawn = choices.level.numpy()
    at = np.empty(number, dtype=np.int64)
    at[choices.row[:number].numpy()] = choices.moment[:number].numpy()
    wanted = sorted(zip(moment_of[choosing].tolist(), given_records.level[choosing].tolist(), strict=True))
    assert sorted(zip(at.tolist(), drawn.tolist(), strict=True)) == wanted
    assert at.tolist() == sorted(at)
    for row, first, field, target in zip(
        *(column[:number].tolist() for column in (choices.row, choices.first, choices.field, choices.target)),
        strict=True,
    ):
        assert first == np.flatnonzero(at == at[row])[0]
        assert drawn[row] == VOCABULARY.field_start[field] + target
    for moment in set(at.tolist()):
        facts = choosing[moment_of[choosing] == moment]
        for field in set(field_of[given_records.level[facts]].tolist()):
            own = [level for level in drawn[at == moment].tolist() if field_of[level] == field]
            assert own == given_records.level[facts[field_of[given_records.level[facts]] == field]].tolist()


def test_half_of_the_moments_are_shuffled_where_a_half_is_asked_for():
    """400 moments of three facts: of those shuffled, one in six comes out in order; so 400 (1/2 + 1/12) stay."""
    three = np.flatnonzero(np.diff(VOCABULARY.field_start) > 1)[:3]
    levels = VOCABULARY.field_start[three]
    many = Records(
        subject=np.arange(400),
        level=np.tile(levels, 400),
        rank=np.zeros(1200, dtype=np.float32),
        fact_start=np.arange(0, 1201, 3),
        time=np.zeros(400, dtype=np.int64),
        moment_start=np.arange(401),
        end=np.zeros(400, dtype=np.int64),
        died=np.zeros(400, dtype=bool),
        age=np.full(400, 50, dtype=np.float32),
    )
    fact = drawing_order(many, VOCABULARY, shuffled=0.5, seed=1).reshape(400, 3)
    in_order = int((np.diff(fact, axis=1) > 0).all(axis=1).sum())
    assert abs(in_order - 400 * 7 / 12) < 4 * math.sqrt(400 * 7 / 12 * 5 / 12)


def test_what_followed_every_time_is_certain_and_costs_hardly_anything():
    """Field 0 was followed by the end 300 of 300 times; once more so costs log(302/301), otherwise log(301 (n + 1))."""
    dated = np.zeros(300, dtype=bool)
    end = np.full(300, VOCABULARY.size)
    known = with_certainties(VOCABULARY, [Decisions(np.full(300, STATICS), end, dated)])
    assert known.sure[0, STATICS] == VOCABULARY.size
    one = LESSONS.train.of(np.arange(1))
    steps = steps_of(one, known)
    of_first = (steps.prior == STATICS) & ~static_moments(one)[steps.moment]
    certain = float(make_batch(one, known).certain.sum())
    as_known = int((of_first & (steps.target == VOCABULARY.size)).sum())
    otherwise = int((of_first & (steps.target != VOCABULARY.size)).sum())
    wanted = as_known * math.log(302 / 301) + otherwise * math.log(301 * (VOCABULARY.size + 1))
    assert as_known + otherwise > 0
    assert math.isclose(certain, wanted, rel_tol=1e-4)


def test_the_ways_a_wait_can_end_have_probabilities_that_add_to_one():
    """Sum over every grain of the next moment coming first, and of follow-up ending first, from the loss itself."""
    torch.manual_seed(3)
    network = Network(VOCABULARY, Size(width=16, dropout=0.0)).eval()
    state = torch.randn(1, 32)
    following, ending = (logs[0] for logs in network.waits(state, NO_ROUNDS))
    edges = VOCABULARY.wait_edges
    grain_next = np.concatenate(
        [
            np.full(high - low, math.exp(logs) / (high - low))
            for logs, low, high in zip(following.tolist(), edges[:-1], edges[1:], strict=True)
        ]
    )
    grain_end = np.concatenate(
        [
            np.full(high - low, math.exp(logs) / (high - low))
            for logs, low, high in zip(ending.tolist(), edges[:-1], edges[1:], strict=True)
        ]
    )
    by_hand = sum(grain_next[w] * grain_end[w:].sum() for w in range(len(grain_next)))
    by_hand += sum(grain_end[e] * grain_next[e + 1 :].sum() for e in range(len(grain_end)))
    assert math.isclose(by_hand, 1.0, abs_tol=1e-5)
    for grains, kind in ((7, 0), (7, 1)):
        loss = _wait_loss(network, state, grains=grains, kind=kind)
        width = _width(grains, following if kind == 0 else ending)
        first, later = (
            (grain_next, grain_end[grains:]) if kind == 0 else (grain_end, grain_next[grains + 1 :])
        )
        assert math.isclose(math.exp(-loss) / width, first[grains] * later.sum(), rel_tol=1e-3)


def _width(grains: int, _: torch.Tensor) -> int:
    edges = VOCABULARY.wait_edges
    number = int(np.searchsorted(edges, grains, side="right")) - 1
    return int(edges[number + 1] - edges[number])


def _wait_loss(network: Network, state: torch.Tensor, *, grains: int, kind: int) -> float:
    """The loss of one wait from a record made for it."""
    dated = [0, grains] if kind == 0 else [0]
    record = Records(
        subject=np.asarray([1]),
        level=np.zeros(0, dtype=np.int64),
        rank=np.zeros(0, dtype=np.float32),
        fact_start=np.zeros(len(dated) + 2, dtype=np.int64),
        time=np.asarray([0, *dated]),
        moment_start=np.asarray([0, len(dated) + 1]),
        end=np.asarray([grains]),
        died=np.asarray([kind == 0]),
        age=np.asarray([50], dtype=np.float32),
    )
    batch = make_batch(record, VOCABULARY)
    assert batch.wait_kind.tolist() == [kind]
    return float(network.wait_loss(state, batch).sum().detach())


def test_nothing_that_cannot_occur_gets_probability():
    """After a potassium in a moment only later fields or the end may follow; statics only in the static moment."""
    network = Network(VOCABULARY, Size(width=16)).eval()
    size = VOCABULARY.size
    prior = torch.tensor([size])
    nothing = torch.zeros(1, size, dtype=torch.bool)
    dated = network.field_logits(
        torch.zeros(1, 16), prior, static=torch.tensor([False]), barred=nothing, due=NOT_DUE
    )[0]
    static = network.field_logits(
        torch.zeros(1, 16), prior, static=torch.tensor([True]), barred=nothing, due=NOT_DUE
    )[0]
    for number, field in enumerate(VOCABULARY.fields):
        assert (dated[number] < NEVER / 2) == field.static
        assert static[number] < NEVER / 2 or field.static


def test_a_static_fact_that_every_patient_has_cannot_be_passed_over():
    """Everyone in the ward has a start and an age: the first is the only fact that may open the static moment."""
    network = Network(VOCABULARY, Size(width=16)).eval()
    nothing = torch.zeros(1, VOCABULARY.size, dtype=torch.bool)
    prior = torch.tensor([VOCABULARY.size])
    logits = network.field_logits(
        torch.zeros(1, 16), prior, static=torch.tensor([True]), barred=nothing, due=NOT_DUE
    )[0]
    possible = [number for number, logit in enumerate(logits.tolist()) if logit > NEVER / 2]
    assert [VOCABULARY.fields[number].name for number in possible] == ["SALUS//START"]


def test_codes_of_which_no_moment_has_two_are_one_field_that_cannot_be_passed_over():
    """In the ward all are SEX//F or SEX//M: after the age only the field SEX may come, and after it the end."""
    network = Network(VOCABULARY, Size(width=16)).eval()
    nothing = torch.zeros(1, VOCABULARY.size, dtype=torch.bool)
    places = {field.name: number for number, field in enumerate(VOCABULARY.fields)} | {"end": VOCABULARY.size}
    found = {}
    for prior in ("SALUS//AGE", "SEX"):
        logits = network.field_logits(
            torch.zeros(1, 16),
            torch.tensor([places[prior]]),
            static=torch.tensor([True]),
            barred=nothing,
            due=NOT_DUE,
        )
        found[prior] = {name for name, place in places.items() if logits[0, place] > NEVER / 2}
    assert found == {"SALUS//AGE": {"SEX"}, "SEX": {"end"}}
    sex = VOCABULARY.fields[places["SEX"]]
    assert {VOCABULARY.entries[number].code for number in range(sex.first, sex.last)} == {"SEX//F", "SEX//M"}


def test_how_long_ago_a_field_was_said_is_told_of_the_moment_before():
    """Potassium at days 0, 5, 10, 15 and death at 20: five days are step 17 (1.1^16 is 4.6, 1.1^17 is 5.1)."""
    man = LESSONS.train.of(np.flatnonzero(LESSONS.train.died)[:1])
    column = [field.name for field in VOCABULARY.fields].index("LOINC//2823-3") - VOCABULARY.statics
    assert make_batch(man, VOCABULARY).due[:, column].tolist() == [0, 0, 17, 17, 17, 17]
    other = 1 - column
    assert make_batch(man, VOCABULARY).due[:, other].tolist() == [0] * 6


def test_what_was_said_longest_ago_is_in_the_last_step():
    """A century of days is step 111; never is nought, whatever the number beside it."""
    since = torch.tensor([36_525, 36_525])
    assert due_steps(since, torch.tensor([True, False])).tolist() == [TENTHS - 1, 0]


def test_a_field_is_as_due_in_drawing_as_in_learning():
    """Day 20 of a man known until day 15, and the same day of his whole record, with a table that tells steps apart."""
    torch.manual_seed(5)
    network = Network(VOCABULARY, Size(width=16)).eval()
    torch.nn.init.normal_(network.due.weight)
    events = ward(3).filter(pl.col("subject_id") == 1).drop("split")
    until_15 = events.filter(pl.col("time").is_null() | (pl.col("time") < ZERO + timedelta(days=20)))
    man, before = (read_histories(some, CODES, SETTINGS, VOCABULARY) for some in (events, until_15))
    with torch.inference_mode():
        sampler = Sampler(network, VOCABULARY, draws=InTurn(1))
        situation = sampler.from_history(before)
        situation.time = torch.tensor([20])
        whole = network.due_logits(make_batch(man, VOCABULARY).due)
        torch.testing.assert_close(sampler._due(situation), whole[-1:])


def test_a_simulated_patient_is_seen_by_the_network_as_a_recorded_one():
    """Histories read at once and the same facts entered moment by moment give the same chart and state."""
    torch.manual_seed(4)
    network = Network(VOCABULARY, Size(width=16)).eval()
    sampler = Sampler(network, VOCABULARY, draws=InTurn(1))
    some = LESSONS.train.of(np.arange(12))
    with torch.inference_mode():
        whole = sampler.from_history(some)
        walked = _walk(sampler, some)
    for name in ("state", "count", "last", "level", "rank", "total", "lowest", "highest"):
        seen, told = getattr(whole, name), getattr(walked, name)
        if name == "last":
            seen, told = seen * (whole.count > 0), told * (whole.count > 0)
        torch.testing.assert_close(told.double(), seen.double(), atol=1e-4, rtol=1e-4)


def _walk(sampler: Sampler, some: Records) -> Situation:
    """Enter real facts one moment at a time, patient by patient, as if they had been drawn."""
    ends = []
    for patient in range(some.patients):
        now, _ = sampler.from_nothing(1)
        now.count, now.total, now.highest = (torch.zeros_like(now.count) for _ in range(3))
        now.lowest = torch.ones_like(now.lowest)
        now.level = torch.full_like(now.level, VOCABULARY.levels)
        for moment in range(some.moment_start[patient], some.moment_start[patient + 1]):
            static = moment == some.moment_start[patient]
            wait = 0 if static else some.time[moment] - some.time[moment - 1]
            now.time, now.age = torch.tensor([some.time[moment]]), torch.tensor([some.age[patient]])
            facts = slice(some.fact_start[moment], some.fact_start[moment + 1])
            level = some.level[facts]
            low, width = VOCABULARY.level_ranks[level].T
            drawn = Drawn(
                row=np.zeros(len(level), dtype=np.int64),
                time=np.full(len(level), some.time[moment]),
                level=level,
                inside=((some.rank[facts] - low) / np.maximum(width, 1e-9)).astype(np.float32),
            )
            sampler.remember(now, drawn, torch.tensor([wait]), torch.tensor([static]))
        ends.append(now)
    names = (
        "state",
        "count",
        "last",
        "level",
        "rank",
        "total",
        "lowest",
        "highest",
        "time",
        "age",
        "recent",
        "facts",
    )
    joined = {name: torch.cat([getattr(end, name) for end in ends]) for name in names}
    return Situation(row=torch.arange(some.patients), **joined)


@pytest.mark.parametrize("shares", [2, 3])
def test_one_process_and_two_give_the_same_gradient(shares):
    """Where the shares of a step are computed changes nothing, be they as many as the processes or more."""
    groups = np.array_split(np.arange(45), shares)
    gradients = []
    for cores in (1, 2):
        torch.manual_seed(5)
        network = Network(VOCABULARY, Size(width=16))
        with GradientPool(network, VOCABULARY, cores=cores, shares=shares) as pool:
            pool.step([Share(LESSONS.train.of(group), seed) for seed, group in enumerate(groups)])
        gradients.append(
            torch.cat([value.grad.reshape(-1) for value in network.parameters() if value.grad is not None])
        )
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=0)


def test_what_no_training_patient_had_is_counted_and_has_no_likelihood():
    """A potassium a thousand days before entry, where none was ever seen: one impossible fact, and a finite loss."""
    far = LESSONS.train.of(np.arange(1))
    far.time[1:2] = -1000
    network = Network(VOCABULARY, Size(width=16)).eval()
    with torch.inference_mode():
        parts = network(make_batch(far, VOCABULARY))
    assert int(parts["impossible"]) == 1
    assert all(math.isfinite(float(part)) and float(part) < 1e6 for part in parts.values())

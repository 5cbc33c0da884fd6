"""Training from windows of shards: nobody twice and nobody left out, the same weights whoever works, and resumed."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.progress import QUIET
from salus.timeline.settings import TimelineSettings
from salus.trajectory.encoding import Records
from salus.trajectory.reading import Lessons, Room, prepare, prepare_shards
from salus.trajectory.shelf import Shelf, by_lot
from salus.trajectory.training import Place, TrainSettings, fit
from salus.trajectory.vocabulary import Vocabulary
from tests.interrupting import Interruption, StopAfter
from tests.small_ward import CODES, SETTINGS, ward

QUICK = TrainSettings(
    minutes=24 * 60,
    width=16,
    depth=1,
    share_facts=60,
    most_epochs=3,
    averaging=0.9,
    most_gap=1.0,
    patience=60,
)


def shards_of(events: pl.DataFrame, split: str, *, patients: int = 17) -> list[pl.DataFrame]:
    """One split's rows, cut after every so many patients."""
    mine = events.filter(pl.col("split") == split)
    shard = (mine["subject_id"].rank("dense") - 1) // patients
    return mine.with_columns(shard=shard).drop("split").partition_by("shard", include_key=False)


def in_windows(folder: Path, *, window_facts: int = 200, settings: TimelineSettings = SETTINGS) -> Lessons:
    """The ward of 200 with windows of so many facts: 120 training patients in eight shards."""
    room = Room(folder=folder, window_facts=window_facts)
    return prepare_shards(partial(shards_of, ward(200)), CODES, settings, room=room)


def same(one: Vocabulary, other: Vocabulary) -> bool:
    tables = ("lows", "inner", "wait_edges", "sure", "sure_seen")
    words = ("entries", "fields", "protection", "longest_moment", "longest_record", "latest", "tracked")
    return all(getattr(one, name) == getattr(other, name) for name in words) and all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name in ("lows", "inner"))
        for name in tables
    )


def test_what_is_learnt_shard_by_shard_is_what_is_learnt_at_once(tmp_path: Path):
    """The vocabulary of eight shards is that of all patients together, to the last bit; so are their records."""
    whole, cut = prepare(ward(200), CODES, SETTINGS), in_windows(tmp_path)
    assert same(whole.vocabulary, cut.vocabulary)
    assert isinstance(cut.train, Shelf) and isinstance(whole.train, Records)
    assert (cut.train.patients, cut.train.facts) == (120, whole.train.facts)
    books = [*cut.train.each()]
    assert len(books) == 8
    assert np.concatenate([book.subject for book in books]).tolist() == whole.train.subject.tolist()
    assert (np.concatenate([book.level for book in books]) == whole.train.level).all()
    assert (cut.tuning.level == whole.tuning.level).all()
    assert (cut.held_out, cut.after_death) == (40, 0)


def test_few_records_stay_in_memory_and_nothing_is_written(tmp_path: Path):
    lessons = in_windows(tmp_path, window_facts=1_000_000)
    assert isinstance(lessons.train, Records)
    assert [*tmp_path.iterdir()] == []


@given(
    sizes=st.lists(st.integers(1, 50), min_size=1, max_size=20),
    window=st.integers(1, 200),
    seed=st.integers(0, 99),
)
def test_every_book_is_in_exactly_one_window_of_a_pass(sizes, window, seed):
    """And no window holds more than it should, but for one book that lies across its end."""
    books = tuple(book_of(number, size) for number, size in enumerate(sizes))
    shelf = Shelf(books=books, sizes=tuple(sizes), patients=len(books), sample=books[0], window_facts=window)
    held = [shelf.window(number, seed=seed) for number in range(shelf.windows)]
    assert sorted(subject for part in held for subject in part.subject) == [*range(len(books))]
    assert all(part.facts <= sum(sizes) / shelf.windows + max(sizes) for part in held)


def book_of(subject: int, facts: int) -> Records:
    """One patient with so many facts at one moment."""
    return Records(
        subject=np.asarray([subject]),
        level=np.zeros(facts, dtype=np.int64),
        rank=np.zeros(facts, dtype=np.float32),
        fact_start=np.asarray([0, 0, facts]),
        time=np.asarray([0, 0]),
        moment_start=np.asarray([0, 2]),
        end=np.asarray([0]),
        died=np.asarray([False]),
        age=np.asarray([np.nan], dtype=np.float32),
    )


def test_a_share_of_patients_is_taken_by_lot_and_always_the_same_one():
    """Of 100,000 a tenth: 10,000, give or take four standard errors (95 each); of half of them those of that half."""
    everyone = np.arange(100_000)
    taken = by_lot(everyone, 0.1)
    assert taken.sum() == pytest.approx(10_000, abs=380)
    assert (by_lot(everyone[50_000:], 0.1) == taken[50_000:]).all()
    assert by_lot(everyone, 1.0).all()


def test_training_from_windows_goes_on_where_it_was_stopped(tmp_path: Path):
    """Every fact is learnt from once a pass; stopped half-way and resumed, the weights are those of a whole run."""
    lessons = in_windows(tmp_path / "shards")
    assert isinstance(lessons.train, Shelf)
    assert lessons.train.windows == 6  # 1,020 facts
    whole, log = fit(lessons, settings=QUICK, checkpoint=tmp_path / "a", progress=QUIET)
    assert log.facts_seen == 3 * lessons.train.facts
    assert log.patients_seen == 3 * 120
    assert log.epochs == 3
    with pytest.raises(Interruption):
        fit(lessons, settings=QUICK, checkpoint=tmp_path / "b", progress=StopAfter(log.steps // 2))
    resumed, again = fit(lessons, settings=QUICK, checkpoint=tmp_path / "b", progress=QUIET)
    assert (again.steps, again.facts_seen) == (log.steps, log.facts_seen)
    for name, value in whole.state_dict().items():
        assert (resumed.state_dict()[name] == value).all()


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="this system cannot keep a process to one core"
)
def test_one_process_and_several_learn_the_same_from_windows(tmp_path: Path):
    """Kept to one core, training has one process; else one a core: the weights are the same to the last bit."""
    lessons, cores = in_windows(tmp_path / "shards"), os.sched_getaffinity(0)
    once = replace(QUICK, most_epochs=1)
    many, _ = fit(lessons, settings=once, checkpoint=tmp_path / "many", progress=QUIET)
    try:
        os.sched_setaffinity(0, {min(cores)})
        one, _ = fit(lessons, settings=once, checkpoint=tmp_path / "one", progress=QUIET)
    finally:
        os.sched_setaffinity(0, cores)
    for name, value in one.state_dict().items():
        assert (many.state_dict()[name] == value).all()


@pytest.mark.parametrize(
    ("windows", "steps", "an_epoch", "looks"),
    [(1, 6, 1, 1), (1, 6, 2, 2), (10, 3, 1, 1), (10, 3, 5, 5), (3, 4, 6, 6)],
)
def test_tuning_patients_are_looked_at_so_often_a_pass(windows, steps, an_epoch, looks):
    places = [Place(0, window, windows, step, steps) for window in range(windows) for step in range(steps)]
    assert sum(place.looks(an_epoch) for place in places) == looks
    assert places[-1].looks(an_epoch)
    assert places[-1].epochs == pytest.approx(1)

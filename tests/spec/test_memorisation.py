"""Whether training patients are known better than others: counted by hand, and training stops when they surely are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from salus.errors import LearntByHeart
from salus.progress import QUIET
from salus.trajectory.likelihood import patient_likelihood
from salus.trajectory.memorisation import memorised, sample_beside
from salus.trajectory.reading import prepare
from salus.trajectory.training import BY_HEART, TrainSettings, fit
from tests.interrupting import Interruption, StopAfter
from tests.small_ward import CODES, SETTINGS, ward

LESSONS = prepare(ward(200), CODES, SETTINGS)
GREEDY = TrainSettings(
    minutes=600, width=32, share_facts=100, most_epochs=60, averaging=0.9, dropout=0.0, wait_dropout=0.0,
    weight_decay=0.0, rate=1e-2, patience=60,
)  # fmt: skip


def losses(*values: float) -> np.ndarray:
    return np.asarray(values, dtype=np.float32)


def test_the_gap_and_the_auroc_are_those_of_the_definition():
    """Tuning 2 and 4, training 1 and 3.

    Means 3 and 2: gap 1, error sqrt(2/2 + 2/2) = 1.414, so -1.772 to 3.772. Of four pairs three have the tuning
    patient higher: 0.75. Shares by patient 0.5 and 1 on either side: variance 0.125 each, error
    sqrt(0.125/2 + 0.125/2) = 0.354, so 0.057 to (cut off) 1.
    """
    found = memorised(losses(2, 4), losses(1, 3))
    assert found.patients == 2
    assert [found.gap, found.gap_lower, found.gap_upper] == pytest.approx([1, -1.772, 3.772], abs=1e-3)
    assert [found.auroc, found.auroc_lower, found.auroc_upper] == pytest.approx([0.75, 0.057, 1], abs=1e-3)


def test_equal_losses_tell_nothing():
    assert memorised(losses(2, 2, 2), losses(2, 2)).auroc == 0.5


def test_three_patients_prove_little_even_where_all_lie_on_their_side():
    """No scatter is seen, so that of chance counts: sqrt(7 / (12 x 3 x 3)) = 0.255, at least 1 - 0.499 = 0.501."""
    found = memorised(losses(5, 6, 7), losses(1, 2, 3))
    assert [found.auroc, found.auroc_lower] == pytest.approx([1, 0.501], abs=1e-3)


def test_tuning_patients_who_are_known_better_lie_below_one_half():
    """Easy records are not records learnt: an easy tuning split must not stop training."""
    assert memorised(losses(1, 2, 3), losses(5, 6, 7)).auroc == 0


def test_the_sample_is_as_large_as_the_tuning_patients_and_always_the_same():
    """40 tuning patients; of 120 training patients 40 different ones."""
    sample, again = (sample_beside(LESSONS.train, LESSONS.tuning, seed=1) for _ in range(2))
    other = sample_beside(LESSONS.train, LESSONS.tuning, seed=2)
    assert len(set(sample.subject)) == 40
    assert set(sample.subject) <= set(LESSONS.train.subject)
    assert (sample.subject == again.subject).all()
    assert (sample.subject != other.subject).any()


def test_the_sample_holds_no_more_facts_than_it_may():
    """A patient of the ward has 8 or 9 facts: 30 facts are three patients, and one fact still two patients."""
    three = sample_beside(LESSONS.train, LESSONS.tuning, seed=1, most_facts=30)
    two = sample_beside(LESSONS.train, LESSONS.tuning, seed=1, most_facts=1)
    assert (three.patients, two.patients) == (3, 2)


def test_training_that_learns_patients_by_heart_stops_and_keeps_earlier_weights(tmp_path: Path):
    """120 patients, nothing dropped, sixty passes: they are surely known (bound 0.55) long before the end."""
    network, log = fit(LESSONS, settings=GREEDY, checkpoint=tmp_path, progress=QUIET)
    assert log.stopped == BY_HEART
    assert log.curve[-1]["auroc_lower"] > 0.55
    assert all(point["auroc_lower"] <= 0.55 for point in log.curve[:-1])
    assert 0 < log.best_step < log.steps
    kept = patient_likelihood(network, LESSONS.tuning, LESSONS.vocabulary, batch_facts=400).a_fact()
    assert kept["code"] + kept["value"] + kept["wait"] == pytest.approx(log.best_loss, abs=1e-6)


def test_a_run_that_was_interrupted_stops_by_heart_at_the_same_step(tmp_path: Path):
    whole, log = fit(LESSONS, settings=GREEDY, checkpoint=tmp_path / "a", progress=QUIET)
    with pytest.raises(Interruption):
        fit(LESSONS, settings=GREEDY, checkpoint=tmp_path / "b", progress=StopAfter(log.steps // 2))
    resumed, again = fit(LESSONS, settings=GREEDY, checkpoint=tmp_path / "b", progress=QUIET)
    assert (again.stopped, again.steps, again.best_step) == (log.stopped, log.steps, log.best_step)
    assert [point["auroc"] for point in again.curve] == [point["auroc"] for point in log.curve]
    for name, value in whole.state_dict().items():
        assert (resumed.state_dict()[name] == value).all()


def test_patients_told_apart_at_the_first_check_leave_nothing_to_keep(tmp_path: Path):
    """A bound of 0 is passed at once: there are no earlier weights to go back to."""
    settings = TrainSettings(minutes=1, width=16, most_epochs=1, most_gap=0.0)
    with pytest.raises(LearntByHeart, match="first check"):
        fit(LESSONS, settings=settings, checkpoint=tmp_path, progress=QUIET)

"""Budgets that are none, too few patients, and privacy half asked for: nothing is trained, and it says why."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest

from salus.errors import BudgetTooSmall, PrivacyRefused, TooFewPatients
from salus.progress import QUIET
from salus.timeline.store import write_timeline
from salus.workflows.train import TrainChoices, train
from salus.workflows.train_private import PrivateChoices
from tests.small_ward import CODES, SETTINGS, ward


@pytest.fixture(scope="module")
def timeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,000 patients, of whom 600 train."""
    folder = tmp_path_factory.mktemp("ward") / "timeline"
    write_timeline(folder, ward(1_000), codes=CODES, settings=SETTINGS)
    return folder


def attempt(timeline: Path, to: Path, *, epsilon: float, delta: float | None = None) -> None:
    """Ask for private training; leave nothing behind where it is refused."""
    choices = TrainChoices(private=PrivateChoices(epsilon=epsilon, delta=delta))
    try:
        train(timeline, to, choices=choices, progress=QUIET)
    finally:
        assert not to.exists()


@pytest.mark.parametrize("epsilon", [0.0, -1.0, 101.0, math.inf, math.nan])
def test_an_epsilon_that_is_no_budget_is_refused(timeline: Path, tmp_path: Path, epsilon: float):
    with pytest.raises(PrivacyRefused, match="no privacy budget"):
        attempt(timeline, tmp_path / "m", epsilon=epsilon)


@pytest.mark.parametrize("delta", [0.0, -0.1, 1.0, math.nan])
def test_a_delta_that_is_no_probability_of_failure_is_refused(timeline: Path, tmp_path: Path, delta: float):
    with pytest.raises(PrivacyRefused, match="no probability of failure"):
        attempt(timeline, tmp_path / "m", epsilon=3, delta=delta)


def test_a_delta_of_one_in_so_many_patients_is_refused(timeline: Path, tmp_path: Path):
    """600 patients train: 1 / 600 is 0.00167."""
    with pytest.raises(PrivacyRefused, match="one of 600 patients"):
        attempt(timeline, tmp_path / "m", epsilon=3, delta=1 / 600)


def test_a_budget_that_hides_everybody_is_refused(timeline: Path, tmp_path: Path):
    with pytest.raises(BudgetTooSmall, match="SAL-317"):
        attempt(timeline, tmp_path / "m", epsilon=0.01)


def test_too_few_patients_are_refused(tmp_path: Path):
    """Of 800 patients 480 train."""
    write_timeline(tmp_path / "t", ward(800), codes=CODES, settings=SETTINGS)
    with pytest.raises(TooFewPatients, match="480 training patients are too few for private training"):
        attempt(tmp_path / "t", tmp_path / "m", epsilon=3)


@pytest.mark.parametrize(
    ("words", "where"), [(["--private"], "--epsilon"), (["--epsilon", "3"], "--private")]
)
def test_privacy_half_asked_for_is_refused(timeline: Path, tmp_path: Path, words: list[str], where: str):
    """Training without the promise although ε was written would be the worst answer."""
    command = [sys.executable, "-m", "salus", "train", str(timeline), "--to", str(tmp_path / "m"), *words]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode != 0 and "SAL-316" in said.stderr and where in said.stderr
    assert not (tmp_path / "m").exists()

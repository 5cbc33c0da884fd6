"""A long job remembers what it did and goes on where it was stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from salus.errors import OccupiedFolder
from salus.workflows.stages import MARKERS, Stage, read_marker, run_stage


def stage(folder: Path, *, seed: int = 1, inputs: tuple[Path, ...] = ()) -> Stage:
    return Stage(name="train", output=folder / "model", code=(), settings={"seed": seed}, inputs=inputs)


class Work:
    """Counts its calls and leaves a file; stops halfway when told to."""

    def __init__(self, folder: Path, *, stops: bool = False) -> None:
        self.folder, self.stops, self.calls = folder, stops, 0

    def __call__(self) -> int:
        self.calls += 1
        (self.folder / "model").mkdir(exist_ok=True)
        (self.folder / "model" / f"part{self.calls}").write_text("x")
        if self.stops:
            raise KeyboardInterrupt
        return 7


def test_a_finished_stage_is_not_done_again(tmp_path: Path):
    work = Work(tmp_path)
    first = run_stage(tmp_path, stage(tmp_path), work)
    second = run_stage(tmp_path, stage(tmp_path), work)
    assert (work.calls, first.reused, second.reused, second.result) == (1, False, True, 7)
    assert second.seconds == first.seconds


def test_another_seed_does_it_again_and_leaves_nothing_old(tmp_path: Path):
    work = Work(tmp_path)
    run_stage(tmp_path, stage(tmp_path), work)
    run_stage(tmp_path, stage(tmp_path, seed=2), work)
    assert [part.name for part in (tmp_path / "model").iterdir()] == ["part2"]


def test_a_changed_input_does_it_again(tmp_path: Path):
    table = tmp_path / "input.csv"
    table.write_text("id\n1\n")
    work = Work(tmp_path)
    run_stage(tmp_path, stage(tmp_path, inputs=(table,)), work)
    table.write_text("id\n2\n")
    assert not run_stage(tmp_path, stage(tmp_path, inputs=(table,)), work).reused


def test_a_changed_stage_before_does_it_again(tmp_path: Path):
    earlier = Stage(name="ingest", output=tmp_path / "timeline", code=(), settings={"zone": "UTC"})
    later = Stage(name="ingest", output=tmp_path / "timeline", code=(), settings={"zone": "CET"})
    work = Work(tmp_path)
    run_stage(tmp_path, stage(tmp_path), work, after=[run_stage(tmp_path, earlier, lambda: 1)])
    run_stage(tmp_path, stage(tmp_path), work, after=[run_stage(tmp_path, later, lambda: 1)])
    assert work.calls == 2


def test_half_of_the_same_work_is_kept_for_going_on(tmp_path: Path):
    """Training resumes from its checkpoint, so a stop must not remove it."""
    with pytest.raises(KeyboardInterrupt):
        run_stage(tmp_path, stage(tmp_path), Work(tmp_path, stops=True))
    assert read_marker(tmp_path, "train") is None
    again = Work(tmp_path)
    again.calls = 1
    run_stage(tmp_path, stage(tmp_path), again)
    assert sorted(part.name for part in (tmp_path / "model").iterdir()) == ["part1", "part2"]


def test_half_of_other_work_is_cleared(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        run_stage(tmp_path, stage(tmp_path), Work(tmp_path, stops=True))
    again = Work(tmp_path)
    again.calls = 1
    run_stage(tmp_path, stage(tmp_path, seed=2), again)
    assert [part.name for part in (tmp_path / "model").iterdir()] == ["part2"]


def test_what_the_job_did_not_make_is_never_touched(tmp_path: Path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "thesis.txt").write_text("three years")
    with pytest.raises(OccupiedFolder):
        run_stage(tmp_path, stage(tmp_path), Work(tmp_path))
    assert (tmp_path / "model" / "thesis.txt").read_text() == "three years"


def test_a_marker_cut_short_counts_as_none(tmp_path: Path):
    run_stage(tmp_path, stage(tmp_path), Work(tmp_path))
    marker = tmp_path / MARKERS / "train.json"
    marker.write_text(marker.read_text()[:20])
    assert not run_stage(tmp_path, stage(tmp_path), Work(tmp_path)).reused


def test_a_missing_output_is_made_again(tmp_path: Path):
    run_stage(tmp_path, stage(tmp_path), Work(tmp_path))
    (tmp_path / "model" / "part1").unlink()
    (tmp_path / "model").rmdir()
    assert not run_stage(tmp_path, stage(tmp_path), Work(tmp_path)).reused

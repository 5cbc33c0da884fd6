"""Training and drawing hold a window, not the data: four times the patients take no more memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl

from salus.progress import QUIET
from salus.timeline.store import read_timeline, write_timeline
from salus.trajectory.spreading import spread
from salus.workflows.generate import generate
from tests.small_model import trained_folder
from tests.small_ward import CODES, SETTINGS, ward

TOLERANCE = 0.10
"""Share by which a peak may be higher: what the allocator keeps differs from run to run."""

SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from salus.progress import QUIET
from salus.trajectory.sizes import Scale
from salus.workflows.machine import MemoryWatch
from salus.workflows.train import TrainChoices, train

if __name__ == "__main__":
    with MemoryWatch() as memory:
        choices = TrainChoices(minutes=0.4, window_facts=20_000, size=Scale.SMALL)
        result = train(Path(sys.argv[2]), Path(sys.argv[3]), choices=choices, progress=QUIET)
    print(result.patients, result.facts, memory.peak)
"""


def many_wards(times: int, folder: Path) -> Path:
    """The ward of 2,000 patients so many times over, always with new ids, in shards of one ward each."""
    once = ward(2_000).with_columns(
        split=pl.when(pl.col("subject_id") > 1_800).then(pl.lit("tuning")).otherwise(pl.lit("train"))
    )
    frames = (once.with_columns(subject_id=pl.col("subject_id") + 2_000 * number) for number in range(times))
    write_timeline(folder, frames, codes=CODES, settings=SETTINGS)
    shards = read_timeline(folder, "train")
    for old in (folder / "data/train").iterdir():
        old.unlink()
    for number in range(times):
        mine = (pl.col("subject_id") > 2_000 * number) & (pl.col("subject_id") <= 2_000 * (number + 1))
        shards.filter(mine).write_parquet(folder / f"data/train/{number:04d}.parquet")
    return folder


def trained_on(times: int, tmp_path: Path) -> tuple[int, int, int]:
    """Patients, facts learnt from, and the most memory, of training on so many wards."""
    script, timeline = tmp_path / "train.py", many_wards(times, tmp_path / f"timeline-{times}")
    script.write_text(SCRIPT)
    asked = subprocess.run(
        [
            sys.executable,
            str(script),
            str(Path(__file__).parents[1]),
            str(timeline),
            str(tmp_path / f"m-{times}"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    patients, facts, peak = map(int, asked.stdout.split())
    return patients, facts, peak


def test_four_times_the_patients_take_no_more_memory_to_train_on(tmp_path: Path):
    """Ten wards and forty: 18,000 and 72,000 training patients, in windows of 20,000 facts."""
    few, many = trained_on(10, tmp_path), trained_on(40, tmp_path)
    assert (few[0], many[0]) == (18_000, 72_000)
    assert many[1] > 20_000  # more than one window was learnt from
    assert many[2] < few[2] * (1 + TOLERANCE)
    assert not [*tmp_path.glob(".m-*")]  # no patient's facts are left beside the models


def test_what_is_drawn_is_written_chunk_after_chunk(tmp_path: Path):
    """No more than three chunks a process are begun before the first is written."""
    begun: list[int] = []
    for taken, _ in enumerate(spread(begun.append, range(10), processes=1), start=1):
        assert len(begun) == taken
    result = generate(trained_folder(), tmp_path / "s", patients=2_500, seed=1, progress=QUIET)
    events = read_timeline(tmp_path / "s")
    assert (result.patients, result.without_events) == (2_500, 0)
    assert (events.height, events["subject_id"].n_unique()) == (result.events, 2_500)


def test_frame_after_frame_gives_the_same_bytes_as_all_at_once(tmp_path: Path):
    events = ward(40)
    write_timeline(tmp_path / "whole", events, codes=CODES, settings=SETTINGS)
    frames = events.partition_by("subject_id", maintain_order=True)
    write_timeline(tmp_path / "cut", iter(frames), codes=CODES, settings=SETTINGS)
    files = [path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*.parquet")]
    assert len(files) == 6
    for name in files:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()

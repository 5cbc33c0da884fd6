"""A vector for each patient as of a moment: what becomes known later does not change it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from salus.cli import main
from salus.errors import SettingsRefused, TooFewPatients
from salus.progress import QUIET
from salus.timeline.store import write_timeline
from salus.workflows.embed import EmbedSettings, embed
from tests.small_model import trained, trained_folder
from tests.small_ward import CODES, SETTINGS, ZERO, ward

PATIENTS = 12
TASK = "name: ward\nindex: {code: WARD//ENTRY}\noutcomes:\n  - {name: d, any_of: [MEDS_DEATH], within: {days: 9}}\n"


def with_late_result(subject: int, *, drawn: int, known: int) -> pl.DataFrame:
    """The ward, where one patient has one more potassium of 5.0, drawn on one day and known on a later one."""
    row = ward(PATIENTS).filter(pl.col("code") == "LOINC//2823-3", pl.col("subject_id") == subject).head(1)
    late = row.with_columns(
        time=pl.lit(ZERO + timedelta(days=drawn), dtype=pl.Datetime("us")),
        known_time=pl.lit(ZERO + timedelta(days=known), dtype=pl.Datetime("us")),
        numeric_value=pl.lit(5.0, dtype=pl.Float32),
    )
    return pl.concat([ward(PATIENTS), late]).sort("subject_id", "time", nulls_last=False, maintain_order=True)


def vectors(
    events: pl.DataFrame, folder: Path, *, at: str | None = None, task: Path | None = None
) -> pl.DataFrame:
    write_timeline(folder / "t", events, codes=CODES, settings=SETTINGS)
    settings = EmbedSettings(at=at, task=task)
    embed(trained_folder(), folder / "t", to=folder / "v.parquet", settings=settings, progress=QUIET)
    return pl.read_parquet(folder / "v.parquet")


def numbers(frame: pl.DataFrame) -> np.ndarray:
    return np.stack(frame.sort("subject_id")["vector"].to_numpy())


def test_a_result_known_later_does_not_change_the_vector_and_one_known_in_time_does(tmp_path: Path):
    """Drawn on day 3, known on day 12: on day 11 nothing has changed, on day 12 this patient's vector has."""
    late = with_late_result(2, drawn=3, known=12)
    before, after = "2000-01-12T00:00+00:00", "2000-01-13T00:00+00:00"
    assert (
        numbers(vectors(late, tmp_path, at=before)) == numbers(vectors(ward(PATIENTS), tmp_path, at=before))
    ).all()
    changed = np.abs(
        numbers(vectors(late, tmp_path, at=after)) - numbers(vectors(ward(PATIENTS), tmp_path, at=after))
    )
    assert changed[1].max() > 1e-3
    assert np.delete(changed, 1, axis=0).max() < 1e-5


def test_each_patient_has_a_row_with_the_moment_and_twice_the_networks_width(tmp_path: Path):
    """Everything known: men die on day 20, women are followed for 60 days."""
    found = vectors(ward(PATIENTS), tmp_path)
    assert found["subject_id"].to_list() == [*range(1, PATIENTS + 1)]
    last = {ZERO + timedelta(days=20), ZERO + timedelta(days=60)}
    assert set(found["prediction_time"]) == last
    width = 2 * trained().network.size.width
    assert found.schema["vector"] == pl.Array(pl.Float32, width)
    assert np.isfinite(numbers(found)).all()


def test_histories_that_are_alike_to_the_model_have_like_vectors(tmp_path: Path):
    """Day 19: women have had two potassiums near 4, men four near 6. Each is nearest to one of the same sex."""
    found = numbers(vectors(ward(PATIENTS), tmp_path, at="2000-01-20T00:00+00:00"))
    apart = np.linalg.norm(found[:, None] - found[None], axis=2) + 1e9 * np.eye(PATIENTS)
    assert (apart.argmin(axis=1) % 2 == np.arange(PATIENTS) % 2).all()


def test_the_moment_of_a_task_is_each_patients_index(tmp_path: Path):
    (tmp_path / "task.yaml").write_text(TASK)
    found = vectors(ward(PATIENTS), tmp_path, task=tmp_path / "task.yaml")
    assert set(found["prediction_time"]) == {ZERO}
    again = vectors(ward(PATIENTS), tmp_path, at="2000-01-01T00:00+00:00")
    assert (numbers(found) == numbers(again)).all()


def test_of_whom_nothing_is_known_yet_there_is_no_vector(tmp_path: Path):
    with pytest.raises(TooFewPatients, match="no patient"):
        vectors(ward(PATIENTS), tmp_path, at="1999-12-31T00:00+00:00")
    assert not (tmp_path / "v.parquet").exists()


@pytest.mark.parametrize("at", ["2000-01-12", "2000-01-12T00:00", "soon"])
def test_a_moment_needs_a_zone(tmp_path: Path, at: str):
    with pytest.raises(SettingsRefused, match="not a moment with a zone"):
        vectors(ward(PATIENTS), tmp_path, at=at)


def test_the_command_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_timeline(tmp_path / "t", ward(PATIENTS), codes=CODES, settings=SETTINGS)
    asked = [
        "embed",
        str(trained_folder()),
        "--timeline",
        str(tmp_path / "t"),
        "--to",
        str(tmp_path / "v.parquet"),
    ]
    with pytest.raises(SystemExit) as end:
        main(asked)
    assert end.value.code == 0
    assert "gave 12 patients a vector of 64 numbers" in capsys.readouterr().out
    with pytest.raises(SystemExit) as end:
        main([*asked, "--at", "2000-01-12T00:00+00:00", "--task", "task.yaml"])
    assert end.value.code == 2

"""A demo asked for wrongly says so at once and leaves other people's files alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from salus.cli import main


def ask(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(["demo", *words, "--no-serve"])
    return int(end.value.code or 0)


def test_an_unknown_example_is_answered_with_the_nearest_one(tmp_path: Path, capsys):
    assert ask("cohrt", "--to", str(tmp_path)) == 1
    said = capsys.readouterr().err
    assert "[SAL-507] there is no example 'cohrt' (did you mean 'cohort'?)" in said


def test_a_folder_of_records_that_is_not_there_is_named(tmp_path: Path, capsys):
    assert ask("cohort", "--to", str(tmp_path / "demo"), "--input", str(tmp_path / "nowhere")) == 1
    assert "nowhere" in capsys.readouterr().err


def test_an_empty_folder_of_records_is_refused(tmp_path: Path, capsys):
    (tmp_path / "empty").mkdir()
    assert ask("cohort", "--to", str(tmp_path / "demo"), "--input", str(tmp_path / "empty")) == 1
    said = capsys.readouterr().err
    assert "nafld1.csv" in said
    assert "fix:" in said


def test_no_training_time_is_a_usage_error(tmp_path: Path, capsys):
    assert ask("cohort", "--to", str(tmp_path / "demo"), "--minutes", "0") == 2
    assert "--minutes" in capsys.readouterr().err


def test_the_output_folder_may_not_be_a_file(tmp_path: Path, capsys):
    (tmp_path / "taken").write_text("mine")
    assert ask("cohort", "--to", str(tmp_path / "taken"), "--input", str(tmp_path)) == 1
    assert (tmp_path / "taken").read_text() == "mine"
    assert "Traceback" not in capsys.readouterr().err

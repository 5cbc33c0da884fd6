"""Futures of what is missing, broken or does not fit: a clear refusal, and nothing half-written."""

from __future__ import annotations

import polars as pl
import pytest

from salus.errors import (
    BundleBroken,
    FindingsFileError,
    SettingsRefused,
    TaskCodeUnknown,
    TimelineNotWritten,
    TooFewPatients,
)
from salus.progress import QUIET
from salus.timeline.store import read_codes, read_settings, read_timeline, write_timeline
from salus.workflows.futures import futures
from tests.ward_usecase import copy_of


@pytest.fixture
def place(ward_usecase, tmp_path):
    """A copy that may be broken."""
    return copy_of(ward_usecase, tmp_path / "ward")


def refused(place, error, **given):
    """Draw futures of a broken folder: what the refusal says; nothing is left behind."""
    with pytest.raises(error) as caught:
        futures(place, **({"samples": 4, "seed": 1, "progress": QUIET} | given))
    assert not (place.futures / "futures.json").exists()
    assert not [path for path in place.root.iterdir() if "partial" in path.name]
    return caught.value


def test_no_forecasts(place):
    place.risks.unlink()
    said = refused(place, FindingsFileError)
    assert "no forecasts" in said.what
    assert "salus forecast" in said.fix


def test_forecasts_cut_short(place):
    place.risks.write_bytes(place.risks.read_bytes()[:200])
    assert "cut short" in refused(place, FindingsFileError).what


def test_forecasts_of_another_task(place):
    risks = pl.read_parquet(place.risks).with_columns(task=pl.lit("stroke_30d"))
    risks.write_parquet(place.risks)
    assert "'death_30d'" in refused(place, FindingsFileError).what


def test_forecasts_of_other_patients(place):
    risks = pl.read_parquet(place.risks).with_columns(pl.col("subject_id") + 1_000_000)
    risks.write_parquet(place.risks)
    assert "no held-out patient" in refused(place, TooFewPatients).what


def test_an_outcome_that_the_model_does_not_know(place):
    """The end of follow-up is a code of the data, but the model never draws it."""
    place.task.write_text(place.task.read_text().replace("[MEDS_DEATH]", "[FOLLOW_UP//END]"))
    said = refused(place, TaskCodeUnknown)
    assert "the model knows no code of 'death_30d'" in said.what


def test_no_patient_is_held_out(place):
    events = read_timeline(place.timeline).filter(pl.col("split") != "held_out")
    codes, settings = read_codes(place.timeline), read_settings(place.timeline)
    write_timeline(place.timeline, events, codes=codes, settings=settings)
    assert "no held-out patient" in refused(place, TooFewPatients).what


def test_everybody_has_the_outcome_already(place):
    place.task.write_text(place.task.read_text() + "    unless_before: [WARD//ENTRY]\n")
    assert "can still have" in refused(place, TooFewPatients).what


def test_evidence_that_was_changed(place):
    (place.evidence / "risks.parquet").write_bytes(b"not what was measured")
    refused(place, BundleBroken)


@pytest.mark.parametrize("given", [{"samples": 0}, {"patients": 0}])
def test_nothing_asked_for(place, given):
    refused(place, SettingsRefused, **given)


def test_a_folder_that_holds_something_else(place):
    place.futures.mkdir()
    (place.futures / "letter.txt").write_text("mine")
    refused(place, TimelineNotWritten)
    assert (place.futures / "letter.txt").read_text() == "mine"

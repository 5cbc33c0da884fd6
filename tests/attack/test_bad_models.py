"""Model folders that are missing, cut short, changed or of another version, and settings that cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from salus.errors import (
    ModelBroken,
    ModelMissing,
    ModelNotWritten,
    ModelOtherVersion,
    SettingsRefused,
    TooFewPatients,
)
from salus.progress import QUIET
from salus.timeline.store import write_timeline
from salus.trajectory.artefact import load_model
from salus.workflows.forecast import ForecastSettings, forecast
from salus.workflows.generate import generate
from salus.workflows.train import TrainChoices, train
from tests.small_ward import CODES, SETTINGS, ward

TASK = """
name: ward
index: {code: WARD//ENTRY}
outcomes:
  - name: death_30d
    any_of: [MEDS_DEATH]
    within: {days: 30}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a timeline and a model trained on it for a second."""
    folder = tmp_path_factory.mktemp("made")
    write_timeline(folder / "timeline", ward(60), codes=CODES, settings=SETTINGS)
    train(folder / "timeline", folder / "model", choices=TrainChoices(minutes=0.02, seed=1), progress=QUIET)
    (folder / "task.yaml").write_text(TASK)
    return folder


@pytest.fixture
def model(made: Path, tmp_path: Path) -> Path:
    """A copy of the model to damage."""
    copy = tmp_path / "model"
    copy.mkdir()
    for path in (made / "model").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    return copy


def test_a_folder_that_is_no_model_is_named(tmp_path: Path):
    with pytest.raises(ModelMissing, match=r"model\.json"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    "name", ["weights.safetensors", "vocabulary.safetensors", "vocabulary.json", "model.json"]
)
def test_a_file_cut_short_is_refused(model: Path, name: str):
    whole = (model / name).read_bytes()
    (model / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelBroken):
        load_model(model)


@pytest.mark.parametrize("name", ["weights.safetensors", "vocabulary.safetensors", "vocabulary.json"])
def test_a_missing_file_is_refused(model: Path, name: str):
    (model / name).unlink()
    with pytest.raises(ModelBroken, match=name):
        load_model(model)


def test_one_changed_byte_is_refused(model: Path):
    weights = bytearray((model / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (model / "weights.safetensors").write_bytes(bytes(weights))
    with pytest.raises(ModelBroken, match="changed"):
        load_model(model)


def test_a_model_of_another_version_is_refused_with_both_versions(model: Path):
    about = json.loads((model / "model.json").read_text())
    (model / "model.json").write_text(json.dumps(about | {"format": 99}))
    with pytest.raises(ModelOtherVersion, match="form 99"):
        load_model(model)


def test_a_model_holds_no_pickles(model: Path):
    """Only numbers and text: safetensors, JSON and the picture of the learning curve."""
    assert {path.suffix for path in model.iterdir()} == {".json", ".safetensors", ".svg"}


def test_no_minutes_no_shares_no_patients_and_no_futures_are_refused(made: Path, tmp_path: Path):
    with pytest.raises(SettingsRefused, match="minutes"):
        train(made / "timeline", tmp_path / "m", choices=TrainChoices(minutes=0), progress=QUIET)
    with pytest.raises(SettingsRefused, match="0 shares"):
        train(made / "timeline", tmp_path / "m", choices=TrainChoices(workers=0), progress=QUIET)
    for bound in (0.49, 1.01, float("nan")):
        with pytest.raises(SettingsRefused, match="no bound"):
            train(made / "timeline", tmp_path / "m", choices=TrainChoices(memorisation=bound), progress=QUIET)
    with pytest.raises(SettingsRefused, match="patients"):
        generate(made / "model", tmp_path / "s", patients=0, progress=QUIET)
    with pytest.raises(SettingsRefused, match="futures"):
        settings = ForecastSettings(task=made / "task.yaml", samples=0)
        forecast(made / "model", made / "timeline", to=tmp_path / "r", settings=settings, progress=QUIET)


def test_a_folder_with_other_content_is_not_overwritten(made: Path, tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ModelNotWritten):
        train(made / "timeline", tmp_path, choices=TrainChoices(minutes=0.02), progress=QUIET)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_timeline_without_patients_to_train_on_is_refused(tmp_path: Path):
    write_timeline(tmp_path / "t", ward(4), codes=CODES, settings=SETTINGS)
    with pytest.raises(TooFewPatients):
        train(tmp_path / "t", tmp_path / "m", choices=TrainChoices(minutes=0.02), progress=QUIET)
    assert not (tmp_path / "m").exists()


def test_a_split_without_patients_is_refused(made: Path, tmp_path: Path):
    settings = ForecastSettings(task=made / "task.yaml", samples=2, split="none_such")
    with pytest.raises(Exception, match="none_such"):
        forecast(made / "model", made / "timeline", to=tmp_path / "r", settings=settings, progress=QUIET)
    assert not (tmp_path / "r").exists()


def test_the_road_writes_a_synthetic_timeline_and_risks(made: Path, tmp_path: Path):
    """The jobs fit together: drawn patients are marked synthetic, and each held-out patient gets one risk."""
    result = generate(made / "model", tmp_path / "s", patients=20, seed=1, progress=QUIET)
    assert result.patients == 20
    settings = ForecastSettings(task=made / "task.yaml", samples=4)
    told = forecast(
        made / "model", made / "timeline", to=tmp_path / "r.parquet", settings=settings, progress=QUIET
    )
    assert told.patients == 12

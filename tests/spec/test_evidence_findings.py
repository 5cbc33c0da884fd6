"""Findings are written whole, read back the same, and refused when edited into something else."""

from __future__ import annotations

import json

import polars as pl
import pytest

from salus.errors import FindingsFileError, TaskCodeUnknown
from salus.findings import Finding, read_findings, write_findings
from salus.timeline.settings import TimelineSettings
from salus.timeline.store import write_timeline
from salus.workflows.appraise import Material, appraise, read_forecast
from tests.invented import CODES, TASK_YAML, invent

ONE = Finding(metric="forecast.auroc", population="held_out: x", value=0.5, patients=3, method="m", seed=1)


def test_what_was_written_is_read_back(tmp_path):
    write_findings(tmp_path / "f.json", [ONE])
    assert read_findings(tmp_path / "f.json") == [ONE]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[{", "not JSON"),
        ("{}", "not a list"),
        ('[{"metrik": 1}]', "did you mean 'metric'"),
        ('[{"metric": "a"}]', "lacks a field"),
        ("[1]", "not a finding"),
    ],
)
def test_a_broken_file_is_refused(tmp_path, text, said):
    (tmp_path / "f.json").write_text(text)
    with pytest.raises(FindingsFileError, match=said):
        read_findings(tmp_path / "f.json")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(FindingsFileError, match="there is no"):
        read_findings(tmp_path / "f.json")


def test_a_file_that_is_no_forecast_is_refused(tmp_path):
    with pytest.raises(FindingsFileError, match="not there"):
        read_forecast(tmp_path / "f.parquet")
    pl.DataFrame({"subject_id": [1], "task": ["x"], "risks": [0.1]}).write_parquet(tmp_path / "f.parquet")
    with pytest.raises(FindingsFileError, match="did you mean 'risks'"):
        read_forecast(tmp_path / "f.parquet")


@pytest.fixture(scope="module")
def material(tmp_path_factory) -> Material:
    """A real and a synthetic timeline of invented patients, and forecasts for the held-out ones."""
    folder = tmp_path_factory.mktemp("run")
    shares = {"train": (600, 0), "tuning": (50, 1000), "held_out": (300, 2000)}
    parts = [
        invent(count, seed=first, first=first).with_columns(split=pl.lit(name))
        for name, (count, first) in shares.items()
    ]
    settings = TimelineSettings(name="invented", anchor="ENTRY")
    write_timeline(folder / "timeline", pl.concat(parts), codes=CODES, settings=settings)
    made = invent(600, seed=7).with_columns(split=pl.lit("train"))
    write_timeline(folder / "synthetic", made, codes=CODES, settings=settings)
    (folder / "task.yaml").write_text(TASK_YAML)
    people = pl.DataFrame({"subject_id": range(2000, 2300)}).with_columns(
        task=pl.lit("disease"), risk=pl.int_range(300) / 300.0, samples=pl.lit(100)
    )
    people.write_parquet(folder / "risks.parquet")
    return Material(
        timeline=folder / "timeline",
        synthetic=folder / "synthetic",
        task=folder / "task.yaml",
        forecast=folder / "risks.parquet",
    )


def test_an_appraisal_writes_findings_and_the_parts_of_the_summary(material, tmp_path):
    found = appraise(material, tmp_path, seed=1)
    assert tuple(read_findings(tmp_path / "findings.json")) == found.findings
    assert all(set(one.digests) == {"timeline", "synthetic"} for one in found.findings)
    parts = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert parts["fidelity"]["floor"] < parts["fidelity"]["overall"] <= 1
    (use,) = parts["utility"]
    assert set(use) >= {"task", "real_auroc", "synthetic_auroc", "ratio"}
    assert set(use["real_auroc"]) == {"value", "lower", "upper"}
    (forecast,) = parts["forecast"]
    assert set(forecast) >= {"task", "auroc", "auprc", "brier", "slope", "intercept", "baseline_auroc"}
    assert forecast["baseline_auroc"] == use["real_auroc"]


def test_without_forecasts_there_is_no_forecast_part(material, tmp_path):
    alone = Material(timeline=material.timeline, synthetic=material.synthetic, task=material.task)
    assert appraise(alone, tmp_path, seed=1).as_json()["forecast"] == []


def test_a_task_of_other_data_is_refused_before_anything_is_measured(material, tmp_path):
    (tmp_path / "task.yaml").write_text(TASK_YAML.replace("[DISEASE]", "[DISEASES]"))
    wrong = Material(timeline=material.timeline, synthetic=material.synthetic, task=tmp_path / "task.yaml")
    with pytest.raises(TaskCodeUnknown, match="did you mean 'DISEASE'"):
        appraise(wrong, tmp_path, seed=1)

"""Findings are written whole, read back the same, and refused when edited into something else."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime

import polars as pl
import pytest

from salus.errors import FindingsFileError, TaskCodeUnknown
from salus.findings import Finding, read_bundle, read_findings, write_findings
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
        ('[{"metric": "forecast.auroc"}]', "lacks a field"),
        ('[{"metric": "forecast.aurok"}]', "did you mean 'forecast.auroc'"),
        ('[{"metric": "forecast.auroc", "grade": "E"}]', "grades are A to D"),
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


USECASE_YAML = """
name: invented
title: Invented patients
kind: synthesis
state: idea
tier: 1
card: {purpose: tests, users: [tests], patients: invented, not_for: [patients], limits: [none is real]}
inputs: {required: [ENTRY], used: [SBP]}
groups:
  sex: {codes: {F: SEX//F}}
  age: {cut_at: [48]}
baseline: trees
"""
NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


def test_an_appraisal_writes_a_bundle_and_the_parts_of_the_summary(material, tmp_path):
    found = appraise(material, tmp_path / "evidence", seed=1, made=NOW)
    bundle = read_bundle(tmp_path / "evidence")
    assert bundle.findings == found.findings
    assert set(bundle.subjects) == {"timeline", "synthetic", "task", "forecast"}
    assert bundle.subjects["forecast"] == hashlib.sha256(material.forecast.read_bytes()).hexdigest()
    tables = {path.stem for path in bundle.folder.glob("*.parquet")}
    assert tables == {
        "fidelity",
        "codes",
        "risks",
        "labels",
        "reliability",
        "membership",
        "net_benefit",
    }
    parts = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert parts["fidelity"]["floor"] < parts["fidelity"]["overall"] <= 1
    (use,) = parts["utility"]
    assert set(use) >= {"task", "real_auroc", "synthetic_auroc", "ratio"}
    assert set(use["real_auroc"]) == {"value", "lower", "upper"}
    (forecast,) = parts["forecast"]
    assert set(forecast) >= {"task", "auroc", "auprc", "brier", "slope", "intercept", "baseline_auroc"}
    assert forecast["baseline_auroc"] == use["real_auroc"]


def test_each_finding_says_when_where_and_on_what_it_was_measured(material, tmp_path):
    found = appraise(material, tmp_path / "evidence", seed=1, made=NOW).findings
    assert {one.created for one in found} == {"2026-03-01T08:00:00+00:00"}
    assert {one.site for one in found} == {"invented"}
    about = {one.kind: set(one.digests) for one in found}
    assert about == {
        "fidelity": {"timeline", "synthetic"},
        "utility": {"timeline", "synthetic", "task"},
        "privacy": {"timeline", "synthetic"},
        "forecast": {"timeline", "task", "forecast"},
    }


def test_without_a_model_the_attack_on_it_has_no_value_and_the_attack_on_its_output_has_one(
    material, tmp_path
):
    found = appraise(material, tmp_path / "evidence", seed=1, made=NOW)
    by_name = {(one.metric, one.comparison): one for one in found.findings}
    for metric in ("privacy.membership_auc", "privacy.likelihood_auc"):
        assert by_name[metric, "attack"].value is None
        assert "no model was given" in by_name[metric, "attack"].reason
    density = by_name["privacy.density_auc", "attack"]
    assert density.population == "600 members v 200 others"
    assert density.lower <= 0.5 <= density.upper
    part = json.loads(json.dumps(found.as_json()))["privacy"]
    assert part["membership_auc"] == {
        "value": None,
        "lower": None,
        "upper": None,
        "members": 600,
        "others": 200,
    }
    assert [each["name"] for each in part["attacks"]] == ["likelihood", "density", "nearest"]


def test_a_use_case_names_the_groups_in_which_forecasts_are_measured_again(material, tmp_path):
    (tmp_path / "usecase.yaml").write_text(USECASE_YAML)
    grouped = replace(material, usecase=tmp_path / "usecase.yaml")
    found = appraise(grouped, tmp_path / "evidence", seed=1, made=NOW)
    populations = {one.population for one in found.findings if one.metric == "forecast.auroc"}
    assert populations == {
        "held_out: disease",
        "held_out: disease; sex F",
        "held_out: disease; age under 48",
        "held_out: disease; age 48 or over",
    }
    assert len(found.as_json()["forecast"]) == 1


def test_without_forecasts_there_is_no_forecast_part(material, tmp_path):
    alone = replace(material, forecast=None)
    found = appraise(alone, tmp_path / "evidence", seed=1, made=NOW)
    assert found.as_json()["forecast"] == []
    assert not any(one.kind == "forecast" for one in found.findings)


def test_a_task_of_other_data_is_refused_before_anything_is_measured(material, tmp_path):
    (tmp_path / "task.yaml").write_text(TASK_YAML.replace("[DISEASE]", "[DISEASES]"))
    wrong = replace(material, task=tmp_path / "task.yaml")
    with pytest.raises(TaskCodeUnknown, match="did you mean 'DISEASE'"):
        appraise(wrong, tmp_path / "evidence", seed=1, made=NOW)
    assert not (tmp_path / "evidence").exists()


def test_a_forecast_that_is_not_there_is_refused_and_earlier_evidence_stays(material, tmp_path):
    to = tmp_path / "evidence"
    before = appraise(replace(material, forecast=None), to, seed=1, made=NOW).findings
    with pytest.raises(FindingsFileError, match="not there"):
        appraise(replace(material, forecast=tmp_path / "none.parquet"), to, seed=1, made=NOW)
    assert read_bundle(to).findings == before


def test_forecasts_of_other_patients_have_no_value_and_say_why(material, tmp_path):
    other = pl.read_parquet(material.forecast).with_columns(pl.col("subject_id") + 100_000)
    other.write_parquet(tmp_path / "other.parquet")
    found = appraise(
        replace(material, forecast=tmp_path / "other.parquet"), tmp_path / "evidence", seed=1, made=NOW
    )
    about = [one for one in found.findings if one.kind == "forecast"]
    assert {one.value for one in about} == {None}
    assert all("0 with the outcome among 0" in one.reason for one in about)
    read_bundle(tmp_path / "evidence")

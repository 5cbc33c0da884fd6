"""The report of a run: the gate first, numbers with intervals, no single real patient, and what is missing said so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from salus.errors import NothingToReport
from salus.programme.usecase_folder import UseCaseFolder
from salus.timeline.store import read_codes, read_settings, read_timeline, write_timeline
from salus.workflows.compare import compare
from salus.workflows.pages.sheet import figures_of, read_sheet
from salus.workflows.quality import quality
from salus.workflows.report import report
from salus.workflows.stages import Json
from tests.spec.test_quality_page import CANARY_ID, MADE, Outline, write_small

GATE: Json = {
    "gate": "silent->supervised",
    "verdict": "INCONCLUSIVE",
    "reason": "1 of 2 criteria is open",
    "exploratory": "",
    "criteria": [
        {"id": "alike", "population": "all", "verdict": "PASS", "value": 0.9, "lower": 0.88, "upper": 0.92,
         "bound": "lower", "threshold": ">= 0.80", "reason": "", "further_events": None},
        {"id": "private", "population": "9 members", "verdict": "NOT_ESTIMABLE", "value": None, "lower": None,
         "upper": None, "bound": "upper", "threshold": "<= 0.60", "reason": "no finding", "further_events": 1200},
    ],
}  # fmt: skip
SUMMARY: Json = {
    "books": {"read": 120, "kept": 118, "rejected": 2},
    "patients": {"train": 30, "tuning": 4, "held_out": 9},
    "train": {"seconds": 12.5, "cpu_seconds": 20.0},
    "generate": {"patients": 30, "seconds": 0.1, "cpu_seconds": 0.1, "patients_per_second": 300.0},
    "gate": GATE,
    "seed": 7,
    "versions": {"torch": "2.13.0"},
}


def plain(text: str) -> str:
    """With ordinary spaces."""
    return text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.fixture
def run(tmp_path: Path) -> UseCaseFolder:
    """A folder as a demo leaves it: timeline (a third of it held out), synthetic, model, quality, comparison."""
    folder = UseCaseFolder(tmp_path)
    write_small(tmp_path / "first")
    split = pl.when(pl.col("subject_id") % 3 == 0).then(pl.lit("held_out")).otherwise(pl.lit("train"))
    real = read_timeline(tmp_path / "first").with_columns(split=split)
    settings, codes = read_settings(tmp_path / "first"), read_codes(tmp_path / "first")
    write_timeline(folder.timeline, real, codes=codes, settings=settings)
    invented = real.filter(pl.col("subject_id") != CANARY_ID).with_columns(split=pl.lit("train"))
    write_timeline(folder.synthetic, invented, codes=codes, settings=replace(settings, synthetic=True))
    curve = [
        {"step": 1, "epoch": 0.5, "train": 3.0, "tuning": 3.2},
        {"step": 2, "epoch": 1.0, "train": 2.5, "tuning": 2.8},
    ]
    folder.model.mkdir()
    (folder.model / "model.json").write_text(json.dumps({"log": {"curve": curve}}))
    quality(folder.timeline, folder.quality, made=MADE)
    compare(folder, made=MADE)
    return folder


def told(folder: UseCaseFolder, summary: Json = SUMMARY) -> str:
    return plain(report(folder, summary=summary, made=MADE).read_text(encoding="utf-8"))


def test_the_report_begins_with_what_the_gate_says(run: UseCaseFolder):
    page = told(run)
    assert (
        page.index("INCONCLUSIVE: 1 of 2 criteria is open.")
        < page.index('id="privacy"')
        < page.index('id="utility"')
    )
    assert "0.900 [0.880 to 0.920]" in page
    assert "private: no finding" in page
    assert "NOT ESTIMABLE" in page
    assert "1,200" in page, "outcomes that are still needed"
    assert "Not for clinical use." in page
    assert "used to stop 2.800" in page
    assert "<dd>7</dd>" in page, "the seed"
    assert "No gate has judged" not in page
    assert "not been measured yet" not in page


def test_the_report_is_one_offline_file_with_ordered_headings_and_words_for_every_picture(run: UseCaseFolder):
    outline = Outline(told(run))
    assert outline.levels[0] == 1
    assert all(after - before <= 1 for before, after in zip(outline.levels, outline.levels[1:], strict=False))
    assert (outline.unsaid, outline.scripts) == (0, 0)
    assert all(link.startswith("#") for link in outline.links)


def test_the_comparison_shows_a_dozen_of_each_and_each_says_what_it_is(run: UseCaseFolder):
    """Ten real patients are held out (3, 6 … 27 and the one of the canary, whose number 3 divides)."""
    sheet = read_sheet(run.comparison)
    patients = next(section for section in sheet.sections if section.patients)
    labels = [figure.label for figure in patients.figures]
    assert (labels.count("REAL"), labels.count("SYNTHETIC")) == (10, 12)
    for figure in patients.figures:
        svg = (run.comparison / figure.file).read_text(encoding="utf-8")
        assert f">{figure.label}</text>" in svg
        assert figure.alternative.startswith(figure.label)


def test_real_patients_are_never_on_the_report(run: UseCaseFolder):
    page, whole = told(run), (run.comparison / "sheet.json").read_text(encoding="utf-8")
    patients = next(section for section in read_sheet(run.comparison).sections if section.patients)
    assert patients.heading in json.loads(whole)["sections"][4]["heading"]
    assert patients.heading not in page
    for figure in patients.figures:
        assert figure.alternative not in page
    assert "%3EREAL%3C/text" not in page
    for content in (page, whole):
        assert str(CANARY_ID) not in content
    assert "987" not in page
    named = {figure.file for figure in figures_of(read_sheet(run.comparison))}
    assert named == {path.name for path in run.comparison.glob("*.svg")}
    for path in run.comparison.glob("*.svg"):
        assert str(CANARY_ID) not in path.read_text(encoding="utf-8")


def test_a_run_that_stopped_early_gets_a_report_that_says_what_is_missing(tmp_path: Path):
    write_small(tmp_path / "timeline")
    page = told(UseCaseFolder(tmp_path), None)
    assert page.count("This has not been made in this run.") == 2
    assert page.count("not computed") == 10
    assert "No gate has judged this run." in page


def test_the_same_run_gives_the_same_bytes(run: UseCaseFolder):
    first = {path.name: path.read_bytes() for path in run.comparison.iterdir()}
    page = told(run)
    compare(run, made=MADE)
    assert {path.name: path.read_bytes() for path in run.comparison.iterdir()} == first
    assert told(run) == page


def test_a_folder_without_a_run_is_refused(tmp_path: Path):
    with pytest.raises(NothingToReport, match="timeline"):
        report(UseCaseFolder(tmp_path), summary=None, made=MADE)

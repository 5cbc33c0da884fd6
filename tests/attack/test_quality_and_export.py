"""Broken input of the quality report and of export: a clear error, nothing half-written."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from salus.errors import (
    FolderTaken,
    NothingToExport,
    OtherSource,
    SalusError,
    SourceFileError,
    TimelineBroken,
    TimelineMissing,
    TimelineNotWritten,
)
from salus.timeline.store import read_codes, read_settings, read_timeline, write_timeline
from salus.workflows.export import export
from salus.workflows.quality import quality
from tests.tiny_source import YAML, ingest_tiny, write_tiny


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return ingest_tiny(tmp_path)[0]


@pytest.fixture
def empty(tiny: Path, tmp_path: Path) -> Path:
    events = read_timeline(tiny).clear()
    write_timeline(tmp_path / "empty", events, codes=read_codes(tiny), settings=read_settings(tiny))
    return tmp_path / "empty"


def test_an_empty_timeline_gets_a_page_that_says_so(empty: Path, tmp_path: Path):
    report = quality(empty, tmp_path / "out")
    assert (report.patients, report.rows) == (0, 0)
    assert "0 rows of 0 patients" in report.page.read_text(encoding="utf-8")


def test_an_empty_timeline_cannot_be_exported(empty: Path, tmp_path: Path):
    with pytest.raises(NothingToExport, match="no events"):
        export(empty, tmp_path / "out", like=tmp_path / "source.yaml")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["metadata/codes.parquet", "metadata/dataset.json"])
def test_a_timeline_without_a_part_is_named(tiny: Path, tmp_path: Path, name: str):
    (tiny / name).unlink()
    with pytest.raises(TimelineMissing, match=Path(name).name):
        quality(tiny, tmp_path / "out")
    with pytest.raises(TimelineMissing, match=Path(name).name):
        export(tiny, tmp_path / "out", like=tmp_path / "source.yaml")


def test_a_shard_cut_short_is_an_error_not_a_smaller_timeline(tiny: Path, tmp_path: Path):
    shard = next((tiny / "data").rglob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:200])
    with pytest.raises(TimelineBroken):
        quality(tiny, tmp_path / "out")


def test_no_timeline_at_all(tmp_path: Path):
    with pytest.raises(TimelineMissing):
        quality(tmp_path / "nowhere")


def test_a_source_that_is_not_there(tiny: Path, tmp_path: Path):
    with pytest.raises(SourceFileError):
        export(tiny, tmp_path / "out", like=tmp_path / "no.yaml")


def test_a_source_that_uses_a_code_it_does_not_describe(tiny: Path, tmp_path: Path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(YAML.replace("glucose: {code: LOINC//2345-7}", "glucose: {code: LOINC//2345-8}"))
    with pytest.raises(SalusError, match="LOINC//2345-7"):
        export(tiny, tmp_path / "out", like=wrong)


def test_a_code_unknown_to_the_source_is_counted_not_dropped_in_silence(tiny: Path, tmp_path: Path):
    """The timeline has one glucose; a form without glucose cannot say it."""
    less = tmp_path / "less.yaml"
    less.write_text(YAML.replace("      glucose: {code: LOINC//2345-7}\n", ""))
    books = export(tiny, tmp_path / "out", like=less)
    assert books.events == books.written + 1
    assert books.not_expressible == [
        {"code": "LOINC//2345-7", "reason": "the source has no place for this code", "events": 1}
    ]
    assert "LOINC//2345-7: 1" in (tmp_path / "out" / "ABOUT.txt").read_text()


def test_a_folder_with_other_things_is_not_overwritten(tiny: Path, tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    with pytest.raises(TimelineNotWritten):
        export(tiny, tmp_path / "out", like=tmp_path / "source.yaml")
    assert (tmp_path / "out" / "thesis.txt").read_text() == "years of work"


def test_a_timeline_is_not_written_in_the_form_of_another_source(tiny: Path, tmp_path: Path):
    """The tiny source counts from ENTRY; a source that counts from elsewhere would lose nearly everything."""
    like = tmp_path / "other.yaml"
    anchor = read_settings(tiny).anchor
    assert anchor
    like.write_text(YAML.replace(anchor, "ELSEWHERE//ENTRY"), encoding="utf-8")
    with pytest.raises(OtherSource, match="ELSEWHERE//ENTRY"):
        export(tiny, tmp_path / "csv", like=like)
    assert not (tmp_path / "csv").exists()


def test_the_timeline_is_not_its_own_output(tiny: Path, tmp_path: Path):
    with pytest.raises(FolderTaken):
        export(tiny, tiny, like=tmp_path / "source.yaml")


def test_exporting_twice_replaces_the_first_export(tiny: Path, tmp_path: Path):
    for _ in range(2):
        export(tiny, tmp_path / "out", like=tmp_path / "source.yaml")
    assert (tmp_path / "out" / "labs.csv").exists()


def test_code_names_cannot_put_markup_on_the_page(tmp_path: Path):
    evil = "<script>alert(1)</script>"
    yaml = YAML.replace("Systolic pressure", evil)
    write_tiny(tmp_path, yaml=yaml)
    timeline, _ = ingest_tiny(tmp_path, yaml=yaml)
    assert evil in read_codes(timeline).select(pl.col("description")).to_series().to_list()
    page = quality(timeline, tmp_path / "out").page.read_text(encoding="utf-8")
    assert "<script" not in page

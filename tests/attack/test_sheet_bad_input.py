"""Sheets and comparisons whose files are missing, cut short or of another form: a clear error, no half page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from salus.errors import BundleBroken, NothingToReport, SheetBroken
from salus.programme.usecase_folder import UseCaseFolder
from salus.workflows.compare import compare
from salus.workflows.pages.render import one_file
from salus.workflows.pages.sheet import Figure, Section, Sheet, Table, read_pictures, read_sheet, write_sheet
from salus.workflows.report import report
from tests.spec.test_quality_page import MADE, write_small

CROOKED = {"name": "t", "caption": "c", "heads": ["a"], "rows": [["1", "2"]]}
"""A table with two cells under one head."""


def small_sheet(*files: str) -> Sheet:
    figures = tuple(
        Figure(file=file, caption="c", alternative="<a>", width=9, height=9, label="REAL") for file in files
    )
    table = Table(name="t", caption="t", heads=("a", "b"), rows=(("1", "2"),))
    section = Section(name="s", heading="<S>", figures=figures, tables=(table,), notes=("n",), patients=True)
    return Sheet(title="T", lead="l", made=MADE.isoformat(), digest="d", seed=None, sections=(section,))


def test_what_was_written_is_read(tmp_path: Path):
    write_sheet(small_sheet("a.svg"), tmp_path, pictures={"a.svg": "<svg/>"})
    assert read_sheet(tmp_path) == small_sheet("a.svg")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.99])
def test_a_sheet_cut_short_is_refused(tmp_path: Path, share: float):
    path = write_sheet(small_sheet(), tmp_path, pictures={})
    content = path.read_bytes().rstrip()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(SheetBroken, match="cut short"):
        read_sheet(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"form": 2},
        {"sections": None},
        {"sections": [{"name": "s"}]},
        {"seed": "seven"},
        {"title": 3},
        {"sections": [{"name": "s", "heading": "h", "tables": [CROOKED]}]},
    ],
)  # fmt: skip
def test_a_sheet_of_another_form_is_refused(tmp_path: Path, change: dict[str, object]):
    path = write_sheet(small_sheet(), tmp_path, pictures={})
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(SheetBroken):
        read_sheet(tmp_path)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"null", b"[]", b"{}"])
def test_a_file_that_is_no_sheet_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "sheet.json").write_bytes(content)
    with pytest.raises(SheetBroken):
        read_sheet(tmp_path)


def test_no_sheet_says_that_it_has_not_been_made(tmp_path: Path):
    with pytest.raises(SheetBroken, match="not been made yet"):
        read_sheet(tmp_path)


def test_a_picture_that_went_missing_is_named(tmp_path: Path):
    write_sheet(small_sheet("a.svg"), tmp_path, pictures={})
    with pytest.raises(SheetBroken, match=r"a\.svg"):
        read_pictures(small_sheet("a.svg"), tmp_path)


def test_pictures_of_an_older_sheet_go_and_nothing_else(tmp_path: Path):
    """The older sheet also names a file of another folder: that one is not touched."""
    folder, other = tmp_path / "out", tmp_path / "other.svg"
    other.write_text("<svg/>")
    write_sheet(small_sheet("a.svg", "b.svg", "../other.svg"), folder, pictures={"a.svg": "1", "b.svg": "2"})
    (folder / "mine.svg").write_text("3")
    write_sheet(small_sheet("b.svg"), folder, pictures={"b.svg": "4"})
    assert sorted(path.name for path in folder.iterdir()) == ["b.svg", "mine.svg", "sheet.json"]
    assert other.exists()


def test_a_picture_cannot_put_markup_on_the_page():
    page = one_file(
        small_sheet("a.svg"), {"a.svg": '<svg><text>"><script>alert(1)</script> 5 % &amp;</text></svg>'}
    )
    assert "<script" not in page
    assert "&lt;S&gt;" in page
    assert "5 %25 &amp;amp;" in page


def test_a_cell_stands_under_its_head():
    with pytest.raises(ValueError, match="does not have 2 cells"):
        Table(name="t", caption="c", heads=("a", "b"), rows=(("1", "2", "3"),))


@pytest.mark.parametrize("there", ["", "timeline"])
def test_without_real_or_synthetic_patients_nothing_is_compared(tmp_path: Path, there: str):
    if there:
        write_small(tmp_path / there)
    with pytest.raises(NothingToReport, match="synthetic" if there else "timeline"):
        compare(UseCaseFolder(tmp_path))
    assert not (tmp_path / "comparison").exists()


def test_evidence_that_was_changed_is_not_shown(tmp_path: Path):
    write_small(tmp_path / "timeline")
    write_small(tmp_path / "synthetic", synthetic=True)
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "bundle.json").write_text("{")
    with pytest.raises(BundleBroken):
        compare(UseCaseFolder(tmp_path))


def test_a_model_file_cut_short_is_named(tmp_path: Path):
    write_small(tmp_path / "timeline")
    write_small(tmp_path / "synthetic", synthetic=True)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.json").write_text('{"log": ')
    with pytest.raises(NothingToReport, match=r"model\.json"):
        compare(UseCaseFolder(tmp_path))


def test_a_broken_sheet_gives_no_report(tmp_path: Path):
    write_small(tmp_path / "timeline")
    (tmp_path / "quality").mkdir()
    (tmp_path / "quality" / "sheet.json").write_text("{")
    with pytest.raises(SheetBroken):
        report(UseCaseFolder(tmp_path), summary=None, made=MADE)
    assert not (tmp_path / "report.html").exists()

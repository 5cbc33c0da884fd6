"""The quality page and its JSON: whole, offline, the same each time, and without any patient's value."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from salus.timeline.columns import CODE_COLUMNS, EVENT_COLUMNS, fit_columns
from salus.timeline.settings import TimelineSettings
from salus.timeline.store import write_timeline
from salus.workflows.pages.sheet import figures_of, read_pictures, read_sheet
from salus.workflows.quality import quality

MADE = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
CANARY, CANARY_ID = 987.65, 555_000_111


def write_small(folder: Path, *, synthetic: bool = False, order_only: bool = False) -> Path:
    """Thirty patients with twin codes on two days; one has a value and a number that must not show."""
    rows = []
    for patient in range(1, 31):
        subject = CANARY_ID if patient == 30 else patient
        for day in (1, 2):
            value = CANARY if subject == CANARY_ID else 40.0 + patient + day
            time = datetime(2000, 1, day)
            rows += [(subject, time, code, value, "mg/dL", time) for code in ("<HDL>", "CHOL")]
    names = ["subject_id", "time", "code", "numeric_value", "unit", "known_time"]
    kinds = {name: EVENT_COLUMNS[name] for name in names}
    events = pl.DataFrame(rows, schema=kinds, orient="row").with_columns(split=pl.lit("train"))
    codes = pl.DataFrame({"code": ["<HDL>", "CHOL"], "high": [200.0, None], "unit": ["mg/dL", "mg/dL"]})
    codes = codes.with_columns(role=pl.lit("event"), description=pl.col("code"), range_source=pl.lit("house"))
    settings = TimelineSettings(
        name="small", time_zero=datetime(2000, 1, 1), synthetic=synthetic, order_only=order_only
    )
    ordered = events.sort("subject_id", "time", "code", nulls_last=False)
    write_timeline(folder, ordered, codes=fit_columns(codes, CODE_COLUMNS, what="codes"), settings=settings)
    return folder


class Outline(HTMLParser):
    """Headings, images without words and open tags of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.levels: list[int] = []
        self.unsaid, self.scripts = 0, 0
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if re.fullmatch(r"h[1-6]", tag):
            self.levels.append(int(tag[1]))
        self.unsaid += tag == "img" and not given.get("alt")
        self.scripts += tag == "script"
        links = [given[name] or "" for name in ("href", "src") if given.get(name)]
        self.links += [link for link in links if not link.startswith("data:image/svg+xml,")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("quality")
    report = quality(write_small(folder / "timeline"), folder / "out", made=MADE)
    return report.page.read_text(encoding="utf-8"), report.json.read_text(encoding="utf-8")


def test_the_page_shows_twin_codes_and_says_who_made_it_of_what(made):
    page, _ = made
    assert "&lt;HDL&gt; = CHOL" in page, "code names are escaped"
    assert "<HDL>" not in page
    assert "2026-03-01 09:00 UTC" in page
    assert "nothing on this page was drawn at random" in page


def test_no_single_patients_value_or_number_is_on_the_page_or_in_the_json(made):
    for content in made:
        assert "987" not in content.replace(json.loads(made[1])["digest"], "")
        assert str(CANARY_ID) not in content


def test_headings_are_in_order_every_picture_has_words_and_nothing_is_fetched(made):
    outline = Outline(made[0])
    assert outline.levels[0] == 1
    assert all(after - before <= 1 for before, after in zip(outline.levels, outline.levels[1:], strict=False))
    assert (outline.unsaid, outline.scripts) == (0, 0)
    assert all(link.startswith("#") for link in outline.links)


def test_the_sheet_beside_the_page_names_each_picture_that_lies_there(tmp_path):
    report = quality(write_small(tmp_path / "timeline"), tmp_path / "out", made=MADE)
    sheet = read_sheet(tmp_path / "out")
    named = {figure.file for figure in figures_of(sheet)}
    assert named == {path.name for path in (tmp_path / "out").glob("*.svg")}
    assert [section.name for section in sheet.sections[:4]] == ["work", "kahn", "months", "checks"]
    assert tuple(check.text for check in sheet.sections[3].checks if check.look) == report.to_look_at
    assert not any(section.patients for section in sheet.sections)
    for svg in read_pictures(sheet, tmp_path / "out").values():
        assert svg.startswith("<svg ")
        assert 'xmlns="http://www.w3.org/2000/svg"' in svg
        assert "prefers-color-scheme:dark" in svg
        assert not re.search(r'"#0[1-5]0[1-5]0[1-5]"', svg), "a stand-in colour was left"


def test_the_json_holds_the_checks_and_withholds_small_groups(made):
    content = json.loads(made[1])
    assert content["twins"][0]["twin"] == "CHOL"
    assert content["twins"][0]["moments"] == 60
    outside = content["outside_range"][0]
    assert (outside["above"], outside["withheld"]) == (None, True), "one patient of thirty"


def test_the_same_timeline_gives_the_same_bytes(tmp_path):
    folder = write_small(tmp_path / "timeline")
    pages = [quality(folder, tmp_path / name, made=MADE).page.read_bytes() for name in ("a", "b")]
    assert pages[0] == pages[1]


def test_a_page_about_synthetic_patients_says_so_first(tmp_path):
    report = quality(write_small(tmp_path / "timeline", synthetic=True), made=MADE)
    assert "SYNTHETIC patients" in report.page.read_text(encoding="utf-8")


def test_a_page_about_an_order_tells_no_days(tmp_path):
    """Two moments a patient: the page says that times are an order, and counts first and second moments."""
    dated = quality(write_small(tmp_path / "dated"), made=MADE)
    ordered = quality(write_small(tmp_path / "ordered", order_only=True), made=MADE)
    page, other = (report.page.read_text(encoding="utf-8") for report in (ordered, dated))
    assert "Times are only an order" in page and "days from first to last" not in page
    assert "Times are only an order" not in other and "days from first to last" in other
    content = json.loads(ordered.json.read_text(encoding="utf-8"))
    assert content["order_only"] is True
    assert [(row["start"], row["rows"]) for row in content["periods"]] == [(1, 60), (2, 60)]

"""Rows in order only go out as they came; a timeline that lies between the steps is written in order, and counted."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from salus.timeline.store import read_codes, read_settings, read_timeline, write_timeline
from salus.workflows.export import ExportBooks, export
from tests.spec.test_source_order import VISITS, read

WRITTEN = """visit,patient,race,diagnosis,dose,days,back
1,7,Asian,250.83,No,3,YES
2,7,Other,V27,Up,1,NO
3,8,?,E849.7,No,2,NO
"""


@pytest.fixture
def timeline(tmp_path: Path) -> Path:
    """The three visits of the spec: patient 7 twice, patient 8 once; 17 events."""
    return read(tmp_path)[0]


def change(timeline: Path, *expressions: pl.Expr, add: pl.DataFrame | None = None) -> ExportBooks:
    """Export the same timeline with some columns changed or rows added."""
    events = read_timeline(timeline).with_columns(*expressions)
    events = pl.concat([events, add]) if add is not None else events
    codes = read_codes(timeline)
    new = events.filter(~pl.col("code").is_in(codes["code"].implode())).select("code").unique()
    write_timeline(
        timeline.parent / "changed",
        events.sort("subject_id", "time", "code", nulls_last=False),
        codes=pl.concat([codes, new.with_columns(description=pl.lit("new"))], how="diagonal"),
        settings=read_settings(timeline),
    )
    return export(timeline.parent / "changed", timeline.parent / "out", like=timeline.parent / "source.yaml")


def written(timeline: Path) -> str:
    return (timeline.parent / "out" / "visits.csv").read_text()


def test_the_rows_come_back_numbered_in_order(timeline: Path):
    books = change(timeline)
    assert written(timeline) == WRITTEN
    assert (books.events, books.written, books.rounded) == (17, 17, 0)
    assert VISITS.splitlines()[0] == WRITTEN.splitlines()[0]


def test_a_visit_between_the_steps_keeps_its_place_and_is_counted(timeline: Path):
    """Everything after day 1 a week later: the order is the same, six events of that row say less than their time."""
    later = pl.when(pl.col("time").dt.day() > 2).then(pl.col("time") + pl.duration(days=7)).otherwise("time")
    books = change(timeline, later.alias("time"))
    assert written(timeline) == WRITTEN
    assert (books.events - books.written, books.rounded) == (0, 6)


def test_a_later_fact_at_the_row_s_own_time_cannot_be_said(timeline: Path):
    """The form has no place for what would have been known at the visit already."""
    early = (
        pl.when(pl.col("code") == "BACK//YES").then(pl.col("time") - pl.duration(days=1)).otherwise("time")
    )
    books = change(timeline, early.alias("time"))
    assert [(row["code"], row["reason"], row["events"]) for row in books.not_expressible] == [
        ("BACK//YES", "at another time than the source can say", 1)
    ]
    assert written(timeline) == WRITTEN.replace("3,YES", "3,?")


def test_a_first_visit_that_is_not_the_first_cannot_be_said(timeline: Path):
    """Read again, the row would be a further visit."""
    twice = pl.when(pl.col("code") == "VISIT//NEXT").then(pl.lit("VISIT//FIRST")).otherwise("code")
    books = change(timeline, twice.alias("code"))
    assert [(row["code"], row["events"]) for row in books.not_expressible] == [("VISIT//FIRST", 1)]
    assert written(timeline) == WRITTEN


def test_a_second_diagnosis_has_no_room(timeline: Path):
    extra = read_timeline(timeline).filter(pl.col("code") == "ICD9//V27")
    books = change(timeline, add=extra.with_columns(code=pl.lit("ICD9//780")))
    assert sum(int(row["events"]) for row in books.not_expressible) == 1
    assert "room for one" in str(books.not_expressible[0]["reason"])


def test_a_code_that_was_in_no_file_is_written_as_its_cell(timeline: Path):
    other = pl.when(pl.col("code") == "ICD9//V27").then(pl.lit("ICD9//401.9")).otherwise("code")
    assert change(timeline, other.alias("code")).not_expressible == []
    assert written(timeline) == WRITTEN.replace("V27", "401.9")


def test_a_category_that_begins_like_a_formula_is_made_harmless_and_counted(timeline: Path):
    evil = pl.when(pl.col("code") == "ICD9//V27").then(pl.lit("ICD9//=HYPERLINK(1)")).otherwise("code")
    assert change(timeline, evil.alias("code")).guarded == 1
    assert written(timeline) == WRITTEN.replace("V27", "'=HYPERLINK(1)")


def test_a_code_that_no_cell_can_say_is_counted(timeline: Path):
    strange = pl.when(pl.col("code") == "ICD9//V27").then(pl.lit("ICD9//a//b")).otherwise("code")
    books = change(timeline, strange.alias("code"))
    assert [(row["code"], row["reason"]) for row in books.not_expressible] == [
        ("ICD9//a//b", "the source has no place for this code")
    ]


def test_a_dated_row_s_later_fact_goes_out_in_its_row(tmp_path: Path):
    """The histology of a biopsy of 1 March is known two days (grains) later: on 3 March, and back in its row."""
    yaml = """
name: biopsies
input: .
time: {zero: 2026-01-01T00:00:00, grain: day}
missing: [""]
tables:
  biopsies:
    files: [visits.csv]
    columns: {id: {subject: true}, day: {time: "%Y-%m-%d"}, size: {code: SIZE}, histology: {each: HISTOLOGY, later: 2}}
codes:
  SIZE: {description: Size, unit: cm}
  HISTOLOGY//*: {description: "Histology {}"}
"""
    rows = "id,day,size,histology\n1,2026-03-01,2,benign\n1,2026-03-03,,malignant\n2,2026-03-01,1,\n"
    timeline, _ = read(tmp_path, yaml=yaml, visits=rows)
    told = read_timeline(timeline).filter(pl.col("code").str.starts_with("HISTOLOGY"))
    assert told["known_time"].dt.strftime("%m-%d").to_list() == ["03-03", "03-05"]
    books = export(timeline, tmp_path / "out", like=tmp_path / "source.yaml")
    assert (tmp_path / "out" / "visits.csv").read_text() == rows
    assert (books.events, books.written, books.rounded) == (4, 4, 0)

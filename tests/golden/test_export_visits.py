"""A row a visit with dates of its own, and a long table that says when a result was seen, go out as they came in."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from salus.progress import QUIET
from salus.timeline.store import read_timeline
from salus.workflows.export import export
from salus.workflows.ingest import ingest

YAML = """
name: visits
input: in
time: {zero: 2026-01-01T00:00:00, grain: minute}
tables:
  visits:
    files: [visits.csv]
    row: VISIT
    columns:
      id: {subject: true}
      date: {time: "%Y-%m-%d"}
      weight: {code: WEIGHT}
      seen: {known_time: "%Y-%m-%d"}
      smoker: {values: {n: SMOKING//0, y: SMOKING//1}}
      note: {ignore: free text is not read}
  results:
    files: [results.csv]
    columns:
      id: {subject: true}
      drawn: {time: "%Y-%m-%d %H:%M"}
      seen: {known_time: "%Y-%m-%d %H:%M"}
      test: {variable: true}
      value: {value: true}
    facts:
      potassium: {code: LOINC//2823-3}
codes:
  VISIT: {description: Visit}
  WEIGHT: {description: Weight, unit: kg}
  SMOKING//0: {description: Not smoking}
  SMOKING//1: {description: Smoking}
  LOINC//2823-3: {description: Potassium, unit: mmol/L}
"""
FILES = {
    "visits.csv": """id,date,weight,seen,smoker,note
1,2026-03-01,70.5,2026-03-03,n,
1,2026-04-01,,2026-04-01,y,
2,2026-03-02,81,2026-03-05,,
""",
    "results.csv": """id,drawn,seen,test,value
1,2026-03-01 08:00,2026-03-01 09:10,potassium,5.9
2,2026-03-02 08:00,2026-03-02 08:30,potassium,4.1
""",
}


def write_source(folder: Path) -> Path:
    (folder / "in").mkdir()
    for name, text in FILES.items():
        (folder / "in" / name).write_text(text)
    (folder / "source.yaml").write_text(YAML)
    return folder / "source.yaml"


def test_visits_and_results_come_back_cell_for_cell(tmp_path: Path):
    """Nine events: three visits, two weights, two habits, two potassiums known later than drawn."""
    source = write_source(tmp_path)
    ingest(source, tmp_path / "timeline", progress=QUIET)
    books = export(tmp_path / "timeline", tmp_path / "out", like=source)
    assert (books.events, books.written, books.rounded) == (9, 9, 0)
    assert {name: (tmp_path / "out" / name).read_text() for name in FILES} == FILES


def test_a_result_keeps_both_its_times(tmp_path: Path):
    source = write_source(tmp_path)
    ingest(source, tmp_path / "first", progress=QUIET)
    export(tmp_path / "first", tmp_path / "out", like=source)
    ingest(source, tmp_path / "second", inputs=tmp_path / "out", progress=QUIET)
    potassium = read_timeline(tmp_path / "second").filter(pl.col("code") == "LOINC//2823-3")
    waits = (potassium["known_time"] - potassium["time"]).dt.total_minutes()
    assert waits.to_list() == [70, 30]

"""What holds for good may stand in a table whose rows have times: as often as it was said it comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from salus.progress import QUIET
from salus.timeline.store import read_timeline
from salus.workflows.export import export
from salus.workflows.ingest import ingest

HEAD = """\
name: invented
input: .
time: {zero: 2000-01-01T00:00:00, grain: minute}
patients: patients
splits: {seed: 1, shares: {train: 0.7, tuning: 0.1, held_out: 0.2}}
tables:
  patients:
    files: [patients.csv]
    row: %s
    columns:
      patient_id: {subject: true}
      sex: {each: SEX, static: true}
      at: {time: '%%Y-%%m-%%d'}
codes:
  MEDS_BIRTH: {description: Birth, role: birth}
  VISIT: {description: A visit}
  SEX//*: {description: 'sex {}'}
"""


@pytest.mark.parametrize(
    ("row", "lines", "events"),
    [
        ("MEDS_BIRTH", ["1,F,1950-01-02", "2,M,1960-02-03", "3,,1970-03-04"], 5),
        ("VISIT", ["1,F,2020-01-02", "1,F,2020-02-02", "2,,2020-03-04", "2,M,2020-01-04"], 7),
    ],
)
def test_static_facts_come_back(tmp_path: Path, row: str, lines: list[str], events: int):
    """Births: three and two sexes. Visits: four, and the three sexes that they say."""
    source = tmp_path / "source.yaml"
    source.write_text(HEAD % row)
    (tmp_path / "patients.csv").write_text("\n".join(["patient_id,sex,at", *lines]) + "\n")
    ingest(source, tmp_path / "first", progress=QUIET)
    books = export(tmp_path / "first", tmp_path / "out", like=source)
    assert (books.events, books.written, books.not_expressible) == (events, events, [])
    ingest(source, tmp_path / "second", inputs=tmp_path / "out", progress=QUIET)
    order = ["subject_id", "time", "code"]
    first, second = (
        read_timeline(tmp_path / name).drop("source").sort(order, nulls_last=False)
        for name in ("first", "second")
    )
    assert first.equals(second)

"""Ingest after export gives the same events: on invented patients, and on real stays where they are at hand."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.errors import InputEmpty
from salus.formats.categories import is_category
from salus.progress import QUIET
from salus.timeline.store import read_timeline
from salus.workflows.export import export
from salus.workflows.ingest import ingest
from tests.tiny_source import write_tiny

EXAMPLES = Path(__file__).parents[2] / "examples"
ICU = EXAMPLES / "icu" / "source.yaml"
CLINIC = EXAMPLES / "clinic" / "source.yaml"
FACTS = ["subject_id", "time", "code", "numeric_value", "unit", "known_time", "split"]
STAYS = 200

PERSON = st.tuples(
    st.integers(0, 110),
    st.sampled_from("01"),
    st.sampled_from(["", "-1", "70", "60.5"]),
    st.integers(0, 5000),
    st.sampled_from("01"),
)
LAB = st.tuples(
    st.integers(1, 3),
    st.integers(-7000, 7000),
    st.sampled_from([("sbp", "mmHg"), ("glucose", "mmol/L"), ("glucose", "mg/dL")]),
    st.floats(-1e6, 1e6, width=32).map(lambda value: f"{value:.7g}"),
)


def same_events(first: Path, second: Path) -> bool:
    frames = [read_timeline(folder).select(FACTS).sort(FACTS) for folder in (first, second)]
    return frames[0].equals(frames[1])


@settings(max_examples=25, deadline=None)
@given(
    people=st.lists(PERSON, min_size=3, max_size=3),
    labs=st.lists(LAB, max_size=12, unique_by=lambda lab: lab[1]),
)
def test_what_is_exported_comes_back(people, labs):
    """Values of any size, days before and after time zero, units that were converted on the way in."""
    lines = [",".join(map(str, (number, *person))) for number, person in enumerate(people, start=1)]
    rows = [f"{subject},{day},{test},{value},{unit}" for subject, day, (test, unit), value in labs]
    with TemporaryDirectory() as name:
        folder = Path(name)
        source = write_tiny(
            folder,
            people="\n".join(["id,age,male,weight,futime,status", *lines]) + "\n",
            labs="\n".join(["id,day,test,value,unit", *rows, "1,9000,smoke,0,"]) + "\n",
        )
        ingest(source, folder / "first", progress=QUIET)
        books = export(folder / "first", folder / "out", like=source)
        ingest(source, folder / "second", inputs=folder / "out", progress=QUIET)
        assert books.events == books.written
        assert same_events(folder / "first", folder / "second")


@pytest.fixture
def stays(tmp_path: Path) -> Path:
    """The first stays of each set of the Challenge 2012."""
    data = Path(os.environ.get("SALUS_DATA", "/nonexistent")) / "icu2012"
    if not data.is_dir():
        pytest.skip("SALUS_DATA/icu2012 is not on this machine")
    for name in ("a", "b"):
        outcomes = pl.read_csv(data / f"outcomes-{name}.csv", infer_schema=False).head(STAYS)
        charted = pl.read_csv(gzip.decompress((data / f"set-{name}.csv.gz").read_bytes()), infer_schema=False)
        charted = charted.filter(pl.col("RecordID").is_in(outcomes["RecordID"].implode()))
        outcomes.write_csv(tmp_path / f"outcomes-{name}.csv")
        (tmp_path / f"set-{name}.csv.gz").write_bytes(gzip.compress(charted.write_csv().encode(), 1))
    return tmp_path


def test_real_stays_come_back(stays: Path):
    ingest(ICU, stays / "first", inputs=stays, progress=QUIET)
    books = export(stays / "first", stays / "out", like=ICU)
    ingest(ICU, stays / "second", inputs=stays / "out", progress=QUIET)
    assert (books.events - books.written, books.rounded) == (0, 0)
    assert same_events(stays / "first", stays / "second")


def test_real_encounters_come_back_cell_for_cell(tmp_path: Path):
    """All but the encounters' own ids, of which only the order within each patient is kept."""
    data = Path(os.environ.get("SALUS_DATA", "/nonexistent")) / "diabetes130"
    if not data.is_dir():
        pytest.skip("SALUS_DATA/diabetes130 is not on this machine")
    ingest(CLINIC, tmp_path / "timeline", inputs=data, progress=QUIET)
    books = export(tmp_path / "timeline", tmp_path / "out", like=CLINIC)
    assert (books.events - books.written, books.rounded, books.guarded) == (0, 0, 0)
    before, after = (encounters(folder / "diabetic_data.csv.gz") for folder in (data, tmp_path / "out"))
    assert after["encounter_id"].to_list() == list(range(1, after.height + 1))
    in_order = before.sort("patient_nbr", "encounter_id")
    assert after.drop("encounter_id").equals(in_order.drop("encounter_id"))


def encounters(path: Path) -> pl.DataFrame:
    """The table as texts, its two ids as whole numbers."""
    return pl.read_csv(path, infer_schema=False).with_columns(
        pl.col("encounter_id", "patient_nbr").cast(pl.Int64)
    )


VISIT = st.tuples(
    st.integers(1, 3),
    st.integers(-(2**62), 2**62),
    st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=12),
    st.sampled_from(["YES", "NO"]),
)


@settings(max_examples=25, deadline=None)
@given(visits=st.lists(VISIT, min_size=1, max_size=12, unique_by=lambda visit: visit[:2]))
def test_visits_in_order_come_back_in_order(visits):
    """Any number orders them; what is kept goes out, in each patient's order, and comes in as the same events."""
    frame = pl.DataFrame(visits, schema=["patient", "visit", "diagnosis", "back"], orient="row")
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "source.yaml").write_text(ORDERED)
        frame.select("visit", "patient", "diagnosis", "back").write_csv(folder / "visits.csv")
        try:
            books = ingest(folder / "source.yaml", folder / "first", progress=QUIET)
        except InputEmpty:
            return  # no diagnosis was a category
        written = export(folder / "first", folder / "out", like=folder / "source.yaml")
        ingest(folder / "source.yaml", folder / "second", inputs=folder / "out", progress=QUIET)
        assert (written.events, written.rounded) == (written.written, 0)
        assert written.files["visits.csv"] == books.kept
        if not written.guarded:
            assert same_events(folder / "first", folder / "second")
            kept = frame.filter(pl.col("diagnosis").map_elements(is_category, return_dtype=pl.Boolean))
            expected = kept.sort("patient", "visit").select("patient", "diagnosis", "back")
            out = pl.read_csv(folder / "out" / "visits.csv", infer_schema=False).with_columns(
                pl.col("patient").cast(pl.Int64)
            )
            assert out.select("patient", "diagnosis", "back").equals(expected)


ORDERED = """
name: visits
input: .
time: {zero: 2000-01-01T00:00:00, grain: day}
anchor: VISIT//FIRST
missing: ["?"]
tables:
  visits:
    files: [visits.csv]
    row: VISIT//NEXT
    first_row: VISIT//FIRST
    columns:
      visit: {time: order}
      patient: {subject: true}
      diagnosis: {each: ICD9}
      back: {each: BACK, later: 1}
codes:
  VISIT//FIRST: {description: First visit, role: anchor}
  VISIT//NEXT: {description: A further visit}
  ICD9//*: {description: "ICD-9 {}"}
  BACK//YES: {description: Came back}
  BACK//NO: {description: Did not come back}
"""

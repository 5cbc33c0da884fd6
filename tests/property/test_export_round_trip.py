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

from salus.progress import QUIET
from salus.timeline.store import read_timeline
from salus.workflows.export import export
from salus.workflows.ingest import ingest
from tests.tiny_source import write_tiny

ICU = Path(__file__).parents[2] / "examples" / "icu" / "source.yaml"
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

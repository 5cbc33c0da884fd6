"""Whatever the rows hold: read = kept + rejected; a kept row is found by its source, any other in rejected."""

import tempfile
from pathlib import Path

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.timeline.store import read_rejected, read_timeline
from tests.tiny_source import ingest_tiny

ids = st.sampled_from(["1", "2", "3", "4", "x", "", "-7", "1.5"])
numbers = st.sampled_from(["0", "1", "120", "-1", "5.25", "", "NA", "high", "1e400", "0.1"])
days = st.sampled_from(["0", "-10", "36500", "1.5", "", "later", "99999999"])
tests = st.sampled_from(["sbp", "glucose", "smoke", "height", ""])
units = st.sampled_from(["mmHg", "mm[Hg]", "mg/dL", "mmol/L", "", "furlong"])
people_rows = st.lists(st.tuples(ids, numbers, numbers, numbers, days, numbers).map(",".join), max_size=8)
labs_rows = st.lists(st.tuples(ids, days, tests, numbers, units).map(",".join), max_size=12)


def lines_of(text):
    """The lines that hold a row, told in the slow and obvious way (no cell here holds a line break)."""
    return [number for number, line in enumerate(text.splitlines(), start=1) if number > 1 and line]


@settings(max_examples=60, deadline=None)
@given(people_rows, labs_rows, st.lists(st.sampled_from(["1,2", "1,2,3,4,5,6,7,8", ""]), max_size=2))
def test_every_row_is_kept_or_rejected_never_both_never_neither(people, labs, odd):
    people_text = "\n".join(["id,age,male,weight,futime,status", "1,40,0,60.5,1000,0", *people]) + "\n"
    labs_text = "\n".join(["id,day,test,value,unit", *labs, *odd]) + "\n"
    with tempfile.TemporaryDirectory() as folder:
        timeline, books = ingest_tiny(Path(folder), people=people_text, labs=labs_text)
        events, rejected = read_timeline(timeline), read_rejected(timeline)
    assert books.read == len(lines_of(people_text)) + len(lines_of(labs_text))
    assert books.read == books.kept + books.rejected
    assert books.events == events.height
    kept = set(events["source"])
    refused = {f"{file.removesuffix('.csv')}:{line}" for file, line, _, _ in rejected.iter_rows()}
    every = {f"people:{line}" for line in lines_of(people_text)} | {
        f"labs:{line}" for line in lines_of(labs_text)
    }
    assert kept | refused == every
    assert not kept & refused
    assert len(kept) == books.kept
    check_timeline(events)


def check_timeline(events):
    """Sorted by patient and time, one split a patient, a unit exactly where a valued code has one."""
    order = events.select("subject_id", pl.col("time").fill_null(pl.datetime(1, 1, 1)))
    for name in ("train", "tuning", "held_out"):
        part = order.filter(events["split"] == name)
        assert part.equals(part.sort("subject_id", "time", maintain_order=True))
    assert events.group_by("subject_id").agg(pl.col("split").n_unique())["split"].max() == 1
    assert events.filter(pl.col("numeric_value").is_null() & pl.col("unit").is_not_null()).is_empty()


@settings(max_examples=20, deadline=None)
@given(labs_rows.map(lambda rows: list(dict.fromkeys(rows))), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(labs, random):
    shuffled = random.sample(labs, len(labs))
    found = []
    for rows in (labs, shuffled):
        with tempfile.TemporaryDirectory() as folder:
            text = "\n".join(["id,day,test,value,unit", *rows]) + "\n"
            timeline, books = ingest_tiny(Path(folder), labs=text)
            events = read_timeline(timeline).drop("source").sort(pl.all())
            found.append((events, books.as_json()))
    assert found[0][0].equals(found[1][0])
    assert found[0][1] == found[1][1]

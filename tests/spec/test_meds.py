"""A MEDS data set read as it is, and a timeline written as one: what is not said is assumed, and counted."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from meds.schema import CodeMetadataSchema, DataSchema, DatasetMetadataSchema, SubjectSplitSchema

from salus.errors import ColumnMissing, InputMissing, InputUnreadable
from salus.intake.books import Books
from salus.progress import QUIET
from salus.timeline.columns import EVENT_COLUMNS
from salus.timeline.settings import TimelineSettings
from salus.timeline.store import (
    read_codes,
    read_rejected,
    read_settings,
    read_splits,
    read_timeline,
    write_timeline,
)
from salus.workflows.export_tables import export_meds
from salus.workflows.ingest_tables import ingest_meds

AT = datetime(2026, 3, 1, 8)
PLAIN = {"subject_id": pl.Int64, "time": pl.Datetime("us"), "code": pl.String, "numeric_value": pl.Float32}
ROWS = [
    (2, None, "SEX//M", None),
    (2, AT, "LAB//K//mmol/L", 5.9),
    (1, None, "SEX//F", None),
    (1, datetime(1950, 5, 3), "MEDS_BIRTH", None),
    (1, AT, "PULSE", 80.0),
    (1, AT, "LAB//50912", 1.25),
]


def data_set(folder: Path, rows: list[tuple[object, ...]] = ROWS, **columns: list[object]) -> Path:
    """One shard of another tool's data set, in any order, with more columns where given."""
    frame = pl.DataFrame(rows, schema=PLAIN, orient="row").with_columns(
        pl.Series(name, cells) for name, cells in columns.items()
    )
    (folder / "data" / "train").mkdir(parents=True)
    frame.write_parquet(folder / "data" / "train" / "0.parquet")
    return folder


def codes(folder: Path, **described: dict[str, object]) -> None:
    (folder / "metadata").mkdir(exist_ok=True)
    rows = [{"code": code, **told} for code, told in described.items()]
    pl.DataFrame(rows).write_parquet(folder / "metadata" / "codes.parquet")


def read(folder: Path) -> tuple[Books, pl.DataFrame, Path]:
    to = folder.parent / f"{folder.name}-timeline"
    books = ingest_meds(folder, to, progress=QUIET)
    return books, read_timeline(to).sort("subject_id", maintain_order=True), to


def test_rows_are_sorted_by_patient_and_time_and_say_where_they_were(tmp_path):
    books, events, to = read(data_set(tmp_path / "meds"))
    assert events.select("subject_id", "time", "code", "source").rows() == [
        (1, None, "SEX//F", "data/train/0:3"),
        (1, datetime(1950, 5, 3), "MEDS_BIRTH", "data/train/0:4"),
        (1, AT, "PULSE", "data/train/0:5"),
        (1, AT, "LAB//50912", "data/train/0:6"),
        (2, None, "SEX//M", "data/train/0:1"),
        (2, AT, "LAB//K//mmol/L", "data/train/0:2"),
    ]
    assert (books.read, books.kept, books.rejected) == (6, 6, 0)
    roles = dict(read_codes(to).select("code", "role").iter_rows())
    assert (roles["MEDS_BIRTH"], roles["PULSE"]) == ("birth", "event")


def test_known_times_that_are_not_said_are_the_times_and_are_counted(tmp_path):
    """Four events have a time; one says when it was known."""
    later = datetime(2026, 3, 1, 9)
    books, events, to = read(data_set(tmp_path / "meds", known_time=[None, later, None, None, None, None]))
    assert books.assumed_known_time == read_settings(to).assumed_known_time == 3
    potassium = events.filter(pl.col("code") == "LAB//K//mmol/L")
    assert potassium.select("time", "known_time").rows() == [(AT, later)]


def test_units_come_from_the_row_the_codes_file_or_the_code_and_are_counted(tmp_path):
    folder = data_set(tmp_path / "meds", unit=[None, None, None, None, "/min", None])
    codes(
        folder,
        **{"LAB//50912": {"description": "Creatinine", "unit": "mg/dL", "parent_codes": ["LOINC//2160-0"]}},
    )
    books, events, to = read(folder)
    assert dict(events.filter(pl.col("numeric_value").is_not_null()).select("code", "unit").iter_rows()) == {
        "PULSE": "/min",
        "LAB//50912": "mg/dL",
        "LAB//K//mmol/L": "mmol/L",
    }
    assert books.noted["units"] == {
        "unit assumed as in codes.parquet": 1,
        "unit assumed from the end of the code": 1,
        "unit told by the row": 1,
    }
    (creatinine,) = read_codes(to).filter(pl.col("code") == "LAB//50912").rows(named=True)
    assert (creatinine["description"], creatinine["parent_codes"]) == ("Creatinine", ["LOINC//2160-0"])
    assert creatinine["decimals"] == 2


def test_rows_that_cannot_be_kept_are_listed_and_a_nan_is_no_number(tmp_path):
    rows = [
        (1, AT, "A", float("nan")),
        (1, AT, None, 1.0),
        (None, AT, "A", 1.0),
        (1, datetime(1, 1, 1), "A", 1.0),
        (1, datetime(9999, 12, 31), "A", 1.0),
        (1, AT, "A", float("inf")),
    ]
    books, events, to = read(data_set(tmp_path / "meds", rows))
    assert events.select("code", "numeric_value").rows() == [("A", None)]
    assert read_rejected(to).select("file", "line", "column").rows() == [
        ("data/train/0.parquet", 2, "code"),
        ("data/train/0.parquet", 3, "subject_id"),
        ("data/train/0.parquet", 4, "time"),
        ("data/train/0.parquet", 5, "time"),
        ("data/train/0.parquet", 6, "numeric_value"),
    ]
    assert (books.read, books.kept, books.rejected) == (6, 1, 5)


def test_splits_stay_as_the_data_set_says(tmp_path):
    folder = data_set(tmp_path / "meds")
    (folder / "metadata").mkdir()
    told = pl.DataFrame({"subject_id": [1, 2], "split": ["held_out", "tuning"]})
    told.write_parquet(folder / "metadata" / "subject_splits.parquet")
    _, _, to = read(folder)
    assert read_splits(to).equals(told)


def test_what_is_no_meds_is_refused(tmp_path):
    with pytest.raises(InputMissing, match="there is no folder"):
        read(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputMissing, match="holds no Parquet files"):
        read(tmp_path / "empty")
    (tmp_path / "lame").mkdir()
    pl.DataFrame({"subject_id": [1], "code": ["A"]}).write_parquet(tmp_path / "lame" / "0.parquet")
    with pytest.raises(ColumnMissing, match="no column 'time'"):
        read(tmp_path / "lame")
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "0.parquet").write_bytes(b"PAR1 987.65")
    with pytest.raises(InputUnreadable, match="not Parquet") as caught:
        read(tmp_path / "cut")
    assert "987.65" not in str(caught.value)


def timeline(folder: Path, *, synthetic: bool) -> Path:
    events = pl.DataFrame(ROWS[2:], schema=PLAIN, orient="row").with_columns(
        known_time="time",
        source=pl.lit("Observation/k-1"),
        unit=pl.lit(None, dtype=pl.String),
        split=pl.lit("train"),
    )
    described = pl.DataFrame({"code": events["code"].unique().sort()})
    write_timeline(
        folder, events, codes=described, settings=TimelineSettings(name="ward", synthetic=synthetic)
    )
    return folder


def test_a_timeline_as_meds_is_valid_meds_and_does_not_say_where_rows_came_from(tmp_path):
    """The schemas of the package ``meds`` accept every file; sources are left out."""
    books = export_meds(timeline(tmp_path / "timeline", synthetic=False), tmp_path / "meds")
    assert (books.events, books.written) == (4, 4)
    folder = tmp_path / "meds"
    for path in sorted((folder / "data").rglob("*.parquet")):
        DataSchema.validate(pq.read_table(path))
        assert pl.read_parquet(path)["source"].null_count() == 4
    CodeMetadataSchema.validate(pq.read_table(folder / "metadata" / "codes.parquet"))
    SubjectSplitSchema.validate(pq.read_table(folder / "metadata" / "subject_splits.parquet"))
    DatasetMetadataSchema.validate(json.loads((folder / "metadata" / "dataset.json").read_text()))
    assert "REAL PATIENTS" in (folder / "ABOUT.txt").read_text()
    assert isinstance(pq.read_schema(path).field("text_value").type, pa.DataType)


def test_a_synthetic_timeline_stays_marked_there_and_back(tmp_path):
    export_meds(timeline(tmp_path / "timeline", synthetic=True), tmp_path / "meds")
    assert "SYNTHETIC DATA" in (tmp_path / "meds" / "SYNTHETIC.txt").read_text()
    assert (
        json.loads((tmp_path / "meds" / "metadata" / "dataset.json").read_text())["dataset_name"]
        == "SYNTHETIC: ward"
    )
    _, events, to = read(tmp_path / "meds")
    assert read_settings(to).synthetic
    told = [name for name in EVENT_COLUMNS if name != "source"]
    assert events.select(told).equals(read_timeline(tmp_path / "timeline").select(told))

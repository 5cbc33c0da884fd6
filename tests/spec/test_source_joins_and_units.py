"""Several files joined on keys, columns in units of their own, and Parquet: the same timeline as one plain file."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from salus.errors import InputUnreadable, JoinNotWritten, SourceValueError, UnitUnknown
from salus.progress import QUIET
from salus.timeline.store import read_rejected, read_timeline
from salus.workflows.draft import draft
from salus.workflows.export import export
from salus.workflows.ingest import ingest

HEAD = """
name: visits
input: data
time: {grain: minute, zone: Europe/Madrid}
missing: [""]
tables:
"""
CODES = """
codes:
  WEIGHT: {description: Weight, unit: kg}
  TEMPERATURE: {description: Body temperature, unit: Cel}
  ADMISSION: {description: Admission}
"""
JOINED = (
    HEAD
    + """
  vitals:
    files: [vitals.csv]
    join:
      visits.csv: {by: visit, key: nr, columns: [person, admitted]}
      people.csv: {by: person, columns: [patient]}
    columns:
      visit: {ignore: the key of visits.csv}
      person: {ignore: the key of people.csv}
      patient: {subject: true}
      admitted: {time: "%d.%m.%Y %H:%M"}
      weight: {code: WEIGHT, in: "[lb_av]"}
      fever: {code: TEMPERATURE, in: "[degF]"}
"""
    + CODES
)
FILES = {
    "vitals.csv": "visit,weight,fever\nv1,150,98.6\nv2,200,\nv9,100,\nv4,90,\n",
    "visits.csv": "nr,person,admitted,ward\nv1,a,03.02.2020 08:30,W1\nv2,b,04.07.2020 12:00,W2\n"
    "v4,a,01.01.2020 00:00,W1\nv4,b,01.01.2020 00:00,W1\n",
    "people.csv": "person,patient\na,7\nb,8\n",
}


def source(folder: Path, yaml: str, files: dict[str, str]) -> Path:
    """Write the source and its files."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / "data" / name).write_text(text, encoding="utf-8")
    (folder / "source.yaml").write_text(yaml, encoding="utf-8")
    return folder / "source.yaml"


def said(timeline: Path) -> list[tuple[object, ...]]:
    """Patient, time, code, number rounded to three decimals, unit."""
    rows = read_timeline(timeline).sort("subject_id", "time", "code")
    return [
        (subject, time, code, round(number, 3), unit)
        for subject, time, code, number, unit in rows.select(
            "subject_id", "time", "code", "numeric_value", "unit"
        ).iter_rows()
    ]


EXPECTED = [
    (7, datetime(2020, 2, 3, 7, 30), "TEMPERATURE", 37.0, "Cel"),
    (7, datetime(2020, 2, 3, 7, 30), "WEIGHT", 68.039, "kg"),
    (8, datetime(2020, 7, 4, 10, 0), "WEIGHT", 90.718, "kg"),
]
"""150 lb are 150 * 0.45359237 = 68.039 kg, 200 lb 90.718; 98.6 °F is 37 °C; Madrid is UTC+1 in February, +2 in July."""


def test_a_row_gets_its_patient_and_time_from_two_other_files(tmp_path):
    books = ingest(source(tmp_path, JOINED, FILES), tmp_path / "timeline", progress=QUIET)
    assert said(tmp_path / "timeline") == EXPECTED
    assert (books.read, books.kept, books.rejected) == (4, 2, 2)
    assert books.tables[0].converted == {"weight": 2, "fever": 1}


def test_a_key_that_is_not_there_once_rejects_its_row_and_tells_no_key(tmp_path):
    ingest(source(tmp_path, JOINED, FILES), tmp_path / "timeline", progress=QUIET)
    assert read_rejected(tmp_path / "timeline").rows() == [
        ("vitals.csv", 4, "visit", "'visits.csv' has no row with this key"),
        ("vitals.csv", 5, "visit", "'visits.csv' has several rows with this key"),
    ]


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("by: visit, key", "by: visti, key", "did you mean 'visit'"),
        ("columns: [patient]", "columns: [patiend]", "did you mean 'patient'"),
        ("columns: [person, admitted]", "columns: []", "brings nothing"),
        ("columns: [patient]", "columns: [patient, admitted]", "brought twice"),
        ('in: "[lb_av]"', "in: mmol/L", "no conversion from 'mmol/L' to 'kg'"),
        ('in: "[lb_av]"', "in: pfund", "no unit 'pfund'"),
        (
            "person: {ignore: the key of people.csv}",
            "person: {values: {a: ADMISSION}, in: kg}",
            "is no number",
        ),
    ],
)
def test_a_wrong_declaration_says_what_is_wrong(tmp_path, before, after, says):
    assert before in JOINED
    with pytest.raises((SourceValueError, UnitUnknown), match=says.replace("'", ".")):
        ingest(source(tmp_path, JOINED.replace(before, after), FILES), tmp_path / "to", progress=QUIET)


def test_joined_files_are_not_written_back(tmp_path):
    path = source(tmp_path, JOINED, FILES)
    ingest(path, tmp_path / "timeline", progress=QUIET)
    with pytest.raises(JoinNotWritten, match="'vitals'"):
        export(tmp_path / "timeline", tmp_path / "csv", like=path)


LONG = (
    HEAD
    + """
  vitals:
    files: [vitals.csv]
    columns:
      patient: {subject: true}
      at: {time: "%Y-%m-%d %H:%M"}
      test: {variable: true}
      value: {value: true}
    facts:
      weight: {code: WEIGHT, in: g}
      temp: {code: TEMPERATURE}
"""
    + CODES
)


def test_a_long_table_has_units_by_fact_and_comes_back_in_them(tmp_path):
    """3,500 g are 3.5 kg, and written back 3,500 g again."""
    text = "patient,at,test,value\n1,2020-01-01 10:00,weight,3500\n1,2020-01-01 10:00,temp,36.6\n"
    path = source(tmp_path, LONG, {"vitals.csv": text})
    books = ingest(path, tmp_path / "timeline", progress=QUIET)
    assert books.tables[0].converted == {"weight": 1}
    rows = read_timeline(tmp_path / "timeline")
    assert dict(rows.select("code", pl.col("numeric_value").round(3)).iter_rows()) == {
        "WEIGHT": 3.5,
        "TEMPERATURE": pytest.approx(36.6, abs=1e-5),
    }
    made = export(tmp_path / "timeline", tmp_path / "csv", like=path)
    assert (made.events, made.written) == (2, 2)
    written = (tmp_path / "csv" / "vitals.csv").read_text().splitlines()
    assert [line.split(",")[3] for line in written[1:]] == ["3500", "36.6"]


PLAIN = (
    HEAD
    + """
  vitals:
    files: [vitals.parquet]
    columns:
      patient: {subject: true}
      admitted: {time: "%Y-%m-%dT%H:%M:%S%z"}
      weight: {code: WEIGHT}
      fever: {code: TEMPERATURE}
"""
    + CODES
)


def parquet_source(folder: Path, yaml: str, rows: pl.DataFrame) -> Path:
    path = source(folder, yaml, {})
    rows.write_parquet(folder / "data" / "vitals.parquet")
    return path


VITALS = pl.DataFrame(
    {
        "patient": [7.0, 8.0, None],  # as pandas writes whole numbers beside a gap
        "admitted": pl.Series(
            [datetime(2020, 2, 3, 7, 30, tzinfo=UTC), datetime(2020, 7, 4, 10, 0, tzinfo=UTC), None],
            dtype=pl.Datetime("us", "UTC"),
        ).dt.convert_time_zone("America/New_York"),
        "weight": [68.039, 90.718, 60.0],
        "fever": [37.0, None, None],
    }
)


def test_parquet_is_read_as_the_cells_of_a_csv_would_be(tmp_path):
    """New York's 02:30 is 07:30 UTC; a row without a patient is rejected by its number, from 1."""
    books = ingest(parquet_source(tmp_path, PLAIN, VITALS), tmp_path / "timeline", progress=QUIET)
    assert said(tmp_path / "timeline") == EXPECTED
    assert (books.read, books.kept) == (3, 2)
    assert read_rejected(tmp_path / "timeline").select("file", "line", "column").rows() == [
        ("vitals.parquet", 3, "patient")
    ]


def test_times_with_a_zone_want_a_pattern_with_one(tmp_path):
    """Without %z, 02:30 in New York would be taken for 02:30 in Madrid."""
    with pytest.raises(InputUnreadable, match="have a zone"):
        ingest(parquet_source(tmp_path, PLAIN.replace("%z", ""), VITALS), tmp_path / "to", progress=QUIET)


@pytest.mark.parametrize(
    "rows", [VITALS.with_columns(fever=pl.lit([1.0])), VITALS.with_columns(fever=pl.lit(b"987.65"))]
)
def test_what_is_no_cell_is_refused_without_its_value(tmp_path, rows):
    with pytest.raises(InputUnreadable, match="fever") as refused:
        ingest(parquet_source(tmp_path, PLAIN, rows), tmp_path / "to", progress=QUIET)
    assert "987.65" not in str(refused.value)


def test_a_parquet_file_cut_short_is_refused(tmp_path):
    path = parquet_source(tmp_path, PLAIN, VITALS)
    file = tmp_path / "data" / "vitals.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(InputUnreadable, match="cut short"):
        ingest(path, tmp_path / "to", progress=QUIET)


def test_a_parquet_table_goes_out_and_comes_back(tmp_path):
    path = parquet_source(tmp_path, PLAIN, VITALS.head(2))
    ingest(path, tmp_path / "timeline", progress=QUIET)
    export(tmp_path / "timeline", tmp_path / "out", like=path)
    ingest(path, tmp_path / "again", inputs=tmp_path / "out", progress=QUIET)
    assert said(tmp_path / "again") == EXPECTED


def test_a_draft_looks_at_parquet_too(tmp_path):
    (tmp_path / "files").mkdir()
    rows = pl.DataFrame(
        {
            "patient_id": list(range(101, 131)),
            "seen": [date(2020, 1, day) for day in range(1, 31)],
            "weight": [60.5 + number for number in range(30)],
        }
    )
    rows.write_parquet(tmp_path / "files" / "visits.parquet")
    draft(tmp_path / "files", tmp_path / "source.yaml", progress=QUIET)
    ingest(tmp_path / "source.yaml", tmp_path / "timeline", progress=QUIET)
    found = read_timeline(tmp_path / "timeline").filter(pl.col("numeric_value").is_not_null())
    assert found.sort("subject_id").select("subject_id", "time", "numeric_value").rows() == [
        (101 + number, datetime(2020, 1, 1 + number), 60.5 + number) for number in range(30)
    ]
    assert json.loads((tmp_path / "timeline" / "books.json").read_text())["rejected"] == 0


ZONED = PLAIN.replace("vitals.parquet", "vitals.csv").replace("%Y-%m-%dT%H:%M:%S%z", "%d.%m.%Y %H:%M")


def test_an_export_writes_the_clock_of_the_source_s_zone(tmp_path):
    """Madrid's 08:30 in February is 07:30 UTC in the timeline and 08:30 again in the file."""
    text = "patient,admitted,weight,fever\n7,03.02.2020 08:30,68.5,37\n"
    path = source(tmp_path, ZONED, {"vitals.csv": text})
    ingest(path, tmp_path / "timeline", progress=QUIET)
    made = export(tmp_path / "timeline", tmp_path / "out", like=path)
    assert (tmp_path / "out" / "vitals.csv").read_text() == text
    assert made.rounded == 0


def test_an_hour_that_the_clocks_show_twice_is_counted_as_written_less_exactly(tmp_path):
    """On 25 October 2020 Madrid's 02:30 came at 00:30 and at 01:30 UTC: a pattern without a zone cannot say which."""
    text = "patient,admitted,weight,fever\n7,2020-10-25T02:30:00+0200,68.5,37\n"
    path = source(tmp_path, ZONED.replace("%d.%m.%Y %H:%M", "%Y-%m-%dT%H:%M:%S%z"), {"vitals.csv": text})
    ingest(path, tmp_path / "timeline", progress=QUIET)
    assert export(tmp_path / "timeline", tmp_path / "exact", like=path).rounded == 0
    assert (tmp_path / "exact" / "vitals.csv").read_text() == text
    (tmp_path / "source.yaml").write_text(ZONED, encoding="utf-8")
    assert export(tmp_path / "timeline", tmp_path / "vague", like=path).rounded == 2


UNITS_TOLD = LONG.replace(
    "      value: {value: true}\n", "      value: {value: true}\n      unit: {unit: true}\n"
).replace("      weight: {code: WEIGHT, in: g}\n", "      weight: {code: WEIGHT}\n")


def test_a_unit_that_a_row_tells_is_never_dropped(tmp_path):
    """Where the code has no unit, a told one cannot be kept: the row is rejected, and the draft would have named it."""
    yaml = UNITS_TOLD.replace("{description: Weight, unit: kg}", "{description: Weight}")
    text = "patient,at,test,value,unit\n1,2020-01-01 10:00,weight,70,kg\n1,2020-01-02 10:00,weight,71,\n"
    books = ingest(source(tmp_path, yaml, {"vitals.csv": text}), tmp_path / "timeline", progress=QUIET)
    assert (books.kept, books.rejected) == (1, 1)
    assert read_rejected(tmp_path / "timeline")["column"].to_list() == ["unit"]


def test_a_draft_names_the_unit_that_stands_most_often_beside_each_test(tmp_path):
    """Twelve rows of haemoglobin in g/dL and two in g/L: the draft says g/dL, and 140 g/L becomes 14 g/dL."""
    rows = [f"{number},2020-01-{number:02d},hb,{13 + number / 10},g/dL" for number in range(1, 13)]
    rows += ["13,2020-01-13,hb,140,g/L", "14,2020-01-14,hb,12,mmol/L"]
    rows += [f"{number},2020-01-{number:02d},gl,{90 + number / 10},mg/dL" for number in range(1, 15)]
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "labs.csv").write_text(
        "patient_id,taken,test,value,unit\n" + "\n".join(rows) + "\n", encoding="utf-8"
    )
    draft(tmp_path / "files", tmp_path / "source.yaml", progress=QUIET)
    books = ingest(tmp_path / "source.yaml", tmp_path / "timeline", progress=QUIET)
    found = read_timeline(tmp_path / "timeline").filter(pl.col("subject_id") == 13, pl.col("code") == "hb")
    assert found.select(pl.col("numeric_value").round(3), "unit").rows() == [(14.0, "g/dL")]
    assert books.rejected == 1


def test_a_typing_error_makes_no_category_of_a_column_of_numbers(tmp_path):
    rows = [f"{number},2020-01-{number % 28 + 1:02d},{60 + number / 10}" for number in range(1, 60)]
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "weights.csv").write_text(
        "patient_id,seen,weight\n" + "\n".join(rows) + "\n60,2020-01-01,abc\n", encoding="utf-8"
    )
    draft(tmp_path / "files", tmp_path / "source.yaml", progress=QUIET)
    books = ingest(tmp_path / "source.yaml", tmp_path / "timeline", progress=QUIET)
    assert (books.kept, books.rejected) == (59, 1)

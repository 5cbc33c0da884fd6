"""A source.yaml turns rows into events; the expected ones are worked out by hand."""

import gzip
import json
from datetime import datetime

import polars as pl
import pytest

from salus.timeline.store import read_codes, read_rejected, read_settings, read_timeline
from tests.tiny_source import LABS, PEOPLE, YAML, ingest_tiny, write_tiny


def day(text):
    return datetime.fromisoformat(text)


def patient(folder, subject):
    """The events of one patient as (time, code, value, unit, source)."""
    rows = read_timeline(folder).filter(pl.col("subject_id") == subject)
    return rows.select("time", "code", "numeric_value", "unit", "source").rows()


def test_a_patients_rows_become_one_timeline(tmp_path):
    """Time zero is 2000-01-01; 40 years are 14,610 days (40 * 365.25); glucose 5 mmol/L is 90.078 mg/dL."""
    folder, _ = ingest_tiny(tmp_path)
    assert patient(folder, 1) == [
        (None, "SEX//F", None, None, "people:2"),
        (day("1960-01-01"), "MEDS_BIRTH", None, None, "people:2"),
        (day("1999-12-22"), "LOINC//8480-6", 120.0, "mm[Hg]", "labs:2"),
        (day("2000-01-01"), "COHORT//ENTRY", None, None, "people:2"),
        (day("2000-01-01"), "WEIGHT", 60.5, "kg", "people:2"),
        (day("2000-01-06"), "LOINC//2345-7", pytest.approx(90.078, abs=1e-4), "mg/dL", "labs:3"),
        (day("2002-09-27"), "FOLLOW_UP//END", None, None, "people:2"),
    ]


def test_what_is_not_recorded_is_absent_and_counted(tmp_path):
    """Patient 2's weight is empty, patient 3's is -1: neither is a weight."""
    folder, books = ingest_tiny(tmp_path)
    assert read_timeline(folder).filter(pl.col("code") == "WEIGHT").height == 1
    assert books.tables[0].not_recorded == {"weight": 2}


def test_the_books_balance_and_say_what_was_assumed(tmp_path):
    """7 rows; 3 patients give 3 * (entry, birth, sex, end) + 1 weight = 13 events, 4 labs give 4; 3 are static."""
    folder, books = ingest_tiny(tmp_path)
    said = json.loads((folder / "books.json").read_text())
    assert (said["read"], said["kept"], said["rejected"], said["events"]) == (7, 7, 0, 17)
    assert said["assumed_known_time"] == 14 == read_settings(folder).assumed_known_time
    assert said == books.as_json()
    assert said["tables"]["labs"]["units_converted"] == {"glucose": 1}
    assert sum(said["patients"].values()) == 3


def test_known_time_is_the_time_where_the_source_does_not_say(tmp_path):
    folder, _ = ingest_tiny(tmp_path)
    rows = read_timeline(folder)
    assert rows.filter(pl.col("time").ne_missing(pl.col("known_time"))).is_empty()


def test_known_time_comes_from_its_own_column(tmp_path):
    """Drawn on day 3, reported on day 5."""
    yaml = YAML.replace("unit: {unit: true}", "unit: {unit: true}\n      seen: {known_time: day}")
    labs = "id,day,test,value,unit,seen\n1,3,sbp,120,mmHg,5\n"
    folder, books = ingest_tiny(tmp_path, yaml=yaml, labs=labs)
    row = read_timeline(folder).filter(pl.col("source") == "labs:2")
    assert (row["time"][0], row["known_time"][0]) == (day("2000-01-04"), day("2000-01-06"))
    assert books.assumed_known_time == 10


def test_death_follows_from_the_status_column(tmp_path):
    folder, _ = ingest_tiny(tmp_path)
    assert patient(folder, 2)[-1] == (day("2000-01-31"), "MEDS_DEATH", None, None, "people:3")


def test_rows_may_come_in_any_order(tmp_path):
    header, *rows = LABS.splitlines()
    first, _ = ingest_tiny(tmp_path / "a")
    second, _ = ingest_tiny(tmp_path / "b", labs="\n".join([header, *reversed(rows)]))
    columns = pl.exclude("source")
    assert read_timeline(first).select(columns).equals(read_timeline(second).select(columns))


def test_compressed_files_and_foreign_line_ends_read_the_same(tmp_path):
    plain, _ = ingest_tiny(tmp_path / "plain")
    source = write_tiny(tmp_path / "gz", yaml=YAML.replace("[labs.csv]", "[labs.csv.gz]"))
    data = source.parent / "data"
    (data / "labs.csv.gz").write_bytes(gzip.compress(LABS.replace("\n", "\r\n").encode()))
    (data / "labs.csv").unlink()
    (data / "people.csv").write_bytes(b"\xef\xbb\xbf" + PEOPLE.encode())
    packed, _ = ingest_again(source)
    assert read_timeline(plain).equals(read_timeline(packed))


def ingest_again(source):
    from salus.progress import QUIET
    from salus.workflows.ingest import ingest

    to = source.parent / "timeline"
    return to, ingest(source, to, progress=QUIET)


def test_the_same_source_gives_the_same_bytes(tmp_path):
    first, _ = ingest_tiny(tmp_path / "a")
    second, _ = ingest_tiny(tmp_path / "b")
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(second) for path in second.rglob("*") if path.is_file())
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in files)


def test_a_quoted_cell_may_hold_commas_and_line_breaks_and_lines_are_still_right(tmp_path):
    yaml = YAML.replace("status: {", "note: {ignore: free text}\n      status: {")
    people = 'id,age,male,weight,futime,note,status\n1,40,0,60,9,"a, b\nc",0\n2,x,0,60,9,plain,0\n3,60,1,,9,"d",1\n'
    folder, books = ingest_tiny(tmp_path, yaml=yaml, people=people, labs="id,day,test,value,unit\n")
    assert (books.kept, books.rejected) == (2, 1)
    assert read_rejected(folder).rows() == [("people.csv", 4, "age", "not a number")]
    assert patient(folder, 3)[0][-1] == "people:5"


def test_decimals_are_those_of_the_values_where_not_declared(tmp_path):
    folder, _ = ingest_tiny(tmp_path)
    decimals = dict(read_codes(folder).select("code", "decimals").iter_rows())
    assert decimals["WEIGHT"] == 1
    assert decimals["LOINC//8480-6"] == 0
    assert decimals["SEX//F"] is None


def test_times_may_be_absolute(tmp_path):
    yaml = """
name: absolute
time: {grain: minute}
tables:
  labs:
    files: [labs.csv]
    columns:
      id: {subject: true}
      at: {time: "%Y-%m-%d %H:%M"}
      test: {variable: true}
      value: {value: true}
    facts: {k: {code: LOINC//2823-3}}
codes: {LOINC//2823-3: {description: Potassium, unit: mmol/L}}
"""
    yaml = yaml.replace("name: absolute", "name: absolute\ninput: data")
    labs = "id,at,test,value\n1,2026-03-01 08:00,k,5.9\n1,yesterday,k,4\n"
    folder, books = ingest_tiny(tmp_path, yaml=yaml, labs=labs)
    assert patient(folder, 1) == [
        (datetime(2026, 3, 1, 8), "LOINC//2823-3", pytest.approx(5.9), "mmol/L", "labs:2")
    ]
    assert (books.kept, books.rejected) == (1, 1)
    assert read_settings(folder).time_zero is None


ZONED = """
name: zoned
input: data
time: {grain: minute, zone: Europe/Madrid}
tables:
  labs:
    files: [labs.csv]
    columns: {id: {subject: true}, at: {time: "%Y-%m-%d %H:%M"}, test: {variable: true}}
    facts: {k: {code: SEEN}}
codes: {SEEN: {description: Seen}}
"""


def test_local_times_are_stored_in_utc(tmp_path):
    """Madrid is an hour ahead of UTC in winter, two in summer; 02:30 did not exist on 2026-03-29 and came
    twice on 2026-10-25; the year 1026 is a typing error."""
    times = [
        "2026-01-05 08:00",
        "2026-07-05 08:00",
        "2026-03-29 02:30",
        "2026-10-25 02:30",
        "1026-07-05 08:00",
    ]
    labs = "id,at,test\n" + "".join(f"1,{time},k\n" for time in times)
    folder, _ = ingest_tiny(tmp_path, yaml=ZONED, labs=labs)
    assert read_timeline(folder)["time"].to_list() == [datetime(2026, 1, 5, 7), datetime(2026, 7, 5, 6)]
    assert read_rejected(folder)["line"].to_list() == [4, 5, 6]
    assert read_settings(folder).zone == "Europe/Madrid"


def test_a_time_may_bring_its_own_offset(tmp_path):
    yaml = ZONED.replace("%H:%M", "%H:%M%z")
    folder, _ = ingest_tiny(tmp_path, yaml=yaml, labs="id,at,test\n1,2026-01-05 08:00+05:30,k\n")
    assert read_timeline(folder)["time"].to_list() == [datetime(2026, 1, 5, 2, 30)]

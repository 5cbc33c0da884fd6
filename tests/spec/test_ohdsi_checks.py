"""OHDSI's check definitions: what is read of their CSV files, and what it means for the codes of a timeline."""

from __future__ import annotations

import os
import tarfile
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from salus.errors import ColumnMissing, InputMissing, SalusError, SourceValueError
from salus.formats.ohdsi_checks import ConceptRule, read_ohdsi_checks
from salus.formats.omop_codes import Concept
from salus.formats.quality_thresholds import read_thresholds
from salus.timeline.columns import CODE_COLUMNS, fit_columns
from salus.timeline.quality_kinds import KINDS, OHDSI, Severity
from salus.workflows.quality_knowledge import codes_of_rules

TABLES = """cdmTableName,measurePersonCompleteness,measurePersonCompletenessThreshold
DEATH,Yes,100
MEASUREMENT,Yes,95
COST,No,
"""
FIELDS = """cdmTableName,cdmFieldName,isRequired,isRequiredThreshold,withinVisitDates,withinVisitDatesThreshold,\
plausibleValueLow,plausibleValueLowThreshold
MEASUREMENT,measurement_concept_id,Yes,0,No,,,
MEASUREMENT,measurement_date,Yes,0,Yes,5,'19500101',1
DEATH,death_date,Yes,0,No,,'19500101',1
"""
CONCEPTS = """conceptId,plausibleGender,plausibleGenderThreshold,plausibleGenderUseDescendants,\
plausibleGenderUseDescendantsThreshold,plausibleUnitConceptIds,plausibleUnitConceptIdsThreshold
26662,Male,5,,,,
"4090861, 4025213",,,Male,2,,
3023103,,,,,"8753,-1",5
"""
TYPES = """checkName
isRequired
withinVisitDates
somethingNew
"""


def write(folder: Path, **changed: str) -> Path:
    """The four files in a small form; ``changed``: other contents of some."""
    contents = {
        "Table_Level": TABLES,
        "Field_Level": FIELDS,
        "Concept_Level": CONCEPTS,
        "Check_Descriptions": TYPES,
    }
    for name, content in (contents | changed).items():
        (folder / f"OMOP_CDMv5.4_{name}.csv").write_text(content, encoding="utf-8")
    return folder


def test_thresholds_are_read_for_the_table_and_the_field_that_becomes_time_or_code(tmp_path):
    read = read_ohdsi_checks(write(tmp_path))
    percents = {case: threshold.percent for case, threshold in read.only.items()}
    assert percents == {
        ("measurePersonCompleteness", "part", "part", "death"): 100.0,
        ("measurePersonCompleteness", "part", "part", "measurement"): 95.0,
        ("isRequired", "code", "part", "measurement"): 0.0,
        ("plausibleValueLow", "time", "part", "measurement"): 1.0,
        ("plausibleValueLow", "time", "part", "death"): 1.0,
        ("withinVisitDates", "time", "part", "measurement"): 5.0,
    }
    assert read.earliest == datetime(1950, 1, 1)


def test_concrete_checks_are_counted_and_types_that_we_do_not_know_are_named(tmp_path):
    """Three fields are required, one is within visits; of the new type nothing is known."""
    read = read_ohdsi_checks(write(tmp_path))
    assert (read.met["isRequired"], read.met["withinVisitDates"]) == (3, 1)
    assert read.unknown == ("somethingNew",)


def test_rules_of_concepts_hold_sex_and_units(tmp_path):
    first, second, third = read_ohdsi_checks(write(tmp_path)).concepts
    assert (first.check, first.concepts, first.sex, first.percent) == ("plausibleGender", (26662,), "M", 5.0)
    assert (second.concepts, second.sex) == ((4090861, 4025213), "M")
    assert (third.concepts, third.units) == ((3023103,), (8753, -1))


@pytest.mark.parametrize(
    ("changed", "error", "said"),
    [
        ({"Table_Level": "cdmTableName\nDEATH\n"}, ColumnMissing, "measurePersonCompleteness"),
        ({"Table_Level": TABLES.replace(",100", ",many")}, SourceValueError, "'many' is no percentage"),
        (
            {"Concept_Level": CONCEPTS.replace("26662", "abc")},
            SourceValueError,
            "'abc' is no list of concept ids",
        ),
    ],
)
def test_files_that_are_not_theirs_are_refused(
    tmp_path, changed: dict[str, str], error: type[SalusError], said: str
):
    with pytest.raises(error, match=said):
        read_ohdsi_checks(write(tmp_path, **changed))


def test_a_folder_without_the_files_is_refused(tmp_path):
    with pytest.raises(InputMissing, match=r"OMOP_CDMv5.4_Check_Descriptions.csv"):
        read_ohdsi_checks(tmp_path)


CODES = fit_columns(
    pl.DataFrame(
        {
            "code": ["SNOMED//testis", "SNOMED//male", "LOINC//2823-3", "LOINC//other"],
            "parent_codes": [["SNOMED//male", "OMOP//26662"], ["OMOP//4090861"], ["OMOP//3023103"], []],
        }
    ),
    CODE_COLUMNS,
    what="codes",
)


def rule(check: str, *concepts: int, sex: str = "", units: tuple[int, ...] = ()) -> ConceptRule:
    return ConceptRule(check=check, concepts=concepts, percent=5.0, sex=sex, units=units)


def test_a_rule_speaks_of_codes_by_their_concepts_number_and_of_their_kinds_where_it_says_so():
    """26662 is the testis alone; descendants of 4090861 are SNOMED//male and the testis below it."""
    alone, kinds = (
        rule("plausibleGender", 26662, sex="M"),
        rule("plausibleGenderUseDescendants", 4090861, sex="M"),
    )
    found = dict((one.check, codes) for one, codes in codes_of_rules([alone, kinds], CODES, {}))
    assert found == {
        "plausibleGender": ("SNOMED//testis",),
        "plausibleGenderUseDescendants": ("SNOMED//male", "SNOMED//testis"),
    }


def test_units_are_asked_only_where_a_vocabulary_tells_their_concepts():
    units = rule("plausibleUnitConceptIds", 3023103, units=(8753,))
    assert codes_of_rules([units], CODES, {}) == []
    concept = Concept(
        concept_id=8753,
        name="mmol/L",
        domain="Unit",
        vocabulary="UCUM",
        concept_class="",
        standard="S",
        code="mmol/L",
    )
    assert codes_of_rules([units], CODES, {"UCUM//mmol/L": concept}) == [(units, ("LOINC//2823-3",))]


def test_the_thresholds_that_ship_name_every_check():
    shipped = read_thresholds().thresholds
    assert set(shipped.checks) == {(kind.name, kind.about) for kind in KINDS}
    assert shipped.blocking == (Severity.FATAL, Severity.CONVENTION)


def test_a_hospitals_file_changes_what_it_names_and_nothing_else(tmp_path):
    file = tmp_path / "ours.yaml"
    file.write_text(
        "blocking: [fatal]\n"
        "checks:\n  withinVisitDates: {time: 20}\n"
        "only:\n  - {check: isPrimaryKey, about: row, by: part, group: lab, percent: 3}\n"
        "drift: {population_stability: 0.1}\n",
        encoding="utf-8",
    )
    ours, shipped = read_thresholds(file), read_thresholds()
    assert ours.thresholds.of(("withinVisitDates", "time", "part", "lab")).percent == 20
    assert ours.thresholds.of(("isPrimaryKey", "row", "part", "lab")).percent == 3
    assert (
        ours.thresholds.of(("isPrimaryKey", "row", "part", "other"))
        == shipped.thresholds.checks[("isPrimaryKey", "row")]
    )
    assert (ours.drift.population_stability, ours.drift.share_of_patients) == (
        0.1,
        shipped.drift.share_of_patients,
    )
    assert ours.thresholds.blocking == (Severity.FATAL,)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("checks:\n  isPrimaryKeys: {row: 0}\n", "unknown key 'isPrimaryKeys'.*isPrimaryKey"),
        ("checks:\n  isPrimaryKey: {rows: 0}\n", "unknown key 'rows'"),
        ("checks:\n  isPrimaryKey: {row: 101}\n", "0 to 100"),
        ("checks:\n  isPrimaryKey: {row: many}\n", "must be a number"),
        ("blocking: [terrible]\n", "cannot hold 'terrible'"),
        (
            "only:\n  - {check: isPrimaryKey, about: row, by: ward, group: x, percent: 1}\n",
            "'by' cannot be 'ward'",
        ),
        ("drift: {population_stability: -1}\n", "cannot be below 0"),
    ],
)
def test_a_file_of_thresholds_that_cannot_be_meant_is_refused(tmp_path, written: str, said: str):
    file = tmp_path / "ours.yaml"
    file.write_text(written, encoding="utf-8")
    with pytest.raises(SalusError, match=said):
        read_thresholds(file)


def test_all_of_ohdsis_own_files_are_read(tmp_path):
    """Their files as of January 2026: 27 types, all known; 291 rules of sex and 181 of units for CDM 5.4."""
    archive = Path(os.environ.get("SALUS_DATA", "")) / "suites" / "ohdsi-dqd-thresholds.tar.xz"
    if not archive.is_file():
        pytest.skip("SALUS_DATA does not name a folder with suites/ohdsi-dqd-thresholds.tar.xz")
    with tarfile.open(archive) as files:
        files.extractall(tmp_path, filter="data")
    read = read_ohdsi_checks(next(tmp_path.rglob("OMOP_CDMv5.4_Table_Level.csv")).parent)
    assert set(read.met) == set(OHDSI)
    assert sum(one.check.startswith("plausibleGender") for one in read.concepts) == 291
    assert sum(bool(one.units) for one in read.concepts) == 181

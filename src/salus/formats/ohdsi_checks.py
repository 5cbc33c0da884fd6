"""OHDSI's check definitions and thresholds, read from the CSV files of their DataQualityDashboard (Apache-2.0).

Salus ships none of them: a folder of theirs (inst/csv) is named with `salus quality --checks DIR`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from salus.errors import ColumnMissing, InputMissing, InputUnreadable, SourceValueError
from salus.timeline.quality_judging import Case, Threshold
from salus.timeline.quality_kinds import OHDSI

SAID_BY = "OHDSI"
VERSION = "5.4"
DESCRIPTIONS = "Check_Descriptions"
FIELDS = {
    "condition_occurrence": ("condition_concept_id", "condition_start_date", "", "condition_source_value"),
    "drug_exposure": ("drug_concept_id", "drug_exposure_start_date", "days_supply", "drug_source_value"),
    "procedure_occurrence": ("procedure_concept_id", "procedure_date", "", "procedure_source_value"),
    "device_exposure": ("device_concept_id", "device_exposure_start_date", "", "device_source_value"),
    "measurement": (
        "measurement_concept_id",
        "measurement_date",
        "value_as_number",
        "measurement_source_value",
    ),
    "observation": (
        "observation_concept_id",
        "observation_date",
        "value_as_number",
        "observation_source_value",
    ),
    "visit_occurrence": ("visit_concept_id", "visit_start_date", "", "visit_source_value"),
    "visit_detail": ("visit_detail_concept_id", "visit_detail_start_date", "", "visit_detail_source_value"),
    "death": ("cause_concept_id", "death_date", "", "cause_source_value"),
    "note": ("note_class_concept_id", "note_date", "note_text", "note_source_value"),
    "observation_period": ("", "observation_period_start_date", "", ""),
    "person": ("gender_concept_id", "birth_datetime", "", "gender_source_value"),
}
"""The fields of an OMOP table that become code, time, value and word of a row."""
ASKED = (
    ("isRequired", "code", 0),
    ("isForeignKey", "code", 0),
    ("standardConceptRecordCompleteness", "code", 0),
    ("sourceValueCompleteness", "code", 3),
    ("measureValueCompleteness", "value", 2),
    ("plausibleValueLow", "time", 1),
    ("plausibleValueHigh", "time", 1),
    ("plausibleAfterBirth", "time", 1),
    ("plausibleBeforeDeath", "time", 1),
    ("withinVisitDates", "time", 1),
)
"""Our check and about, and of which of those fields OHDSI's threshold is meant."""
SEXES = {"Male": "M", "Female": "F"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConceptRule:
    """What OHDSI says of concepts: the sex that alone can have them (M, F), or the units' concepts; -1: no unit."""

    check: str
    concepts: tuple[int, ...]
    percent: float
    sex: str = ""
    units: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OhdsiChecks:
    """What was read. ``only``: thresholds by table; ``met``: how many concrete checks of each type the files hold."""

    version: str
    only: Mapping[Case, Threshold]
    concepts: tuple[ConceptRule, ...]
    met: Mapping[str, int]
    unknown: tuple[str, ...]
    earliest: datetime | None


def read_ohdsi_checks(folder: Path, version: str = VERSION) -> OhdsiChecks:
    """Read the four CSV files of one CDM version; raises where one is missing or lacks a column."""
    types = _read(folder, version, DESCRIPTIONS, ("checkName",))
    tables = _read(folder, version, "Table_Level", ("cdmTableName", "measurePersonCompleteness"))
    fields = _read(folder, version, "Field_Level", ("cdmTableName", "cdmFieldName"))
    concepts = _read(
        folder, version, "Concept_Level", ("conceptId", "plausibleGender", "plausibleUnitConceptIds")
    )
    names = [row["checkName"] for row in types]
    return OhdsiChecks(
        version=version,
        only=dict([*_of_tables(tables), *_of_fields(fields)]),
        concepts=tuple(_of_concepts(concepts)),
        met={name: _met(name, (tables, fields, concepts)) for name in names},
        unknown=tuple(name for name in names if name not in OHDSI),
        earliest=_earliest(fields),
    )


def _read(folder: Path, version: str, level: str, columns: Iterable[str]) -> list[dict[str, str]]:
    path = folder / f"OMOP_CDMv{version}_{level}.csv"
    try:
        frame = pl.read_csv(path, infer_schema=False)
    except FileNotFoundError as error:
        fix = "name the folder inst/csv of OHDSI's DataQualityDashboard"
        raise InputMissing(f"there is no '{path.name}'", where=str(folder), fix=fix) from error
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputUnreadable(f"'{path.name}' is not CSV", where=str(path), fix="fetch it again") from error
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise ColumnMissing(
            f"'{path.name}' has no column '{missing[0]}'",
            where=str(path),
            fix="fetch it again, or another version",
        )
    return [{name: (value or "").strip() for name, value in row.items()} for row in frame.to_dicts()]


def _of_tables(tables: list[dict[str, str]]) -> Iterable[tuple[Case, Threshold]]:
    for row in tables:
        table = row["cdmTableName"].lower()
        if row["measurePersonCompleteness"] == "Yes" and table in FIELDS:
            case = ("measurePersonCompleteness", "part", "part", table)
            yield case, _threshold(row, "measurePersonCompleteness")


def _of_fields(fields: list[dict[str, str]]) -> Iterable[tuple[Case, Threshold]]:
    by_name = {(row["cdmTableName"].lower(), row["cdmFieldName"].lower()): row for row in fields}
    for check, about, place in ASKED:
        for table, names in FIELDS.items():
            row = by_name.get((table, names[place]), {})
            if row.get(f"{check}Threshold"):
                yield (check, about, "part", table), _threshold(row, check)


def _of_concepts(concepts: list[dict[str, str]]) -> Iterable[ConceptRule]:
    for row in concepts:
        for check in ("plausibleGender", "plausibleGenderUseDescendants"):
            if sex := SEXES.get(row.get(check, "")):
                ids, percent = _ids(row["conceptId"]), _threshold(row, check).percent
                yield ConceptRule(check=check, concepts=ids, percent=percent, sex=sex)
        check = "plausibleUnitConceptIds"
        if row[check] and row.get(f"{check}Threshold"):
            ids, percent = _ids(row["conceptId"]), _threshold(row, check).percent
            yield ConceptRule(check=check, concepts=ids, percent=percent, units=_ids(row[check]))


def _threshold(row: Mapping[str, str], check: str) -> Threshold:
    said = row.get(f"{check}Threshold") or "0"
    try:
        return Threshold(percent=float(said), said_by=SAID_BY)
    except ValueError as error:
        raise SourceValueError(
            f"'{said}' is no percentage, as the threshold of {check}",
            where=", ".join(row.get(name, "") for name in ("cdmTableName", "cdmFieldName") if row.get(name)),
            fix="correct the CSV, or fetch it again",
        ) from error


def _ids(said: str) -> tuple[int, ...]:
    """Concept ids in a cell: "4090861, 4025213"."""
    try:
        return tuple(int(part) for part in said.replace(",", " ").split())
    except ValueError as error:
        what = f"'{said[:40]}' is no list of concept ids"
        raise SourceValueError(
            what, where="Concept_Level", fix="correct the CSV, or fetch it again"
        ) from error


def _met(name: str, levels: tuple[list[dict[str, str]], ...]) -> int:
    """Concrete checks of one type: cells that ask for it (OHDSI's own filter, by our reading)."""
    if name in ("cdmTable", "cdmField"):
        return len(levels[0 if name == "cdmTable" else 1])
    if name == "cdmDatatype":
        return sum(row.get(name) == "integer" for row in levels[1])
    gender = name.startswith("plausibleGender") or name == "plausibleUnitConceptIds"
    table = name in (
        "measurePersonCompleteness",
        "measureConditionEraCompleteness",
        "measureObservationPeriodOverlap",
    )
    asked = levels[2] if gender else levels[0] if table else levels[1]
    return sum(row.get(name, "") not in ("", "No") for row in asked)


def _earliest(fields: list[dict[str, str]]) -> datetime | None:
    """The day before which nothing can lie: the one that most dates of rows have."""
    dates = {names[1] for table, names in FIELDS.items() if table != "person"}
    said = [row["plausibleValueLow"].strip("'") for row in fields if row["cdmFieldName"].lower() in dates]
    days = [day for day in said if len(day) == 8 and day.isdigit()]
    return (
        datetime.strptime(max(set(days), key=lambda day: (days.count(day), day)), "%Y%m%d") if days else None
    )

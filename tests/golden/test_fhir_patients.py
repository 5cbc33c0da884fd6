"""Small records in, FHIR R4 out, written by hand from the specification."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from salus.outlet.fhir_draft import written_time
from salus.outlet.fhir_synthetic import synthetic_drafts
from salus.timeline.columns import CODE_COLUMNS, EVENT_COLUMNS, fit_columns

MARKS = {
    "security": [
        {
            "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason",
            "code": "HTEST",
            "display": "test health data",
        }
    ],
    "tag": [
        {
            "system": "urn:salus:tag",
            "code": "SYNTHETIC",
            "display": "SYNTHETIC: drawn by a model, no real patient",
        }
    ],
}
CODES = fit_columns(
    pl.DataFrame(
        [
            {"code": "SEX//F", "description": "Female", "role": "event"},
            {"code": "MEDS_BIRTH", "description": "Birth", "role": "birth"},
            {"code": "MEDS_DEATH", "description": "Death", "role": "death"},
            {"code": "ENTRY", "description": "Entry", "role": "anchor"},
            {"code": "LOINC//29463-7", "description": "Body weight", "role": "event", "decimals": 1},
            {"code": "DIAGNOSIS//DIABETES", "description": "Diabetes mellitus", "role": "event"},
            {"code": "SMOKING//1", "description": "Smoking", "role": "event"},
        ],
        schema_overrides={"decimals": pl.Int8},
    ),
    CODE_COLUMNS,
    what="codes",
)


def rows(*given: tuple[datetime | None, str, float | None, str | None]) -> pl.DataFrame:
    frame = pl.DataFrame(
        [(12, *one) for one in given],
        schema={
            "subject_id": pl.Int64,
            "time": pl.Datetime("us"),
            "code": pl.String,
            "numeric_value": pl.Float32,
            "unit": pl.String,
        },
        orient="row",
    )
    return fit_columns(frame, EVENT_COLUMNS, what="events")


@pytest.fixture(scope="module")
def made():
    record = rows(
        (None, "SEX//F", None, None),
        (datetime(1950, 3, 2), "MEDS_BIRTH", None, None),
        (datetime(2000, 1, 1), "ENTRY", None, None),
        (datetime(2000, 1, 4), "LOINC//29463-7", 70.3, "kg"),
        (datetime(2000, 1, 5), "DIAGNOSIS//DIABETES", None, None),
        (None, "SMOKING//1", None, None),
        (datetime(2001, 2, 3), "MEDS_DEATH", None, None),
    )
    return synthetic_drafts(record, CODES, grain="day", origin="abc")


def test_sex_birth_and_death_are_the_patient(made):
    patient = made.drafts[0].resource
    name = made.drafts[0].name
    assert patient == {
        "resourceType": "Patient",
        "meta": MARKS,
        "identifier": [{"system": "urn:salus:patient", "value": name}],
        "name": [{"use": "anonymous", "text": "SYNTHETIC 000012"}],
        "gender": "female",
        "birthDate": "1950-03-02",
        "deceasedDateTime": "2001-02-03",
    }


def test_a_weight_is_a_vital_sign_with_its_unit_and_one_decimal(made):
    """70.3 is stored as 70.30000305175781; R4 takes this code for a vital sign."""
    patient, weight = made.drafts[0], made.drafts[1]
    assert weight.resource == {
        "resourceType": "Observation",
        "meta": MARKS,
        "identifier": [{"system": "urn:salus:row", "value": weight.name}],
        "status": "final",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                        "code": "vital-signs",
                        "display": "Vital Signs",
                    }
                ]
            }
        ],
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}], "text": "Body weight"},
        "subject": {"reference": f"urn:uuid:{patient.name}"},
        "effectiveDateTime": "2000-01-04",
        "valueQuantity": {
            "value": 70.3,
            "unit": "kg",
            "system": "http://unitsofmeasure.org",
            "code": "kg",
        },
    }


def test_a_diagnosis_is_a_condition_and_what_is_merely_so_an_observation(made):
    condition, smoking = made.drafts[2].resource, made.drafts[3].resource
    assert (condition["resourceType"], condition["recordedDate"]) == ("Condition", "2000-01-05")
    assert condition["code"]["text"] == "Diabetes mellitus"
    assert (smoking["resourceType"], smoking["valueBoolean"]) == ("Observation", True)
    assert "effectiveDateTime" not in smoking


def test_what_has_no_place_is_counted(made):
    assert len(made.drafts) == 4
    assert made.left_out == {"ENTRY": 1}


def test_names_come_from_what_was_drawn(made):
    """The same draw gets the same names, another draw others: a server can tell whether it holds them."""
    one = rows((datetime(2000, 1, 4), "LOINC//29463-7", 70.3, "kg"))
    first, again = (synthetic_drafts(one, CODES, grain="day", origin="abc") for _ in range(2))
    other = synthetic_drafts(one, CODES, grain="day", origin="xyz")
    assert [draft.name for draft in first.drafts] == [draft.name for draft in again.drafts]
    assert not {draft.name for draft in first.drafts} & {draft.name for draft in other.drafts}


def test_times_are_no_finer_than_the_source_tells_them():
    """A day is a date; a minute is a time, with its zone."""
    moment = datetime(2000, 1, 4, 7, 30)
    assert written_time(moment, "day") == "2000-01-04"
    assert written_time(moment, "minute") == "2000-01-04T07:30:00Z"
    assert written_time(moment, "second") == moment.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z")

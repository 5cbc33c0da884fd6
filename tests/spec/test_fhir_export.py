"""What each row of a timeline becomes in FHIR R4, wherever the timeline came from, and that it is read as it was."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from salus.cli.export import export
from salus.outlet.fhir_timeline_files import MOST_ENTRIES
from salus.timeline.columns import CODE_COLUMNS, EVENT_COLUMNS, fit_columns
from salus.timeline.settings import TimelineSettings
from salus.timeline.store import write_timeline
from salus.workflows.export_fhir import export_fhir
from tests.small_fhir import Json, invalid, out_and_in, resources_in

D1, D2, D3 = datetime(2026, 3, 1, 8), datetime(2026, 3, 4, 11, 30), datetime(2026, 3, 9)
LATER = datetime(2026, 3, 1, 9, 10)
Row = tuple[object, ...]


def timeline(
    folder: Path, rows: list[Row], *, synthetic: bool = False, zone: str = "UTC", grain: str = "second"
) -> Path:
    """Rows of (subject, time, code, number, text, unit, known time, source); what is left out is null."""
    names = ("subject_id", "time", "code", "numeric_value", "text_value", "unit", "known_time", "source")
    whole = [(*row, *[None] * (len(names) - len(row))) for row in rows]
    events = pl.DataFrame(whole, schema={name: EVENT_COLUMNS[name] for name in names}, orient="row")
    events = events.with_columns(pl.col("known_time").fill_null(pl.col("time")))
    events = events.sort("subject_id", "time", maintain_order=True, nulls_last=False)
    described = [{"code": code, "description": f"words of {code}"} for code in events["code"].unique().sort()]
    codes = fit_columns(pl.DataFrame(described, schema_overrides=CODE_COLUMNS), CODE_COLUMNS, what="codes")
    write_timeline(
        folder,
        events.with_columns(split=pl.lit("train")),
        codes=codes,
        settings=TimelineSettings(name="ward", synthetic=synthetic, zone=zone, grain=grain),
    )
    return folder


def exported(folder: Path, *rows: Row, **more: object) -> dict[str, list[Json]]:
    export_fhir(timeline(folder / "timeline", list(rows), **more), folder / "out")
    return resources_in(folder / "out" / "fhir")


def only(found: dict[str, list[Json]], kind: str) -> Json:
    """The only resource of a kind, without its id and its patient."""
    (one,) = found[kind]
    return {
        name: told for name, told in one.items() if name not in ("id", "subject", "patient", "resourceType")
    }


def test_a_result_is_an_observation_with_its_unit_and_when_it_was_released(tmp_path):
    found = exported(tmp_path, (7, D1, "LOINC//2823-3", 5.9, None, "mmol/L", LATER))
    (patient,) = found["Patient"]
    assert found["Observation"][0]["subject"] == {"reference": f"Patient/{patient['id']}"}
    assert only(found, "Observation") == {
        "status": "final",
        "code": {
            "coding": [{"system": "http://loinc.org", "code": "2823-3"}],
            "text": "words of LOINC//2823-3",
        },
        "effectiveDateTime": "2026-03-01T08:00:00Z",
        "issued": "2026-03-01T09:10:00Z",
        "valueQuantity": {
            "value": 5.9,
            "unit": "mmol/L",
            "system": "http://unitsofmeasure.org",
            "code": "mmol/L",
        },
    }


@pytest.mark.parametrize(
    ("number", "text", "unit", "told"),
    [
        (140.0, None, None, {"valueQuantity": {"value": 140}}),
        (2.0, None, "puffs", {"valueQuantity": {"value": 2, "unit": "puffs"}}),
        (None, "<5", "mg", {"valueQuantity": {"value": 5, "comparator": "<", "unit": "mg"}}),
        (None, "<05", None, {"valueString": "<05"}),
        (None, "positive", None, {"valueString": "positive"}),
        (
            5.9,
            "ref 3.5..5.1",
            None,
            {"valueQuantity": {"value": 5.9}, "referenceRange": [{"text": "3.5..5.1"}]},
        ),
        (5.9, "by phone", None, {"valueQuantity": {"value": 5.9}}),
    ],
)
def test_values_stand_where_r4_has_them(tmp_path, number, text, unit, told):
    found = only(exported(tmp_path, (7, D1, "LOINC//2823-3", number, text, unit)), "Observation")
    said = {name: found[name] for name in ("valueQuantity", "valueString", "referenceRange") if name in found}
    if unit == "mg":
        told["valueQuantity"] |= {"system": "http://unitsofmeasure.org", "code": "mg"}
    assert said == told


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("LOINC//72166-2//SNOMED:8517006", {"valueCodeableConcept": ("http://snomed.info/sct", "8517006")}),
        ("LOINC//72166-2//ABSENT:unknown", {"dataAbsentReason": "unknown"}),
        ("LOINC//72166-2//true", {"valueBoolean": True}),
        ("LOINC//72166-2", {"dataAbsentReason": "none"}),
    ],
)
def test_an_answer_is_a_value_and_no_answer_a_reason(tmp_path, code, told):
    found = only(exported(tmp_path, (7, D1, code)), "Observation")
    assert found["code"]["coding"] == [{"system": "http://loinc.org", "code": "72166-2"}]
    for element, value in told.items():
        if element == "valueCodeableConcept":
            assert found[element]["coding"] == [{"system": value[0], "code": value[1]}]
        elif element == "dataAbsentReason":
            assert found[element]["coding"][0]["code"] == value
        else:
            assert found[element] is value


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ICD10CM//E11.9", "Condition"),
        ("DIAGNOSIS//DIABETES", "Condition"),
        ("CPT4//33510", "Procedure"),
        ("CVX//140", "Immunization"),
        ("ORDER//RXNORM//310965", "MedicationRequest"),
        ("GIVEN//RXNORM//310965", "MedicationAdministration"),
        ("TAKEN//RXNORM//310965", "MedicationStatement"),
        ("DISPENSED//RXNORM//310965", "MedicationDispense"),
        ("ALLERGY//SNOMED//91935009", "AllergyIntolerance"),
        ("REPORT//LOINC//58410-2", "DiagnosticReport"),
        ("NOTE//LOINC//34117-2", "DocumentReference"),
        ("DEVICE//SNOMED//360030002", "DeviceUseStatement"),
        ("BILLED//SNOMED//185349003", "Claim"),
        ("VISIT//IMP", "Encounter"),
        ("END//ORDER//RXNORM//310965", "Observation"),
        ("ICU//bed 7//ready", "Observation"),
    ],
)
def test_a_code_says_which_kind_of_resource_it_is(tmp_path, code, kind):
    found = exported(tmp_path, (7, D1, code))
    assert [name for name in found if name != "Patient"] == [kind]


def test_the_source_says_the_kind_where_it_was_fhir_or_a_table_of_omop(tmp_path):
    row = (None, None, None, None)
    found = exported(
        tmp_path,
        (7, D1, "SNOMED//73211009", *row, "Condition/123"),
        (7, D1, "SNOMED//80146002", *row, "Procedure/124"),
        (7, D1, "SNOMED//73211009", *row, "condition_occurrence:9"),
        (7, D1, "BILLED//SNOMED//185349003", *row, "ExplanationOfBenefit/5"),
    )
    assert {kind: len(all_) for kind, all_ in found.items()} == {
        "Condition": 2,
        "ExplanationOfBenefit": 1,
        "Patient": 1,
        "Procedure": 1,
    }


def test_a_begin_and_its_end_are_one_resource(tmp_path):
    """Two visits of one source each, and a diagnosis that ends without a begin."""
    row = (None, None, None, None)
    found = exported(
        tmp_path,
        (7, D1, "VISIT//IMP", *row, "Encounter/1"),
        (7, D2, "VISIT//IMP", *row, "Encounter/2"),
        (7, D2, "END//VISIT//IMP", *row, "Encounter/2"),
        (7, D3, "END//VISIT//IMP", *row, "Encounter/1"),
        (7, D3, "END//ICD10CM//E11.9"),
    )
    assert [one["period"] for one in found["Encounter"]] == [
        {"start": "2026-03-01T08:00:00Z", "end": "2026-03-09T00:00:00Z"},
        {"start": "2026-03-04T11:30:00Z", "end": "2026-03-04T11:30:00Z"},
    ]
    ended = only(found, "Condition")
    assert ended["abatementDateTime"] == "2026-03-09T00:00:00Z"
    assert ended["clinicalStatus"]["coding"][0]["code"] == "resolved"
    assert "onsetDateTime" not in ended


def test_what_was_known_later_says_so_everywhere(tmp_path):
    """R4 has recordedDate for a diagnosis; for its end, a visit, an order, a birth and a death it has nothing."""
    later = (None, None, None, LATER)
    found = exported(
        tmp_path,
        (7, datetime(1950, 3, 1), "MEDS_BIRTH", *later),
        (7, D1, "ICD10CM//E11.9", *later, "Condition/1"),
        (7, D3, "END//ICD10CM//E11.9", None, None, None, datetime(2026, 3, 10), "Condition/1"),
        (7, D1, "ORDER//RXNORM//310965", *later),
        (7, D3, "MEDS_DEATH", None, None, None, datetime(2026, 3, 11)),
    )
    known = {"url": "urn:salus:known", "valueDateTime": "2026-03-01T09:10:00Z"}
    condition = only(found, "Condition")
    assert condition["recordedDate"] == "2026-03-01T09:10:00Z"
    assert condition["extension"] == [{"url": "urn:salus:end-known", "valueDateTime": "2026-03-10T00:00:00Z"}]
    assert only(found, "MedicationRequest")["extension"] == [known]
    assert only(found, "Patient")["extension"] == [
        known,
        {"url": "urn:salus:end-known", "valueDateTime": "2026-03-11T00:00:00Z"},
    ]


def test_a_patient_has_sex_birth_and_death_and_the_words_of_us_core(tmp_path):
    """A birth at midnight in New York is that day's date; one at a time of day is written beside its date."""
    found = exported(
        tmp_path,
        (7, None, "SEX//F"),
        (7, None, "RACE//Asian"),
        (7, datetime(1950, 3, 1, 5), "MEDS_BIRTH"),
        (7, D2, "MEDS_DEATH"),
        (8, datetime(1950, 3, 1, 4, 30), "MEDS_BIRTH"),
        zone="America/New_York",
    )
    first, second = found["Patient"]
    assert (first["gender"], first["birthDate"], first["deceasedDateTime"]) == (
        "female",
        "1950-03-01",
        "2026-03-04T11:30:00Z",
    )
    assert first["extension"][0]["extension"][0]["valueCoding"] == {
        "system": "urn:oid:2.16.840.1.113883.6.238",
        "code": "2028-9",
        "display": "Asian",
    }
    assert second["birthDate"] == "1950-02-28"
    assert second["_birthDate"]["extension"][0]["valueDateTime"] == "1950-03-01T04:30:00Z"


def test_what_no_resource_says_is_counted_by_code_and_reason(tmp_path):
    rows = [
        (7, None, "SEX//F"),
        (7, None, "SEX//M"),
        (7, D1, "MEDS_BIRTH"),
        (7, D1, "LOINC//2823-3", None, None, "mmol/L"),
        (7, D1, "two  spaces", 1.0),
        (7, D1, "LOINC//2823-3", float("inf")),
        (7, D1, "VISIT//IMP", None, None, None, LATER),
        (7, datetime(1950, 3, 1, 4, 30), "MEDS_BIRTH"),
    ]
    books = export_fhir(timeline(tmp_path / "timeline", rows), tmp_path / "out")
    assert (books.events, books.written) == (8, 4)
    assert [(row["code"], row["reason"], row["events"]) for row in books.not_expressible] == [
        ("LOINC//2823-3", "R4 has no place for its value as it is", 2),
        ("MEDS_BIRTH", "the Patient has another, or it has no time", 1),
        ("two  spaces", "R4 cannot write its code", 1),
    ]
    assert json.loads((tmp_path / "out" / "export.json").read_text())["written"] == 4


def test_what_holds_for_good_is_an_observation_that_says_so(tmp_path):
    found = only(exported(tmp_path, (7, None, "SITE//3", 2.0, "since ever")), "Observation")
    assert "effectiveDateTime" not in found
    assert {one["url"]: one for one in found["extension"]} == {
        "urn:salus:static": {"url": "urn:salus:static", "valueBoolean": True},
        "urn:salus:text": {"url": "urn:salus:text", "valueString": "since ever"},
    }


def test_where_days_are_all_that_is_told_days_are_written(tmp_path):
    found = only(exported(tmp_path, (7, D3, "ICD10CM//E11.9"), grain="day"), "Condition")
    assert found["onsetDateTime"] == "2026-03-09"


def test_a_note_is_text_inside_a_document(tmp_path):
    found = only(
        exported(tmp_path, (7, D1, "NOTE//LOINC//34117-2", None, "Rests.\nNo pain.")), "DocumentReference"
    )
    (content,) = found["content"]
    assert base64.b64decode(content["attachment"]["data"]) == b"Rests.\nNo pain."
    assert found["context"] == {"period": {"start": "2026-03-01T08:00:00Z"}}


ALL_KINDS: list[Row] = [
    (7, None, "SEX//F"),
    (7, None, "SEX//8507"),
    (7, None, "SITE//3"),
    (7, None, "AGE//years", 76.0, "since ever", "a"),
    (7, None, "RACE//Martian"),
    (7, None, "ETHNICITY//Hispanic or Latino"),
    (7, datetime(1950, 3, 1), "MEDS_BIRTH", None, None, None, D1),
    (7, D1, "VISIT//ward 7", None, None, None, LATER),
    (7, D3, "END//VISIT//ward 7", None, None, None, datetime(2026, 3, 10)),
    (7, D1, "ICD10CM//E11.9", None, None, None, LATER),
    (7, D1, "LOINC//2823-3", 5.9, "ref 3.5..5.1", "mmol/L", LATER),
    (7, D1, "LOINC//2823-3", None, "after dialysis", "mmol/L"),
    (7, D1, "LOINC//2823-3", None, ">=7.5", "mmol/L"),
    (7, D1, "LOINC//not-a-loinc", 6.1, None, "bananas"),
    (7, D1, "LOINC//8867-4", 71.5, None, "/min"),
    (7, D1, "LOINC//72166-2//SNOMED:8517006"),
    (7, D1, "LOINC//72166-2//ABSENT:asked-declined"),
    (7, D1, "LOINC//72166-2//ABSENT:nobody-knows"),
    (7, D1, "LOINC//72166-2//LOCAL:two words"),
    (7, D1, "LOINC//72166-2//false"),
    (7, D1, "CPT4//33510"),
    (7, D2, "END//CPT4//33510", None, None, None, D3),
    (7, D1, "CVX//140", 0.5, None, "mL", LATER),
    (7, D1, "ORDER//RXNORM//310965", 500.0, None, "mg"),
    (7, D1, "ORDER//RXNORM//310965", None, "as needed"),
    (7, D1, "GIVEN//RXNORM//310965", 500.0, None, "mg"),
    (7, D1, "TAKEN//LOCAL//aspirin", 1.0, None, "tablets", LATER),
    (7, D1, "DISPENSED//RXNORM//310965", 30.0, None, None, LATER),
    (7, D1, "ALLERGY//SNOMED//91935009", None, None, None, LATER),
    (7, D1, "REPORT//LOINC//58410-2", None, "All is well.", None, LATER),
    (7, D1, "NOTE//LOINC//34117-2", None, "bell\x07 and more", None, LATER),
    (7, D1, "NOTE//LOINC//34117-2"),
    (7, D1, "DEVICE//SNOMED//360030002", None, None, None, LATER),
    (7, D1, "BILLED//SNOMED//185349003", None, None, None, LATER),
    (7, D1, "ICU//bed 7//ready", 1.0),
    (7, D2, "END//ORDER//RXNORM//310965", None, None, None, D3),
    (7, D1, "ADMISSION//EMERGENCY"),
    (7, D2, "MEDS_DEATH", None, None, None, D3),
    (8, datetime(1950, 3, 1, 4, 30), "MEDS_BIRTH"),
    (8, D1, "LOCAL//K", 4.0),
    (8, D1, "LOCAL//K", 4.0),
    (-3, D1, "haematology//K plus", 1e-7, None, "10*9/L"),
]


@pytest.mark.parametrize("form", ["ndjson", "bundles"])
@pytest.mark.parametrize("synthetic", [False, True])
def test_all_kinds_are_valid_r4_and_come_back(tmp_path, form, synthetic):
    """Three patients, every kind of resource; our validator turns nothing away."""
    found = out_and_in(timeline(tmp_path / "timeline", ALL_KINDS, synthetic=synthetic), tmp_path, form=form)
    assert (found.written.written, found.written.not_expressible) == (len(ALL_KINDS), [])
    nothing_told = 1  # the Patient -3, of whom no row says sex, birth or death
    assert (invalid(found.read_again), found.read_again.rejected) == ({}, nothing_told)
    assert found.second == found.first


def test_synthetic_resources_say_so_each(tmp_path):
    found = exported(tmp_path, *ALL_KINDS, synthetic=True)
    for one in (one for all_ in found.values() for one in all_):
        assert one["meta"]["security"][0]["code"] == "HTEST"
        assert one["meta"]["tag"][0]["code"] == "SYNTHETIC"
    assert all(one["id"].startswith("synthetic-") for one in found["Patient"])
    assert (tmp_path / "out" / "SYNTHETIC.txt").exists()


def test_bundles_put_each_resource_once_under_an_id_that_stays(tmp_path):
    """1,200 results of one patient and one of another: three files of at most 500, the Patient before the rest."""
    rows = [(7, D1, "LOINC//2823-3", float(n)) for n in range(1200)] + [(8, D1, "LOINC//2823-3", 5.0)]
    source = timeline(tmp_path / "timeline", rows)
    texts = []
    for name in ("one", "two"):
        export_fhir(source, tmp_path / name, form="bundles")
        texts.append([path.read_bytes() for path in sorted((tmp_path / name / "fhir").iterdir())])
    assert texts[0] == texts[1]
    bundles = [json.loads(text) for text in texts[0]]
    entries = [entry for bundle in bundles for entry in bundle["entry"]]
    assert [len(bundle["entry"]) for bundle in bundles] == [MOST_ENTRIES, MOST_ENTRIES, 203]
    assert len({entry["request"]["url"] for entry in entries}) == len(entries) == 1203
    assert entries[0]["resource"]["resourceType"] == "Patient"
    assert all(
        entry["request"]["url"] == f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        for entry in entries
    )


def run(*words: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(export)
    result = CliRunner().invoke(app, words)
    return result.exit_code, result.output


def test_the_command_writes_and_tells(tmp_path):
    folder = timeline(tmp_path / "timeline", ALL_KINDS)
    code, said = run(str(folder), "--as", "fhir", "--files", "bundles", "--to", str(tmp_path / "out"))
    assert code == 0, said
    assert f"{len(ALL_KINDS)} events = {len(ALL_KINDS)} written + 0 not expressible" in said
    assert (tmp_path / "out" / "fhir" / "000001.json").exists()
    assert "REAL PATIENTS" in (tmp_path / "out" / "ABOUT.txt").read_text()


@pytest.mark.parametrize("words", [("--as", "fhir", "--files", "csv"), ("--as", "omop", "--files", "ndjson")])
def test_files_that_the_form_does_not_have_are_refused(tmp_path, words):
    code, _ = run(str(tmp_path), *words, "--to", str(tmp_path / "out"))
    assert code != 0
    assert not (tmp_path / "out").exists()

"""FHIR R4 becomes a timeline: what each resource says, when it was true, when staff could see it, what is refused."""

from __future__ import annotations

import gzip
import json
from datetime import datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from salus.progress import QUIET
from salus.timeline.store import read_codes, read_rejected, read_timeline, timeline_digest
from salus.timeline.subjects import subject_number
from salus.workflows.ingest_fhir import FhirHow, ingest_fhir

LOINC, SNOMED, UCUM = "http://loinc.org", "http://snomed.info/sct", "http://unitsofmeasure.org"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
ANNA = {"reference": "Patient/anna"}


def concept(system: str, code: str, text: str = "") -> dict[str, object]:
    return {"coding": [{"system": system, "code": code, "display": text or code}]}


PATIENT = {
    "resourceType": "Patient",
    "id": "anna",
    "birthDate": "1960-02-29",
    "gender": "female",
    "deceasedDateTime": "2026-03-09T03:00:00+01:00",
    "extension": [
        {
            "url": US_CORE + "us-core-race",
            "extension": [{"url": "ombCategory", "valueCoding": {"code": "2106-3", "display": "White"}}],
        }
    ],
}
POTASSIUM = {
    "resourceType": "Observation",
    "id": "k-1",
    "status": "final",
    "code": {
        "coding": [
            {"system": "https://lab.example.org/tests", "code": "K"},
            {"system": LOINC, "code": "2823-3", "display": "Potassium"},
        ]
    },
    "subject": ANNA,
    "effectiveDateTime": "2026-03-01T08:00:00Z",
    "issued": "2026-03-01T09:10:00.000Z",
    "valueQuantity": {"value": 5.9, "unit": "mmol/L", "system": UCUM, "code": "mmol/L"},
}
PRESSURE = {
    "resourceType": "Observation",
    "id": "bp-1",
    "status": "final",
    "code": concept(LOINC, "85354-9"),
    "subject": ANNA,
    "effectivePeriod": {"start": "2026-03-01T08:05:00Z"},
    "component": [
        {"code": concept(LOINC, "8480-6"), "valueQuantity": {"value": 120, "unit": "mmHg"}},
        {"code": concept(LOINC, "8462-4"), "valueQuantity": {"value": 80, "unit": "mmHg", "comparator": "<"}},
    ],
}


def write_lines(path: Path, *resources: object) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in resources))
    return path


def taken(tmp_path: Path, *resources: object, **how: object) -> pl.DataFrame:
    """The events of some resources, without those of Anna's own."""
    source = tmp_path / "export"
    source.mkdir()
    write_lines(source / "all.ndjson", *resources)
    ingest_fhir(source, tmp_path / "t", FhirHow(**how), progress=QUIET)
    return read_timeline(tmp_path / "t")


def observed(**changes: object) -> dict[str, object]:
    return {**POTASSIUM, **changes}


def test_a_potassium_is_true_from_its_drawing_and_known_from_its_release(tmp_path):
    """Of its two codings LOINC is preferred to the laboratory's own, which stays beside it as a parent."""
    (row,) = taken(tmp_path, POTASSIUM).drop("source", "split").to_dicts()
    assert row == {
        "subject_id": subject_number("Patient/anna"),
        "time": datetime(2026, 3, 1, 8),
        "code": "LOINC//2823-3",
        "numeric_value": pytest.approx(5.9),
        "text_value": None,
        "unit": "mmol/L",
        "known_time": datetime(2026, 3, 1, 9, 10),
    }
    codes = {row["code"]: row for row in read_codes(tmp_path / "t").to_dicts()}
    assert codes["LOINC//2823-3"]["description"] == "Potassium"
    assert codes["LOINC//2823-3"]["parent_codes"] == ["tests//K"]
    assert codes["LOINC//2823-3"]["unit"] == "mmol/L"


def test_a_patient_is_born_dies_and_has_a_sex_and_a_race_that_hold_for_good(tmp_path):
    """Death at 03:00 in UTC+1 is 02:00 UTC."""
    rows = taken(tmp_path, PATIENT).select("time", "code").rows()
    assert rows == [
        (None, "RACE//White"),
        (None, "SEX//F"),
        (datetime(1960, 2, 29), "MEDS_BIRTH"),
        (datetime(2026, 3, 9, 2), "MEDS_DEATH"),
    ]


def test_components_are_events_of_their_own_and_their_panel_without_a_value_is_none(tmp_path):
    """mmHg can mean one unit only. A bound is words, never a number."""
    rows = taken(tmp_path, PRESSURE).select("code", "numeric_value", "text_value", "unit").rows()
    assert rows == [("LOINC//8462-4", None, "<80", "mm[Hg]"), ("LOINC//8480-6", 120.0, None, "mm[Hg]")]


@pytest.mark.parametrize(
    ("value", "code", "number", "text"),
    [
        ({"valueString": "haemolysed"}, "LOINC//2823-3", None, "haemolysed"),
        ({"valueInteger": 3}, "LOINC//2823-3", 3.0, None),
        ({"valueBoolean": False}, "LOINC//2823-3//false", None, None),
        ({"valueDateTime": "2026-02"}, "LOINC//2823-3", None, "2026-02"),
        ({"valueCodeableConcept": concept(SNOMED, "8517006")}, "LOINC//2823-3//SNOMED:8517006", None, None),
        ({"valueCodeableConcept": {"text": "never smoked"}}, "LOINC//2823-3//LOCAL:never smoked", None, None),
        (
            {
                "dataAbsentReason": concept(
                    "http://terminology.hl7.org/CodeSystem/data-absent-reason", "unknown"
                )
            },
            "LOINC//2823-3//ABSENT:unknown",
            None,
            None,
        ),
        ({"valueQuantity": {"value": 0}}, "LOINC//2823-3", 0.0, None),
    ],
    ids=lambda one: next(iter(one)) if isinstance(one, dict) else None,
)
def test_each_kind_of_value(tmp_path, value, code, number, text):
    """Zero, absent and no are three different things."""
    plain = {name: told for name, told in POTASSIUM.items() if name != "valueQuantity"}
    rows = taken(tmp_path, {**plain, **value}).select("code", "numeric_value", "text_value").rows()
    assert rows == [(code, number, text)]


VISIT = {
    "resourceType": "Encounter",
    "id": "v-1",
    "status": "finished",
    "class": {"code": "IMP"},
    "subject": ANNA,
    "period": {"start": "2026-03-01T07:00:00Z", "end": "2026-03-05"},
}
ASTHMA = {
    "resourceType": "Condition",
    "id": "c-1",
    "code": concept(SNOMED, "195967001", "Asthma"),
    "subject": ANNA,
    "onsetDateTime": "2026-01-01",
    "recordedDate": "2026-01-03T10:00:00Z",
    "abatementDateTime": "2026-02-01",
}
TABLET = concept("http://www.nlm.nih.gov/research/umls/rxnorm", "310965", "Ibuprofen 200 MG")
ORDER = {
    "resourceType": "MedicationRequest",
    "id": "m-1",
    "status": "active",
    "intent": "order",
    "medicationReference": {"reference": "Medication/ibu"},
    "subject": ANNA,
    "authoredOn": "2026-03-01T12:00:00Z",
    "dosageInstruction": [{"doseAndRate": [{"doseQuantity": {"value": 200, "unit": "mg", "code": "mg"}}]}],
}


def day(number: int, hour: int = 0, month: int = 3) -> datetime:
    return datetime(2026, month, number, hour)


def test_what_lasts_has_a_begin_and_an_end(tmp_path):
    """A date is the beginning of its day. Asthma was true from the first of January, and known from the third."""
    rows = taken(tmp_path, VISIT, ASTHMA).select("time", "code", "known_time").rows()
    assert rows == [
        (day(1, month=1), "SNOMED//195967001", day(3, 10, month=1)),
        (day(1, month=2), "END//SNOMED//195967001", day(1, month=2)),
        (day(1, 7), "VISIT//IMP", day(1, 7)),
        (day(5), "END//VISIT//IMP", day(5)),
    ]


def test_a_medicine_may_be_told_by_a_reference_or_inside(tmp_path):
    source = tmp_path / "export"
    source.mkdir()
    inside = {
        **ORDER,
        "id": "m-2",
        "contained": [{"resourceType": "Medication", "id": "x", "code": TABLET}],
        "medicationReference": {"reference": "#x"},
    }
    lost = {**ORDER, "id": "m-3", "medicationReference": {"reference": "Medication/gone"}}
    write_lines(source / "MedicationRequest.ndjson", ORDER, inside, lost)
    write_lines(source / "Medication.ndjson", {"resourceType": "Medication", "id": "ibu", "code": TABLET})
    books = ingest_fhir(source, tmp_path / "t", FhirHow(), progress=QUIET)
    rows = read_timeline(tmp_path / "t").select("code", "numeric_value", "unit").rows()
    assert rows == [("ORDER//RXNORM//310965", 200.0, "mg")] * 2
    assert (books.read, books.kept, books.rejected) == (3, 2, 1)
    assert read_rejected(tmp_path / "t").select("file", "line", "column").rows() == [
        ("MedicationRequest.ndjson", 3, "code")
    ]


OTHERS = [
    (
        {"resourceType": "MedicationAdministration", "status": "completed", "medicationCodeableConcept": TABLET,
         "effectivePeriod": {"start": "2026-03-01"}, "dosage": {"dose": {"value": 400, "code": "mg"}}},
        "GIVEN//RXNORM//310965",
    ),
    (
        {"resourceType": "MedicationStatement", "status": "active", "medicationCodeableConcept": TABLET,
         "effectiveDateTime": "2026-03-01"},
        "TAKEN//RXNORM//310965",
    ),
    (
        {"resourceType": "MedicationDispense", "status": "completed", "medicationCodeableConcept": TABLET,
         "whenHandedOver": "2026-03-01"},
        "DISPENSED//RXNORM//310965",
    ),
    (
        {"resourceType": "Procedure", "status": "completed", "code": concept(SNOMED, "73761001"),
         "performedDateTime": "2026-03-01"},
        "SNOMED//73761001",
    ),
    (
        {"resourceType": "Immunization", "status": "completed", "patient": ANNA,
         "vaccineCode": concept("http://hl7.org/fhir/sid/cvx", "140"), "occurrenceDateTime": "2026-03-01"},
        "CVX//140",
    ),
    (
        {"resourceType": "AllergyIntolerance", "patient": ANNA, "code": concept(SNOMED, "91935009"),
         "recordedDate": "2026-03-01"},
        "ALLERGY//SNOMED//91935009",
    ),
    (
        {"resourceType": "DiagnosticReport", "status": "final", "code": concept(LOINC, "58410-2"),
         "effectiveDateTime": "2026-03-01", "conclusion": "normal"},
        "REPORT//LOINC//58410-2",
    ),
    (
        {"resourceType": "DocumentReference", "status": "current", "type": concept(LOINC, "18842-5"),
         "date": "2026-03-01T00:00:00Z",
         "content": [{"attachment": {"contentType": "text/plain", "data": "aGVsbG8="}}]},
        "NOTE//LOINC//18842-5",
    ),
    (
        {"resourceType": "DeviceUseStatement", "status": "active", "timingDateTime": "2026-03-01",
         "contained": [{"resourceType": "Device", "id": "d", "type": concept(SNOMED, "14106009")}],
         "device": {"reference": "#d"}},
        "DEVICE//SNOMED//14106009",
    ),
    (
        {"resourceType": "Claim", "status": "active", "patient": ANNA, "created": "2026-03-04",
         "billablePeriod": {"start": "2026-03-01"},
         "item": [{"sequence": 1, "productOrService": concept("http://www.ama-assn.org/go/cpt", "99213")}]},
        "BILLED//CPT4//99213",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "code"), OTHERS, ids=lambda one: one["resourceType"] if isinstance(one, dict) else None
)
def test_what_other_resources_become(tmp_path, resource, code):
    rows = taken(tmp_path, {"id": "x", "subject": ANNA, **resource})
    assert rows.select("time", "code").rows() == [(day(1), code)]


def test_the_text_of_a_document_is_read_where_it_is_inside(tmp_path):
    document = next(one for one, _ in OTHERS if one["resourceType"] == "DocumentReference")
    assert taken(tmp_path, {"id": "x", "subject": ANNA, **document})["text_value"].to_list() == ["hello"]


@pytest.mark.parametrize(
    ("resource", "column", "reason"),
    [
        (observed(status="preliminary"), "where", "not final: preliminary, registered, cancelled or entered in error"),
        (observed(subject={"reference": "Group/1"}), "patient", "no patient, or a reference that does not say who"),
        (observed(code={}), "code", "neither a code nor words"),
        (observed(effectiveDateTime="2026-03"), "time", "a time told only to the year or month"),
        (observed(effectiveDateTime="yesterday"), "time", "no date or time that FHIR knows"),
        (observed(effectiveDateTime="2026-02-30"), "time", "no date or time that FHIR knows"),
        (observed(effectiveDateTime="0001-01-01"), "time", "a year before 1850 or after 2200"),
        (observed(effectiveDateTime="9999-12-31"), "time", "a year before 1850 or after 2200"),
        (observed(valueQuantity={"value": 1e300}), "value", "a number that a 32-bit float cannot hold"),
        (observed(valueQuantity={"unit": "mmol/L"}), "value", "no value that can be read"),
        (
            observed(valueQuantity={"value": "987.65"}),
            "valueQuantity.value",
            "not as FHIR defines it: a number is expected",
        ),
        (observed(id=None), "id", "no id"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)  # fmt: skip
def test_a_resource_that_cannot_be_an_event_is_rejected_with_its_place_and_reason(
    tmp_path, resource, column, reason
):
    source = tmp_path / "export"
    source.mkdir()
    write_lines(
        source / "o.ndjson", POTASSIUM, {key: one for key, one in resource.items() if one is not None}
    )
    books = ingest_fhir(source, tmp_path / "t", FhirHow(), progress=QUIET)
    assert (books.read, books.kept, books.rejected) == (2, 1, 1)
    assert read_rejected(tmp_path / "t").rows() == [("o.ndjson", 2, column, reason)]


def bundle(kind: str) -> dict[str, object]:
    """Anna and her potassium as a server or a generator gives them: references are URLs of other entries."""
    who, what = "urn:uuid:0f1e", "urn:uuid:2d3c"
    resources = [(who, PATIENT), (what, {**POTASSIUM, "subject": {"reference": who}})]
    return {
        "resourceType": "Bundle",
        "type": kind,
        "entry": [{"fullUrl": url, "resource": one} for url, one in resources],
    }


@pytest.mark.parametrize("kind", ["collection", "transaction", "searchset"])
def test_bundles_give_what_the_same_lines_give(tmp_path, kind):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "one.json").write_text(json.dumps(bundle(kind), indent=2))
    ingest_fhir(tmp_path / "b", tmp_path / "from-bundle", FhirHow(), progress=QUIET)
    write_lines(tmp_path / "lines.ndjson", PATIENT, POTASSIUM)
    ingest_fhir(tmp_path / "lines.ndjson", tmp_path / "from-lines", FhirHow(), progress=QUIET)
    assert timeline_digest(tmp_path / "from-bundle") == timeline_digest(tmp_path / "from-lines")


def test_compressed_files_and_several_processes_change_no_byte(tmp_path):
    rows = [observed(id=f"k-{n}", subject={"reference": f"Patient/p{n % 7}"}) for n in range(500)]
    text = "".join(json.dumps(one) + "\n" for one in rows).encode()
    digests = set()
    for name, content, processes in (
        ("a.ndjson", text, 1),
        ("a.ndjson.gz", gzip.compress(text), 2),
        ("a.ndjson.zst", pa.Codec("zstd").compress(text, asbytes=True), 1),
    ):
        source = tmp_path / name.replace(".", "-")
        source.mkdir()
        (source / name).write_bytes(content)
        write_lines(source / "b.ndjson", PATIENT)
        to = tmp_path / f"t-{name}"
        ingest_fhir(source, to, FhirHow(processes=processes), progress=QUIET)
        digests.add(timeline_digest(to))
    assert len(digests) == 1


def test_a_later_version_is_a_correction_and_the_same_version_again_is_not(tmp_path):
    """5.9 was corrected to 5.6 the next day; the first export came twice."""
    first = observed(meta={"versionId": "1"})
    second = observed(
        meta={"versionId": "2"},
        status="corrected",
        issued="2026-03-02T10:00:00Z",
        valueQuantity={"value": 5.6},
    )
    source = tmp_path / "export"
    source.mkdir()
    for name, rows in (("monday", [first]), ("again", [first]), ("tuesday", [second])):
        write_lines(source / f"{name}.ndjson", *rows)
    books = ingest_fhir(source, tmp_path / "t", FhirHow(), progress=QUIET)
    rows = read_timeline(tmp_path / "t").select("numeric_value", "known_time").rows()
    assert rows == [(pytest.approx(5.9), day(1, 9).replace(minute=10)), (pytest.approx(5.6), day(2, 10))]
    assert books.noted["Observation"] == {"told again by another part or export": 1}


def versions(tmp_path, *told):
    """Rows (value, known time) and notes of versions 1, 2 … of one potassium: each (value, stored, issued)."""
    rows = []
    for number, (value, stored, issued) in enumerate(told, start=1):
        one = observed(meta={"versionId": str(number), "lastUpdated": stored}, valueQuantity={"value": value})
        one.pop("issued")
        rows.append({**one, **({"issued": issued} if issued else {})})
    source = write_lines(tmp_path / "versions.ndjson", *rows)
    books = ingest_fhir(source, tmp_path / "t", FhirHow(), progress=QUIET)
    events = read_timeline(tmp_path / "t").select("numeric_value", "known_time").rows()
    return [(round(value, 1), known) for value, known in events], books.noted.get("Observation", {})


STORED_LATE = "known since this version was stored: when it was issued is not told"


def test_a_correction_that_does_not_say_when_it_was_issued_is_not_known_before_it_was_stored(tmp_path):
    """Drawn at 08:00 on the 1st; corrected on the 2nd at 10:00: nobody may see 5.6 on the 1st."""
    rows, noted = versions(tmp_path, (5.9, "2026-03-01T09:30:00Z", None), (5.6, "2026-03-02T10:00:00Z", None))
    assert rows == [(5.9, day(1, 8)), (5.6, day(2, 10))]
    assert noted == {STORED_LATE: 1}


def test_a_correction_that_repeats_when_the_first_was_issued_is_not_known_before_it_was_stored(tmp_path):
    rows, noted = versions(
        tmp_path,
        (5.9, "2026-03-01T09:30:00Z", "2026-03-01T09:00:00Z"),
        (5.6, "2026-03-02T10:00:00Z", "2026-03-01T09:00:00Z"),
    )
    assert rows == [(5.9, day(1, 9)), (5.6, day(2, 10))]
    assert noted == {STORED_LATE: 1}


def test_a_correction_that_is_taken_back_is_a_third_row(tmp_path):
    """5.9, then 5.6, then 5.9 again; a version that says nothing new adds no row."""
    rows, _ = versions(
        tmp_path,
        (5.9, "2026-03-01T09:30:00Z", None),
        (5.6, "2026-03-02T10:00:00Z", None),
        (5.6, "2026-03-02T11:00:00Z", None),
        (5.9, "2026-03-03T10:00:00Z", None),
    )
    assert rows == [(5.9, day(1, 8)), (5.6, day(2, 10)), (5.9, day(3, 10))]


def test_a_record_that_was_stored_long_after_is_known_at_its_time_and_counted_as_assumed(tmp_path):
    """A first version may have been moved from an older system."""
    rows, noted = versions(tmp_path, (5.9, "2030-01-01T00:00:00Z", None))
    assert (rows, noted) == ([(5.9, day(1, 8))], {})


def test_types_that_no_view_takes_are_counted(tmp_path):
    source = write_lines(tmp_path / "e.ndjson", POTASSIUM, {"resourceType": "CarePlan", "id": "x"})
    books = ingest_fhir(source, tmp_path / "t", FhirHow(), progress=QUIET)
    assert books.noted["CarePlan"] == {"not taken: no view asks for this type": 1}
    assert (books.read, books.kept) == (1, 1)


def test_a_hospital_edits_what_is_taken(tmp_path):
    """An empty folder gets our views; edited, with a function that only the general way knows, they take more."""
    views = tmp_path / "views"
    write_lines(tmp_path / "o.ndjson", observed(status="preliminary"))
    write_lines(tmp_path / "all.ndjson", POTASSIUM)
    ingest_fhir(tmp_path / "all.ndjson", tmp_path / "first", FhirHow(views=views), progress=QUIET)
    path = views / "observation.json"
    view = json.loads(path.read_text())
    view["where"] = [{"path": "status.startsWith('pre') or status = 'final'"}]
    path.write_text(json.dumps(view))
    books = ingest_fhir(tmp_path / "o.ndjson", tmp_path / "t", FhirHow(views=views), progress=QUIET)
    assert (books.kept, books.events) == (1, 1)


def test_times_without_a_zone_are_those_of_the_zone_told(tmp_path):
    """A day of March begins in Berlin at 23:00 UTC the day before."""
    rows = taken(tmp_path, {**VISIT, "period": {"start": "2026-03-02"}}, zone="Europe/Berlin")
    assert rows["time"].to_list() == [day(1, 23)]


def test_a_key_makes_other_numbers_of_patients_and_resources(tmp_path):
    key = tmp_path / "key"
    key.write_bytes(b"0123456789abcdef")
    write_lines(tmp_path / "o.ndjson", POTASSIUM)
    ingest_fhir(tmp_path / "o.ndjson", tmp_path / "plain", FhirHow(), progress=QUIET)
    ingest_fhir(tmp_path / "o.ndjson", tmp_path / "keyed", FhirHow(key=key), progress=QUIET)
    plain, keyed = read_timeline(tmp_path / "plain"), read_timeline(tmp_path / "keyed")
    assert keyed["subject_id"].to_list() == [subject_number("Patient/anna", b"0123456789abcdef")]
    assert plain["source"].to_list() != keyed["source"].to_list()
    assert "k-1" not in plain["source"][0]

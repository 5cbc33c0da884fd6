"""FHIR to a timeline and out and in again keeps what our views take, whatever the resources are; and it is valid R4."""

from __future__ import annotations

import base64
import os
import tarfile
import tempfile
from datetime import date, datetime
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from salus.progress import QUIET
from salus.workflows.ingest_fhir import FhirHow, ingest_fhir
from tests.small_fhir import Again, Json, invalid, out_and_in, write_ndjson

LARGE = settings(max_examples=12, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
"""Few examples of many resources: a read takes longer than a resource."""
PATIENTS = ("anna", "ben")
UCUM = "http://unitsofmeasure.org"
CODES = (
    ("http://loinc.org", "2823-3"),
    ("http://loinc.org", "8867-4"),
    ("http://snomed.info/sct", "73211009"),
    ("http://snomed.info/sct", "34552-0"),
    ("http://hl7.org/fhir/sid/icd-10-cm", "E11.9"),
    ("http://hl7.org/fhir/sid/icd-9-cm", "250.00"),
    ("http://www.nlm.nih.gov/research/umls/rxnorm", "310965"),
    ("http://hl7.org/fhir/sid/cvx", "140"),
    ("https://lab.example.org/codes/haematology", "K plus"),
    ("https://lab.example.org/odd name:x", "K-2"),
    ("urn:oid:1.2.3.4", "a.b/c"),
    ("https://lab.example.org/ORDER", "x:y"),
    (None, "K"),
)
WORDS = (
    "Potassium",
    "two words",
    "ünï",
    "<5",
    "ref 3.5..5.1",
    " around ",
    "line\nbreak",
    "a//b",
    "ORDER//x",
    "true",
)
concepts = st.one_of(
    st.sampled_from(CODES).map(lambda pair: {"coding": [coding(*pair)]}),
    st.lists(st.sampled_from(CODES), min_size=1, max_size=3).map(
        lambda pairs: {"coding": [coding(*pair) for pair in pairs], "text": "in words"}
    ),
    st.sampled_from(WORDS).map(lambda text: {"text": text}),
)
moments = st.one_of(
    st.dates(date(1850, 1, 2), date(2200, 12, 30)).map(str),
    st.datetimes(datetime(1850, 1, 2), datetime(2200, 12, 30)).map(lambda time: f"{time.isoformat()}Z"),
    st.sampled_from(
        ("2024-03-10T02:30:00-05:00", "2024-10-27T02:30:00+01:00", "2020-02-29", "1999-12-31T23:59:60Z")
    ),
)
instants = st.sampled_from(
    ("2024-03-10T02:30:00-05:00", "2031-01-01T00:00:00.123Z", "2024-10-27T02:30:00+01:00")
)
numbers = st.one_of(
    st.integers(-1000, 1000),
    st.floats(-1e30, 1e30, allow_subnormal=False),
    st.sampled_from((0, 1e-7, 5.9, 1e20)),
)
quantities = st.fixed_dictionaries(
    {"value": numbers},
    optional={
        "unit": st.sampled_from(("mmol/L", "bpm", "puffs", "mm Hg")),
        "comparator": st.sampled_from(("<", ">=")),
    },
)
doses = st.fixed_dictionaries(
    {"value": numbers}, optional={"unit": st.sampled_from(("mg", "tablets", "bpm"))}
)


def coding(system: str | None, code: str) -> Json:
    return (
        {"code": code} if system is None else {"system": system, "code": code, "display": f"words of {code}"}
    )


def ucum(quantity: Json) -> Json:
    known = quantity.get("unit") in ("mmol/L", "mg")
    return {**quantity, **({"system": UCUM, "code": quantity["unit"]} if known else {})}


VALUES = st.one_of(
    quantities.map(lambda one: {"valueQuantity": ucum(one)}),
    concepts.map(lambda one: {"valueCodeableConcept": one}),
    st.sampled_from(WORDS).map(lambda one: {"valueString": one}),
    st.booleans().map(lambda one: {"valueBoolean": one}),
    st.integers(-5, 2**31 - 1).map(lambda one: {"valueInteger": one}),
    moments.map(lambda one: {"valueDateTime": one}),
    st.sampled_from(("unknown", "masked")).map(
        lambda one: {
            "dataAbsentReason": {
                "coding": [
                    {"system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": one}
                ]
            }
        }
    ),
)


def resource(kind: str, whose: str, **elements: object) -> st.SearchStrategy[Json]:
    """A resource of one of two patients: elements that may be absent, strategies or constants."""
    fixed = {name: one for name, one in elements.items() if not name.startswith("may_")}
    may = {name.removeprefix("may_"): one for name, one in elements.items() if name.startswith("may_")}

    def drawn(one: object) -> st.SearchStrategy[object]:
        return one if isinstance(one, st.SearchStrategy) else st.just(one)

    base = {
        "resourceType": st.just(kind),
        whose: st.sampled_from(PATIENTS).map(lambda p: {"reference": f"Patient/{p}"}),
    }
    return st.fixed_dictionaries(
        {**base, **{name: drawn(one) for name, one in fixed.items()}},
        optional={name: drawn(one) for name, one in may.items()},
    )


def spans(first: str, second: str) -> st.SearchStrategy[Json]:
    return st.tuples(moments, moments).map(lambda pair: dict(zip((first, second), pair, strict=True)))


def flat(one: Json) -> Json:
    """Put the elements of ``either`` where they belong."""
    either = one.pop("either", {})
    assert isinstance(either, dict)
    return {**one, **either}


notes = st.sampled_from(WORDS).map(
    lambda text: [
        {"attachment": {"contentType": "text/plain", "data": base64.b64encode(text.encode()).decode()}}
    ]
)
dosed = st.lists(
    doses.map(lambda one: {"doseAndRate": [{"doseQuantity": ucum(one)}]}), min_size=1, max_size=2
)
components = st.lists(st.tuples(concepts, VALUES).map(lambda pair: {"code": pair[0], **pair[1]}), max_size=3)
encounter = resource(
    "Encounter",
    "subject",
    status="finished",
    period=spans("start", "end"),
    **{"class": st.sampled_from(("AMB", "IMP", "ward 7")).map(lambda word: {"code": word})},
)
observation = resource(
    "Observation",
    "subject",
    status="final",
    code=concepts,
    effectiveDateTime=moments,
    may_issued=instants,
    may_component=components,
    may_either=VALUES,
)
resources = st.one_of(
    observation,
    observation,
    observation,
    encounter,
    resource(
        "Condition",
        "subject",
        code=concepts,
        may_onsetDateTime=moments,
        may_abatementDateTime=moments,
        may_recordedDate=moments,
    ),
    resource(
        "Procedure", "subject", status="completed", code=concepts, performedPeriod=spans("start", "end")
    ),
    resource("Procedure", "subject", status="completed", code=concepts, performedDateTime=moments),
    resource(
        "Immunization",
        "patient",
        status="completed",
        vaccineCode=concepts,
        occurrenceDateTime=moments,
        may_recorded=moments,
        may_doseQuantity=doses.map(ucum),
    ),
    resource(
        "AllergyIntolerance", "patient", code=concepts, may_onsetDateTime=moments, may_recordedDate=moments
    ),
    resource(
        "MedicationRequest",
        "subject",
        status="active",
        intent="order",
        medicationCodeableConcept=concepts,
        authoredOn=moments,
        may_dosageInstruction=dosed,
    ),
    resource(
        "MedicationAdministration",
        "subject",
        status="completed",
        medicationCodeableConcept=concepts,
        effectiveDateTime=moments,
        may_dosage=doses.map(lambda one: {"dose": ucum(one)}),
    ),
    resource(
        "MedicationStatement",
        "subject",
        status="active",
        medicationCodeableConcept=concepts,
        may_effectiveDateTime=moments,
        may_dateAsserted=moments,
        may_dosage=dosed,
    ),
    resource(
        "MedicationDispense",
        "subject",
        status="completed",
        medicationCodeableConcept=concepts,
        whenHandedOver=moments,
        may_quantity=doses.map(ucum),
    ),
    resource(
        "DiagnosticReport",
        "subject",
        status="final",
        code=concepts,
        may_effectiveDateTime=moments,
        may_issued=instants,
        may_conclusion=st.sampled_from(WORDS),
    ),
    resource(
        "DocumentReference", "subject", status="current", type=concepts, may_date=instants, content=notes
    ),
    resource(
        "DeviceUseStatement",
        "subject",
        status="active",
        timingDateTime=moments,
        contained=concepts.map(lambda one: [{"resourceType": "Device", "id": "d", "type": one}]),
        device={"reference": "#d"},
    ),
    resource(
        "ExplanationOfBenefit",
        "patient",
        status="active",
        created=moments,
        item=st.lists(
            st.tuples(concepts, moments).map(
                lambda pair: {"productOrService": pair[0], "servicedPeriod": {"start": pair[1]}}
            ),
            max_size=3,
        ),
    ),
).map(flat)
records = st.lists(resources, min_size=5, max_size=40)
PEOPLE = [
    {"resourceType": "Patient", "id": "anna", "gender": "female", "birthDate": "1950-03-01"},
    {
        "resourceType": "Patient",
        "id": "ben",
        "gender": "other",
        "deceasedDateTime": "2031-05-06T07:08:09.123Z",
    },
]


def stored(one: Json, number: int, version: int) -> Json:
    """A resource as a server holds it; its second version is stored long after the first."""
    meta = {"versionId": str(version), "lastUpdated": f"{1900 + version * 100}-01-01T00:00:00Z"}
    return {**one, "id": f"r-{number}", "meta": meta}


def again(folder: Path, told: list[Json], *, form: str, zone: str, corrected: bool) -> Again:
    """Into a timeline, out and in. ``corrected``: a later version of some says what an earlier one says."""
    numbered = [stored(one, number, 1) for number, one in enumerate(told)]
    if corrected:
        for number, before in enumerate(told):
            alike = [one for one in told[:number] if one["resourceType"] == before["resourceType"]]
            numbered += [stored(one, number, 2) for one in alike[-1:]]
    source = write_ndjson(folder / "source", [*PEOPLE, *numbered])
    ingest_fhir(source, folder / "timeline", FhirHow(zone=zone, processes=1), progress=QUIET)
    return out_and_in(folder / "timeline", folder, form=form, zone=zone)


@LARGE
@given(
    told=records,
    form=st.sampled_from(("ndjson", "bundles")),
    zone=st.sampled_from(("UTC", "America/New_York")),
    corrected=st.booleans(),
)
def test_a_timeline_of_fhir_comes_back_the_same(told, form, zone, corrected):
    """A correction of an order, a visit or an end is known later than it was; R4 has no element for that."""
    with tempfile.TemporaryDirectory() as name:
        found = again(Path(name), told, form=form, zone=zone, corrected=corrected)
    books = found.written
    assert (books.written, books.not_expressible, books.without_known_time) == (books.events, [], 0)
    assert found.second == found.first
    assert invalid(found.read_again) == {}
    assert found.read_again.rejected == 0


def test_real_bundles_come_back_the_same(tmp_path):
    """Twelve patients of Synthea's: as many rows, each the same."""
    archive = Path(os.environ.get("SALUS_DATA", "absent")) / "fhir_r4_synthea600.tar.xz"
    if not archive.exists():
        pytest.skip("$SALUS_DATA/fhir_r4_synthea600.tar.xz is not there")
    (tmp_path / "source").mkdir()
    with tarfile.open(archive) as packed:
        patients = (one for one in packed if one.name.endswith(".json"))
        for number, one in enumerate(islice(patients, 12)):
            content = packed.extractfile(one)
            assert content is not None
            (tmp_path / "source" / f"{number}.json").write_bytes(content.read())
    ingest_fhir(tmp_path / "source", tmp_path / "timeline", FhirHow(processes=1), progress=QUIET)
    found = out_and_in(tmp_path / "timeline", tmp_path, form="bundles")
    assert found.second == found.first
    assert (found.written.events, found.written.not_expressible) == (found.written.written, [])

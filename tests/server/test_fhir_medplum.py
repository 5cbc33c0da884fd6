"""Medplum's R4 router, which nobody here wrote, takes our transactions by R4's definitions; we read them back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from salus.progress import QUIET
from salus.timeline.store import read_timeline
from salus.workflows.export_fhir import export_fhir
from salus.workflows.ingest_fhir import FhirHow, ingest_fhir
from salus.workflows.ingest_fhir_server import ingest_fhir_server
from tests.on_loopback import free_port, wait_until_it_answers

httpx = pytest.importorskip("httpx", reason="httpx is not installed: pip install 'salus[fhir-server]'")
MEDPLUM = os.environ.get("SALUS_MEDPLUM", "")
pytestmark = pytest.mark.skipif(
    not MEDPLUM or shutil.which("node") is None,
    reason="no Medplum: install Node and set SALUS_MEDPLUM (tests/server/requirements.txt says how)",
)
HOME = {"subject": {"reference": "Patient/a"}}
POTASSIUM = {"coding": [{"system": "http://loinc.org", "code": "2823-3"}], "text": "Potassium"}
ASTHMA = {"coding": [{"system": "http://snomed.info/sct", "code": "195967001"}], "text": "Asthma"}
MEDICINE = {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "310965"}]}
RESOURCES = (
    {
        "resourceType": "Patient",
        "id": "a",
        "gender": "female",
        "birthDate": "1950-03-01",
        "deceasedDateTime": "2024-05-01T03:04:05Z",
    },
    {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "code": POTASSIUM,
        "effectiveDateTime": "2024-01-02T08:00:00Z",
        "issued": "2024-01-02T09:10:00Z",
        "valueQuantity": {
            "value": 5.9,
            "unit": "mmol/L",
            "system": "http://unitsofmeasure.org",
            "code": "mmol/L",
        },
        **HOME,
    },
    {
        "resourceType": "Encounter",
        "id": "e",
        "status": "finished",
        "class": {"code": "IMP"},
        "period": {"start": "2024-01-02T07:00:00Z", "end": "2024-01-05T12:00:00Z"},
        **HOME,
    },
    {
        "resourceType": "Condition",
        "id": "c",
        "code": ASTHMA,
        "onsetDateTime": "1999-05-01",
        "abatementDateTime": "2001-06-02",
        **HOME,
    },
    {
        "resourceType": "MedicationRequest",
        "id": "m",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": MEDICINE,
        "authoredOn": "2024-01-02T10:00:00Z",
        **HOME,
    },
)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Its address."""
    port = free_port()
    base = f"http://127.0.0.1:{port}/fhir"
    words = ["node", str(Path(__file__).with_name("medplum.mjs")), MEDPLUM, str(port)]
    running = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_it_answers(
            running,
            lambda: httpx.get(f"{base}/Patient", timeout=2).status_code == 200,
            refused=httpx.TransportError,
        )
        yield base
    finally:
        running.terminate()
        running.wait(timeout=20)


def said(timeline: Path) -> list[tuple[object, ...]]:
    """All that a timeline says but whose it is and where it came from."""
    columns = ("time", "known_time", "code", "numeric_value", "text_value", "unit")
    return sorted(read_timeline(timeline).select(columns).rows(), key=str)


def post(base: str, bundle: bytes) -> list[str]:
    headers = {"Content-Type": "application/fhir+json"}
    answer = httpx.post(f"{base}/", content=bundle, headers=headers, timeout=60).json()
    assert answer["resourceType"] == "Bundle"
    return [entry["response"]["status"][:3] for entry in answer["entry"]]


def test_our_transactions_are_valid_r4_and_are_read_back_from_there_as_the_same_timeline(server, tmp_path):
    """One patient: sex, birth, death; a result; a stay and an illness, each with its end; an order: nine events."""
    source = tmp_path / "source.ndjson"
    source.write_text("".join(f"{json.dumps(one)}\n" for one in RESOURCES), encoding="utf-8")
    ingest_fhir(source, tmp_path / "first", FhirHow(processes=1), progress=QUIET)
    books = export_fhir(tmp_path / "first", tmp_path / "out", form="bundles")
    assert (books.events, books.written, sum(books.files.values())) == (9, 9, 5)
    for file in sorted((tmp_path / "out" / "fhir").glob("*.json")):
        assert set(post(server, file.read_bytes())) <= {"200", "201"}
        assert set(post(server, file.read_bytes())) == {"200"}, "sent twice it says the same"
    ingest_fhir_server(server, tmp_path / "back", FhirHow(processes=1), progress=QUIET)
    assert said(tmp_path / "back") == said(tmp_path / "first")
    assert read_timeline(tmp_path / "back").filter(pl.col("unit") == "mmol/L")["numeric_value"].len() == 1


def test_it_refuses_what_r4_does_not_allow(server):
    """The control: an Observation without its status is refused, so that taking ours says something."""
    wrong = {name: told for name, told in RESOURCES[1].items() if name != "status"}
    entry = {"resource": wrong, "request": {"method": "PUT", "url": "Observation/o"}}
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
    assert post(server, json.dumps(bundle).encode()) == ["400"]

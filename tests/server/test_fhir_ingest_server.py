"""SEKMET, a FHIR server that nobody here wrote, started on loopback: export and search with SMART Backend Services."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
import yaml

from salus.intake.fhir_access import public_key
from salus.intake.fhir_talk import Patience
from salus.progress import QUIET
from salus.timeline.store import read_timeline
from salus.workflows.ingest_fhir import FhirHow
from salus.workflows.ingest_fhir_server import ingest_fhir_server
from tests.on_loopback import free_port, wait_until_it_answers

httpx = pytest.importorskip("httpx", reason="httpx is not installed: pip install 'salus[fhir-server]'")
jwk = pytest.importorskip("joserfc.jwk", reason="joserfc is not installed: pip install 'salus[fhir-server]'")
SEKMET = os.environ.get("SALUS_FHIR_SERVER", "")
pytestmark = pytest.mark.skipif(
    not SEKMET, reason="no FHIR server: set SALUS_FHIR_SERVER (tests/server/requirements.txt says how)"
)
WRITER = {"Authorization": "Bearer writer", "Content-Type": "application/fhir+json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Its address, and the folder with our key, whose public half it knows."""
    folder = tmp_path_factory.mktemp("sekmet")
    key = folder / "client-key.pem"
    key.write_bytes(jwk.ECKey.generate_key("P-384").as_pem(private=True))
    key.chmod(0o600)
    port = free_port()
    base = f"http://127.0.0.1:{port}/fhir"
    client = {"client_id": "salus", "jwks": {"keys": [public_key(key)]}, "scopes": "system/*.read"}
    auth = {"types": ["bearer", "smart"], "tokens": ["writer"], "smart_clients": [client]}
    (folder / "settings.yaml").write_text(yaml.safe_dump({"base_url": base, "server_auth": auth}))
    words = [str(SEKMET), "serve", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(
            words, cwd=folder, stdout=log, stderr=log, env=os.environ | {"NO_COLOR": "1"}
        )
    try:
        wait_until_it_answers(
            running,
            lambda: httpx.get(f"{base}/metadata", timeout=2).status_code == 200,
            refused=httpx.TransportError,
            log=folder / "log",
        )
        yield base, folder
    finally:
        running.terminate()
        running.wait(timeout=20)


def put(base: str, *resources: dict[str, object]) -> None:
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
        for one in resources
    ]
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    answer = httpx.post(base, content=json.dumps(bundle), headers=WRITER, timeout=30)
    assert {one["response"]["status"][:3] for one in answer.json()["entry"]} <= {"200", "201"}


def patient(number: int) -> dict[str, object]:
    return {"resourceType": "Patient", "id": f"p{number}", "gender": "female", "birthDate": "1950-03-01"}


def potassium(number: int, value: float, *, issued: str = "2024-01-02T10:00:00Z") -> dict[str, object]:
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2823-3"}]},
        "subject": {"reference": f"Patient/p{number % 3}"},
        "effectiveDateTime": "2024-01-02T08:30:00Z",
        "issued": issued,
        "valueQuantity": {
            "value": value,
            "unit": "mmol/L",
            "system": "http://unitsofmeasure.org",
            "code": "mmol/L",
        },
    }


@pytest.mark.parametrize("take", ["export", "pages"])
def test_what_the_server_holds_becomes_a_timeline_and_later_what_is_new(server, tmp_path, take):
    """Three patients with 30 results; then one more, and one corrected: two rows more, the correction known later."""
    base, folder = server
    put(base, *[patient(number) for number in range(3)], *[potassium(number, 4.1) for number in range(30)])
    source = folder / f"{take}.yaml"
    source.write_text(
        f"fhir: {base}\nkey: client-key.pem\nclient: salus\ntake: {take}\ntypes: [Patient, Observation]\n"
    )

    def results() -> pl.DataFrame:
        patience = Patience(first=0.2, silent=20)
        books = ingest_fhir_server(
            str(source), tmp_path / "timeline", FhirHow(processes=1), patience=patience, progress=QUIET
        )
        assert books.rejected == 0
        return read_timeline(tmp_path / "timeline").filter(pl.col("code") == "LOINC//2823-3")

    before = results()
    assert before["subject_id"].n_unique() == 3
    time.sleep(1.1)  # the server's clock counts seconds
    number, corrected = {"export": (100, 5.1), "pages": (200, 5.3)}[take]
    put(base, potassium(number, 4.5), potassium(0, corrected, issued="2024-01-03T09:00:00Z"))
    after = results()
    assert after.height == before.height + 2
    row = after.filter((pl.col("numeric_value") - corrected).abs() < 1e-4)
    assert row.height == 1
    assert row["known_time"].item() == datetime(2024, 1, 3, 9)
    assert len([*(tmp_path / "timeline.taken" / "files").iterdir()]) == 2


def test_a_client_that_is_not_registered_gets_no_token(server, tmp_path):
    from salus.errors import KeyUnfit

    base, folder = server
    source = folder / "stranger.yaml"
    source.write_text(f"fhir: {base}\nkey: client-key.pem\nclient: stranger\n")
    with pytest.raises(KeyUnfit, match="no token: status 4"):
        ingest_fhir_server(str(source), tmp_path / "timeline", FhirHow(), patience=Patience(), progress=QUIET)

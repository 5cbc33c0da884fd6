"""Written to a real FHIR R4 server that nobody here wrote, read back, and undone until nothing is left of it.

The server is sekmet-fhir (Apache-2.0), started on this machine alone; see requirements.txt beside this file.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from salus.programme.usecase_folder import UseCaseFolder
from salus.usecases.contract import Budget, Order
from salus.usecases.kinds import open_usecase
from tests.on_loopback import free_port, wait_until_it_answers
from tests.ward_usecase import NOW, copy_of, write_words

PROGRAM = shutil.which(os.environ.get("SALUS_FHIR_SERVER") or "sekmet")
KINDS = (
    "Patient",
    "Observation",
    "Condition",
    "RiskAssessment",
    "DocumentReference",
    "Device",
    "Provenance",
    "AuditEvent",
)
PLENTY = Budget(seconds=600)
Json = dict[str, Any]

pytestmark = pytest.mark.skipif(
    PROGRAM is None,
    reason="no FHIR server here: see tests/server/requirements.txt, then set SALUS_FHIR_SERVER to its program",
)


class Server:
    """A FHIR server at an address."""

    def __init__(self, address: str) -> None:
        self.address = address

    def ask(self, method: str, path: str = "", content: bytes | None = None) -> Json:
        """Send a request; an answer that is not good fails the test."""
        request = urllib.request.Request(
            self.address + path,
            method=method,
            data=content,
            headers={"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return dict(json.loads(answer.read() or b"{}"))
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read()[:2000]!r}") from error

    def held(self) -> dict[str, Json]:
        """Everything of the kinds we write, without what the server says of it itself."""
        found = {}
        for kind in KINDS:
            bundle = self.ask("GET", f"/{kind}?_count=1000")
            for entry in bundle.get("entry", []):
                resource = entry["resource"]
                for name in ("versionId", "lastUpdated"):
                    resource.get("meta", {}).pop(name, None)
                found[f"{kind}/{resource.pop('id')}"] = resource
        return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server on a free port of this machine, with an empty store that goes away with it."""
    assert PROGRAM is not None
    home = tmp_path_factory.mktemp("server")
    port = free_port()
    with (home / "log").open("w") as log:
        running = subprocess.Popen(
            [str(Path(PROGRAM).absolute()), "serve", "--host", "127.0.0.1", "--port", str(port)],
            cwd=home,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        server = Server(f"http://127.0.0.1:{port}/fhir")
        wait_until_it_answers(
            running,
            lambda: server.ask("GET", "/metadata")["fhirVersion"] == "4.0.1",
            refused=OSError,
            log=home / "log",
        )
        yield server
    finally:
        running.terminate()
        running.wait(timeout=20)


def test_synthetic_patients_are_written_read_back_and_taken_back(server, ward_usecase: UseCaseFolder):
    usecase = open_usecase(ward_usecase, now=NOW)
    sent = usecase.write(
        usecase.propose(3, seed=5, budget=PLENTY), Order(overrides={"few": "a test of the interface"})
    ).transaction
    before = server.held()
    answer = server.ask("POST", content=sent.as_bytes())
    written = {place: one for place, one in server.held().items() if place not in before}
    assert len(written) == len(sent.bundle["entry"])
    people = {place for place in written if place.startswith("Patient/")}
    assert len(people) == 3
    potassium = [one for place, one in written.items() if place.startswith("Observation/")]
    assert {one["subject"]["reference"] for one in potassium} <= people
    assert {one["valueQuantity"]["code"] for one in potassium} == {"mmol/L"}
    assert all(one["meta"]["tag"][0]["code"] == "SYNTHETIC" for one in written.values())
    found = server.ask("GET", "/Patient?_tag=urn:salus:tag|SYNTHETIC")
    assert found["total"] == 3
    server.ask("POST", content=sent.undo(answer).as_bytes())
    assert server.held() == before


@pytest.mark.parametrize("form", ["risk-assessment", "document"])
def test_a_forecast_is_written_corrected_and_taken_back_step_by_step(
    server, ward_usecase: UseCaseFolder, tmp_path: Path, form: str
):
    """Two real-looking patients of the hospital stay as they were; a correction is undone to what it corrected."""
    place = copy_of(ward_usecase, tmp_path / "ward")
    write_words(place, kind="early-warning")
    usecase = open_usecase(place, now=NOW)
    proposal = usecase.propose(2, seed=5, budget=PLENTY)
    subjects = proposal.rows["subject_id"].to_list()
    patients = {}
    for subject in subjects:
        made = server.ask("POST", "/Patient", json.dumps({"resourceType": "Patient"}).encode())
        patients[subject] = f"Patient/{made['id']}"
    empty = server.held()

    statement = server.ask("GET", "/metadata")
    order = Order(patients=patients, form=form, asked_by="Dr Invented", server=statement)
    first = usecase.write(proposal, order).transaction
    answer = server.ask("POST", content=first.as_bytes())
    written = server.held()
    kind = "RiskAssessment" if form == "risk-assessment" else "DocumentReference"
    ours = {place: one for place, one in written.items() if place.startswith(f"{kind}/")}
    assert {one["subject"]["reference"] for one in ours.values()} == set(patients.values())
    (provenance,) = (one for place, one in written.items() if place.startswith("Provenance/"))
    assert {one["reference"] for one in provenance["target"]} == set(ours)

    held = server.ask("GET", "/" + sorted(ours)[0])
    subject = next(one for one, where in patients.items() if where == held["subject"]["reference"])
    again = usecase.propose(2, seed=6, budget=PLENTY)
    order = replace(order, earlier={f"{subject}/death_30d": held})
    second = usecase.write(again, order).transaction
    corrected = server.ask("POST", content=second.as_bytes())
    assert server.held()[sorted(ours)[0]] != written[sorted(ours)[0]]

    server.ask("POST", content=second.undo(corrected).as_bytes())
    assert server.held() == written
    server.ask("POST", content=_late(first, answer))
    assert server.held() == empty


def test_a_server_that_names_no_risk_assessments_gets_documents(
    server, ward_usecase: UseCaseFolder, tmp_path: Path
):
    """This one names none: nobody chose the form, so the document is written."""
    place = copy_of(ward_usecase, tmp_path / "ward")
    write_words(place, kind="early-warning")
    usecase = open_usecase(place, now=NOW)
    order = Order(server=server.ask("GET", "/metadata"))
    sent = usecase.write(usecase.propose(1, seed=5, budget=PLENTY), order).transaction
    before = server.held()
    answer = server.ask("POST", content=sent.as_bytes())
    assert answer["entry"][0]["response"]["status"].startswith("201")
    assert any(place.startswith("DocumentReference/") for place in set(server.held()) - set(before))
    server.ask("POST", content=sent.undo(answer).as_bytes())
    assert server.held() == before


def _late(first: Any, answer: Json) -> bytes:
    """Undo the first writing after a correction came and went: the version counted on, the content is the same."""
    undo = first.undo(answer)
    for entry in undo.bundle["entry"]:
        entry["request"].pop("ifMatch", None)
    return undo.as_bytes()

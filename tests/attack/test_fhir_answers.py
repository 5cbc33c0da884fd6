"""Answers of a server that cannot be used to undo, and servers that take little: said plainly, nothing guessed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from salus.errors import AnswerStrange
from salus.outlet.fhir_capability import read_capability
from salus.outlet.fhir_draft import Draft, identifier, name_of
from salus.outlet.fhir_transaction import Origin, Transaction, transaction

ORIGIN = Origin(
    device="a model",
    model="f" * 64,
    recorded=datetime(2026, 3, 1, 9, 0, tzinfo=UTC),
    asked_by="a test",
    sources={"model": "f" * 64},
)


@pytest.fixture
def sent() -> Transaction:
    """One patient; with the device, its Provenance and AuditEvent: four entries."""
    name = name_of("somebody")
    patient = Draft(
        name=name,
        known_as=identifier(name),
        resource={"resourceType": "Patient", "identifier": [identifier(name)]},
    )
    return transaction([patient], ORIGIN)


def answer(*responses: object, kind: str = "transaction-response") -> dict[str, object]:
    return {
        "resourceType": "Bundle",
        "type": kind,
        "entry": [{"response": response} for response in responses],
    }


def created(place: str) -> dict[str, str]:
    return {
        "status": "201 Created",
        "location": f"https://hospital.example/fhir/{place}/_history/1",
        "etag": 'W/"1"',
    }


FOUND = {"status": "200 OK", "location": "https://hospital.example/fhir/Device/7/_history/4"}
GOOD = (created("Patient/1"), FOUND, created("Provenance/2"), created("AuditEvent/3"))


def test_what_was_there_before_is_left_alone_and_the_last_is_taken_back_first(sent):
    """The device was found, not created: it stays."""
    undo = sent.undo(answer(*GOOD))
    assert [entry["request"] for entry in undo.bundle["entry"]] == [
        {"method": "DELETE", "url": "AuditEvent/3", "ifMatch": 'W/"1"'},
        {"method": "DELETE", "url": "Provenance/2", "ifMatch": 'W/"1"'},
        {"method": "DELETE", "url": "Patient/1", "ifMatch": 'W/"1"'},
    ]


def test_a_server_that_gives_short_places_and_no_etag_is_understood(sent):
    short = {"status": "201", "location": "Patient/1/_history/9"}
    undo = sent.undo(answer(short, *GOOD[1:]))
    assert undo.bundle["entry"][-1]["request"] == {
        "method": "DELETE",
        "url": "Patient/1",
        "ifMatch": 'W/"9"',
    }


@pytest.mark.parametrize(
    ("strange", "why"),
    [
        ({}, "not an answer to a transaction of 4 entries"),
        (answer(*GOOD, kind="batch-response"), "not an answer to a transaction of 4 entries"),
        (answer(*GOOD[:3]), "not an answer to a transaction of 4 entries"),
        (answer(*GOOD[:3], None), "no response with a status"),
        (answer(*GOOD[:3], {"status": 201}), "no response with a status"),
        (answer({"status": "201 Created"}, *GOOD[1:]), "does not say where the Patient was put"),
        (answer(created("Observation/1"), *GOOD[1:]), "does not say where the Patient was put"),
        ({"resourceType": "OperationOutcome", "issue": []}, "not an answer"),
    ],
)
def test_an_answer_that_cannot_be_used_is_refused(sent, strange, why):
    with pytest.raises(AnswerStrange, match=why) as refused:
        sent.undo(strange)
    assert refused.value.code == "SAL-155"
    assert "give the whole Bundle" in refused.value.fix


def test_what_is_no_capability_statement_is_refused():
    with pytest.raises(AnswerStrange, match="no CapabilityStatement"):
        read_capability({"resourceType": "Patient"})


@pytest.mark.parametrize("rest", [None, [], [{}], [{"resource": "Patient"}], ["Patient"]])
def test_a_statement_that_names_nothing_allows_nothing(rest):
    found = read_capability({"resourceType": "CapabilityStatement", "rest": rest})
    assert not found.may_create("Patient")
    assert not found.may_find("Patient")


def test_what_a_server_cannot_find_by_identifier_is_created_without_asking(sent):
    statement = {
        "resourceType": "CapabilityStatement",
        "rest": [
            {
                "resource": [
                    {"type": "Device", "searchParam": [{"name": "identifier"}]},
                    {"type": "Patient", "searchParam": [{"name": "name"}]},
                ]
            }
        ],
    }
    plain = transaction(sent.drafts[:1], ORIGIN, capability=read_capability(statement))
    asked = {
        entry["resource"]["resourceType"]: entry["request"].get("ifNoneExist")
        for entry in plain.bundle["entry"]
    }
    assert asked["Device"] == f"identifier=urn:salus:sha256|{'f' * 64}"
    assert asked["Patient"] is None

"""Policies, keys, places and records that are broken: refused before anything is written, or counted."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from salus.deidentify.key import Key
from salus.deidentify.passing import Passing
from salus.deidentify.read_policy import policy_file, read_policy
from salus.errors import (
    ColumnMissing,
    InputEmpty,
    InputMissing,
    OutputTaken,
    PolicyMissing,
    PolicyNameUnknown,
    PolicyValueWrong,
    PseudonymKeyMissing,
    RiskTooHigh,
    SalusError,
    ScrubberMissing,
    UsageProblem,
)
from salus.workflows.deidentify import Asked, Form, deidentify

MADE = datetime(2026, 1, 5, tzinfo=UTC)
PATIENT = b'{"resourceType":"Patient","id":"1","gender":"male"}\n'


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_bytes(b"0123456789abcdef0123456789abcdef")
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "Patient.ndjson").write_bytes(PATIENT)
    return folder


def changed(tmp_path: Path, old: str, new: str) -> str:
    """Safe Harbor with one thing changed."""
    text = policy_file("safe-harbor").read_text()
    assert old in text
    path = tmp_path / "own.yaml"
    path.write_text(text.replace(old, new, 1))
    return str(path)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("    gender: keep", "    gendre: keep", "did you mean 'gender'?"),
        ("  Encounter:\n", "  Encounters:\n", "did you mean 'Encounter'?"),
        ("    gender: keep", "    gender: kepe", "did you mean 'keep'?"),
        ("  visit_occurrence:\n", "  visit_ocurrence:\n", "did you mean 'visit_occurrence'?"),
        ("    visit_concept_id: keep", "    visit_concep_id: keep", "did you mean 'visit_concept_id'?"),
        ("  PID-8: keep", "  PDI-8: keep", "did you mean 'PID'?"),
        ("{do: year}", "{do: years}", "did you mean 'year'?"),
        ("free_text: remove", "free_tekst: remove", "free_text"),
        ("  ages: {oldest: 89", "  ages: {eldest: 89", "did you mean 'oldest'?"),
    ],
)
def test_a_name_that_means_nothing_is_refused_with_the_nearest(tmp_path: Path, old: str, new: str, says: str):
    with pytest.raises((PolicyNameUnknown, PolicyValueWrong)) as refused:
        read_policy(changed(tmp_path, old, new))
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("gender: keep - sex is none of the identifiers", "gender: keep"),
        ("    birthDate: birth_date", "    birthDate: keep"),
        ("    recordedDate: date", "    recordedDate: keep"),
        ("    measurement_date: date", "    measurement_date: keep"),
        ("    person_id: pseudonym", "    person_id: keep"),
        ("  PID-7: birth_date", "  PID-7: keep"),
        ("  PID-8: keep", "  PID-99: keep"),
        ("  PID-8: keep", "  PID-08: keep"),
        ("    reference: reference", "    reference: keep"),
        ("  Patient:\n    id: pseudonym", "  Patient:\n    text: keep - a narrative\n    id: pseudonym"),
        ("  Patient:\n    id: pseudonym", "  Patient:\n    id: keep"),
        ("{do: year}", "{do: shift}"),
        ("{do: year}", "{do: shift, most_days: 0}"),
        ("{do: year}", "{do: shift, most_days: 5, keep_weekday: true}"),
        ("birth_dates: year", "birth_dates: shift"),
        ("    census:", "    # census:"),
        ("digits: 3", "digits: three"),
        ("name: safe-harbor", "title2: x"),
        ("rules:", "rules: 3\nruels:"),
    ],
)
def test_a_line_that_lets_pass_what_it_does_not_say_is_refused(tmp_path: Path, old: str, new: str):
    with pytest.raises((PolicyValueWrong, PolicyNameUnknown)):
        read_policy(changed(tmp_path, old, new))


def test_a_policy_that_is_not_there(tmp_path: Path):
    with pytest.raises(PolicyMissing, match="did you mean 'safe-harbor'"):
        read_policy("save-harbor")
    with pytest.raises(SalusError):
        read_policy(str(tmp_path))


@pytest.mark.parametrize("content", [b"\xff\xfe", b"- a\n", b"a: [", b"", b"name: x\nname: y\n"])
def test_a_policy_that_is_no_policy(tmp_path: Path, content: bytes):
    (tmp_path / "p.yaml").write_bytes(content)
    with pytest.raises((PolicyValueWrong, PolicyNameUnknown)):
        read_policy(str(tmp_path / "p.yaml"))


def test_a_lost_or_short_key(tmp_path: Path, source: Path):
    (tmp_path / "short").write_bytes(b"0123456789abcde")
    for asked, error in (
        (Asked(policy="safe-harbor", key=None), PseudonymKeyMissing),
        (Asked(policy="safe-harbor", key=tmp_path / "lost"), InputMissing),
        (Asked(policy="safe-harbor", key=tmp_path / "short"), InputMissing),
    ):
        with pytest.raises(error):
            deidentify(source, tmp_path / "out", asked=asked, made=MADE)
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten(tmp_path: Path, source: Path, key: Path):
    asked = Asked(policy="safe-harbor", key=key)
    deidentify(source, tmp_path / "out", asked=asked, made=MADE)
    with pytest.raises(OutputTaken):
        deidentify(source, tmp_path / "out", asked=asked, made=MADE)


@pytest.mark.parametrize("place", ["in/out", "."])
def test_output_and_input_are_apart(tmp_path: Path, source: Path, key: Path, place: str):
    with pytest.raises(OutputTaken):
        deidentify(source, tmp_path / place, asked=Asked(policy="safe-harbor", key=key), made=MADE)


def test_the_key_lies_outside_the_data(tmp_path: Path, source: Path, key: Path):
    inside = source / "key"
    inside.write_bytes(key.read_bytes())
    with pytest.raises(OutputTaken, match="the key lies inside the input"):
        deidentify(source, tmp_path / "out", asked=Asked(policy="safe-harbor", key=inside), made=MADE)


def test_an_empty_folder_and_one_that_is_not_there(tmp_path: Path, key: Path):
    (tmp_path / "empty").mkdir()
    for form in Form:
        policy = changed(tmp_path, "hl7v2:", "csv:\n  a:\n    columns:\n      b: keep - it\nhl7v2:")
        with pytest.raises(InputEmpty):
            asked = Asked(policy=policy, key=key, form=form)
            deidentify(tmp_path / "empty", tmp_path / "out", asked=asked, made=MADE)
    with pytest.raises(InputMissing):
        deidentify(tmp_path / "gone", tmp_path / "out", asked=Asked(policy="safe-harbor", key=key), made=MADE)
    with pytest.raises(UsageProblem, match="not clear"):
        deidentify(
            tmp_path / "empty", tmp_path / "out", asked=Asked(policy="safe-harbor", key=key), made=MADE
        )


def test_a_policy_that_says_nothing_of_the_form(tmp_path: Path, key: Path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("b\n1\n")
    with pytest.raises(UsageProblem, match="says nothing of csv"):
        deidentify(tmp_path / "in", tmp_path / "out", asked=Asked(policy="safe-harbor", key=key), made=MADE)


def test_records_passed_without_a_scrubber_where_the_policy_asks_for_one(tmp_path: Path):
    policy = read_policy(changed(tmp_path, "free_text: remove", "free_text: scrub"))
    with pytest.raises(ScrubberMissing):
        Passing(policy, Key(b"0123456789abcdef0123456789abcdef"), as_of_year=2026)


def test_groups_that_cannot_be_reached(tmp_path: Path, source: Path, key: Path):
    with pytest.raises(RiskTooHigh):
        deidentify(source, tmp_path / "out", asked=Asked(policy="expert-determination", key=key), made=MADE)
    assert not (tmp_path / "out").exists()


def test_broken_lines_are_counted_and_the_others_pass(tmp_path: Path, key: Path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.ndjson").write_bytes(
        b"\xef\xbb\xbf" + PATIENT + b'{"resourceType":"Patient", broken\n' + b"[1]\n\n" + PATIENT
        + b'{"resourceType":"Patient","id":"\xff"}\n' + b"[" * 100_000 + b"\n" + b'{"resourceType":7}\n' + PATIENT
    )  # fmt: skip
    (folder / "b.json").write_bytes(b'{"resourceType":"Bundle","entry":[{"resource":{"resourceType"')
    (folder / "c.ndjson.gz").write_bytes(gzip.compress(PATIENT * 1000)[:40])
    done = deidentify(folder, tmp_path / "out", asked=Asked(policy="safe-harbor", key=key), made=MADE)
    assert done.read == done.written + done.left_out + done.rejected
    assert done.books["records"]["Patient"]["written"] == 3
    reasons = {row["reason"] for row in done.books["rejected"]}
    assert {"no JSON", "not UTF-8"} <= reasons and done.rejected == 7


@pytest.mark.parametrize(
    "strange",
    [
        {"gender": ["male"]},
        {"gender": {"a": 1}},
        {"gender": 5},
        {"gender": None},
        {"address": "Zephyrgasse"},
        {"address": [["Zephyrgasse"]]},
        {"address": [{"state": {"Zephyrgasse": 1}}]},
        {"birthDate": "Zephyrgasse"},
        {"birthDate": "1980-13-45"},
        {"birthDate": 1980},
        {"multipleBirthInteger": "Zephyrgasse"},
        {"multipleBirthBoolean": "Zephyrgasse"},
        {"meta": {"tag": {"Zephyrgasse": 1}}},
        {"meta": {"lastUpdated": "yesterday, Zephyrgasse"}},
        {"extension": "Zephyrgasse"},
        {"maritalStatus": {"coding": [{"code": {"Zephyrgasse": []}}]}},
        {"contained": ["Zephyrgasse"]},
    ],
)
def test_an_element_that_is_not_as_r4_has_it_stays_out(tmp_path: Path, key: Path, strange: dict[str, object]):
    folder = tmp_path / "in"
    folder.mkdir()
    told = {"resourceType": "Patient", "id": "1", **strange}
    (folder / "a.ndjson").write_text(json.dumps(told) + "\n")
    done = deidentify(folder, tmp_path / "out", asked=Asked(policy="safe-harbor", key=key), made=MADE)
    (name,) = done.books["files"]
    assert set(json.loads((tmp_path / "out" / "data" / name).read_text())) == {"resourceType", "id"}
    assert all(
        "Zephyrgasse" not in path.read_text() for path in (tmp_path / "out").rglob("*.*") if path.is_file()
    )


def test_a_modifier_extension_that_nobody_named_rejects_its_resource(tmp_path: Path, key: Path):
    """Without it the resource would say another thing (FHIR R4, 2.4.0.1)."""
    folder = tmp_path / "in"
    folder.mkdir()
    told = {
        "resourceType": "Patient",
        "id": "1",
        "modifierExtension": [{"url": "http://x.example", "valueBoolean": True}],
    }
    (folder / "a.ndjson").write_text(json.dumps(told) + "\n")
    assert (
        deidentify(folder, tmp_path / "out", asked=Asked(policy="safe-harbor", key=key), made=MADE).rejected
        == 1
    )


def csv_policy(tmp_path: Path) -> str:
    part = "csv:\n  a:\n    patient: id\n    columns:\n      id: pseudonym - whose\n      day: date - when\nhl7v2:"
    return changed(tmp_path, "hl7v2:", part)


def test_broken_rows_of_tables_are_counted(tmp_path: Path, key: Path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.csv").write_bytes(
        b"id,day\n1,2019-03-17\n2\n,2019-03-17\n3,\xff\n4,2019-03-17,x\n5,not a day\n"
    )
    done = deidentify(folder, tmp_path / "out", asked=Asked(policy=csv_policy(tmp_path), key=key), made=MADE)
    assert (done.read, done.written, done.rejected) == (6, 2, 4)
    assert done.books["fields"]["a.day"] == {"generalised": 1, "removed": 1}


def test_a_table_without_its_columns(tmp_path: Path, key: Path):
    """Its first line may be a patient's: it is not repeated."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.csv").write_text("Zephyrgasse,2019-03-17\n")
    with pytest.raises(ColumnMissing) as refused:
        deidentify(folder, tmp_path / "out", asked=Asked(policy=csv_policy(tmp_path), key=key), made=MADE)
    assert "Zephyrgasse" not in str(refused.value)


def test_messages_that_name_no_patient_or_are_none(tmp_path: Path, key: Path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.hl7").write_bytes(
        b"MSH|^~\\&|||||2019||ACK|1|P|2.5\rMSA|AA|1\r"
        b"MSH|^~\\&|||||2019||ADT^A01|2|P|2.5\rPID|1||078-05-1120^^^USSSA^SS\r"
        b"MSH|^~\\&|||||2019||ADT^A01|3|P|2.5\rPID|1||7^^^H^MR||R\xf6e\r"
        b"MSH|^~\\&|||||2019||ADT^A01|4|P|2.5\rPID|1||7^^^H^MR||Roe\r"
    )
    (folder / "b.hl7.gz").write_bytes(gzip.compress(b"MSH|^~\\&|||||2019||ACK|1|P|2.5\r" * 50)[:30])
    done = deidentify(folder, tmp_path / "out", asked=Asked(policy="safe-harbor", key=key), made=MADE)
    assert (done.read, done.written, done.rejected) == (5, 1, 4)
    assert "Roe" not in "".join(path.read_text() for path in (tmp_path / "out" / "data").glob("*.hl7"))

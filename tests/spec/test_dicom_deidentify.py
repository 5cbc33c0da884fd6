"""Images by `salus deidentify`: the policy's own part, the records' key and days, books that balance."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

pytest.importorskip("pydicom", reason="pydicom is not installed: pip install 'salus[dicom]'")

import pydicom

from benchmarks import dicom_planted
from salus.deidentify.dicom.options import Dates, DicomOptions, Pixels, SafePrivate
from salus.deidentify.key import Key
from salus.deidentify.policy import SHIPPED
from salus.deidentify.read_policy import policy_file, read_policy
from salus.errors import (
    ImageOptionsWrong,
    InputEmpty,
    InputMissing,
    InputUnreadable,
    PolicyNameUnknown,
    PolicyValueWrong,
    SourceKeyError,
    UsageProblem,
)
from salus.findings import read_bundle
from salus.workflows.deidentify import Asked, Deidentified, Form, deidentify, form_of
from tests.planted_dicom import as_bytes, contents, small_image

SECRET = b"0123456789abcdef0123456789abcdef"
NAMES = {Form.FHIR: "a.ndjson", Form.HL7V2: "a.hl7"}
MADE = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "secret" / "key"
    path.parent.mkdir()
    path.write_bytes(SECRET)
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A planted scan without an ending, a small image twice, and a text, in a folder named after the patient."""
    folder = tmp_path / "Quxfield Zylandra"
    folder.mkdir()
    for name in ("a.dcm", "b.dcm"):
        (folder / name).write_bytes(as_bytes(small_image(StudyDate="20240310")))
    (folder / "notes.txt").write_text("Mrs Quxfield was here")
    scan = (dicom_planted.PACKAGED / "CT_small.dcm").read_bytes()
    (folder / "scan").write_bytes(dicom_planted.plant("CT_small.dcm", scan).data)
    return folder


def run(source: Path, key: Path, name: str = "safe-harbor", **more: object) -> Deidentified:
    asked = Asked(policy=name, key=key, **more)  # type: ignore[arg-type]
    return deidentify(source, key.parent.parent / "out", asked=asked, made=MADE)


def written(out: Path) -> list[pydicom.FileDataset]:
    return [pydicom.dcmread(path) for path in sorted((out / "data").rglob("*.dcm"))]


def changed(tmp_path: Path, *lines: tuple[str, str]) -> str:
    """The shipped policy for pseudonymisation with lines of its part `dicom` changed."""
    text = policy_file("gdpr-pseudonymisation").read_text()
    for before, after in lines:
        assert text.count(before) == 1
        text = text.replace(before, after)
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    return str(path)


def test_books_balance_and_no_name_is_in_anything_that_was_written(source: Path, key: Path, tmp_path: Path):
    done = run(source, key)
    assert (done.read, done.written, done.left_out, done.rejected) == (4, 2, 0, 2)
    assert done.books["records_as"] == "dicom"
    assert done.books["rejected"] == [
        {"kind": "DICOM file", "reason": "it is no DICOM file", "records": 1},
        {"kind": "DICOM file", "reason": "its instance was written already", "records": 1},
    ]
    for name, data in contents(tmp_path / "out").items():
        assert dicom_planted.leaks(name.encode() + data) == []
        assert b"Mia" not in data and b"7-of-Ash" not in data


def test_facts_for_gates_count_patients_and_files(source: Path, key: Path, tmp_path: Path):
    run(source, key)
    found = {one.metric: one for one in read_bundle(tmp_path / "out" / "evidence").findings}
    rejected = found["deidentify.records_rejected_share"]
    assert (rejected.value, rejected.events, rejected.patients) == (0.5, 4, 2)


def test_an_image_moves_by_the_days_of_its_patient_in_the_records(source: Path, key: Path, tmp_path: Path):
    """`date_shift` of the record's own id is what FHIR, OMOP, HL7 v2 and CSV move by."""
    listed = tmp_path / "patients.csv"
    listed.write_text("PatientID,patient\n7-of-Ash,patient-7\n")
    done = run(source, key, "gdpr-pseudonymisation", patients=listed)
    assert (done.written, done.rejected) == (1, 3)  # whose the planted scan is, the list does not say
    days = Key(SECRET).date_shift("patient-7", most_days=365, keep_weekday=True)
    moved = written(tmp_path / "out")[0].StudyDate
    assert date.fromisoformat(moved) == date(2024, 3, 10) + days
    assert days % timedelta(weeks=1) == timedelta(0)


def test_without_a_list_the_patient_id_is_the_id_of_the_records(source: Path, key: Path, tmp_path: Path):
    run(source, key, "gdpr-pseudonymisation")
    days = Key(SECRET).date_shift("7-of-Ash", most_days=365, keep_weekday=True)
    moved = {image.get("StudyDate") for image in written(tmp_path / "out")}
    assert f"{date(2024, 3, 10) + days:%Y%m%d}" in moved


def test_a_policy_that_keeps_the_year_alone_removes_the_dates_of_images(
    source: Path, key: Path, tmp_path: Path
):
    run(source, key)
    assert {image.get("StudyDate", "") for image in written(tmp_path / "out")} <= {"", "19000101"}


def test_the_policies_that_come_with_salus_say_what_passes_of_images():
    found = {name: read_policy(name).dicom for name in SHIPPED}
    assert found == {
        "safe-harbor": DicomOptions(dates=Dates.REMOVE),
        "limited-data-set": DicomOptions(dates=Dates.KEEP, keep_patient_characteristics=True),
        "gdpr-pseudonymisation": DicomOptions(keep_weekday=True, keep_patient_characteristics=True),
        "expert-determination": DicomOptions(pixels=Pixels.REFUSE_SUSPECT),
    }


def test_lists_of_a_policy_reach_the_options(tmp_path: Path):
    name = changed(
        tmp_path,
        ("  descriptions: []", "  descriptions: [CT CHEST]"),
        ("  safe_private: []", '  safe_private: ["SIEMENS CSA HEADER, 0029, 10"]'),
    )
    found = read_policy(name).dicom
    assert found is not None and found.descriptions == {"CT CHEST"}
    assert found.safe_private == {SafePrivate("SIEMENS CSA HEADER", 0x29, 0x10)}


@pytest.mark.parametrize(
    ("before", "after", "wrong", "said"),
    [
        ("  pixels: clean -", "  pixels: cleam -", PolicyNameUnknown, "did you mean 'clean'"),
        ("  device: remove - not needed for most research", "  device: remove", PolicyValueWrong, "why"),
        ("  descriptions: []", "  description: []", PolicyNameUnknown, "did you mean 'descriptions'"),
        ("  safe_private: []", "  safe_private: [SIEMENS]", ImageOptionsWrong, "CREATOR, GROUP, ELEMENT"),
        ("  uids: pseudonym -", "  uids: remove -", PolicyNameUnknown, "keep, pseudonym"),
    ],
)
def test_a_line_that_means_nothing_is_refused(
    tmp_path: Path, before: str, after: str, wrong: type[SourceKeyError], said: str
):
    with pytest.raises(wrong) as error:
        read_policy(changed(tmp_path, (before, after)))
    assert said in str(error.value)


def test_a_policy_that_says_nothing_of_images_lets_none_pass(source: Path, key: Path, tmp_path: Path):
    path = tmp_path / "old.yaml"
    path.write_text(policy_file("safe-harbor").read_text().partition("\ndicom:")[0])
    with pytest.raises(UsageProblem, match="says nothing of dicom"):
        run(source, key, str(path))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("names", [("a.dcm",), ("a.IMA",), ("scan",), ("scan", "notes.txt")])
def test_images_are_known_by_their_names_or_by_what_is_in_them(tmp_path: Path, names: tuple[str, ...]):
    (tmp_path / "in").mkdir()
    for name in names:
        (tmp_path / "in" / name).write_bytes(b"" if name == "notes.txt" else as_bytes(small_image()))
    assert form_of(tmp_path / "in") is Form.DICOM


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no rows"),
        ("PatientID,patient\n", "no rows"),
        ("PatientID,person\n7-of-Ash,patient-7\n", "line 2 has no patient"),
        ("PatientID,patient\n,patient-7\n", "line 2 has no PatientID"),
        ("PatientID,patient\n7-of-Ash,patient-7\n7-of-Ash,patient-8\n", "line 3"),
        ("PatientID,patient\n7-of-Ash,Zo\xeb\n", "UTF-8"),
    ],
)
def test_a_list_of_patients_that_cannot_be_used(
    source: Path, key: Path, tmp_path: Path, text: str, said: str
):
    listed = tmp_path / "patients.csv"
    listed.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputUnreadable) as error:
        run(source, key, patients=listed)
    assert said in str(error.value)
    assert "Ash" not in str(error.value) and "patient-7" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_list_of_patients_that_is_not_there(source: Path, key: Path, tmp_path: Path):
    with pytest.raises(InputMissing, match=r"patients\.csv"):
        run(source, key, patients=tmp_path / "patients.csv")


def test_a_list_of_patients_is_for_images_and_a_mapping_is_not(source: Path, key: Path, tmp_path: Path):
    listed, records = tmp_path / "patients.csv", tmp_path / "records"
    listed.write_text("PatientID,patient\n7-of-Ash,patient-7\n")
    records.mkdir()
    (records / "a.ndjson").write_text(json.dumps({"resourceType": "Patient", "id": "p"}) + "\n")
    with pytest.raises(UsageProblem, match="for images"):
        run(records, key, patients=listed)
    old = tmp_path / "secret" / "old"
    old.write_bytes(SECRET[::-1])
    with pytest.raises(UsageProblem, match="no mapping"):
        run(source, key, old_key=old, mapping=tmp_path / "mapping.csv")


@pytest.mark.parametrize("form", NAMES)
def test_a_folder_without_a_record_is_no_success(tmp_path: Path, key: Path, form: Form):
    (tmp_path / "in").mkdir()
    with pytest.raises(InputEmpty):
        run(tmp_path / "in", key, form=form)
    (tmp_path / "in" / NAMES[form]).touch()
    with pytest.raises(InputEmpty, match="no record"):
        run(tmp_path / "in", key, form=form)
    assert not (tmp_path / "out").exists()

"""Validating while reading: what breaks FHIR R4 is counted by rule and place, or rejected; what is good is as ever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from salus.cli import main
from salus.intake.fhir_validated import Validation
from salus.progress import QUIET
from salus.timeline.store import read_rejected, read_timeline, timeline_digest
from salus.workflows.ingest_fhir import FhirHow, ingest_fhir
from salus.workflows.ingest_parts import VALIDATION

PATIENT = {"resourceType": "Patient", "id": "anna", "birthDate": "1960-02-29", "gender": "female"}
UNIT = {"unit": "mmol/L", "system": "http://unitsofmeasure.org", "code": "mmol/L"}


def potassium(number: int, **members: Any) -> dict[str, Any]:
    told = {
        "resourceType": "Observation",
        "id": f"k-{number}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2823-3"}]},
        "subject": {"reference": "Patient/anna"},
        "effectiveDateTime": f"2026-03-0{number}T08:00:00Z",
        "valueQuantity": {"value": 5.9, **UNIT},
    }
    return {**told, **members}


GOOD = [potassium(1), potassium(2)]
NO_LIST = potassium(3, category={"text": "lab"})
"""``category`` is a list in R4; nothing that a view takes."""
TWICE = potassium(4, dataAbsentReason={"text": "clotted"})
"""A value, and a reason why there is none (obs-6)."""
PROFILED = potassium(5, meta={"profile": ["http://hospital.example.org/potassium"]})


def write(folder: Path, *observations: dict[str, Any]) -> Path:
    folder.mkdir()
    (folder / "Patient.ndjson").write_text(json.dumps(PATIENT) + "\n")
    lines = [json.dumps(one) for one in observations]
    (folder / "Observation.ndjson").write_text("\n".join(lines) + "\n")
    return folder


def read(source: Path, to: Path, mode: Validation) -> Any:
    return ingest_fhir(source, to, FhirHow(validation=mode), progress=QUIET)


def test_counting_keeps_every_resource_and_says_where_each_rule_is_broken(tmp_path):
    source = write(tmp_path / "in", *GOOD, NO_LIST, TWICE, PROFILED)
    books = read(source, tmp_path / "out", Validation.COUNT)
    assert (books.read, books.kept, books.rejected) == (6, 6, 0)
    noted = books.noted["Observation"]
    assert noted["errors: json-list at Observation.category"] == 1
    assert noted["errors: obs-6 at Observation"] == 1
    assert noted["not as FHIR R4 says (errors)"] == 2
    assert noted["not judged: profiles"] == 1
    places = pl.read_parquet(tmp_path / "out" / VALIDATION).rows()
    assert [row[:3] for row in places] == [
        ("Observation.ndjson", 3, "Observation.category"),
        ("Observation.ndjson", 4, "Observation"),
    ]


def test_rejecting_turns_away_what_has_errors_with_rule_and_place(tmp_path):
    source = write(tmp_path / "in", *GOOD, NO_LIST, TWICE, PROFILED)
    books = read(source, tmp_path / "out", Validation.REJECT)
    assert (books.read, books.kept, books.rejected) == (6, 4, 2)
    assert read_rejected(tmp_path / "out").rows() == [
        ("Observation.ndjson", 3, "Observation.category", "not as FHIR R4 says: json-list"),
        ("Observation.ndjson", 4, "Observation", "not as FHIR R4 says: obs-6"),
    ]
    only_good = write(tmp_path / "good", *GOOD, PROFILED)
    read(only_good, tmp_path / "out2", Validation.OFF)
    one, other = (read_timeline(tmp_path / name) for name in ("out", "out2"))
    assert one.equals(other)


def test_without_validation_and_with_counting_the_timeline_is_the_same(tmp_path):
    source = write(tmp_path / "in", *GOOD, NO_LIST, TWICE)
    read(source, tmp_path / "off", Validation.OFF)
    read(source, tmp_path / "count", Validation.COUNT)
    assert timeline_digest(tmp_path / "off") == timeline_digest(tmp_path / "count")
    assert not (tmp_path / "off" / VALIDATION).exists()


def test_a_bundle_is_looked_at_and_its_resources_one_by_one(tmp_path):
    """Two entries of one full URL break bdl-7; the Observation inside breaks obs-6."""
    entry = {"fullUrl": "https://x.org/fhir/Observation/k-4", "resource": TWICE}
    patient = {"fullUrl": "https://x.org/fhir/Patient/anna", "resource": PATIENT}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [patient, entry, entry]}
    (tmp_path / "one.json").write_text(json.dumps(bundle))
    books = read(tmp_path / "one.json", tmp_path / "out", Validation.COUNT)
    assert books.noted["Bundle"]["errors: bdl-7 at Bundle"] == 1
    assert books.noted["Observation"]["errors: obs-6 at Observation"] == 2


def test_the_command_counts_and_a_way_in_without_rules_refuses(tmp_path, capsys):
    source = write(tmp_path / "in", *GOOD, TWICE)
    words = ["ingest", str(source), "--as", "fhir", "--validate", "count", "--to", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as done:
        main(words)
    assert done.value.code in (0, None)
    assert "Observation: 1 errors: obs-6 at Observation" in capsys.readouterr().out
    words[3] = "meds"
    with pytest.raises(SystemExit) as refused:
        main(words)
    assert refused.value.code not in (0, None)
    assert "--validate" in capsys.readouterr().err


@pytest.mark.parametrize("mode", [Validation.COUNT, Validation.REJECT])
def test_no_value_is_told(tmp_path, mode):
    canary = "987.65"
    broken = potassium(3, issued=canary, method={"text": canary, f"x{canary}": canary})
    books = read(write(tmp_path / "in", *GOOD, broken), tmp_path / "out", mode)
    places = pl.read_parquet(tmp_path / "out" / VALIDATION)
    assert places.height == 2
    told = (json.dumps(books.as_json()), str(places.rows()), str(read_rejected(tmp_path / "out").rows()))
    assert not any(canary in text for text in told)

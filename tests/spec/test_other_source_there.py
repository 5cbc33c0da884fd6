"""A timeline of one source is not replaced by that of another; one of the same source is written anew."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from salus.errors import OtherSourceThere
from salus.progress import QUIET
from salus.timeline.store import SETTINGS_FILE, read_timeline, timeline_digest
from salus.workflows.export_tables import export_meds
from salus.workflows.ingest_fhir import FhirHow, ingest_fhir
from salus.workflows.ingest_tables import ingest_meds


def export(folder: Path, *patients: str) -> Path:
    folder.mkdir()
    told = [{"resourceType": "Patient", "id": one, "birthDate": "1950-03-01"} for one in patients]
    (folder / "Patient.ndjson").write_text("".join(json.dumps(one) + "\n" for one in told))
    return folder


def test_another_export_does_not_take_the_place_of_the_first(tmp_path: Path):
    """Monthly exports, each into the same timeline: the first month would be gone without a word."""
    to = tmp_path / "timeline"
    ingest_fhir(export(tmp_path / "january", "a"), to, FhirHow(), progress=QUIET)
    before = timeline_digest(to)
    with pytest.raises(OtherSourceThere, match="SAL-120"):
        ingest_fhir(export(tmp_path / "february", "b"), to, FhirHow(), progress=QUIET)
    assert timeline_digest(to) == before


def test_the_same_source_is_written_anew(tmp_path: Path):
    to, source = tmp_path / "timeline", export(tmp_path / "exports", "a")
    ingest_fhir(source, to, FhirHow(), progress=QUIET)
    shutil.rmtree(source)
    ingest_fhir(export(tmp_path / "exports", "a", "b"), to, FhirHow(), progress=QUIET)
    assert read_timeline(to)["subject_id"].n_unique() == 2


def test_another_way_in_does_not_take_its_place_either(tmp_path: Path):
    for name in ("january", "february"):
        ingest_fhir(export(tmp_path / name, name), tmp_path / f"of-{name}", FhirHow(), progress=QUIET)
    export_meds(tmp_path / "of-february", tmp_path / "meds", progress=QUIET)
    with pytest.raises(OtherSourceThere):
        ingest_meds(tmp_path / "meds", tmp_path / "of-january", progress=QUIET)


def test_what_is_no_timeline_any_more_holds_nothing_to_lose(tmp_path: Path):
    to = tmp_path / "timeline"
    ingest_fhir(export(tmp_path / "january", "a"), to, FhirHow(), progress=QUIET)
    (to / SETTINGS_FILE).write_text("{")
    ingest_fhir(export(tmp_path / "february", "b"), to, FhirHow(), progress=QUIET)
    assert read_timeline(to)["subject_id"].n_unique() == 1

"""A whole road with a key ring: no value of a patient lies readable anywhere, and every number is the same."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import pytest

from salus.at_rest.envelope import is_sealed
from salus.at_rest.key_ring import hexadecimal_master
from salus.cli import main
from salus.errors import KeyRingTrouble, SealBroken
from salus.intake.omop_place import OmopPlace
from salus.progress import QUIET
from salus.timeline.store import read_timeline, timeline_digest
from salus.workflows.generate import generate
from salus.workflows.ingest_fhir import FhirHow, ingest_fhir
from salus.workflows.ingest_tables import ingest_omop
from salus.workflows.seal import make_ring, open_folder, rotate_ring, seal_folder
from tests.small_model import trained_folder
from tests.tiny_source import ingest_tiny

CANARY = "CANARY987"
MASTER = "ef" * 32


@pytest.fixture
def ring(tmp_path, monkeypatch) -> Path:
    """A ring that the environment names and opens."""
    path = tmp_path / "keys" / "ring.json"
    make_ring(path, hexadecimal_master(MASTER))
    monkeypatch.setenv("SALUS_KEY_RING", str(path))
    monkeypatch.setenv("SALUS_MASTER_KEY", MASTER)
    return path


def export_of(folder: Path) -> Path:
    """A FHIR export whose only patient has an unmistakable code and text."""
    folder.mkdir()
    observation = {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": CANARY}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2026-03-01T08:00:00Z",
        "valueString": f"{CANARY} text",
    }
    (folder / "Observation.ndjson").write_text(json.dumps(observation) + "\n")
    (folder / "Patient.ndjson").write_text('{"resourceType":"Patient","id":"p1","gender":"female"}\n')
    return folder


def readable(folder: Path, text: str) -> list[str]:
    """The files below a folder that hold a text in their bytes."""
    return [path.name for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_nothing_that_ingest_writes_can_be_read_without_the_ring(tmp_path, ring):
    source = export_of(tmp_path / "export")
    out = tmp_path / "out"
    ingest_fhir(source, out / "timeline", FhirHow(), progress=QUIET)
    assert readable(out, CANARY) == []
    assert CANARY in "".join(read_timeline(out / "timeline")["code"].to_list())
    shards = list((out / "timeline" / "data").rglob("*.parquet"))
    assert shards
    assert all(is_sealed(path.read_bytes()) for path in shards)
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in shards)


def test_without_the_ring_a_sealed_timeline_is_refused_with_the_way_out(tmp_path, ring, monkeypatch):
    ingest_tiny(tmp_path)
    monkeypatch.delenv("SALUS_KEY_RING")
    with pytest.raises(KeyRingTrouble, match="no key ring is configured"):
        read_timeline(tmp_path / "timeline")


def test_sealing_later_changes_neither_rows_nor_digest_and_is_done_once(tmp_path, ring, monkeypatch):
    monkeypatch.delenv("SALUS_KEY_RING")
    folder, _ = ingest_tiny(tmp_path)
    rows, digest = read_timeline(folder), timeline_digest(folder)
    monkeypatch.setenv("SALUS_KEY_RING", str(ring))
    books = seal_folder(folder)
    assert books.changed == books.met > 3
    assert read_timeline(folder).equals(rows)
    assert timeline_digest(folder) == digest
    assert seal_folder(folder).changed == 0
    assert open_folder(folder).changed == books.met
    monkeypatch.delenv("SALUS_KEY_RING")
    assert read_timeline(folder).equals(rows)


def test_after_a_rotation_old_files_are_read_then_wrapped_anew_then_the_old_key_goes(tmp_path, ring):
    folder, _ = ingest_tiny(tmp_path)
    rows = read_timeline(folder)
    (old,) = json.loads(ring.read_text())["keys"]
    rotate_ring(ring)
    assert read_timeline(folder).equals(rows)
    books = seal_folder(folder)
    assert books.changed == books.met
    rotate_ring(ring, remove=(old,))
    assert read_timeline(folder).equals(rows)
    with pytest.raises(KeyRingTrouble, match="no key 'nobody'"):
        rotate_ring(ring, remove=("nobody",))


def test_a_changed_shard_is_noticed(tmp_path, ring):
    folder, _ = ingest_tiny(tmp_path)
    shard = next((folder / "data").rglob("*.parquet"))
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(bytes(content))
    with pytest.raises(SealBroken, match="not what was written"):
        read_timeline(folder)


def test_a_sealed_model_draws_as_before(tmp_path, ring, monkeypatch):
    monkeypatch.delenv("SALUS_KEY_RING")
    model = tmp_path / "model"
    shutil.copytree(trained_folder(), model)
    generate(model, tmp_path / "before", patients=20, seed=3, progress=QUIET)
    monkeypatch.setenv("SALUS_KEY_RING", str(ring))
    assert seal_folder(model).changed == 3
    generate(model, tmp_path / "after", patients=20, seed=3, progress=QUIET)
    assert read_timeline(tmp_path / "after").equals(read_timeline(tmp_path / "before"))
    assert all(is_sealed(path.read_bytes()) for path in (tmp_path / "after" / "data").rglob("*.parquet"))


def test_the_command_says_what_it_did(tmp_path, ring, capsys):
    folder, _ = ingest_tiny(tmp_path)
    for words in (["seal", str(folder), "--json"], ["seal", "--rotate", "--json"]):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0
    first, second = capsys.readouterr().out.split("}")[:2]
    assert json.loads(first + "}")["changed"] == 0
    assert len(json.loads(second + "}")["keys"]) == 2
    with pytest.raises(SystemExit) as ended:
        main(["seal"])
    assert ended.value.code == 2


def test_omop_and_its_working_tables_leave_nothing_readable(tmp_path, ring):
    """What DuckDB works on stays in memory: while it reads, nothing clear lies below the output either."""
    source = tmp_path / "cdm"
    source.mkdir()
    (source / "person.csv").write_text(
        "person_id,gender_concept_id,year_of_birth,month_of_birth,day_of_birth,race_concept_id,ethnicity_concept_id\n"
        "1,8507,1980,1,1,0,0\n"
    )
    (source / "note.csv").write_text(
        "note_id,person_id,note_date,note_type_concept_id,note_class_concept_id,note_title,note_text\n"
        f"1,1,2020-01-01,0,0,Letter,{CANARY}\n"
    )
    seen: list[str] = []

    class Watching(type(QUIET)):  # type: ignore[misc]
        def step(self, *words: object, **more: object) -> object:
            seen.extend(readable(tmp_path / "out", CANARY))
            return super().step(*words, **more)

    place = OmopPlace(where=str(source), zone="UTC", schema="", key=b"", processes=1)
    ingest_omop(place, tmp_path / "out" / "timeline", progress=Watching())
    assert CANARY in str(read_timeline(tmp_path / "out" / "timeline")["text_value"].to_list())
    assert seen + readable(tmp_path / "out", CANARY) == []

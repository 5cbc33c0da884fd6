"""Structured de-identification: which identifiers survive Safe Harbor in four formats, and how fast FHIR passes.

Two kinds of canaries: all 18 identifiers planted in invented records, and what the records of the public suites say of
their own patients: names, addresses, numbers, whole dates.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import planted_identifiers as planted
from benchmarks.rows import Row, commit, is_met, machine
from salus.deidentify.known_patient import KnownPatient, known_fhir_patient, known_pid
from salus.deidentify.read_policy import policy_file
from salus.deidentify.table_files import TableFile
from salus.formats.hl7v2 import SEGMENT_END, field_of
from salus.intake.hl7v2_files import files_of
from salus.intake.hl7v2_messages import Message, messages_of
from salus.workflows.deidentify import Asked, Form, deidentify

COMMAND = "make bench-privacy"
MADE = datetime(2026, 1, 5, 12, tzinfo=UTC)
PATIENTS = 100
SHORTEST = 5
"""Letters of an identifier that is looked for: shorter ones stand by chance in pseudonyms and codes."""
SUITES = {
    Form.FHIR: "fhir_r4_synthea600.tar.xz",
    Form.OMOP: "suites/synthea27_omop.zip",
    Form.HL7V2: "suites/hl7v2_samples.zip",
}
WRITERS = {
    Form.FHIR: planted.write_fhir,
    Form.OMOP: planted.write_omop,
    Form.HL7V2: planted.write_hl7v2,
    Form.CSV: planted.write_csv,
}
WHOLE_DATE = re.compile(rb"(?<!\d)(?:19|20)\d\d-[01]\d-[0-3]\d")
HL7_DATE = re.compile(rb"(?<=[|^~])(?:19|20)\d\d[01]\d[0-3]\d(?=[|^~\r\d])")


def rows(*, say: Callable[[str], None] = print) -> list[Row]:
    """Canaries that survive, planted and of the suites, and the megabytes of FHIR that pass a CPU-second."""
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "key").write_bytes(b"the key of a benchmark, which hides nothing")
        for form in WRITERS:
            found.append(_planted(form, folder, say))
        for form, name in SUITES.items():
            path = Path(os.environ.get("SALUS_DATA", "")) / name
            if os.environ.get("SALUS_DATA") and path.exists():
                found += _suite(form, path, folder, say)
            else:
                say(f"{name}: not here, not measured")
                found.append(_row(f"deidentify_{form}_suite_identifiers_surviving", None, 0.0))
    return found


def _planted(form: Form, folder: Path, say: Callable[[str], None]) -> Row:
    """How many of the planted canaries survive."""
    source, out = WRITERS[form](folder / f"planted-{form}"), folder / f"planted-{form}-out"
    policy = folder / "policy.yaml"
    policy.write_text(
        policy_file("safe-harbor").read_text(encoding="utf-8") + planted.CSV_PART, encoding="utf-8"
    )
    began = time.perf_counter()
    deidentify(source, out, asked=Asked(policy=str(policy), key=folder / "key", form=form), made=MADE)
    survived = sum(map(len, planted.survivors(out).values()))
    every = sum(map(len, planted.CANARIES.values()))
    say(f"{form}: {survived} of {every} planted canaries survive Safe Harbor")
    return _row(f"deidentify_{form}_canaries_surviving", float(survived), time.perf_counter() - began)


def _suite(form: Form, path: Path, folder: Path, say: Callable[[str], None]) -> list[Row]:
    """What the suite's own records say of their patients, looked for afterwards; for FHIR also the speed."""
    source, out = folder / f"suite-{form}", folder / f"suite-{form}-out"
    source.mkdir()
    if form is Form.FHIR:
        _unpack_patients(path, source)
    else:
        with zipfile.ZipFile(path) as packed:
            packed.extractall(source)
    began, cpu = time.perf_counter(), time.process_time()
    done = deidentify(
        source, out, asked=Asked(policy="safe-harbor", key=folder / "key", form=form), made=MADE
    )
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
    survived = surviving(form, source, out)
    say(f"{form}: {len(survived)} identifiers of the suite's patients survive; {done.read:,} records read")
    told = [
        _row(f"deidentify_{form}_suite_identifiers_surviving", float(len(survived)), seconds, cpu_seconds)
    ]
    if form is Form.FHIR:
        size = sum(one.stat().st_size for one in source.rglob("*") if one.is_file()) / 1e6
        say(f"fhir: {size:,.0f} MB in {cpu_seconds:.1f} CPU-seconds")
        told.append(_speed(size / cpu_seconds, seconds, cpu_seconds))
    return told


def _unpack_patients(path: Path, source: Path) -> None:
    with tarfile.open(path) as packed:
        taken = 0
        for member in packed:
            stream = packed.extractfile(member) if member.name.endswith(".json") else None
            if stream is not None and taken < PATIENTS:
                (source / Path(member.name).name).write_bytes(stream.read())
                taken += 1
            if taken == PATIENTS:
                return


def surviving(form: Form, source: Path, out: Path) -> set[str]:
    """Which identifiers of the source's patients stand as whole words in the released files; whole dates too."""
    files = [
        path
        for path in out.rglob("*")
        if path.is_file() and path.suffix in (".json", ".ndjson", ".csv", ".hl7", ".html")
    ]
    whole = b"\n".join(path.read_bytes() for path in files if path.name != "deidentified.json")
    whole += " ".join(path.name for path in files).encode()
    words = set(re.split(r"[^\w.@/\-]+", whole.decode()))
    known = {one for person in _people(form, source) for one in _identifiers(person)} - _codes(form, source)
    found = {one for one in known if one in words or (" " in one and one in whole.decode())}
    dates = HL7_DATE if form is Form.HL7V2 else WHOLE_DATE
    data = b"\n".join(path.read_bytes() for path in (out / "data").iterdir() if not _is_vocabulary(path))
    return found | {date.decode() for date in dates.findall(data)}


def _codes(form: Form, source: Path) -> set[str]:
    """Codes of allergies, diagnoses and tests: where one is written as some number of a person is, it is none."""
    if form is not Form.HL7V2:
        return set()
    found = set()
    for file in files_of(source):
        with file.open() as stream:
            for message in messages_of(stream):
                segments = message.text.split(SEGMENT_END) if isinstance(message, Message) else []
                coded = (one for one in segments if one[:4] in ("AL1|", "DG1|", "PR1|", "OBX|"))
                found |= {field_of(one, 3).split("^")[0] for one in coded}
    return found


def _is_vocabulary(path: Path) -> bool:
    """The vocabulary's own dates say when a concept was valid, and of no patient anything."""
    return path.stem in ("concept", "concept_relationship", "vocabulary")


def _identifiers(person: KnownPatient) -> Iterable[str]:
    told = (*person.names, *person.addresses, *person.phones, *person.emails, *person.identifiers)
    return (one for one in (*told, person.number, person.birth_date) if len(one) >= SHORTEST)


def _people(form: Form, source: Path) -> Iterator[KnownPatient]:
    if form is Form.FHIR:
        for path in source.iterdir():
            for entry in json.loads(path.read_bytes())["entry"]:
                if entry["resource"]["resourceType"] == "Patient":
                    yield known_fhir_patient(entry["resource"])
    elif form is Form.HL7V2:
        for file in files_of(source):
            with file.open() as stream:
                for found in messages_of(stream):
                    segments = found.text.split(SEGMENT_END) if isinstance(found, Message) else []
                    yield from (known_pid(one) for one in segments if one.startswith("PID|"))
    else:
        path = next(one for one in source.rglob("*") if one.name.lower() == "person.csv")
        with TableFile(path=path, told="person").batches() as (_, _, batches):
            for batch in batches:
                for row in batch.rows.iter_rows(named=True):
                    yield KnownPatient(identifiers=(str(row["person_source_value"] or ""),))


def _row(name: str, value: float | None, seconds: float, cpu_seconds: float | None = None) -> Row:
    return Row(
        name=name,
        value=value,
        unit="identifiers",
        direction="min",
        target=0.0,
        met=is_met(value, "min", 0.0),
        command=COMMAND,
        seed=0,
        commit=commit(),
        hardware=machine(),
        seconds=seconds,
        cpu_seconds=cpu_seconds,
    )


def _speed(value: float, seconds: float, cpu_seconds: float) -> Row:
    """Reported; nobody asked for a figure."""
    return Row(
        name="deidentify_fhir_mb_per_cpu_second",
        value=value,
        unit="MB/CPU-s",
        direction="max",
        target=0.0,
        met=True,
        command=COMMAND,
        seed=0,
        commit=commit(),
        hardware=f"{machine()}, one thread",
        seconds=seconds,
        cpu_seconds=cpu_seconds,
    )


if __name__ == "__main__":
    for row in rows():
        print(row.name, row.value, row.met)

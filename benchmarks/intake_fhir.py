"""FHIR files to a timeline, beside a bare DuckDB on the same files, in one run; and what the official suites say.

The export is made from invented patients (Synthea, $SALUS_DATA): a file a type, references as a server writes them,
each further copy of it with ids of its own. What Salus does is all of it: books, units, required fields, pseudonyms.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO

import msgspec

from benchmarks.intake_suites import HL7_CASES, SQL_ON_FHIR, Outcome, fhirpath, report, sql_on_fhir, suite
from benchmarks.rows import RESULTS, Row, commit, is_met, machine

PATIENTS = "fhir_r4_synthea600.tar.xz"
COMMAND = "make bench-intake"
COPIES, OBSERVATION_COPIES = 2, 6
LEAST_MB, LEAST_EVENTS, MOST_GB = 150.0, 200_000.0, 1.0
BARE_MB, BARE_EVENTS = 372.0, 459_000.0
"""What bare DuckDB reached where those were asked for: machines differ, and a ratio in one run differs less."""
URN = re.compile(rb'"urn:uuid:([0-9a-f-]{36})"')
UUID = re.compile(rb"[0-9a-f]{8}(?=-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-)")
SUBJECT = re.compile(rb'"subject":\{"reference":"Patient/[^"]*"')
COUNTED = """
began = os.times()
before = began.user + began.system
{work}
ended = os.times()
most = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))  # ru_maxrss holds the parent's
told = dict(cpu=ended.user + ended.system - before, events=events, megabytes=size / 1e6,
            gigabytes=int(most.split()[1]) / 1e6)
print(json.dumps(told))
"""
OURS = """
import json, os, sys
from pathlib import Path
from salus.progress import QUIET
from salus.workflows.ingest_fhir import FhirHow, ingest_fhir
size = int(sys.argv[3])
processes = int(sys.argv[4]) if len(sys.argv) > 4 else None
if __name__ == "__main__":
""" + COUNTED.format(
    work="""
books = ingest_fhir(Path(sys.argv[1]), Path(sys.argv[2]), FhirHow(processes=processes), progress=QUIET)
assert books.read and not books.rejected
events = books.events
"""
).replace("\n", "\n    ")
BARE = """
import json, os, sys, duckdb
size = int(sys.argv[3])
""" + COUNTED.format(
    work="""
db = duckdb.connect(config={"threads": 1, "memory_limit": "700MB", "preserve_insertion_order": False})
columns = {"id": "VARCHAR", "subject": "STRUCT(reference VARCHAR)", "effectiveDateTime": "TIMESTAMP",
           "issued": "TIMESTAMP", "code": "STRUCT(coding STRUCT(system VARCHAR, code VARCHAR)[])",
           "valueQuantity": "STRUCT(value DOUBLE, unit VARCHAR)", "valueCodeableConcept": "STRUCT(text VARCHAR)",
           "component": "STRUCT(code STRUCT(coding STRUCT(system VARCHAR, code VARCHAR)[]),"
                        " valueQuantity STRUCT(value DOUBLE, unit VARCHAR))[]"}
told = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
db.execute(f"CREATE VIEW o AS FROM read_json('{sys.argv[1]}/Observation.ndjson', format='newline_delimited',"
           f" columns={{{told}}})")
part = "SELECT hash(subject.reference) subject_id, effectiveDateTime AS time, issued AS known_time, id,"
db.execute(f"COPY ({part} code.coding[1].system || '//' || code.coding[1].code AS code, valueQuantity.value AS value,"
           " valueQuantity.unit AS unit, valueCodeableConcept.text AS text FROM o WHERE component IS NULL UNION ALL"
           f" {part} c.code.coding[1].system || '//' || c.code.coding[1].code, c.valueQuantity.value,"
           " c.valueQuantity.unit, NULL FROM (SELECT *, unnest(component) AS c FROM o) ORDER BY subject_id, time)"
           f" TO '{sys.argv[2]}' (FORMAT parquet, COMPRESSION zstd)")
events = db.execute(f"SELECT count(*) FROM read_parquet('{sys.argv[2]}')").fetchone()[0]
"""
)


@dataclass(frozen=True, slots=True)
class Spent:
    """What a program told of itself."""

    cpu: float
    events: int
    megabytes: float
    gigabytes: float
    seconds: float

    @property
    def speed(self) -> float:
        """Megabytes per CPU-second."""
        return self.megabytes / self.cpu


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One number before it becomes a row; ``value`` None: not measured."""

    name: str
    value: float | None
    unit: str
    direction: str
    target: float
    baseline: float | None = None
    spent: Spent | None = None


def write_export(archive: Path, folder: Path, *, copies: int = 1, only: str = "") -> None:
    """Write the Bundles of an archive as a bulk export; ``only`` one type, with the patients."""
    folder.mkdir(parents=True)
    files: dict[str, IO[bytes]] = {}
    try:
        for kind, line in _lines(archive):
            if only in ("", kind) or kind == "Patient":
                out = files.get(kind) or files.setdefault(kind, (folder / f"{kind}.ndjson").open("wb"))
                for copy in range(copies):
                    out.write(UUID.sub(_renamed(copy), line) if copy else line)
    finally:
        for out in files.values():
            out.close()


def _renamed(copy: int) -> Callable[[re.Match[bytes]], bytes]:
    """An id's first eight digits, moved on by a number that no other copy has."""

    def moved(found: re.Match[bytes]) -> bytes:
        return b"%08x" % ((int(found.group(), 16) + copy * 0x1F123BB5) % (1 << 32))

    return moved


def _lines(archive: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(archive) as bundles:
        for member in bundles:
            stream = bundles.extractfile(member) if member.isfile() else None
            if stream is None:
                continue
            resources = [entry["resource"] for entry in msgspec.json.decode(stream.read())["entry"]]
            kinds = {one["id"].encode(): one["resourceType"].encode() for one in resources}
            for one in resources:
                line = URN.sub(lambda found, kinds=kinds: _place(found, kinds), msgspec.json.encode(one))
                yield one["resourceType"], line + b"\n"


def _place(found: re.Match[bytes], kinds: dict[bytes, bytes]) -> bytes:
    kind = kinds.get(found.group(1))
    return found.group() if kind is None else b'"' + kind + b"/" + found.group(1) + b'"'


def run(program: str, source: Path, to: Path, *more: str) -> Spent:
    """Run a program in a process of its own, on one thread; what it imports before it begins is not counted."""
    size = sum(path.stat().st_size for path in source.iterdir())
    one = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    script = to.with_name(to.name + ".py")
    script.write_text(program, encoding="utf-8")
    words = [sys.executable, str(script), str(source), str(to), str(size), *more]
    began = time.perf_counter()
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **one})
    return Spent(**json.loads(done.stdout), seconds=time.perf_counter() - began)


def best(program: str, source: Path, folder: Path, name: str, *, runs: int = 2) -> Spent:
    """The cheapest of some runs: the machine may be busy with other things."""
    found = [run(program, source, folder / f"{name}-{number}") for number in range(runs)]
    return min(found, key=lambda spent: spent.cpu)


def speeds(archive: Path, folder: Path, say: Callable[[str], None]) -> list[Measured]:
    """Observations alone, as DuckDB reads them beside, and a whole export of all types, plain and gzipped."""
    write_export(archive, folder / "observations", copies=OBSERVATION_COPIES, only="Observation")
    bare = best(BARE, folder / "observations", folder, "bare")
    ours = best(OURS, folder / "observations", folder, "ours")
    say(f"FHIR Observations: {ours.speed:.0f} MB per CPU-second, DuckDB without checks {bare.speed:.0f}")
    write_export(archive, folder / "export", copies=COPIES)
    whole = best(OURS, folder / "export", folder, "whole")
    say(f"FHIR, all types: {whole.speed:.0f} MB, {whole.events / whole.cpu:,.0f} events per CPU-second")
    pack(folder / "export", folder / "packed")
    unpacked = run(OURS, folder / "packed", folder / "of-packed")
    packed_speed = whole.megabytes / unpacked.cpu
    peak = max(spent.gigabytes for spent in (ours, whole, unpacked))
    return [
        _speed("fhir_observations", ours, bare),
        _events("fhir_observations", ours, bare),
        _ratio("fhir_observations_mb", ours.speed / bare.speed, LEAST_MB / BARE_MB),
        _ratio(
            "fhir_observations_events",
            (ours.events / ours.cpu) / (bare.events / bare.cpu),
            LEAST_EVENTS / BARE_EVENTS,
        ),
        _speed("fhir_export_of_all_types", whole, None),
        _events("fhir_export_of_all_types", whole, None),
        Measured(
            name="fhir_export_gzipped_mb_per_cpu_second",
            value=packed_speed,
            unit="MB/CPU-s",
            direction="max",
            target=LEAST_MB,
            spent=unpacked,
        ),
        Measured(
            name="fhir_peak_memory",
            value=peak,
            unit="GB",
            direction="min",
            target=MOST_GB,
            baseline=bare.gigabytes,
        ),
        workers(folder, whole),
        giant(folder),
    ]


def _speed(name: str, ours: Spent, bare: Spent | None) -> Measured:
    return Measured(
        name=f"{name}_mb_per_cpu_second",
        value=ours.speed,
        unit="MB/CPU-s",
        direction="max",
        target=LEAST_MB,
        baseline=bare.speed if bare else None,
        spent=ours,
    )


def _events(name: str, ours: Spent, bare: Spent | None) -> Measured:
    return Measured(
        name=f"{name}_events_per_cpu_second",
        value=ours.events / ours.cpu,
        unit="events/CPU-s",
        direction="max",
        target=LEAST_EVENTS,
        baseline=bare.events / bare.cpu if bare else None,
        spent=ours,
    )


def _ratio(name: str, value: float, target: float) -> Measured:
    return Measured(
        name=f"{name}_in_times_of_bare_duckdb", value=value, unit="times", direction="max", target=target
    )


def pack(source: Path, to: Path) -> None:
    """The same files, gzipped."""
    to.mkdir()
    for path in source.iterdir():
        with gzip.open(to / f"{path.name}.gz", "wb", compresslevel=1) as out, path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                out.write(chunk)


def workers(folder: Path, whole: Spent) -> Measured:
    """How many files of the timeline differ when two processes read."""
    spent = run(OURS, folder / "export", folder / "by-two", "2")
    one, two = digests(folder / "whole-0"), digests(folder / "by-two")
    differing = sum(one.get(name) != two.get(name) for name in {*one, *two})
    return Measured(
        name="fhir_files_that_differ_with_two_processes",
        value=float(differing) if spent.events == whole.events else float(len(one)),
        unit="files",
        direction="min",
        target=0.0,
    )


def digests(folder: Path) -> dict[str, str]:
    """What each file of a folder says, as a digest."""
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def giant(folder: Path) -> Measured:
    """What a resource costs where one patient has all of more than 100,000, in times of what it costs elsewhere."""
    (folder / "giant").mkdir()
    lines = (folder / "observations" / "Observation.ndjson").read_bytes().split(b"\n")[:120_000]
    one = SUBJECT.sub(b'"subject":{"reference":"Patient/1"', b"\n".join(lines) + b"\n")
    (folder / "giant" / "Observation.ndjson").write_bytes(one)
    (folder / "many").mkdir()
    (folder / "many" / "Observation.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    giant_one, others = (best(OURS, folder / name, folder, f"of-{name}") for name in ("giant", "many"))
    return Measured(
        name="fhir_times_as_costly_where_one_patient_has_120000_resources",
        value=giant_one.cpu / others.cpu,
        unit="times",
        direction="min",
        target=1.1,
        spent=giant_one,
    )


def suites(say: Callable[[str], None]) -> list[Measured]:
    """How many of the official cases pass; their reports are written beside the rows."""
    views, paths = suite(SQL_ON_FHIR), suite(HL7_CASES)
    of_views = sql_on_fhir(views) if views else []
    of_paths = fhirpath(paths) if paths else []
    for name, outcomes in (("sql-on-fhir-v2", of_views), ("fhirpath-r4", of_paths)):
        if outcomes:
            path = RESULTS / "suites" / f"{name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(report(outcomes), indent=1) + "\n", encoding="utf-8")
    counted = [one for one in of_paths if not one.excluded]
    say(
        f"SQL on FHIR: {_passed(of_views)} of {len(of_views)}; FHIRPath: {_passed(of_paths)} of {len(of_paths)},"
    )
    say(f"  of those that a ViewDefinition may use {_passed(counted)} of {len(counted)}")
    return [
        Measured(
            name="sql_on_fhir_v2_tests_passed",
            value=float(_passed(of_views)) if of_views else None,
            unit="tests",
            direction="max",
            target=134.0,
            baseline=109.0,
        ),
        _share("fhirpath_r4_share_of_cases_a_view_may_use", counted, 0.97),
        _share("fhirpath_r4_share_of_all_cases", of_paths, 0.97),
    ]


def _passed(outcomes: list[Outcome]) -> int:
    return sum(one.passed for one in outcomes)


def _share(name: str, outcomes: list[Outcome], target: float) -> Measured:
    share = _passed(outcomes) / len(outcomes) if outcomes else None
    return Measured(name=name, value=share, unit="1", direction="max", target=target)


def rows(*, say: Callable[[str], None] = print) -> list[Row]:
    """Every number that was asked of FHIR files."""
    archive = suite(PATIENTS)
    if archive is None:
        say(f"FHIR files were not measured: {PATIENTS} is not below $SALUS_DATA")
        found = []
    else:
        with tempfile.TemporaryDirectory() as name:
            found = speeds(archive, Path(name), say)
    return [row_of(one) for one in (*found, *suites(say))]


def row_of(one: Measured) -> Row:
    """What was measured, as a row."""
    return Row(
        name=one.name,
        value=one.value,
        unit=one.unit,
        direction=one.direction,
        target=one.target,
        met=is_met(one.value, one.direction, one.target),
        baseline=one.baseline,
        command=COMMAND,
        seed=0,
        commit=commit(),
        hardware=f"{machine()}, one thread",
        seconds=one.spent.seconds if one.spent else 0.0,
        cpu_seconds=one.spent.cpu if one.spent else None,
    )


if __name__ == "__main__":
    rows()

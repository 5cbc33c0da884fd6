"""OMOP to a timeline, beside a bare DuckDB that scans and sorts the same columns of the same files, in one run."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import duckdb

from benchmarks.rows import Row, commit, is_met

ROWS = 2_000_000
PATIENTS = 20_000
CODES = 300
SEED = 1
LEAST_ROWS = 1_000_000.0
MOST_TIMES = 2.0
COMMAND = "make bench-intake"
COLUMNS = (
    "person_id, measurement_id, measurement_concept_id, measurement_date, measurement_datetime, operator_concept_id,"
    " value_as_number, value_as_concept_id, unit_concept_id, range_low, range_high, measurement_source_value,"
    " measurement_source_concept_id, unit_source_value, value_source_value"
)
BARE = """
import sys, duckdb
db = duckdb.connect(config={"threads": 1, "memory_limit": "512MB", "preserve_insertion_order": False})
db.execute(f"COPY (SELECT {sys.argv[3]} FROM '{sys.argv[1]}/measurement.parquet' ORDER BY person_id, "
           f"measurement_datetime, measurement_concept_id) TO '{sys.argv[2]}' (FORMAT parquet, COMPRESSION zstd)")
"""
OURS = """
import sys
from pathlib import Path
from salus.intake.omop_place import OmopPlace
from salus.progress import QUIET
from salus.workflows.ingest_tables import ingest_omop
books = ingest_omop(OmopPlace(where=sys.argv[1]), Path(sys.argv[2]), progress=QUIET)
assert books.read == int(sys.argv[3]) and not books.rejected
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a program took."""

    seconds: float
    cpu_seconds: float


def write_source(folder: Path, rows: int = ROWS, *, ranges: bool = True) -> None:
    """Invented measurements of invented patients in no order, as Parquet: drawn by hashes, the same each time."""
    folder.mkdir(parents=True)
    low, high = ("1.0", "50.0") if ranges else ("NULL::DOUBLE", "NULL::DOUBLE")
    with duckdb.connect(config={"threads": 1}) as db:
        db.execute(
            f"COPY (SELECT i AS measurement_id, (hash(i) % {PATIENTS})::BIGINT + 1 AS person_id,"
            f" 3000000 + (hash(i * 7) % {CODES})::INT AS measurement_concept_id,"
            " DATE '2015-01-01' + (hash(i * 3) % 3000)::INT AS measurement_date,"
            " TIMESTAMP '2015-01-01' + to_seconds((hash(i * 3) % 259200000)::BIGINT) AS measurement_datetime,"
            " (hash(i * 5) % 1000) / 10.0 AS value_as_number, 0 AS value_as_concept_id, 0 AS operator_concept_id,"
            f" 8840 AS unit_concept_id, {low} AS range_low, {high} AS range_high, 'test ' || hash(i * 7) % 300"
            " AS measurement_source_value, 0 AS measurement_source_concept_id, 'mg/dL' AS unit_source_value,"
            f" NULL::VARCHAR AS value_source_value FROM range({rows}) t(i))"
            f" TO '{folder / 'measurement.parquet'}' (FORMAT parquet, COMPRESSION zstd)"
        )
        db.execute(
            "COPY (SELECT i AS person_id, 8507 AS gender_concept_id, 1950 AS year_of_birth, 5 AS month_of_birth,"
            " 3 AS day_of_birth, 8527 AS race_concept_id, 38003564 AS ethnicity_concept_id"
            f" FROM range(1, {PATIENTS + 1}) t(i)) TO '{folder / 'person.parquet'}' (FORMAT parquet)"
        )
        db.execute(
            "COPY (SELECT 3000000 + i AS concept_id, 'Test ' || i AS concept_name, 'Measurement' AS domain_id, 'LOINC'"
            " AS vocabulary_id, 'Lab Test' AS concept_class_id, 'S' AS standard_concept, i || '-1' AS concept_code"
            f" FROM range({CODES}) t(i) UNION ALL SELECT 8840, 'milligram per deciliter', 'Unit', 'UCUM', 'Unit', 'S',"
            f" 'mg/dL') TO '{folder / 'concept.parquet'}' (FORMAT parquet)"
        )


def cost_of(program: str, *words: str) -> Cost:
    """Run a program in a process of its own, on one thread; what it imports before it begins is not counted."""
    imports = "\n".join(line for line in program.splitlines() if line.startswith(("import", "from")))
    return _less(_run(program, *words), _run(imports))


def _run(program: str, *words: str) -> Cost:
    before, began = getrusage(RUSAGE_CHILDREN), time.perf_counter()
    one = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", program, *words], check=True, env={**os.environ, **one})
    after = getrusage(RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(time.perf_counter() - began, spent)


def _less(cost: Cost, empty: Cost) -> Cost:
    return Cost(cost.seconds, max(cost.cpu_seconds - empty.cpu_seconds, 0.01))


def rows(rows_read: int = ROWS, *, say: Callable[[str], None] = print) -> list[Row]:
    """Rows per CPU-second, and how many times what a bare scan-and-sort costs: with and without reference ranges."""
    return [
        *_measured(rows_read, "omop", ranges=False, say=say),
        *_measured(rows_read, "omop_with_ranges", ranges=True, say=say),
    ]


def _measured(rows_read: int, name: str, *, ranges: bool, say: Callable[[str], None]) -> list[Row]:
    """The best of three runs of each, one after the other, so that a busy machine is busy for both."""
    total = str(rows_read + PATIENTS)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_source(folder / "omop", rows_read, ranges=ranges)
        pairs = [
            (
                cost_of(BARE, str(folder / "omop"), str(folder / "bare.parquet"), COLUMNS),
                cost_of(OURS, str(folder / "omop"), str(folder / "timeline"), total),
            )
            for _ in range(3)
        ]
    bare = min((pair[0] for pair in pairs), key=lambda cost: cost.cpu_seconds)
    ours = min((pair[1] for pair in pairs), key=lambda cost: cost.cpu_seconds)
    speed, times = int(total) / ours.cpu_seconds, ours.cpu_seconds / bare.cpu_seconds
    say(
        f"{name}: {speed:,.0f} rows per CPU-second, {times:.2f} times a bare scan-and-sort ({bare.cpu_seconds:.2f} s)"
    )
    return [
        _row(f"{name}_rows_per_cpu_second", speed, "rows/CPU-s", ours, baseline=rows_read / bare.cpu_seconds),
        _row(f"{name}_times_duckdb_scan_and_sort", times, "times", ours, baseline=1.0),
    ]


def _row(name: str, value: float, unit: str, cost: Cost, *, baseline: float) -> Row:
    direction, target = ("max", LEAST_ROWS) if unit == "rows/CPU-s" else ("min", MOST_TIMES)
    return Row(
        name=name,
        value=value,
        unit=unit,
        direction=direction,
        target=target,
        met=is_met(value, direction, target),
        baseline=baseline,
        command=COMMAND,
        seed=SEED,
        commit=commit(),
        hardware=f"{platform.machine()}, one thread",
        seconds=cost.seconds,
        cpu_seconds=cost.cpu_seconds,
    )


if __name__ == "__main__":
    rows()

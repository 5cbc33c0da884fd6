"""A FHIR export that no memory holds: what a gigabyte costs beside one of a tenth of it, and the memory it takes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.intake_fhir import MOST_GB, OURS, PATIENTS, Measured, row_of, run, write_export
from benchmarks.intake_suites import suite
from benchmarks.rows import Row

LARGE = 10_000_000_000
"""Bytes of the export: invented patients, copied under new ids."""
MOST_TIMES = 1.1


def large(archive: Path, folder: Path, *, say: Callable[[str], None]) -> list[Measured]:
    """What a gigabyte of a large export costs, in times of what it costs in a tenth of it; and the memory it takes."""
    write_export(archive, folder / "once")
    size = sum(path.stat().st_size for path in (folder / "once").iterdir())
    shutil.rmtree(folder / "once")
    found = []
    for name, wanted in (("tenth", LARGE / 10), ("large", LARGE)):
        write_export(archive, folder / name, copies=-(-int(wanted) // size))
        found.append(run(OURS, folder / name, folder / f"of-{name}"))
        for written in (folder / name, folder / f"of-{name}"):
            shutil.rmtree(written)
    tenth, whole = found
    times = tenth.speed / whole.speed
    say(
        f"FHIR, {whole.megabytes / 1e3:.1f} GB: {whole.speed:.0f} MB per CPU-second, {whole.gigabytes:.2f} GB held"
    )
    say(f"  a tenth of it: {tenth.speed:.0f} MB per CPU-second, {tenth.gigabytes:.2f} GB held")
    return [
        Measured(
            name="large_export_cost_per_gb_in_times_of_a_tenth",
            value=times,
            unit="times",
            direction="min",
            target=MOST_TIMES,
            spent=whole,
        ),
        Measured(
            name="large_export_peak_memory",
            value=whole.gigabytes,
            unit="GB",
            direction="min",
            target=MOST_GB,
            baseline=tenth.gigabytes,
            spent=whole,
        ),
    ]


def rows(*, say: Callable[[str], None] = print) -> list[Row]:
    """The two numbers, or none where the patients are not there."""
    archive = suite(PATIENTS)
    if archive is None:
        say(f"a large export was not measured: {PATIENTS} is not below $SALUS_DATA")
        return []
    with tempfile.TemporaryDirectory() as name:
        return [row_of(one) for one in large(archive, Path(name), say=say)]


if __name__ == "__main__":
    rows()

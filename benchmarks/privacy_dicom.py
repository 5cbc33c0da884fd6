"""What is left of a patient in DICOM files after de-identification, whether images are still valid, and how fast it is.

A patient is planted in ten files that pydicom ships and, where it is at hand, the five of a suite: 36 identifiers each,
nested and private elements, the file head, letters drawn into the pixels (:mod:`benchmarks.dicom_planted`).
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pydicom

from benchmarks import dicom_planted
from benchmarks.dicom_planted import DATES, IDENTIFIERS, Planted
from benchmarks.rows import Row, commit, is_met, machine
from salus.deidentify.dicom.image import Passed, pass_image
from salus.deidentify.dicom.options import DicomOptions
from salus.deidentify.dicom.values import shifted
from salus.deidentify.key import Key

COMMAND = "make bench-privacy"
KEY = Key(b"a key of a bench")
OPTIONS = DicomOptions()
ROUNDS = 5
PEER_ERRORS, PEER_LEAKING, PEER_SPEED = 80.0, 0.0, 66.0
"""dicom-anonymizer 2.1.0, ten files of pydicom's: no leak, 19 errors before and 99 after; files a CPU second."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of all files."""

    files: int
    leaking: int
    new_errors: int | None
    dates_right: float
    ink_left: int
    ink_drawn: int
    per_cpu_second: float


def measure(suite: Path | None) -> Measured:
    """De-identify every planted file, and look for everything that was planted."""
    found = dicom_planted.sources(suite)
    planted = [dicom_planted.plant(name, data) for name, data in found]
    passed = [pass_image(one.data, key=KEY, options=OPTIONS) for one in planted]
    plain = [(data, pass_image(data, key=KEY, options=OPTIONS).data) for _, data in found]
    pairs = [(one.data, out.data) for one, out in zip(planted, passed, strict=True)] + plain
    ink = [dicom_planted.ink_left(one, out.data) for one, out in zip(planted, passed, strict=True)]
    return Measured(
        files=len(planted),
        leaking=sum(bool(dicom_planted.leaks(out.data)) for out in passed),
        new_errors=new_errors(pairs),
        dates_right=sum(map(dates_are_right, passed)) / len(passed),
        ink_left=sum(left for left, _ in ink),
        ink_drawn=sum(drawn for _, drawn in ink),
        per_cpu_second=speed(planted[: len(dicom_planted.NAMES)]),
    )


def new_errors(pairs: list[tuple[bytes, bytes]]) -> int | None:
    """Errors that a file has after and had not before, planted or as it was; None without dciodvfy."""
    program = dicom_planted.verifier()
    if program is None:
        return None
    total = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.dcm"
        for before, after in pairs:
            told = []
            for data in (before, after):
                path.write_bytes(data)
                told.append(dicom_planted.iod_errors(path, program))
            total += (told[1] - told[0]).total()
    return total


def dates_are_right(passed: Passed) -> bool:
    """Whether all planted dates moved by the days by which the patient's records move in every other format."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.dcm"
        path.write_bytes(passed.data)
        image = pydicom.dcmread(path)
    shift = KEY.date_shift(IDENTIFIERS["PatientID"], most_days=OPTIONS.most_days)
    return all(image[keyword].value == shifted("DA", day, shift) for keyword, day in DATES.items())


def speed(planted: list[Planted]) -> float:
    """Files a CPU second, the best of some rounds over all files."""
    taken = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for one in planted:
            pass_image(one.data, key=KEY, options=OPTIONS)
        taken.append(time.process_time() - start)
    return len(planted) / min(taken)


def rows(say: Callable[[str], None] = print) -> list[Row]:
    """Measure and give the rows; what is not here to measure with is not met."""
    data = os.environ.get("SALUS_DATA")
    say("dicom: planting and de-identifying")
    started, cpu = time.perf_counter(), time.process_time()
    found = measure(Path(data) / "suites" / dicom_planted.SUITE if data else None)
    spent = (time.perf_counter() - started, time.process_time() - cpu)
    errors = None if found.new_errors is None else float(found.new_errors)
    told = [
        ("dicom_files_leaking", float(found.leaking), f"of {found.files} files", "min", 0.0, PEER_LEAKING),
        ("dicom_new_iod_errors", errors, "errors by dciodvfy", "min", 0.0, PEER_ERRORS),
        ("dicom_dates_by_patients_shift", found.dates_right, "share of files", "max", 1.0, 0.0),
        ("dicom_burnt_in_dots_left", float(found.ink_left), f"of {found.ink_drawn} pixels", "min", 0.0, None),
        ("dicom_files_per_cpu_second", found.per_cpu_second, "files/s", "max", PEER_SPEED, PEER_SPEED),
    ]
    return [
        Row(
            name=name,
            value=value,
            unit=unit,
            direction=direction,
            target=target,
            met=is_met(value, direction, target),
            baseline=baseline,
            command=COMMAND,
            seed=0,
            commit=commit(),
            hardware=machine(),
            seconds=round(spent[0], 2),
            cpu_seconds=round(spent[1], 2),
        )
        for name, value, unit, direction, target, baseline in told
    ]


if __name__ == "__main__":
    for row in rows():
        print(row.name, row.value, row.unit, "met" if row.met else "missed")

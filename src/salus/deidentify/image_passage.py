"""DICOM on the same road as records: the policy's options, the records' key, one set of books."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from salus.deidentify.dicom.options import DicomOptions, PatientIdRule
from salus.deidentify.images import pass_images, shown_header
from salus.deidentify.passing import SAMPLED, Passing
from salus.errors import InputMissing, InputUnreadable

KIND = "DICOM file"
BY_ORDER = "number of the file, in the order of names"
"""In place of a file's name, which may be a patient's."""


COLUMNS = ("PatientID", "patient")


def read_patients(path: Path) -> dict[str, str]:
    """Which id of the records each PatientID stands for, from a CSV file with the columns `PatientID` and `patient`.

    Raises InputMissing (SAL-104), InputUnreadable (SAL-105); messages tell lines and never what stands in them.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise InputMissing(
            f"the list of patients '{path.name}' cannot be read", where=str(path), fix="check the path"
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(path, "it is no CSV in UTF-8") from error
    records_of: dict[str, str] = {}
    for line, row in enumerate(rows, start=2):
        image, record = ((row.get(name) or "").strip() for name in COLUMNS)
        if not image or not record:
            raise _unreadable(path, f"line {line} has no {COLUMNS[0] if not image else COLUMNS[1]}")
        if records_of.setdefault(image, record) != record:
            raise _unreadable(path, f"line {line} gives a PatientID another patient than a line before it")
    if not rows:
        raise _unreadable(path, "it has no rows")
    return records_of


def _unreadable(path: Path, why: str) -> InputUnreadable:
    return InputUnreadable(
        f"the list of patients cannot be used: {why}",
        where=str(path),
        fix=f"write a CSV file with the columns {' and '.join(COLUMNS)}, a line a PatientID",
    )


def pass_dicom(source: Path, data: Path, passing: Passing, advance: Callable[[float], None]) -> None:
    """Write what may pass of images into ``data``, as ``STUDY/SERIES/INSTANCE.dcm`` by new UIDs.

    Raises DriverMissing (SAL-112) where nothing is installed that reads DICOM.
    """
    options = passing.policy.dicom or DicomOptions()
    if passing.records_of is not None:
        options = replace(options, patient=PatientIdRule(known=passing.records_of))
    found = pass_images(source, data, key=passing.key, options=options, advance=advance)
    passing.books.take_in([found.fields])
    tally = passing.tally
    tally.read[KIND] += found.read
    tally.written[KIND] += found.written
    for reason, count in found.refused.items():
        tally.rejected[KIND, reason] += count
    tally.places += [(BY_ORDER, number, reason) for number, reason in found.places]
    passing.image_patients = len(found.patients)
    written = sorted(path for path in data.rglob("*") if path.is_file())
    tally.files += [path.relative_to(data).as_posix() for path in written]
    for path in written[:SAMPLED]:
        tally.show(KIND, shown_header(path))

"""`make bench-privacy`: every number that was asked of de-identification and attacks, as rows of privacy.json."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks import privacy_attacks, privacy_audit, privacy_dicom, privacy_structured, privacy_text
from benchmarks.blocks import ROOT
from benchmarks.rows import Row, read_rows, write_rows
from salus.progress import QUIET
from salus.workflows.fetch import fetch
from salus.workflows.ingest import ingest

PARTS: dict[str, Callable[[], list[Row]]] = {
    "structured": privacy_structured.rows,
    "text": privacy_text.rows,
    "dicom": privacy_dicom.rows,
    "attacks": privacy_attacks.rows,
    "audit": lambda: privacy_audit.rows(_audited_folder()),
}


def _audited_folder() -> Path:
    """Where models to audit are trained, with the cohort's timeline that the attacks have made."""
    folder = ROOT / "build" / "privacy"
    timeline = folder / "cohort-timeline"
    if not timeline.exists():
        records = folder / "cohort-records"
        fetch("cohort", records, progress=QUIET)
        ingest(ROOT / "examples" / "cohort" / "source.yaml", timeline, inputs=records, progress=QUIET)
    return folder


def part_of(name: str) -> str:
    """The part that a row is of stands before the colon of its name.

    >>> part_of("structured: canaries that survive, fhir")
    'structured'
    """
    return name.partition(":")[0]


def named(part: str, rows: list[Row]) -> list[Row]:
    """The rows with their part before their names."""
    return [row if part_of(row.name) == part else replace(row, name=f"{part}: {row.name}") for row in rows]


def main() -> None:
    """Measure all parts, or those named, and write the rows; those of parts that are not measured stay."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=sorted(PARTS), default=sorted(PARTS), metavar="PART")
    asked: list[str] = parser.parse_args().only
    found = [row for row in read_rows("privacy") if part_of(row.name) not in asked]
    for part in asked:
        print(f"{part} …", file=sys.stderr, flush=True)
        found += named(part, PARTS[part]())
        path = write_rows("privacy", sorted(found, key=lambda row: list(PARTS).index(part_of(row.name))))
    print(json.dumps({"file": str(path), "met": sum(row.met for row in found), "rows": len(found)}))


if __name__ == "__main__":
    main()

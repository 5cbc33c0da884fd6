"""`make bench-intake`: every number that was asked of the ways in, as rows of intake.json; what is missing says so."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable

from benchmarks import (
    intake_fhir,
    intake_hl7v2,
    intake_large,
    intake_link,
    intake_omop,
    intake_validation,
)
from benchmarks.rows import Row, read_rows, write_rows

PARTS: dict[str, Callable[..., list[Row]]] = {
    "fhir": intake_fhir.rows,
    "validation": intake_validation.rows,
    "large": intake_large.rows,
    "omop": intake_omop.rows,
    "hl7v2": intake_hl7v2.rows,
    "link": intake_link.rows,
}
NAMES = {
    "fhir": ("fhir", "sql_on_fhir"),
    "validation": ("fhir_validation",),
    "large": ("large",),
    "omop": ("omop",),
    "hl7v2": ("hl7v2", "mllp"),
    "link": ("link",),
}
"""How the names of a part's rows begin: rows of parts that are not measured again stay as they are."""


def part_of(name: str) -> str:
    """The part that a row is of: the one that says most of how its name begins.

    >>> part_of("fhir_validation_false_alarms"), part_of("fhirpath_r4_share_of_all_cases")
    ('validation', 'fhir')
    """
    fits = {
        part: max(len(begin) * name.startswith(begin) for begin in begins) for part, begins in NAMES.items()
    }
    return max(fits, key=lambda part: fits[part])


def kept(parts: list[str]) -> dict[str, list[Row]]:
    """Rows of an earlier run by part, without those of the parts that are measured now."""
    return {
        part: [row for row in read_rows("intake") if part_of(row.name) == part]
        for part in NAMES
        if part not in parts
    }


def main() -> None:
    """Measure all parts, or those named, and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=sorted(PARTS), default=sorted(PARTS), metavar="PART")
    asked: list[str] = parser.parse_args().only
    found = kept(asked)
    for part in asked:
        found[part] = PARTS[part](say=lambda told: print(told, file=sys.stderr, flush=True))
    rows = [row for part in PARTS for row in found[part]]
    path = write_rows("intake", rows)
    print(json.dumps({"file": str(path), "met": sum(row.met for row in rows), "rows": len(rows)}))


if __name__ == "__main__":
    main()

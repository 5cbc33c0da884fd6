"""Check a summary.json against the form that others rely on: `python -m benchmarks.summary_contract FILE`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jsonschema

from benchmarks.blocks import ROOT

SCHEMA = ROOT / "docs" / "reference" / "summary.schema.json"


def problems(summary: object) -> list[str]:
    """Say where a summary departs from the contract; empty when it does not."""
    checker = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    return [f"{error.json_path}: {error.message[:200]}" for error in checker.iter_errors(summary)]


if __name__ == "__main__":
    found = problems(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    print("\n".join(found) or f"{sys.argv[1]} keeps the contract")
    sys.exit(bool(found))

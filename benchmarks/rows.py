"""One row a number that was asked for: its value and bounds, what was wanted, how to compute it again."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.blocks import ROOT
from salus.workflows.machine import hardware

RESULTS = ROOT / "benchmarks" / "results"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured number. ``direction``: "max" when more is better, "min" when less is."""

    name: str
    value: float | None
    lower: float | None = None
    upper: float | None = None
    unit: str
    direction: str
    target: float
    met: bool
    baseline: float | None = None
    command: str
    seed: int
    commit: str
    hardware: str
    seconds: float
    cpu_seconds: float | None = None


def is_met(value: float | None, direction: str, target: float) -> bool:
    """Say whether the point value reaches the target; a number that was not measured does not.

    >>> is_met(0.96, "max", 0.95), is_met(13.0, "min", 12.0), is_met(None, "max", 0.0)
    (True, False, False)
    """
    if value is None:
        return False
    return value >= target if direction == "max" else value <= target


def commit() -> str:
    """The commit that is checked out, marked where source files differ from it."""
    head = _git("rev-parse", "HEAD")
    changed = _git(
        "status", "--porcelain", "--untracked-files=no", "--", "src", "examples", "benchmarks/*.py"
    )
    return f"{head}-changed" if changed else head


def machine() -> str:
    """On what a row was measured: processor, cores, memory."""
    found = hardware()
    return f"{found['cpu']}, {found['cores']} cores, {found['memory_gb']} GB"


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()


def write_rows(name: str, rows: list[Row]) -> Path:
    """Write ``benchmarks/results/NAME.json``."""
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    return path


def read_rows(name: str) -> list[Row]:
    """Read the rows of one benchmark; empty where it has not been run."""
    path = RESULTS / f"{name}.json"
    return [Row(**row) for row in json.loads(path.read_text(encoding="utf-8"))] if path.exists() else []

"""What every generator is asked in the same words, and the clock it runs against; standard library only."""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers.columns import COUNTS, FLAT, KINDS

FLAT_TEXT = tuple(column for column in FLAT if column not in COUNTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One run: learn from ``train``, write as many synthetic patients to ``folder``, within the budget."""

    kind: str
    train: Path
    folder: Path
    seed: int
    budget_seconds: float
    method: str

    @property
    def synthetic(self) -> Path:
        """Where the synthetic table goes."""
        return self.folder / "synthetic.csv"


@dataclass(slots=True)
class Clock:
    """Wall and processor seconds of each phase, children included, and what else must be said of the run."""

    phases: dict[str, dict[str, float]] = field(default_factory=dict)
    notes: dict[str, str | float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time what happens inside."""
        began, used = time.perf_counter(), processor_seconds()
        yield
        took = {"seconds": time.perf_counter() - began, "cpu_seconds": processor_seconds() - used}
        before = self.phases.get(name, {"seconds": 0.0, "cpu_seconds": 0.0})
        self.phases[name] = {unit: round(before[unit] + took[unit], 3) for unit in took}

    def write(self, folder: Path) -> None:
        """Write times.json."""
        text = json.dumps({**self.phases, "notes": self.notes}, indent=1) + "\n"
        (folder / "times.json").write_text(text, encoding="utf-8")


def processor_seconds() -> float:
    """Processor time of this process and of the children it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def asked(methods: tuple[str, ...] = ("default",), *, kinds: tuple[str, ...] = tuple(KINDS)) -> Asked:
    """Read the command line that all run.py share."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", choices=kinds, required=True)
    parser.add_argument("--train", type=Path, required=True, help="a CSV file; of icu the timeline's folder")
    parser.add_argument("--to", type=Path, required=True, help="folder of synthetic.csv and times.json")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--budget-seconds", type=float, required=True, help="wall-clock seconds to fit")
    parser.add_argument("--method", choices=methods, default=methods[0])
    given = parser.parse_args()
    given.to.mkdir(parents=True, exist_ok=True)
    return Asked(
        kind=given.kind,
        train=given.train,
        folder=given.to,
        seed=given.seed,
        budget_seconds=given.budget_seconds,
        method=given.method,
    )

"""`make bench`: run both examples (or reuse finished runs of the same code and inputs) and write spine.json."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import coverage, membership, workspace
from benchmarks.rows import Row, commit, is_met, write_rows
from salus.errors import SalusError
from salus.progress import QUIET
from salus.workflows.demo import Plan, demo
from salus.workflows.examples import find_example
from salus.workflows.machine import hardware

COMMAND = "make bench"
EXAMPLES = ("cohort", "icu")
RATES = {"cohort": 300.0, "icu": 100.0}
COHORT_TASKS = ("diabetes_5y", "hypertension_5y", "cardiovascular_5y", "death_5y")
TASKS = {"cohort": COHORT_TASKS, "icu": ("in_hospital_death",)}
ICU_BASELINE = 0.853

Summary = dict[str, Any]
"""A finished demo's summary.json; empty where the example could not run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """One number that was asked for, before it is judged."""

    name: str
    found: dict[str, float | None]
    direction: str
    target: float
    unit: str = "1"
    baseline: float | None = None
    stages: tuple[str, ...] = ()


def numbers(example: str, summary: Summary) -> Iterator[Number]:
    """Every number that was asked of an example, measured or not."""
    yield Number(
        name=f"{example}: ingest",
        found=_point(summary, "ingest", "rows_per_second"),
        direction="max",
        target=300_000,
        unit="rows/s",
        stages=("ingest",),
    )
    yield Number(
        name=f"{example}: generate",
        found=_point(summary, "generate", "patients_per_second"),
        direction="max",
        target=RATES[example],
        unit="patients/s",
        stages=("generate",),
    )
    for task in TASKS[example]:
        yield from _utility(example, task, summary)
        yield from _forecast(example, task, summary)
    if example == "cohort":
        yield from _cost(summary)


def _utility(example: str, task: str, summary: Summary) -> Iterator[Number]:
    row = _task(summary, "utility", task)
    real, synthetic = _value(row.get("real_auroc")), _value(row.get("synthetic_auroc"))
    ratio = row.get("ratio") or {"value": synthetic / real if real and synthetic else None}
    yield Number(
        name=f"{example}: utility of synthetic patients, {task}, AUROC ratio",
        found=ratio,
        direction="max",
        target=0.95,
        baseline=real,
        stages=("train", "generate", "appraise"),
    )


def _forecast(example: str, task: str, summary: Summary) -> Iterator[Number]:
    row = _task(summary, "forecast", task)
    auroc, baseline = _value(row.get("auroc")), _value(row.get("baseline_auroc"))
    stages = ("train", "forecast", "appraise")
    if example == "icu":
        found = row.get("auroc") or {}
        name = f"icu: forecast of {task}, AUROC"
        yield Number(name=name, found=found, direction="max", target=0.82, baseline=baseline, stages=stages)
        found = row.get("baseline_auroc") or {}
        name = f"icu: gradient boosting for {task}, AUROC"
        yield Number(name=name, found=found, direction="max", target=ICU_BASELINE, stages=("appraise",))
        return
    measured = auroc is not None and baseline is not None
    difference = row.get("auroc_minus_baseline") or {"value": auroc - baseline if measured else None}
    name = f"cohort: forecast of {task}, AUROC minus gradient boosting's"
    yield Number(name=name, found=difference, direction="max", target=-0.03, baseline=baseline, stages=stages)


def _cost(summary: Summary) -> Iterator[Number]:
    seconds = summary.get("seconds")
    train = _value(_point(summary, "train", "seconds"))
    minutes = {"value": seconds / 60 if seconds else None}
    yield Number(name="cohort: whole demo", found=minutes, direction="min", target=12.0, unit="min")
    found = {"value": train / 60 if train else None}
    name = "cohort: training"
    yield Number(name=name, found=found, direction="min", target=6.0, unit="min", stages=("train",))
    found = {"value": summary.get("peak_memory_gb")}
    yield Number(name="cohort: peak memory", found=found, direction="min", target=4.0, unit="GB")


def _point(summary: Summary, part: str, name: str) -> dict[str, float | None]:
    return {"value": summary.get(part, {}).get(name)}


def _task(summary: Summary, part: str, task: str) -> dict[str, Any]:
    return next((row for row in summary.get(part, []) if row["task"] == task), {})


def _value(found: dict[str, float | None] | None) -> float | None:
    return found.get("value") if found else None


def rows(example: str, summary: Summary, *, seed: int) -> list[Row]:
    """Judge each number by its point value and say where it comes from."""
    stages = {stage["name"]: stage for stage in summary.get("stages", [])}
    about = summary.get("hardware") or hardware()
    machine = f"{about['cpu']}, {about['cores']} cores, {about['memory_gb']} GB"
    made = []
    for number in numbers(example, summary):
        parts = [stages[name] for name in number.stages or stages if name in stages]
        value = number.found.get("value")
        made.append(
            Row(
                name=number.name,
                value=value,
                lower=number.found.get("lower"),
                upper=number.found.get("upper"),
                unit=number.unit,
                direction=number.direction,
                target=number.target,
                met=is_met(value, number.direction, number.target),
                baseline=number.baseline,
                command=COMMAND,
                seed=seed,
                commit=commit(),
                hardware=machine,
                seconds=round(sum(part["seconds"] for part in parts), 2),
                cpu_seconds=round(sum(part["cpu_seconds"] for part in parts), 2),
            )
        )
    return made


def parts(example: str, folder: Path, *, seed: int) -> list[Row]:
    """What is measured beside the road itself: attacks on it, intervals that must hold the truth, the workspace."""
    if example != "cohort":
        return [membership.of_demo(folder, seed)]
    return [
        *membership.rows(folder, seed),
        *coverage.rows(folder, seed),
        *workspace.rows(folder, seed=seed),
    ]


def measure(example: str, folder: Path, *, minutes: float, seed: int) -> Summary:
    """Run one example; an empty summary where its records are not here."""
    find_example(example)
    try:
        plan = Plan(example=example, folder=folder, minutes=minutes, seed=seed, now=datetime.now(UTC))
        return dict(demo(plan, progress=QUIET))
    except SalusError as problem:
        print(f"{example} was not measured:\n{problem}", file=sys.stderr)
        return {}


def main() -> None:
    """Run both examples and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reuse", type=Path, default=Path("build/demo"), help="folder of the demos")
    parser.add_argument("--minutes", type=float, default=5.5)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    found: list[Row] = []
    for example in EXAMPLES:
        print(f"{example} …", file=sys.stderr)
        folder = given.reuse / example
        summary = measure(example, folder, minutes=given.minutes, seed=given.seed)
        found += rows(example, summary, seed=given.seed)
        if summary:
            found += parts(example, folder, seed=given.seed)
    path = write_rows("spine", found)
    print(json.dumps({"file": str(path), "met": sum(row.met for row in found), "rows": len(found)}))


if __name__ == "__main__":
    main()

"""What a private model of timelines is worth, and whether anybody shows in it: the ICU stays at ε = 3 for a patient.

Run: `python -m benchmarks.private`; it writes `benchmarks/results/peers-private.json`, whose rows `make bench-peers`
takes over. The timeline is that of `make bench-peers` (`--only meds-eic-ar --kinds icu` makes it).
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

import polars as pl

from benchmarks.blocks import ROOT
from benchmarks.rows import Row, commit, is_met, machine, write_rows
from salus.cohort.labels import label
from salus.cohort.moments import index_moments, known_at_index
from salus.cohort.task import Task, read_task
from salus.evidence.outcome_model import Population
from salus.evidence.utility import utility
from salus.findings import Finding
from salus.progress import QUIET
from salus.timeline.store import read_codes, read_timeline
from salus.workflows.generate import generate
from salus.workflows.membership import Attacked, measure_membership
from salus.workflows.train import TrainChoices, TrainResult, train
from salus.workflows.train_private import PrivateChoices

COMMAND = "python -m benchmarks.private"
TASK = ROOT / "examples" / "icu" / "task.yaml"
EPSILON, SEED = 3.0, 1
COLUMNS = ("subject_id", "time", "code", "numeric_value", "known_time")
UTILITY, CAUGHT = 0.85, 0.515


def main() -> None:
    """Train, draw, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "bench-peers")
    parser.add_argument("--epsilon", type=float, default=EPSILON)
    given = parser.parse_args()
    timeline = given.build / "icu" / "timeline"
    began = time.monotonic()
    model, synthetic = (given.build / "runs" / f"salus-private-icu-{name}" for name in ("model", "drawn"))
    choices = TrainChoices(seed=SEED, private=PrivateChoices(epsilon=given.epsilon))
    fitted = train(timeline, model, choices=choices, progress=QUIET)
    drawn = read_timeline(timeline, "train")["subject_id"].n_unique()
    generate(model, synthetic, patients=drawn, seed=SEED, progress=QUIET)
    attacked = measure_membership(Attacked(timeline=timeline, synthetic=synthetic, model=model), seed=SEED)
    rows = [*utility_rows(usefulness(timeline, synthetic)), *attack_rows(attacked.findings)]
    made = [_row(asked, fitted, began) for asked in rows]
    if given.epsilon == EPSILON:
        write_rows("peers-private", made)
    print(json.dumps([asdict(row) for row in made], indent=1))


def usefulness(timeline: Path, synthetic: Path) -> list[Finding]:
    """Mortality foretold for held-out patients by who learnt from synthetic and from real ones."""
    task, codes = read_task(TASK), read_codes(timeline)
    events = read_timeline(timeline).select(*COLUMNS, "split")
    held_out = pl.col("split") == "held_out"
    real, tested = (events.filter(rows).drop("split") for rows in (~held_out, held_out))
    drawn = read_timeline(synthetic).select(COLUMNS)
    useful = utility(
        population("real", real, task, codes),
        population("synthetic", drawn, task, codes),
        held_out=population("held-out real", tested, task, codes),
        seed=SEED,
    )
    return useful.findings


def population(name: str, events: pl.DataFrame, task: Task, codes: pl.DataFrame) -> Population:
    """Patients with what is known of them at the index moment, and what came of it."""
    moments = index_moments(events, task)
    known = known_at_index(events, moments)
    return Population(name=name, known=known, moments=moments, labels=label(events, task, codes))


Wanted = tuple[str, float]
Asked = tuple[str, Finding, Wanted, float | None]
"""A row's name, what was found, what is wanted, and what stands beside it."""


def utility_rows(found: list[Finding]) -> list[Asked]:
    """The AUROC ratio, synthetic to real; beside it the AUROC by real patients."""
    real = next(one for one in found if one.metric == "utility.real_auroc")
    ratio = next(one for one in found if one.metric == "utility.auroc_ratio")
    name = f"icu, private at ε = {EPSILON:g} for a patient: mortality, AUROC ratio synthetic / real"
    return [(name, ratio, ("max", UTILITY), real.value)]


def attack_rows(found: list[Finding]) -> list[Asked]:
    """Every attack that was measured on the private model; beside it the control: nobody there was trained on."""
    controls = [one for one in found if one.metric.endswith("membership_auc") and one.comparison == "control"]
    beside = controls[0].value if controls else None
    attacks = [one for one in found if one.metric.endswith("membership_auc") and one.comparison == "attack"]
    return [
        (
            f"icu, private at ε = {EPSILON:g}: membership attack, AUROC ({one.population})",
            one,
            ("min", CAUGHT),
            beside,
        )
        for one in attacks
    ]


def _row(asked: Asked, fitted: TrainResult, began: float) -> Row:
    name, one, (direction, target), beside = asked
    return Row(
        name=name,
        value=one.value,
        lower=one.lower,
        upper=one.upper,
        unit="1",
        direction=direction,
        target=target,
        met=is_met(one.value, direction, target),
        baseline=beside,
        command=COMMAND,
        seed=SEED,
        commit=commit(),
        hardware=machine(),
        seconds=round(time.monotonic() - began, 2),
        cpu_seconds=round(fitted.cpu_seconds, 2),
    )


if __name__ == "__main__":
    main()

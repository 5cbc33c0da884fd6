"""`make bench-icu`: whether ICU stays drawn by Salus run the course of real ones, and whether they give anybody away.

The Challenge's two sets differ (set A is charted more often), so that whoever tells sets apart seems to tell members
from others. Here both are put together and stays are drawn by lot: half to train, the other half never seen. Members
and others then differ in nothing but membership, and the two halves are the measure of what chance alone makes differ.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import yaml

from benchmarks.blocks import ROOT
from benchmarks.private import usefulness
from benchmarks.rows import Row, commit, is_met, machine, write_rows
from benchmarks.trajectories import Grouping, apart, courses, scale_of
from salus.findings import Finding
from salus.progress import QUIET, Progress
from salus.timeline.store import read_timeline
from salus.workflows.generate import generate
from salus.workflows.ingest import ingest
from salus.workflows.membership import Attacked, measure_membership
from salus.workflows.stages import cpu_seconds
from salus.workflows.train import TrainChoices, train

COMMAND = "make bench-icu"
SOURCE = ROOT / "examples" / "icu" / "source.yaml"
SHARES = {"train": 0.5, "tuning": 0.05, "held_out": 0.45}
BY = Grouping(prefix="ICU_TYPE//", outcome="MEDS_DEATH")
MOST_APART, UTILITY = 1.5, 0.97
CAUGHT, BOUND, FOUND, FALSE_ALARMS = 0.515, 0.54, 0.02, 0.01


def drawn_by_lot(data: Path, build: Path) -> Path:
    """The stays of both sets as one timeline, split by lot; made once."""
    timeline = build / "timeline"
    if not timeline.exists():
        said = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
        said["splits"]["shares"] = SHARES
        for table in said["tables"].values():
            table["files"] = [one if isinstance(one, str) else one["name"] for one in table["files"]]
        build.mkdir(parents=True, exist_ok=True)
        source = build / "source.yaml"
        source.write_text(yaml.safe_dump(said, sort_keys=False), encoding="utf-8")
        ingest(source, timeline, inputs=data / "icu2012", progress=QUIET)
    return timeline


def course_rows(timeline: Path, synthetic: Path) -> Iterator[tuple[str, float, float]]:
    """Of each set of numbers: how far synthetic stays are from the trained half, and the other real half from it."""
    train_half, other_half = (read_timeline(timeline, split) for split in ("train", "held_out"))
    drawn = read_timeline(synthetic)
    size = min(part["subject_id"].n_unique() for part in (train_half, other_half, drawn))
    parts = [_some(part, size) for part in (train_half, other_half, drawn)]
    scale = scale_of(parts[0])
    real, other, made = (courses(part, scale, BY) for part in parts)
    for name in real:
        among = sorted(set(real[name]) & set(other[name]))
        yield name, apart(made[name], real[name], among), apart(other[name], real[name], among)


def _some(events: pl.DataFrame, size: int) -> pl.DataFrame:
    chosen = events["subject_id"].unique(maintain_order=True)[:size]
    return events.filter(pl.col("subject_id").is_in(chosen.to_list()))


def caught(scores: pl.DataFrame, attack: str) -> tuple[float, float]:
    """Share of the members above all but 1 % of the others, and of the control, in which nobody is a member.

    >>> one = {"comparison": ["attack"] * 4 + ["control"] * 4, "who": ["member", "other", "other", "other"] * 2}
    >>> caught(pl.DataFrame(one | {"density": [3.0, 1.0, 2.0, 0.0] + [1.0, 1.0, 2.0, 0.0]}), "density")
    (1.0, 0.0)
    """
    found = []
    for comparison in ("attack", "control"):
        side = scores.filter(pl.col("comparison") == comparison)
        others = side.filter(pl.col("who") == "other")[attack]
        suspects = side.filter(pl.col("who") != "other")[attack]
        limit = others.quantile(1 - FALSE_ALARMS, interpolation="higher")
        found.append(float((suspects > limit).mean() or 0.0))
    return found[0], found[1]


def rows(timeline: Path, build: Path, *, seed: int, minutes: float, progress: Progress) -> list[Row]:
    """Train, draw, measure."""
    model, synthetic = build / f"model-{seed}", build / f"synthetic-{seed}"
    began, spent = time.monotonic(), cpu_seconds()
    train(timeline, model, choices=TrainChoices(seed=seed, minutes=minutes), progress=progress)
    patients = read_timeline(timeline, "train")["subject_id"].n_unique()
    generate(model, synthetic, patients=patients, seed=seed, progress=progress)
    useful = usefulness(timeline, synthetic)
    attacked = measure_membership(Attacked(timeline=timeline, synthetic=synthetic, model=model), seed=seed)
    apart_by = list(course_rows(timeline, synthetic))
    seconds, cpu = time.monotonic() - began, cpu_seconds() - spent

    def row(name: str, value: Finding | float | None, wanted: tuple[str, float], beside: float | None) -> Row:
        number = value.value if isinstance(value, Finding) else value
        return Row(
            name=f"icu, stays split by lot: {name}",
            value=number,
            lower=value.lower if isinstance(value, Finding) else None,
            upper=value.upper if isinstance(value, Finding) else None,
            unit="1",
            direction=wanted[0],
            target=wanted[1],
            met=is_met(number, *wanted),
            baseline=beside,
            command=COMMAND,
            seed=seed,
            commit=commit(),
            hardware=machine(),
            seconds=round(seconds, 2),
            cpu_seconds=round(cpu, 2),
        )

    named = {one.metric: one for one in useful}
    by_name = {(one.metric, one.comparison): one for one in attacked.findings}
    ratio, real = named["utility.auroc_ratio"], named["utility.real_auroc"]
    made = [row("mortality, AUROC ratio synthetic / real", ratio, ("max", UTILITY), real.value)]
    for attack, of in (("likelihood", "the model"), ("density", "the synthetic stays")):
        found, control = (by_name[f"privacy.{attack}_auc", side] for side in ("attack", "control"))
        name = f"{attack}-ratio attack on {of} ({found.population})"
        made += [
            row(f"{name}, AUROC", found, ("min", CAUGHT), control.value),
            row(f"{name}, upper bound of its AUROC", found.upper, ("min", BOUND), control.upper),
        ]
        here, there = caught(attacked.scores, attack)
        made.append(row(f"{name}, members found at 1 % false alarms", here, ("min", FOUND), there))
    for name, error, real_error in apart_by:
        says = f"courses, {name}: error of synthetic / error of real halves"
        made.append(row(says, error / real_error, ("min", MOST_APART), real_error))
    return made


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("SALUS_DATA"), help="default: $SALUS_DATA"
    )
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "bench-icu")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=15.0, help="training at most")
    given = parser.parse_args()
    if given.data is None or not (given.data / "icu2012").exists():
        parser.error("no icu2012 below --data or $SALUS_DATA")
    timeline = drawn_by_lot(given.data, given.build)
    said = rows(timeline, given.build, seed=given.seed, minutes=given.minutes, progress=QUIET)
    for one in said:
        print(f"{one.name:<90} {one.value} (asked {one.target}; beside it {one.baseline})")
    print(f"wrote {write_rows('peers-icu', said)}")


if __name__ == "__main__":
    main()

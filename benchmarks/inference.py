"""`make bench-inference`: analyses that were stated beforehand, on real patients and on several sets of synthetic ones.

What a reader would conclude from the synthetic patients is compared with what the real ones say: the same direction
and significance, and whether intervals cover the real estimate. The variance of an estimate from m completely synthetic
sets of k patients in place of n real ones is that of Raab, Nowok & Dibben 2016 (J. Privacy Confidentiality 7(3):67-97):
for what holds in the population, v (k / n + 1 / m); for the estimate that the real patients gave, v (k / n) / m.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import yaml
from statsmodels.duration.hazard_regression import PHReg

from benchmarks.blocks import ROOT
from benchmarks.rows import Row, commit, is_met, machine, write_rows
from salus.progress import QUIET
from salus.timeline.store import read_timeline
from salus.workflows.generate import generate
from salus.workflows.stages import cpu_seconds

COMMAND = "make bench-inference"
STATED = ROOT / "benchmarks" / "inference.yaml"
ENTRY, END, BIRTH, DEATH, BMI = (
    "COHORT//ENTRY",
    "FOLLOW_UP//END",
    "MEDS_BIRTH",
    "MEDS_DEATH",
    "LOINC//39156-5",
)
SETS, NORMAL_95, YEAR_DAYS = 5, 1.959964, 365.25


@dataclass(frozen=True, slots=True)
class Estimate:
    """One number of an analysis, its variance, and of how many patients."""

    name: str
    value: float
    variance: float

    @property
    def significant(self) -> bool:
        """Whether its 95 % interval leaves nought out."""
        return abs(self.value) > NORMAL_95 * self.variance**0.5


@dataclass(frozen=True, slots=True)
class Compared:
    """A real estimate and what synthetic sets say of it; variances for the population and for the real estimate."""

    real: Estimate
    value: float
    population: float
    observed: float

    @property
    def agrees(self) -> bool:
        """The same direction where both are significant, and significant where the real one is."""
        mine = Estimate(self.real.name, self.value, self.population)
        if mine.significant != self.real.significant:
            return False
        return not mine.significant or mine.value * self.real.value > 0

    def covers(self, variance: float) -> bool:
        """Whether the 95 % interval of this variance covers the real estimate."""
        return abs(self.value - self.real.value) <= NORMAL_95 * variance**0.5


def combined(real: Estimate, found: Sequence[Estimate], *, ratio: float) -> Compared:
    """Combine the estimates of synthetic sets, each of ``ratio`` times as many patients as the real ones.

    >>> one = combined(Estimate("x", 1.0, 0.2), [Estimate("x", 1.0, 0.1), Estimate("x", 2.0, 0.3)], ratio=1.0)
    >>> one.value, round(one.population, 9), round(one.observed, 9)
    (1.5, 0.3, 0.1)
    """
    variance = float(np.mean([one.variance for one in found]))
    return Compared(
        real,
        float(np.mean([one.value for one in found])),
        variance * (ratio + 1 / len(found)),
        variance * ratio / len(found),
    )


def patients_of(events: pl.DataFrame) -> pl.DataFrame:
    """One row a patient: entry, sex, age, follow-up, first values and first times in days from entry."""
    entry = events.filter(pl.col("code") == ENTRY).group_by("subject_id").agg(entry=pl.col("time").min())
    dated = events.join(entry, on="subject_id").with_columns(
        days=(pl.col("time") - pl.col("entry")).dt.total_seconds() / 86_400
    )
    people = dated.group_by("subject_id").agg(
        male=(pl.col("code") == "SEX//M").any().cast(pl.Float64),
        age=-pl.col("days").filter(pl.col("code") == BIRTH).min() / YEAR_DAYS,
        follow_up=pl.col("days").filter(pl.col("code").is_in([END, DEATH])).max(),
        bmi_fives=pl.col("numeric_value").filter(pl.col("code") == BMI).first().cast(pl.Float64) / 5,
    )
    return people.filter(pl.col("follow_up") > 0).with_columns(
        age_decades=pl.col("age") / 10, over_60=(pl.col("age") >= 60).cast(pl.Float64)
    )


def estimates(events: pl.DataFrame, stated: dict[str, list[dict[str, object]]]) -> Iterator[Estimate]:
    """Every number of the stated analyses on these patients."""
    people = patients_of(events)
    ordered = events.sort("subject_id", "time", nulls_last=False)
    for one in stated["differences"]:
        first = ordered.filter((pl.col("code") == one["code"]) & pl.col("numeric_value").is_not_null())
        values = first.group_by("subject_id").agg(value=pl.col("numeric_value").first().cast(pl.Float64))
        yield _difference(people.join(values, on="subject_id"), str(one["code"]), str(one["of"]))
    for one in stated["rates"]:
        yield _rate_ratio(_at_risk(events, people, str(one["outcome"])), str(one["outcome"]), str(one["of"]))
    for one in stated["hazards"]:
        by = [str(name) for name in one["by"]]  # type: ignore[attr-defined]
        yield from _hazards(_at_risk(events, people, str(one["outcome"])), str(one["outcome"]), by)


def _difference(people: pl.DataFrame, code: str, of: str) -> Estimate:
    having, others = (people.filter(pl.col(of) == side)["value"].to_numpy() for side in (1.0, 0.0))
    variance = having.var(ddof=1) / len(having) + others.var(ddof=1) / len(others)
    return Estimate(f"mean {code}, {of}", float(having.mean() - others.mean()), float(variance))


def _at_risk(events: pl.DataFrame, people: pl.DataFrame, outcome: str) -> pl.DataFrame:
    """Who had not had it at entry: ``days`` until it or the end, ``event``."""
    entry = events.filter(pl.col("code") == ENTRY).group_by("subject_id").agg(entry=pl.col("time").min())
    first = (
        events.filter(pl.col("code") == outcome)
        .join(entry, on="subject_id")
        .group_by("subject_id")
        .agg(at=((pl.col("time") - pl.col("entry")).dt.total_seconds() / 86_400).min())
    )
    told = people.join(first, on="subject_id", how="left").filter(pl.col("at").is_null() | (pl.col("at") > 0))
    return told.with_columns(
        event=pl.col("at").is_not_null(), days=pl.min_horizontal("follow_up", pl.col("at"))
    )


def _rate_ratio(people: pl.DataFrame, outcome: str, of: str) -> Estimate:
    """Log ratio of events a person-year; its variance is the sum of one over each count (Poisson)."""
    sides = [people.filter(pl.col(of) == side) for side in (1.0, 0.0)]
    counts = [max(float(side["event"].sum()), 0.5) for side in sides]
    rates = [count / float(side["days"].sum()) for count, side in zip(counts, sides, strict=True)]
    variance = sum(1 / count for count in counts)
    return Estimate(f"rate of {outcome}, {of}", float(np.log(rates[0] / rates[1])), variance)


def _hazards(people: pl.DataFrame, outcome: str, by: list[str]) -> Iterator[Estimate]:
    """Log hazard ratios of a Cox model (Efron's ties)."""
    whole = people.drop_nulls(by)
    found = PHReg(
        whole["days"].to_numpy(),
        whole.select(by).to_numpy(),
        status=whole["event"].cast(pl.Int64).to_numpy(),
        ties="efron",
    ).fit()
    for name, value, error in zip(by, found.params, found.bse, strict=True):
        yield Estimate(f"hazard of {outcome}, {name}", float(value), float(error) ** 2)


def synthetic_sets(model: Path, patients: int, *, seed: int) -> Iterator[pl.DataFrame]:
    """Several sets of as many patients, drawn one after the other."""
    for number in range(SETS):
        with tempfile.TemporaryDirectory() as folder:
            drawn = Path(folder) / "drawn"
            generate(model, drawn, patients=patients, seed=seed + number, progress=QUIET)
            yield read_timeline(drawn)


def compare(model: Path, timeline: Path, *, seed: int) -> tuple[list[Compared], list[Compared]]:
    """Synthetic sets, and as a control held-out real patients, beside the training patients."""
    stated = yaml.safe_load(STATED.read_text(encoding="utf-8"))
    real, held_out = read_timeline(timeline, "train"), read_timeline(timeline, "held_out")
    wanted = list(estimates(real, stated))
    patients = real["subject_id"].n_unique()
    sets = [list(estimates(events, stated)) for events in synthetic_sets(model, patients, seed=seed)]
    control = [list(estimates(held_out, stated))]
    return [
        [combined(one, [found[place] for found in many], ratio=ratio) for place, one in enumerate(wanted)]
        for many, ratio in ((sets, 1.0), (control, held_out["subject_id"].n_unique() / patients))
    ]  # type: ignore[return-value]


def rows(model: Path, timeline: Path, *, seed: int) -> list[Row]:
    """The rows of peers.json: agreement and coverage, synthetic and control."""
    began, spent = time.monotonic(), cpu_seconds()
    synthetic, control = compare(model, timeline, seed=seed)
    for one in synthetic:
        print(
            f"{one.real.name:<48} real {one.real.value:8.3f} ± {one.real.variance**0.5:.3f}"
            f"   synthetic {one.value:8.3f} ± {one.population**0.5:.3f}   {'same' if one.agrees else 'OTHER'}"
        )
    digest = hashlib.sha256(STATED.read_bytes()).hexdigest()[:12]
    seconds, cpu = time.monotonic() - began, cpu_seconds() - spent
    print(f"{len(synthetic)} numbers of analyses {digest}, {SETS} synthetic sets")

    def row(name: str, found: list[bool], target: float, beside: list[bool]) -> Row:
        share = float(np.mean(found))
        return Row(
            name=f"inference cohort: {name}",
            value=share,
            unit="1",
            direction="max",
            target=target,
            met=is_met(share, "max", target),
            baseline=float(np.mean(beside)),
            command=COMMAND,
            seed=seed,
            commit=commit(),
            hardware=machine(),
            seconds=round(seconds, 2),
            cpu_seconds=round(cpu, 2),
        )

    return [
        row(
            f"same direction and significance, {len(synthetic)} stated numbers",
            [one.agrees for one in synthetic],
            0.9,
            [one.agrees for one in control],
        ),
        row(
            "95 % intervals for the population that cover the real estimate",
            [one.covers(one.population) for one in synthetic],
            0.95,
            [one.covers(one.population) for one in control],
        ),
        row(
            "95 % intervals for the real estimate that cover it",
            [one.covers(one.observed) for one in synthetic],
            0.95,
            [one.covers(one.observed) for one in control],
        ),
    ]


def main() -> None:
    """Compare, print and keep."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--model", type=Path, default=ROOT / "build" / "demo" / "cohort" / "model")
    asked.add_argument("--timeline", type=Path, default=ROOT / "build" / "demo" / "cohort" / "timeline")
    asked.add_argument("--seed", type=int, default=1)
    given = asked.parse_args()
    said = rows(given.model, given.timeline, seed=given.seed)
    for one in said:
        print(f"{one.name:<80} {one.value:.3f} (held-out real patients: {one.baseline:.3f})")
    print(f"wrote {write_rows('peers-inference', said)}")


if __name__ == "__main__":
    main()

"""Fifty thousand codes: an invented timeline as an OMOP export has them, and what training and drawing on it cost.

    python -m benchmarks.wide_vocabulary --to build/wide [--patients 20000] [--codes 50000] [--minutes 2]

Diagnoses, drugs and procedures are leaves of a tree three steps deep (``codes.parquet`` names the parents); one code in
25 is a measurement with values. How often a code comes follows a power of its rank (Zipf, 0.6), so that the last of
fifty thousand still has a handful of patients. Everything is invented; nothing is like any hospital.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from salus.progress import QUIET
from salus.timeline.settings import TimelineSettings
from salus.timeline.store import write_timeline
from salus.trajectory.artefact import load_model
from salus.workflows.generate import generate
from salus.workflows.machine import MemoryWatch
from salus.workflows.train import TrainChoices, train

ZERO = datetime(2000, 1, 1)
DRAWN_FROM, ZIPF, VALUED = ("ICD10", "RXNORM", "CPT"), 0.6, 25
VISITS, FACTS_A_VISIT, FRAME = 12.0, 6.0, 2_000
SETTINGS = TimelineSettings(name="invented wide vocabulary", grain="day", time_zero=ZERO.replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True, kw_only=True)
class WideWorld:
    """An invented world of ``codes`` codes and ``patients`` patients."""

    codes: int = 50_000
    patients: int = 20_000
    seed: int = 1

    @property
    def names(self) -> list[str]:
        """Codes by rank, the commonest first: every 25th a measurement, the others in turn of each kind."""
        return [
            f"LOINC//{rank}" if rank % VALUED == 0 else f"{DRAWN_FROM[rank % 3]}//{rank:06d}"
            for rank in range(self.codes)
        ]

    def described(self) -> pl.DataFrame:
        """codes.parquet: each code with its parent, by tens and hundreds; the parents themselves; age and sex."""
        parents = {}
        for name in self.names:
            kind, number = name.split("//")
            if kind != "LOINC":
                parents[name] = f"{kind}//{number[:5]}x"
                parents[f"{kind}//{number[:5]}x"] = f"{kind}//{number[:4]}xx"
                parents.setdefault(f"{kind}//{number[:4]}xx", "")
        for name in (*self.names, "SEX//F", "SEX//M"):
            parents.setdefault(name, "")
        plain = pl.DataFrame({"code": [*parents], "parent": [*parents.values()]}).with_columns(
            parent_codes=pl.when(pl.col("parent") != "").then(pl.concat_list("parent")), role=pl.lit("event")
        )
        birth = pl.DataFrame({"code": ["MEDS_BIRTH"], "role": ["birth"]})
        return pl.concat([plain.drop("parent"), birth], how="diagonal")

    def frames(self) -> Iterator[pl.DataFrame]:
        """Events, so many patients a frame; a patient tends to have codes near those had before."""
        random, names = np.random.default_rng(self.seed), np.asarray(self.names)
        for first in range(0, self.patients, FRAME):
            subjects = np.arange(first, min(first + FRAME, self.patients))
            yield self._frame(subjects, random, names)

    def _frame(self, subjects: np.ndarray, random: np.random.Generator, names: np.ndarray) -> pl.DataFrame:
        visits = np.repeat(subjects, 1 + random.poisson(VISITS, len(subjects)))
        day = random.integers(0, 3_650, len(visits))
        facts = 1 + random.poisson(FACTS_A_VISIT, len(visits))
        who, when = np.repeat(visits, facts), np.repeat(day, facts)
        rank = (self.codes * random.random(len(who)) ** (1 / (1 - ZIPF))).astype(np.int64)
        chronic = random.random(len(who)) < 0.3
        rank[chronic] = (who[chronic] * 7_919 + random.integers(0, 5, int(chronic.sum()))) % (
            self.codes // 10
        )
        valued = rank % VALUED == 0
        value = np.where(valued, np.round(random.normal(50 + rank % 100, 10, len(who)), 1), np.nan)
        dated = pl.DataFrame(
            {"subject_id": who, "day": when, "code": names[rank], "numeric_value": value.astype(np.float32)}
        ).unique(["subject_id", "day", "code"], keep="first", maintain_order=True)
        static = pl.DataFrame({"subject_id": subjects, "code": np.where(subjects % 2, "SEX//F", "SEX//M")})
        birth = pl.DataFrame(
            {"subject_id": subjects, "day": -365 * (20 + subjects % 60), "code": "MEDS_BIRTH"}
        )
        events = pl.concat([dated, static, birth], how="diagonal_relaxed").with_columns(
            numeric_value=pl.col("numeric_value").fill_nan(None),
            time=pl.lit(ZERO, dtype=pl.Datetime("us")) + pl.duration(days="day"),
            split=pl.when(pl.col("subject_id") % 10 == 9).then(pl.lit("tuning")).otherwise(pl.lit("train")),
        )
        return (
            events.with_columns(known_time=pl.col("time"), source=pl.lit("invented"))
            .drop("day")
            .sort("subject_id", "time", nulls_last=False, maintain_order=True)
        )


def main() -> None:
    """Make the timeline, train on it and draw from it; print what that took as JSON."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--to", type=Path, required=True)
    asked.add_argument("--patients", type=int, default=20_000)
    asked.add_argument("--codes", type=int, default=50_000)
    asked.add_argument("--minutes", type=float, default=2.0)
    asked.add_argument("--draw", type=int, default=1_000)
    given = asked.parse_args()
    world = WideWorld(codes=given.codes, patients=given.patients)
    write_timeline(given.to / "timeline", world.frames(), codes=world.described(), settings=SETTINGS)
    began = time.monotonic()
    with MemoryWatch() as training:
        choices = TrainChoices(minutes=given.minutes)
        trained = train(given.to / "timeline", given.to / "model", choices=choices, progress=QUIET)
    read = time.monotonic() - began - trained.seconds
    with MemoryWatch() as drawing:
        drawn = generate(given.to / "model", given.to / "synthetic", patients=given.draw, progress=QUIET)
    vocabulary = load_model(given.to / "model").vocabulary
    said = {
        "codes": len(vocabulary.entries),
        "fields": vocabulary.size,
        "levels": vocabulary.levels,
        "withheld_codes": vocabulary.protection.withheld_codes,
        "read_seconds": round(read, 1),
        "facts_trained": trained.facts,
        "facts_trained_per_cpu_second": round(trained.facts / trained.cpu_seconds),
        "loss": round(trained.best_loss, 3),
        "train_peak_gb": round(training.peak / 1e9, 2),
        "facts_drawn_per_cpu_second": round(drawn.events / drawn.cpu_seconds),
        "draw_peak_gb": round(drawing.peak / 1e9, 2),
    }
    print(json.dumps(said, indent=1))


if __name__ == "__main__":
    main()

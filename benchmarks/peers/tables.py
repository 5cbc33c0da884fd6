"""The two tables every generator gets: first encounters (flat) and whole patients (sequences), halved by patient.

Run: `python -m benchmarks.peers.tables`. The same file and seed give the same bytes on every machine.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from benchmarks.peers.columns import CONTEXT, FLAT, PATIENT, SEQUENCES

SOURCE = Path("diabetes130") / "diabetic_data.csv.gz"
SPLIT_SEED = 1
FLAT_PATIENTS = 20_000
MOST_SEQUENCES = 8_000
FEWEST_ENCOUNTERS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """One table in three disjoint groups of patients; ``third`` is what neither of the other two took."""

    train: pl.DataFrame
    holdout: pl.DataFrame
    third: pl.DataFrame


def read_encounters(path: Path) -> pl.DataFrame:
    """Read the publisher's table as text, in the order of encounters; ``?`` stays the category it is."""
    records = pl.read_csv(path, infer_schema=False)
    return records.sort(pl.col("encounter_id").cast(pl.Int64)).with_columns(icd9_root("diag_1"))


def icd9_root(column: str) -> pl.Expr:
    """The part of an ICD-9 code before the dot: 250.83 is 250, V57 stays V57."""
    return pl.col(column).str.split(".").list.first()


def shuffled(patients: list[str], seed: int) -> list[str]:
    """Order patients by a digest of seed and number: an order no library's generator can change."""
    return sorted(patients, key=lambda patient: hashlib.sha256(f"{seed}:{patient}".encode()).hexdigest())


def flat(encounters: pl.DataFrame, seed: int, *, patients: int = FLAT_PATIENTS) -> Parts:
    """The first encounter of every patient: ``patients`` to train, as many held out, the rest third."""
    first = encounters.unique("patient_nbr", keep="first", maintain_order=True)
    order = shuffled(first["patient_nbr"].to_list(), seed)
    size = min(patients, len(order) // 2)
    groups = order[:size], order[size : 2 * size], order[2 * size :]
    train, holdout, third = (_in_order(first, group).select(FLAT) for group in groups)
    return Parts(train=train, holdout=holdout, third=third)


def sequences(encounters: pl.DataFrame, seed: int, *, most: int = MOST_SEQUENCES) -> Parts:
    """Patients with two encounters or more, halved; race, gender and age band are those of the first encounter."""
    counted = encounters.filter(pl.len().over("patient_nbr") >= FEWEST_ENCOUNTERS)
    fixed = [pl.col(column).first().over("patient_nbr") for column in CONTEXT]
    order = shuffled(counted["patient_nbr"].unique().to_list(), seed)
    size = min(most, len(order) // 2)
    groups = order[:size], order[size : 2 * size], order[2 * size :]
    whole = counted.with_columns(fixed)
    train, holdout, third = (_in_order(whole, group).select(SEQUENCES) for group in groups)
    return Parts(train=train, holdout=holdout, third=third)


def _in_order(records: pl.DataFrame, patients: list[str]) -> pl.DataFrame:
    """Rows of these patients in their order, the number of each patient replaced by its place in it."""
    places = pl.DataFrame(
        {"patient_nbr": patients, PATIENT: range(len(patients))},
        schema={"patient_nbr": pl.String, PATIENT: pl.Int64},
    )
    joined = records.join(places, on="patient_nbr", maintain_order="left")
    return joined.sort(PATIENT, maintain_order=True)


def write_parts(parts: Parts, folder: Path) -> dict[str, int]:
    """Write train, holdout and third as CSV; give their numbers of rows."""
    folder.mkdir(parents=True, exist_ok=True)
    named = {"train": parts.train, "holdout": parts.holdout, "third": parts.third}
    for name, frame in named.items():
        frame.write_csv(folder / f"{name}.csv")
    return {name: frame.height for name, frame in named.items()}


def prepare(source: Path, folder: Path, *, seed: int = SPLIT_SEED) -> dict[str, dict[str, int]]:
    """Make both tables below ``folder``."""
    encounters = read_encounters(source)
    return {
        "flat": write_parts(flat(encounters, seed), folder / "flat"),
        "sequences": write_parts(sequences(encounters, seed), folder / "sequences"),
    }


def main() -> None:
    """Make the tables from $SALUS_DATA."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("SALUS_DATA"), help="default: $SALUS_DATA"
    )
    parser.add_argument("--to", type=Path, default=Path("build/bench-peers"))
    given = parser.parse_args()
    if given.data is None or not (given.data / SOURCE).exists():
        parser.error(f"no {SOURCE} below --data or $SALUS_DATA")
    print(json.dumps(prepare(given.data / SOURCE, given.to)))


if __name__ == "__main__":
    main()

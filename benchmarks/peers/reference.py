"""The floor and the ceiling of every comparison: shuffled columns, and real patients whom nobody trained on."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from benchmarks.peers.columns import CONTEXT, EVENTS, FLAT, PATIENT


def shuffled_columns(train: pl.DataFrame, kind: str, *, seed: int) -> pl.DataFrame:
    """Keep every column's values and lose every relation: each column is put in an order of its own.

    Of sequences, the lengths stay as they are and what is said once of a patient moves between patients.
    """
    if kind == "flat":
        return train.with_columns(pl.col(name).shuffle(seed + place) for place, name in enumerate(FLAT))
    moved = train.with_columns(pl.col(name).shuffle(seed + place) for place, name in enumerate(EVENTS))
    patients = train.unique(PATIENT, keep="first", maintain_order=True).select(PATIENT, *CONTEXT)
    fixed = patients.with_columns(pl.col(name).shuffle(seed + place) for place, name in enumerate(CONTEXT))
    joined = moved.drop(CONTEXT).join(fixed, on=PATIENT, maintain_order="left")
    return joined.select(train.columns)


def write_floor(train: Path, to: Path, *, kind: str, seed: int) -> Path:
    """Write the shuffled training table beside the results."""
    to.parent.mkdir(parents=True, exist_ok=True)
    shuffled_columns(pl.read_csv(train, infer_schema=False), kind, seed=seed).write_csv(to)
    return to

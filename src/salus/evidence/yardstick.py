"""What fidelity is measured against: the codes, cut points and periods of the real patients a model learnt from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from salus.evidence.discrimination import Floats

BIRTH = "MEDS_BIRTH"
PERIODS, SLICES, LEAST_PATIENTS = 8, 10, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Rows of n patients: patient and code by number, hours since the origin (nan: static), value (nan: none)."""

    patients: int
    patient: NDArray[np.int64]
    code: NDArray[np.int64]
    hours: Floats
    value: Floats
    age: Floats  # years at the origin, one a patient, nan where unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardstick:
    """Learnt once from real patients; every population is then counted in the same boxes."""

    codes: tuple[str, ...]
    values: tuple[Floats, ...]  # per code the sorted real values: gives ranks
    cuts: tuple[Floats, ...]  # per code the deciles of its real values
    periods: Floats  # cut points between periods of follow-up, hours
    moments: Floats  # deciles of moments a patient
    facts: Floats  # deciles of rows a patient
    waits: Floats  # deciles of hours between moments


def common_codes(events: pl.DataFrame) -> tuple[str, ...]:
    """The codes, birth aside, that at least ``LEAST_PATIENTS`` patients have."""
    counted = events.filter(pl.col("code") != BIRTH).group_by("code").agg(pl.col("subject_id").n_unique())
    return tuple(counted.filter(pl.col("subject_id") >= LEAST_PATIENTS)["code"].sort())


def place(events: pl.DataFrame, codes: tuple[str, ...], *, anchor: str | None) -> Placed:
    """Number patients and codes and count time from each patient's ``anchor`` (or first row, birth aside)."""
    timed = pl.col("time").filter(pl.col("code") != BIRTH)
    first = timed.min()
    own = pl.col("time").filter(pl.col("code") == anchor).min() if anchor else first
    people = (
        events.group_by("subject_id")
        .agg(origin=pl.coalesce(own, first), born=pl.col("time").filter(pl.col("code") == BIRTH).min())
        .sort("subject_id")
        .with_row_index("patient")
    )
    numbered = pl.DataFrame(
        {"code": codes, "number": range(len(codes))}, schema={"code": pl.String, "number": pl.Int64}
    )
    hours = (pl.col("time") - pl.col("origin")).dt.total_seconds() / 3600
    rows = (
        events.lazy()
        .select("subject_id", "time", "code", "numeric_value")
        .join(numbered.lazy(), on="code")
        .join(people.lazy().select("subject_id", "patient", "origin"), on="subject_id")
        .select(
            pl.col("patient").cast(pl.Int64),
            "number",
            hours.alias("hours"),
            pl.col("numeric_value").cast(pl.Float64),
        )
        .sort("patient", "number", "hours", "numeric_value")
        .collect()
    )
    age = people.select(
        (pl.col("origin") - pl.col("born")).dt.total_seconds() / (86_400 * 365.25)
    ).to_series()
    return Placed(
        patients=people.height,
        patient=rows["patient"].to_numpy(),
        code=rows["number"].to_numpy(),
        hours=_with_nan(rows["hours"]),
        value=_with_nan(rows["numeric_value"]),
        age=_with_nan(age),
    )


def learn_yardstick(real: Placed, codes: tuple[str, ...]) -> Yardstick:
    """Take cut points from the real patients."""
    known = np.isfinite(real.value)
    starts = np.searchsorted(
        real.code[known],
        np.arange(len(codes) + 1),
        sorter=(order := np.argsort(real.code[known], kind="stable")),
    )
    by_code = real.value[known][order]
    values = tuple(np.sort(by_code[starts[i] : starts[i + 1]]) for i in range(len(codes)))
    patient, _, waits = moments_of(real)
    return Yardstick(
        codes=codes,
        values=values,
        cuts=tuple(_slices(found, SLICES) for found in values),
        periods=_slices(real.hours[np.isfinite(real.hours)], PERIODS),
        moments=_slices(np.bincount(patient, minlength=real.patients).astype(float), SLICES),
        facts=_slices(np.bincount(real.patient, minlength=real.patients).astype(float), SLICES),
        waits=_slices(waits[np.isfinite(waits)], SLICES),
    )


def moments_of(placed: Placed) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Distinct moments: whose, when, and hours since that patient's moment before (nan at the first)."""
    timed = np.isfinite(placed.hours)
    order = np.lexsort((placed.hours[timed], placed.patient[timed]))
    patient, hours = placed.patient[timed][order], placed.hours[timed][order]
    new = np.ones(len(patient), dtype=bool)
    new[1:] = (patient[1:] != patient[:-1]) | (hours[1:] != hours[:-1])
    patient, hours = patient[new], hours[new]
    waits = np.full(len(hours), np.nan)
    waits[1:] = np.where(patient[1:] == patient[:-1], np.diff(hours), np.nan)
    return patient, hours, waits


def shuffled(placed: Placed, *, seed: int) -> Placed:
    """Break every relation and keep every marginal: each code's rows change patients as a block, its values places.

    This is the floor: what a generator reaches that draws each column on its own.
    """
    rng = np.random.default_rng(seed)
    patient, value = placed.patient.copy(), placed.value.copy()
    for code in range(int(placed.code.max(initial=-1)) + 1):
        mine = np.flatnonzero(placed.code == code)
        patient[mine] = rng.permutation(placed.patients)[patient[mine]]
        value[mine] = rng.permutation(value[mine])
    return Placed(
        patients=placed.patients,
        patient=patient,
        code=placed.code,
        hours=placed.hours,
        value=value,
        age=rng.permutation(placed.age),
    )


def _with_nan(column: pl.Series) -> Floats:
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _slices(found: Floats, slices: int) -> Floats:
    """Cut points into ``slices`` of equal size; fewer where many values are the same."""
    if not len(found):
        return np.zeros(0)
    cuts: Floats = np.unique(np.quantile(found, np.arange(1, slices) / slices, method="inverted_cdf"))
    return cuts

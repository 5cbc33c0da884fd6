"""What the classifiers see: one row a case, categories numbered by one dictionary for all tables that are compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.peers.columns import CONTEXT, COUNTS, EVENTS, KINDS, PATIENT

CATEGORIES = tuple(column for column in EVENTS if column not in COUNTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """Numbers a classifier reads, which of their columns are categories, the answers, and whose rows they are."""

    matrix: np.ndarray
    categorical: list[int]
    labels: np.ndarray
    patients: np.ndarray


def read_table(path: Path, kind: str) -> pl.DataFrame:
    """Read a table as every judge sees it: counts are numbers, all else text, an empty field is missing."""
    table = pl.read_csv(path, infer_schema=False)
    missing = sorted(set(KINDS[kind]) - set(table.columns))
    if missing:
        raise SystemExit(f"{path.name} lacks the columns {', '.join(missing)}")
    counts = [pl.col(column).cast(pl.Float64, strict=False) for column in COUNTS]
    table = table.select(KINDS[kind]).with_columns(counts)
    if kind == "flat":
        return table
    return table.with_columns(pl.col(PATIENT).rank("dense").cast(pl.Int64)).sort(PATIENT, maintain_order=True)


def numbered_apart(tables: list[pl.DataFrame]) -> list[pl.DataFrame]:
    """Number patients on from table to table: a judge that puts two tables together must not merge two patients.

    >>> one, other = pl.DataFrame({"patient": [1, 1, 2]}), pl.DataFrame({"patient": [1, 2]})
    >>> [table["patient"].to_list() for table in numbered_apart([one, other])]
    [[1, 1, 2], [3, 4]]
    """
    numbered, taken = [], 0
    for table in tables:
        if PATIENT not in table.columns:
            numbered.append(table)
            continue
        whose = table[PATIENT].rank("dense").cast(pl.Int64) + taken
        taken = int(whose.to_numpy().max(initial=taken))
        numbered.append(table.with_columns(whose.alias(PATIENT)))
    return numbered


def dictionary(tables: list[pl.DataFrame]) -> dict[str, dict[str, int]]:
    """Number the values of every text column, sorted, over all tables together.

    >>> dictionary([pl.DataFrame({"drug": ["No", "Up"]}), pl.DataFrame({"drug": ["Down", None]})])
    {'drug': {'Down': 0, 'No': 1, 'Up': 2}}
    """
    texts = [name for name, dtype in tables[0].schema.items() if dtype == pl.String]
    numbered = {}
    for name in texts:
        found = pl.concat([table[name].cast(pl.String) for table in tables]).drop_nulls().unique().sort()
        numbered[name] = {value: place for place, value in enumerate(found.to_list())}
    return numbered


def as_cases(table: pl.DataFrame, label: pl.Expr, codes: dict[str, dict[str, int]]) -> Cases:
    """Turn a table of features into numbers; a missing value stays missing."""
    features = table.drop(PATIENT, strict=False)
    answers = table.select(label.cast(pl.Int8).fill_null(0)).to_series().to_numpy()
    whose = table[PATIENT].to_numpy() if PATIENT in table.columns else np.arange(table.height)
    columns = [
        pl.col(name).replace_strict(codes[name], default=None, return_dtype=pl.Float64)
        if name in codes
        else pl.col(name).cast(pl.Float64)
        for name in features.columns
    ]
    categorical = [place for place, name in enumerate(features.columns) if name in codes]
    matrix = features.select(columns).fill_null(float("nan")).to_numpy()
    return Cases(matrix=matrix, categorical=categorical, labels=answers, patients=whose)


def with_history(table: pl.DataFrame) -> pl.DataFrame:
    """Beside each encounter, what had happened to its patient before: the last encounter, means, readmissions.

    The first encounter of a patient has no past: missing values and 0 earlier encounters.
    """
    earlier = pl.int_range(pl.len()).over(PATIENT)
    previous = [pl.col(name).shift(1).over(PATIENT).alias(f"before_{name}") for name in EVENTS]
    means = [
        (pl.col(name).cum_sum().shift(1).over(PATIENT) / earlier).alias(f"mean_before_{name}")
        for name in COUNTS
    ]
    readmissions = [
        (pl.col("readmitted") == when).cum_sum().shift(1).over(PATIENT).alias(f"readmissions_before_{name}")
        for name, when in (("soon", "<30"), ("late", ">30"))
    ]
    return table.with_columns(earlier.alias("encounters_before"), *previous, *means, *readmissions)


def last_encounters(table: pl.DataFrame) -> pl.DataFrame:
    """The last encounter of every patient with its history: what is known when the patient goes home."""
    return with_history(table).group_by(PATIENT, maintain_order=True).last()


def later_encounters(table: pl.DataFrame, answer: str) -> pl.DataFrame:
    """Every encounter but the first, seen from the day before it: context and history, and ``answer`` alone of it."""
    later = with_history(table).filter(pl.col("encounters_before") > 0)
    return later.drop([name for name in EVENTS if name != answer])


def whole_patients(table: pl.DataFrame) -> pl.DataFrame:
    """One row a patient: context, first and last encounter, number, means, spreads, how many different values."""
    return (
        table.group_by(PATIENT, maintain_order=True)
        .agg(
            *[pl.col(name).first() for name in CONTEXT],
            pl.len().alias("encounters"),
            *[pl.col(name).first().alias(f"first_{name}") for name in EVENTS],
            *[pl.col(name).last().alias(f"last_{name}") for name in EVENTS],
            *[pl.col(name).mean().alias(f"mean_{name}") for name in COUNTS],
            *[pl.col(name).std().alias(f"spread_{name}") for name in COUNTS],
            *[pl.col(name).n_unique().alias(f"different_{name}") for name in CATEGORIES],
        )
        .with_columns(pl.col("encounters").cast(pl.Float64))
    )

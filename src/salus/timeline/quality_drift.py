"""How far two extracts of one source lie apart: which codes, how often, with which values, and how they fail checks.

Each difference is told with its 95 % interval where it counts patients; a limit is passed only beyond that interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from salus.timeline.in_duckdb import events_in
from salus.timeline.quality_facts import FACT, Facts

Z = 1.959964
TENTHS = tuple(tenth / 10 for tenth in range(1, 10))
LITTLE = 1e-4
"""The least share of a tenth: one that is empty would make the index infinite."""
NEW, GONE, RARER, OFTENER, VALUES, WORSE = (
    "new",
    "gone",
    "rarer",
    "more frequent",
    "other values",
    "fails more",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far is too far; see quality_thresholds.yaml."""

    population_stability: float = 0.2
    share_of_patients: float = 0.05
    share_failing: float = 0.01
    fewest_values: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """``codes``: each code in both extracts; ``checks``: each check in both; ``moved``: what passes a limit."""

    patients: int
    patients_before: int
    rows: int
    rows_before: int
    codes: pl.DataFrame
    checks: pl.DataFrame


def measure_drift(now: tuple[Path, Facts], before: tuple[Path, Facts], limits: Limits) -> Drift:
    """Compare an extract with an earlier one: its folder and its facts, each."""
    (folder, facts), (folder_before, facts_before) = now, before
    codes = compare_codes(facts, facts_before, limits)
    values = compare_values(folder, folder_before)
    codes = codes.join(values, on="code", how="left", maintain_order="left")
    enough = pl.min_horizontal("values", "values_before") >= limits.fewest_values
    shifted = enough & (pl.col("stability") > limits.population_stability)
    codes = codes.with_columns(
        pl.when(enough).then(pl.col("stability")).alias("stability"),
        pl.when(pl.col("moved").is_null() & shifted.fill_null(False))
        .then(pl.lit(VALUES))
        .otherwise(pl.col("moved"))
        .alias("moved"),
    )
    return Drift(
        patients=facts.patients,
        patients_before=facts_before.patients,
        rows=facts.rows,
        rows_before=facts_before.rows,
        codes=codes,
        checks=compare_checks(facts.facts, facts_before.facts, limits),
    )


def compare_codes(now: Facts, before: Facts, limits: Limits) -> pl.DataFrame:
    """The share of patients who have each code, in both extracts, and whether it moved beyond chance."""
    columns = ("rows", "patients", "with_value")
    older = before.codes.rename({name: f"{name}_before" for name in columns})
    both = now.codes.join(older, on="code", how="full", coalesce=True).with_columns(
        pl.col(name).fill_null(0) for name in (*columns, *(f"{name}_before" for name in columns))
    )
    share, earlier = (
        pl.col("patients") / max(now.patients, 1),
        pl.col("patients_before") / max(before.patients, 1),
    )
    told = both.with_columns(share.alias("share"), earlier.alias("share_before")).with_columns(
        (pl.col("share") - pl.col("share_before")).alias("difference"),
        half_width("share", now.patients, "share_before", before.patients).alias("half_width"),
    )
    limit, beyond = limits.share_of_patients, pl.col("difference").abs() - pl.col("half_width")
    moved = (
        pl.when((beyond > limit) & (pl.col("rows_before") == 0))
        .then(pl.lit(NEW))
        .when((beyond > limit) & (pl.col("rows") == 0))
        .then(pl.lit(GONE))
        .when((beyond > limit) & (pl.col("difference") < 0))
        .then(pl.lit(RARER))
        .when(beyond > limit)
        .then(pl.lit(OFTENER))
        .otherwise(pl.lit(None, dtype=pl.String))
    )
    return told.with_columns(moved.alias("moved")).sort("code")


def half_width(share: str, of: int, share_before: str, of_before: int) -> pl.Expr:
    """Half the width of the 95 % interval of a difference of two shares (Agresti and Caffo: two more of each kind)."""
    parts = []
    for name, size in ((share, of), (share_before, of_before)):
        softened = (pl.col(name) * size + 1) / (size + 2)
        parts.append(softened * (1 - softened) / (size + 2))
    return Z * (parts[0] + parts[1]).sqrt()


def compare_checks(now: pl.DataFrame, before: pl.DataFrame, limits: Limits) -> pl.DataFrame:
    """The share of rows that fail each check, as a whole and in each part of the source, in both extracts.

    ``moved``: more rows fail than before, beyond the limit, and more patients have one, beyond chance.
    """
    keep = pl.col("by").is_in(["all", "part"])
    counted = ("failed", "checked", "failed_patients", "checked_patients")
    older = before.filter(keep).rename({name: f"{name}_before" for name in counted})
    both = now.filter(keep).join(older, on=FACT, how="inner").sort(FACT)
    both = both.with_columns(
        (pl.col("failed") / pl.col("checked")).alias("share"),
        (pl.col("failed_before") / pl.col("checked_before")).alias("share_before"),
    ).with_columns((pl.col("share") - pl.col("share_before")).alias("difference"))
    chance = _patients_interval()
    worse = (pl.col("difference") > limits.share_failing) & chance.fill_null(True)
    return both.with_columns(
        pl.when(worse).then(pl.lit(WORSE)).otherwise(pl.lit(None, pl.String)).alias("moved")
    )


def _patients_interval() -> pl.Expr:
    """Whether the share of patients with a failing row rose beyond its 95 % interval."""
    softened, parts = [], []
    for name in ("", "_before"):
        size = pl.col(f"checked_patients{name}")
        share = (pl.col(f"failed_patients{name}") + 1) / (size + 2)
        softened.append(share)
        parts.append(share * (1 - share) / (size + 2))
    return softened[0] - softened[1] > Z * (parts[0] + parts[1]).sqrt()


def compare_values(folder: Path, folder_before: Path) -> pl.DataFrame:
    """The population stability index of each code's values: over tenths of the earlier extract, memory bounded.

    The sum over the tenths of (share now - share before) x ln(share now / share before); 0: alike.
    """
    with duckdb.connect() as db:
        db.execute("SET threads = 1; SET memory_limit = '1GB'; SET preserve_insertion_order = false")
        for name, place in (("now_values", folder), ("before_values", folder_before)):
            db.execute(
                f"CREATE TEMP VIEW {name} AS SELECT code, numeric_value::DOUBLE AS v"
                f" FROM {events_in(db, place, f'events of {name}')} WHERE numeric_value IS NOT NULL"
            )
        db.execute(
            "CREATE TEMP TABLE edges AS SELECT code, list_sort(list_distinct(approx_quantile(v,"
            f" {list(TENTHS)}))) AS edges FROM before_values GROUP BY code"
        )
        counted = [db.sql(_tenths_sql(name)).pl() for name in ("now_values", "before_values")]
    return stability(counted[0], counted[1])


def _tenths_sql(values: str) -> str:
    """How many values lie above how many of the edges: an edge itself lies below."""
    return (
        "SELECT code, len(list_filter(edges, lambda e: v > e)) AS tenth, count(*)::BIGINT AS n"
        f" FROM {values} JOIN edges USING (code) GROUP BY code, tenth"
    )


def stability(now: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """The index of each code from counts in tenths: ``code``, ``tenth``, ``n``."""
    both = now.join(before, on=["code", "tenth"], how="full", coalesce=True, suffix="_before")
    both = both.with_columns(pl.col("n", "n_before").fill_null(0))
    totals = (pl.col("n").sum().over("code"), pl.col("n_before").sum().over("code"))
    share = (pl.col("n") / totals[0]).clip(LITTLE)
    earlier = (pl.col("n_before") / totals[1]).clip(LITTLE)
    return (
        both.with_columns(((share - earlier) * (share / earlier).log()).alias("part"))
        .group_by("code")
        .agg(
            pl.col("n").sum().alias("values"),
            pl.col("n_before").sum().alias("values_before"),
            pl.col("part").sum().alias("stability"),
        )
        .filter(pl.min_horizontal("values", "values_before") > 0)
        .sort("code")
    )

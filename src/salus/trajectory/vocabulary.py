"""What the model can say: codes in drawing order, value bins, waiting-time bins, and which codes are protected."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from safetensors.numpy import load_file, save_file

from salus.trajectory.bins import (
    INNER,
    FloatArray,
    IntArray,
    ValueBins,
    fit_bins,
    fit_wait_edges,
    protected_extremes,
)

START = "SALUS//START"
"""Pseudo-fact of the static moment: when the record starts, in grains from the anchor (or from time zero)."""
BIRTH = "SALUS//AGE"
"""Pseudo-fact of the static moment: age at the anchor (or at the record's start), in years of 365.25 days."""
GRAIN_SECONDS = {"day": 86_400, "minute": 60, "second": 1}
YEAR_SECONDS = 365.25 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeEntry:
    """One code the model can draw."""

    code: str
    static: bool = False
    once: bool = False
    repeats: bool = False
    death: bool = False
    absent: bool = False
    bins: int = 0
    decimals: int = 0
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """What is withheld from the model before training, and how much of it there was."""

    least_patients: int = 5
    withheld_codes: int = 0
    withheld_facts: int = 0
    text_values: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """How the source counts time: the anchor every subject has, time zero, and the resolution (grain)."""

    time_zero: str
    grain: str
    anchor: str | None = None
    follow_up_end: str | None = None
    birth: str | None = None

    @property
    def grain_seconds(self) -> int:
        """Seconds a grain."""
        return GRAIN_SECONDS[self.grain]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Codes, bins and clock. ``lows``: (codes, bins); ``inner``: (codes, bins, INNER); ``wait_edges``: (waits + 1,)."""

    entries: tuple[CodeEntry, ...]
    clock: Clock
    lows: FloatArray
    inner: FloatArray
    wait_edges: IntArray
    longest_moment: int
    tracked: int
    protection: Protection = field(default_factory=Protection)

    @property
    def size(self) -> int:
        """Number of codes; the index ``size`` itself means: this moment has no further fact."""
        return len(self.entries)

    def index(self) -> dict[str, int]:
        """Give each code's position in drawing order."""
        return {entry.code: position for position, entry in enumerate(self.entries)}


def save_vocabulary(vocabulary: Vocabulary, folder: Path) -> None:
    """Write ``vocabulary.json`` (names) and ``vocabulary.safetensors`` (tables)."""
    words = {
        "codes": [asdict(entry) for entry in vocabulary.entries],
        "clock": asdict(vocabulary.clock),
        "protection": asdict(vocabulary.protection),
        "longest_moment": vocabulary.longest_moment,
        "tracked": vocabulary.tracked,
    }
    (folder / "vocabulary.json").write_text(json.dumps(words, indent=1))
    tables: dict[str, np.ndarray] = {
        "lows": vocabulary.lows,
        "inner": vocabulary.inner,
        "wait_edges": vocabulary.wait_edges,
    }
    save_file(tables, folder / "vocabulary.safetensors")


def load_vocabulary(folder: Path) -> Vocabulary:
    """Read what :func:`save_vocabulary` wrote."""
    words = json.loads((folder / "vocabulary.json").read_text())
    tables = load_file(folder / "vocabulary.safetensors")
    return Vocabulary(
        entries=tuple(CodeEntry(**entry) for entry in words["codes"]),
        clock=Clock(**words["clock"]),
        protection=Protection(**words["protection"]),
        longest_moment=words["longest_moment"],
        tracked=words["tracked"],
        lows=tables["lows"],
        inner=tables["inner"],
        wait_edges=tables["wait_edges"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How fine and guarded a vocabulary is: most bins a code, waiting bins, charted codes; least patients a code."""

    bins: int = 64
    waits: int = 64
    tracked: int = 128
    least_patients: int = 5


def fit_vocabulary(
    facts: pl.DataFrame, waits: IntArray, *, codes: pl.DataFrame, clock: Clock, limits: Limits | None = None
) -> Vocabulary:
    """Learn codes, value bins and waiting-time bins from training facts only.

    ``facts`` as :func:`salus.trajectory.encoding.facts_of` gives them. ``waits``: grains between moments and to the
    end of follow-up. A code that fewer than ``least_patients`` patients have is withheld, and no value is drawn
    beyond what that many patients reach.
    """
    limits = limits or Limits()
    summary = _summarise(facts)
    kept = summary.filter(pl.col("patients") >= limits.least_patients)
    withheld = summary.filter(pl.col("patients") < limits.least_patients)
    about = {row["code"]: row for row in codes.iter_rows(named=True)}
    order = _drawing_order(kept, [code for code, row in about.items() if row["role"] == "death"])
    values = facts.drop_nulls("numeric_value").partition_by("code", as_dict=True)
    entries, tables = [], []
    for row in order.iter_rows(named=True):
        table = _value_bins(values.get((row["code"],)), limits)
        tables.append(table)
        entries.append(_entry(row, table, about.get(row["code"], {})))
    lows, inner = _stack(tables)
    return Vocabulary(
        entries=tuple(entries),
        clock=clock,
        lows=lows,
        inner=inner,
        wait_edges=fit_wait_edges(waits, most=limits.waits),
        longest_moment=int(facts.group_by("subject_id", "moment").len()["len"].to_numpy().max(initial=1)),
        tracked=min(limits.tracked, sum(not entry.static for entry in entries)),
        protection=Protection(
            least_patients=limits.least_patients,
            withheld_codes=withheld.height,
            withheld_facts=int(withheld["rows"].sum()),
            text_values=int(facts["text"].sum()),
        ),
    )


def _value_bins(frame: pl.DataFrame | None, limits: Limits) -> ValueBins | None:
    """Bins of one code's values; None for a code without values."""
    if frame is None:
        return None
    column, subjects = frame["numeric_value"].to_numpy(), frame["subject_id"].to_numpy()
    low, high = protected_extremes(column, subjects, patients=limits.least_patients)
    return fit_bins(column, low, high, most=limits.bins)


def _entry(row: dict[str, Any], table: ValueBins | None, known: dict[str, Any]) -> CodeEntry:
    """One code's entry, from what its facts show (``row``) and what the timeline says of it (``known``)."""
    absent = table is not None and row["missing"] > 0
    return CodeEntry(
        code=row["code"],
        static=row["static"],
        once=row["most"] <= 1 and not row["static"],
        repeats=row["repeats"],
        death=known.get("role") == "death",
        absent=absent,
        bins=0 if table is None else table.count + int(absent),
        decimals=int(known.get("decimals") or 0),
        unit=known.get("unit"),
    )


def _stack(tables: list[ValueBins | None]) -> tuple[FloatArray, FloatArray]:
    """Put all codes' bins in one table each, padded with bins that no value reaches."""
    width = max([1, *(table.count + 1 for table in tables if table is not None)])
    lows = np.full((len(tables), width), np.inf, dtype=np.float32)
    inner = np.zeros((len(tables), width, INNER), dtype=np.float32)
    for position, table in enumerate(tables):
        if table is not None:
            lows[position, : table.count] = table.lows
            inner[position, : table.count] = table.inner
    return lows, inner


def _drawing_order(summary: pl.DataFrame, death: list[str]) -> pl.DataFrame:
    """Statics first; then death and what happens once, so that outcomes are drawn from the history directly."""
    ranked = summary.with_columns(
        rank=pl.when(pl.col("first"))
        .then(0)
        .when(pl.col("static"))
        .then(1)
        .when(pl.col("code").is_in(death))
        .then(2)
        .when(pl.col("most") <= 1)
        .then(3)
        .otherwise(4)
    )
    return ranked.sort("rank", pl.col("rows").cast(pl.Int64).neg(), "code")


def _summarise(facts: pl.DataFrame) -> pl.DataFrame:
    """One row a code: how many patients and rows, whether it repeats in a patient and within a moment."""
    a_moment = facts.group_by("code", "subject_id", "moment").agg(
        pl.len().alias("rows"),
        pl.col("static").first(),
        pl.col("numeric_value").null_count().alias("missing"),
    )
    a_patient = a_moment.group_by("code", "subject_id").agg(
        pl.col("rows").sum(),
        pl.col("rows").max().alias("widest"),
        pl.col("static").first(),
        pl.col("missing").sum(),
    )
    return a_patient.group_by("code").agg(
        pl.len().alias("patients"),
        pl.col("rows").sum(),
        pl.col("rows").max().alias("most"),
        (pl.col("widest").max() > 1).alias("repeats"),
        pl.col("static").first(),
        pl.col("missing").sum(),
        pl.col("code").first().is_in([START, BIRTH]).alias("first"),
    )

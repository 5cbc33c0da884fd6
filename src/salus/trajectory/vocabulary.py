"""What the model can say: codes in drawing order, value bins, waiting-time bins, and which codes are protected."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
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

FOREVER = 2**60
"""Grains that no record reaches."""
START = "SALUS//START"
"""Pseudo-fact of the static moment: when the record starts, in grains from the anchor (or from time zero)."""
BIRTH = "SALUS//AGE"
"""Pseudo-fact of the static moment: age at the anchor (or at the record's start), in years of 365.25 days."""
GRAIN_SECONDS = {"day": 86_400, "minute": 60, "second": 1}
YEAR_SECONDS = 365.25 * 86_400
SELDOM = 1.5
"""A code is seldom when those patients who have it have at most so many rows of it on average."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeEntry:
    """One code the model can draw.

    ``once``: no training patient has it twice. ``seldom``: those who have it have it about once (a first diagnosis, a
    death). ``always``: every patient has it. ``group_of_one``: static, and nobody has two of its group (SEX//F,
    SEX//M); ``group_of_all``: and everybody has one. ``earliest``, ``latest``: grains from the anchor between which
    training records have it. ``repeats``: it may come twice in one moment. ``absent``: its last bin means that no
    value was recorded.
    """

    code: str
    static: bool = False
    once: bool = False
    seldom: bool = False
    earliest: int = -FOREVER
    latest: int = FOREVER
    always: bool = False
    group_of_one: bool = False
    group_of_all: bool = False
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
    """Codes, bins and clock. ``lows``: (codes, bins); ``inner``: (codes, bins, INNER); ``wait_edges``: (waits + 1,).

    No record is drawn beyond what training records reach: ``longest_moment`` facts in a moment, ``longest_record``
    moments, follow-up until ``latest`` (grains).
    """

    entries: tuple[CodeEntry, ...]
    clock: Clock
    lows: FloatArray
    inner: FloatArray
    wait_edges: IntArray
    longest_moment: int
    longest_record: int
    latest: int
    tracked: int
    protection: Protection = field(default_factory=Protection)

    @property
    def size(self) -> int:
        """Number of codes; the index ``size`` itself means: this moment has no further fact."""
        return len(self.entries)

    def excludes(self) -> npt.NDArray[np.bool_]:
        """Which static codes rule out which: those of one group of which nobody has two, shape (codes, codes)."""
        groups = [entry.code.rpartition("//")[0] if entry.group_of_one else "" for entry in self.entries]
        same = np.asarray([[bool(a) and a == b for b in groups] for a in groups])
        np.fill_diagonal(same, False)
        return same

    def required_groups(self) -> list[tuple[int, int]]:
        """First and last position of each group of static codes of which every patient has exactly one."""
        places: dict[str, list[int]] = {}
        for number, entry in enumerate(self.entries):
            if entry.group_of_all:
                places.setdefault(entry.code.rpartition("//")[0], []).append(number)
        return [(min(numbers), max(numbers)) for numbers in places.values()]

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
        "longest_record": vocabulary.longest_record,
        "latest": vocabulary.latest,
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
        longest_record=words["longest_record"],
        latest=words["latest"],
        tracked=words["tracked"],
        lows=tables["lows"],
        inner=tables["inner"],
        wait_edges=tables["wait_edges"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far training records go: waits between moments and to the end (grains); most moments; latest end."""

    waits: IntArray
    moments: int
    latest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How fine and guarded a vocabulary is: most bins a code, waiting bins, charted codes; least patients a code."""

    bins: int = 64
    waits: int = 64
    tracked: int = 128
    least_patients: int = 5


def fit_vocabulary(
    facts: pl.DataFrame, reach: Reach, *, codes: pl.DataFrame, clock: Clock, limits: Limits | None = None
) -> Vocabulary:
    """Learn codes, value bins and waiting-time bins from training facts only.

    ``facts`` as :func:`salus.trajectory.encoding.facts_of` gives them. A code that fewer than ``least_patients``
    patients have is withheld, and no value is drawn beyond what that many patients reach.
    """
    limits = limits or Limits()
    summary = _summarise(facts, least_patients=limits.least_patients)
    kept = summary.filter(pl.col("patients") >= limits.least_patients)
    withheld = summary.filter(pl.col("patients") < limits.least_patients)
    alone = _groups_of_one(facts.filter(pl.col("code").is_in(kept["code"].implode())))
    everyone = facts["subject_id"].n_unique()
    about = {row["code"]: row for row in codes.iter_rows(named=True)}
    order = _drawing_order(kept, [code for code, row in about.items() if row["role"] == "death"])
    values = facts.drop_nulls("numeric_value").partition_by("code", as_dict=True)
    entries, tables = [], []
    for row in order.iter_rows(named=True):
        table = _value_bins(values.get((row["code"],)), limits)
        tables.append(table)
        known = about.get(row["code"], {}) | {"anchored": clock.anchor is not None, "everyone": everyone}
        group = row["code"].rpartition("//")[0]
        known |= {"group_of_one": group in alone, "group_of_all": alone.get(group, 0) == everyone}
        entries.append(_entry(row, table, known))
    lows, inner = _stack(tables)
    return Vocabulary(
        entries=tuple(entries),
        clock=clock,
        lows=lows,
        inner=inner,
        wait_edges=fit_wait_edges(reach.waits, most=limits.waits),
        longest_record=reach.moments,
        latest=reach.latest,
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
        seldom=row["seldom"] and not row["static"],
        earliest=_outward(row["earliest"], row["early"])
        if known["anchored"] and not row["static"]
        else -FOREVER,
        latest=_outward(row["latest"], row["late"]) if known["anchored"] and not row["static"] else FOREVER,
        always=row["patients"] == known["everyone"],
        group_of_one=row["static"] and known["group_of_one"],
        group_of_all=row["static"] and known["group_of_all"],
        repeats=row["repeats"],
        death=known.get("role") == "death",
        absent=absent,
        bins=0 if table is None else table.count + int(absent),
        decimals=int(known.get("decimals") or 0),
        unit=known.get("unit"),
    )


def _outward(extreme: int, shared: int) -> int:
    """When a code was seen at the earliest or latest: exact where enough patients share it, else rounded outwards.

    ``shared``: the extreme that the least number of patients reach. Rounding is to the next power of 1.25 away from
    the anchor, or towards it on the far side, so that no single patient's time shows.
    """
    if extreme in (shared, 0):
        return extreme
    away = (extreme > shared) == (extreme > 0)
    step = math.log(abs(extreme), 1.25)
    rounded = int(1.25 ** math.ceil(step)) + 1 if away else int(1.25 ** math.floor(step))
    return rounded if extreme > 0 else -rounded


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


def _groups_of_one(facts: pl.DataFrame) -> dict[str, int]:
    """Groups of static codes (what stands before the last //) of which nobody has two: how many patients have one."""
    grouped = facts.filter("static", pl.col("code").str.contains("//")).with_columns(
        group=pl.col("code").str.replace("//[^/]*$", "")
    )
    counted = (
        grouped.group_by("group", "subject_id")
        .len()
        .group_by("group")
        .agg(pl.len().alias("patients"), pl.col("len").max())
    )
    alone = dict(counted.filter(pl.col("len") == 1).select("group", "patients").iter_rows())
    alone.pop(START.rpartition("//")[0], None)
    return alone


def _drawing_order(summary: pl.DataFrame, death: list[str]) -> pl.DataFrame:
    """Statics first, groups (SEX//F and SEX//M) together; then death and what seldom happens, from the history."""
    ranked = summary.with_columns(
        rank=pl.when(pl.col("first")).then(0)
        .when(pl.col("static")).then(1)
        .when(pl.col("code").is_in(death)).then(2)
        .when(pl.col("seldom")).then(3)
        .otherwise(4),
        group=pl.when(pl.col("static")).then(pl.col("code").str.replace("//[^/]*$", "")),
    )  # fmt: skip
    return ranked.sort("rank", "group", pl.col("rows").cast(pl.Int64).neg(), "code", nulls_last=False)


def _summarise(facts: pl.DataFrame, *, least_patients: int) -> pl.DataFrame:
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
        pl.col("moment").min().alias("earliest"),
        pl.col("moment").max().alias("latest"),
    )
    return a_patient.group_by("code").agg(
        pl.len().alias("patients"),
        pl.col("rows").sum(),
        pl.col("rows").max().alias("most"),
        (pl.col("widest").max() > 1).alias("repeats"),
        pl.col("static").first(),
        pl.col("missing").sum(),
        pl.col("code").first().is_in([START, BIRTH]).alias("first"),
        (pl.col("rows").sum() <= SELDOM * pl.len()).alias("seldom"),
        pl.col("earliest").min(),
        pl.col("earliest").bottom_k(least_patients).max().alias("early"),
        pl.col("latest").max(),
        pl.col("latest").top_k(least_patients).min().alias("late"),
    )

"""Learn the vocabulary from training facts: codes that may be said, fields of codes that exclude each other, bins."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from salus.trajectory.ancestors import back_off, common_codes, parents_of
from salus.trajectory.bins import (
    INNER,
    FloatArray,
    IntArray,
    Tally,
    ValueBins,
    fit_bins,
    fit_wait_edges,
    protected_extremes,
)
from salus.trajectory.choices import with_choices, with_families
from salus.trajectory.tallies import Changed, Facts, Values, highest, reached_by, summary_of, values_of
from salus.trajectory.vocabulary import (
    FOREVER,
    UNSAID,
    Clock,
    CodeEntry,
    Field,
    Protection,
    Vocabulary,
)

SELDOM = 1.5
"""A field is seldom when those patients who have it have at most so many rows of it on average."""
LEAST_PATIENTS = 5
"""Fewer patients than this have nothing of their own in a model: no code, no extreme value, no longest record."""
SURE = 200
"""What followed every one of so many times (or more) is taken to follow always."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far training records go: waits between moments and to the end (grains); most moments; latest end.

    All are reached by the least number of patients a code needs: no drawn record shows how long a single one is.
    """

    waits: Tally
    moments: int
    latest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How fine and guarded a vocabulary is: most bins a code, waiting bins, charted fields; least patients a code.

    ``fields``: of more, codes without values share fields, ``family`` codes in one at most.
    """

    bins: int = 64
    waits: int = 64
    tracked: int = 128
    least_patients: int = LEAST_PATIENTS
    fields: int = 1_024
    family: int = 256


def fit_vocabulary(
    facts: Facts, reach: Reach, *, codes: pl.DataFrame, clock: Clock, limits: Limits | None = None
) -> Vocabulary:
    """Learn fields, levels and waiting-time bins from training facts only, going through the shards several times.

    A code that fewer than ``least_patients`` patients have is replaced by what it is a kind of (``codes``: parents),
    where enough patients have that; else it is withheld. Nothing is drawn beyond what that many patients reach.
    """
    limits = limits or Limits()
    least, given = limits.least_patients, facts
    parents = parents_of(codes)
    common = common_codes(facts, parents, least=least)
    facts = Changed(given, lambda shard: back_off(shard, common, parents))
    kept = summary_of(facts, least=least).filter(pl.col("patients") >= least)
    told = _told(given, facts, set(kept["code"]), least=least)
    facts, kept = _with_unsaid(facts, kept, least=least)
    values = values_of(facts, least=least)
    counts = pl.DataFrame(
        [(code, len(one.tally.values)) for code, one in values.items()],
        schema={"code": pl.String, "values": pl.Int64},
        orient="row",
    )
    kept = kept.join(counts, on="code", how="left").with_columns(pl.col("values").fill_null(0))
    ordered, groups = _in_drawing_order(facts, kept, codes=codes, limits=limits)
    entries, tables = _entries(ordered, values, codes=codes, limits=limits)
    fields = _fields(ordered, groups, clock=clock, everyone=told.patients)
    lows, inner = _stack(tables)
    return Vocabulary(
        entries=tuple(entries),
        fields=tuple(fields),
        clock=clock,
        lows=lows,
        inner=inner,
        wait_edges=fit_wait_edges(reach.waits, most=limits.waits),
        sure=np.full((2, len(fields) + 1), -1, dtype=np.int64),
        sure_seen=np.zeros((2, len(fields) + 1), dtype=np.int64),
        longest_record=reach.moments,
        latest=reach.latest,
        longest_moment=told.longest_moment,
        tracked=min(limits.tracked, sum(not one.static for one in fields)),
        round_grains=3_600 // clock.grain_seconds if clock.grain_seconds == 60 else 0,
        protection=told.protection,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What is said of all facts: how many patients, the longest moment, and what is withheld."""

    patients: int
    longest_moment: int
    protection: Protection


def _told(given: Facts, facts: Facts, kept: set[str], *, least: int) -> _Told:
    """Go through the facts as they came and as they count (``facts``: too rare codes replaced)."""
    patients = backed_off = withheld = text = 0
    codes: set[str] = set()
    longest: list[IntArray] = []
    for raw, shard in zip(given, facts, strict=True):
        patients += raw["subject_id"].n_unique()
        text += int(raw["text"].sum())
        backed_off += int((raw["code"] != shard["code"]).sum())
        out = shard.filter(~pl.col("code").is_in(list(kept)))["code"]
        withheld += len(out)
        codes |= set(out.unique())
        widest = raw.group_by("subject_id", "moment").len().group_by("subject_id").agg(pl.col("len").max())
        longest.append(highest(least, widest["len"].to_numpy()))
    return _Told(
        patients=patients,
        longest_moment=max(reached_by(least, longest), 1),
        protection=Protection(
            least_patients=least,
            withheld_codes=len(codes),
            withheld_facts=withheld,
            backed_off_facts=backed_off,
            text_values=text,
        ),
    )


def _entries(
    ordered: pl.DataFrame, values: dict[str, Values], *, codes: pl.DataFrame, limits: Limits
) -> tuple[list[CodeEntry], list[ValueBins | None]]:
    """Each code's entry and value bins, in drawing order."""
    about = {row["code"]: row for row in codes.iter_rows(named=True)}
    entries, tables = [], []
    for row in ordered.iter_rows(named=True):
        table = _value_bins(values.get(row["code"]), limits)
        known = about.get(row["code"], {})
        absent = table is not None and row["missing"] > 0
        tables.append(table)
        entries.append(
            CodeEntry(
                code=row["code"],
                static=row["static"],
                death=known.get("role") == "death",
                absent=absent,
                unsaid=row["code"].endswith(f"//{UNSAID}"),
                bins=0 if table is None else table.count + int(absent),
                decimals=int(known.get("decimals") or 0),
                unit=known.get("unit"),
            )
        )
    padded = [
        table if table is None or not entry.absent else table.with_one_more()
        for table, entry in zip(tables, entries, strict=True)
    ]
    return entries, padded


def _value_bins(values: Values | None, limits: Limits) -> ValueBins | None:
    """Bins of one code's values; None for a code without values."""
    if values is None:
        return None
    low, high = protected_extremes(
        values.tally, values.lowest, values.highest, patients=limits.least_patients
    )
    return fit_bins(values.tally, low, high, most=limits.bins)


def _stack(tables: list[ValueBins | None]) -> tuple[FloatArray, FloatArray]:
    """Put all levels' bins in one table; a level without a number has none."""
    lows = [np.full(1, np.nan) if table is None else table.lows for table in tables]
    inner = [np.full((1, INNER), np.nan) if table is None else table.inner for table in tables]
    return np.concatenate(lows).astype(np.float32), np.concatenate(inner).astype(np.float32)


def _fields(ordered: pl.DataFrame, groups: pl.DataFrame, *, clock: Clock, everyone: int) -> list[Field]:
    """Each field, from what its facts show, in drawing order."""
    about = {row["code"]: row for row in groups.iter_rows(named=True)}
    names = ordered["field"].to_list()
    starts = [place for place, name in enumerate(names) if place == 0 or names[place - 1] != name]
    found = []
    for first, last in zip(starts, [*starts[1:], len(names)], strict=True):
        row = about[names[first]]
        dated, anchored = not row["static"], clock.anchor is not None
        found.append(
            Field(
                name=names[first],
                first=first,
                last=last,
                static=row["static"],
                once=row["most"] <= 1 and dated,
                seldom=row["seldom"] and dated,
                always=row["static"] and row["patients"] == everyone,
                repeats=row["repeats"],
                death=ordered["death"][first],
                earliest=_outward(row["earliest"], row["early"]) if anchored and dated else -FOREVER,
                latest=_outward(row["latest"], row["late"]) if anchored and dated else FOREVER,
            )
        )
    return found


def _outward(extreme: int, shared: int) -> int:
    """When a field was seen at the earliest or latest: exact where enough patients share it, else rounded outwards.

    ``shared``: the extreme that the least number of patients reach. Rounding is to the next power of 1.25 away from
    the anchor, or towards it on the far side, so that no single patient's time shows.
    """
    if extreme in (shared, 0):
        return extreme
    away = (extreme > shared) == (extreme > 0)
    step = math.log(abs(extreme), 1.25)
    rounded = int(1.25 ** math.ceil(step)) + 1 if away else int(1.25 ** math.floor(step))
    return rounded if extreme > 0 else -rounded


def _in_drawing_order(
    facts: Facts, kept: pl.DataFrame, *, codes: pl.DataFrame, limits: Limits
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Codes with their ``field``, in drawing order, and a summary of each field.

    Statics first, then death and what seldom happens, from the history. Of what is said about as often, fields with
    few levels come before those with many: their choice is learnt from few examples. Where not all fields can be
    charted, those that come often come first: they are.
    """
    death = codes.filter(pl.col("role") == "death")["code"]
    kept = kept.with_columns(field=pl.col("code"), death=pl.col("code").is_in(death.implode()))
    kept = with_families(
        with_choices(kept, facts), parents_of(codes), fields=limits.fields, most=limits.family
    )
    named = kept.select("code", "field")
    groups = summary_of(
        Changed(facts, lambda shard: shard.join(named, on="code").with_columns(code=pl.col("field"))),
        least=limits.least_patients,
    ).with_columns(seldom=pl.col("rows") <= SELDOM * pl.col("patients"))
    sizes = kept.group_by("field").agg(
        codes=pl.len(), values=pl.col("values").max(), death=pl.col("death").any()
    )
    crowded = groups.height > limits.tracked
    ranked = groups.join(sizes, left_on="code", right_on="field").with_columns(
        rank=pl.when(pl.col("first")).then(0)
        .when(pl.col("static")).then(1)
        .when(pl.col("death")).then(2)
        .when(pl.col("seldom") & (pl.col("codes") == 1) & (not crowded)).then(3)
        .otherwise(4),
        often=pl.col("rows").log(2).round().neg(),
        levels=pl.max_horizontal("codes", "values"),
    )  # fmt: skip
    ranked = ranked.sort("rank", "often", "levels", pl.col("rows").cast(pl.Int64).neg(), "code")
    ranked = ranked.with_row_index("place")
    ordered = kept.join(ranked.select("place", field="code"), on="field")
    unsaid = pl.col("code").str.ends_with(f"//{UNSAID}")
    return ordered.sort("place", unsaid, pl.col("rows").cast(pl.Int64).neg(), "code"), ranked


def _with_unsaid(facts: Facts, kept: pl.DataFrame, *, least: int) -> tuple[Facts, pl.DataFrame]:
    """Let one code stand for all withheld ones of a choice: that something was said is known, what is not."""
    choices = with_choices(kept.with_columns(field=pl.col("code"), death=pl.lit(False)), facts)
    groups = choices.filter(pl.col("field") != pl.col("code"))["field"].unique()
    group = pl.col("code").str.extract("^(.+)//.*$")
    rare = ~pl.col("code").is_in(kept["code"].implode())
    unsaid = pl.when(rare & group.is_in(groups.implode())).then(group + f"//{UNSAID}").otherwise("code")
    names = pl.Series([*kept["code"], *(f"{name}//{UNSAID}" for name in groups)])
    facts = Changed(
        facts, lambda shard: shard.with_columns(code=unsaid).filter(pl.col("code").is_in(names.implode()))
    )
    return facts, summary_of(facts, least=least)


class Decisions(NamedTuple):
    """One row a decision of training records: the field before, the field that came (or the end), static or dated."""

    prior: IntArray
    following: IntArray
    static: npt.NDArray[np.bool_]


def with_certainties(vocabulary: Vocabulary, decisions: Iterable[Decisions]) -> Vocabulary:
    """Add what always followed what in training records."""
    size = vocabulary.size
    seen = np.zeros(2 * (size + 1), dtype=np.int64)
    least, most = np.full(len(seen), size + 1), np.full(len(seen), -1)
    for prior, following, static in decisions:
        key = static.astype(np.int64) * (size + 1) + prior
        seen += np.bincount(key, minlength=len(seen))
        np.minimum.at(least, key, following)
        np.maximum.at(most, key, following)
    sure = np.where((seen >= SURE) & (least == most), least, -1)
    return replace(
        vocabulary,
        sure=sure.reshape(2, size + 1).astype(np.int64),
        sure_seen=np.where(sure >= 0, seen, 0).reshape(2, size + 1).astype(np.int64),
    )

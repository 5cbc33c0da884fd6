"""Learn the vocabulary from training facts: codes that may be said, fields of codes that exclude each other, bins."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from salus.trajectory.bins import (
    INNER,
    FloatArray,
    IntArray,
    ValueBins,
    fit_bins,
    fit_wait_edges,
    protected_extremes,
)
from salus.trajectory.vocabulary import (
    BIRTH,
    FOREVER,
    START,
    UNSAID,
    Clock,
    CodeEntry,
    Field,
    Protection,
    Vocabulary,
)

SELDOM = 1.5
"""A field is seldom when those patients who have it have at most so many rows of it on average."""
SURE = 200
"""What followed every one of so many times (or more) is taken to follow always."""
MOST_STEPS_UP = 8
"""How far a code that is too rare is followed to what it is a kind of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far training records go: waits between moments and to the end (grains); most moments; latest end."""

    waits: IntArray
    moments: int
    latest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How fine and guarded a vocabulary is: most bins a code, waiting bins, charted fields; least patients a code."""

    bins: int = 64
    waits: int = 64
    tracked: int = 128
    least_patients: int = 5


def fit_vocabulary(
    facts: pl.DataFrame, reach: Reach, *, codes: pl.DataFrame, clock: Clock, limits: Limits | None = None
) -> Vocabulary:
    """Learn fields, levels and waiting-time bins from training facts only.

    ``facts`` as :func:`salus.trajectory.encoding.facts_of` gives them. A code that fewer than ``least_patients``
    patients have is replaced by what it is a kind of (``codes``: parents), where enough patients have that; else it is
    withheld. No value is drawn beyond what that many patients reach.
    """
    limits = limits or Limits()
    least = limits.least_patients
    given, parents = facts, parents_of(codes)
    facts = back_off(facts, common_codes(facts, parents, least=least), parents)
    backed_off = int((facts["code"] != given["code"]).sum())
    kept = _summarise(facts, least_patients=least).filter(pl.col("patients") >= least)
    withheld = facts.filter(~pl.col("code").is_in(kept["code"].implode()))
    facts, kept = _with_unsaid(facts, kept, least_patients=least)
    ordered, groups = _in_drawing_order(facts, kept, codes=codes, least_patients=least)
    everyone = given["subject_id"].n_unique()
    entries, tables = _entries(ordered, facts, codes=codes, limits=limits)
    fields = _fields(ordered, groups, clock=clock, everyone=everyone)
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
        longest_moment=int(given.group_by("subject_id", "moment").len()["len"].to_numpy().max(initial=1)),
        tracked=min(limits.tracked, sum(not one.static for one in fields)),
        protection=Protection(
            least_patients=least,
            withheld_codes=withheld["code"].n_unique(),
            withheld_facts=withheld.height,
            backed_off_facts=backed_off,
            text_values=int(given["text"].sum()),
        ),
    )


def parents_of(codes: pl.DataFrame) -> dict[str, str]:
    """What each code is a kind of: its first parent, where it has one."""
    if "parent_codes" not in codes.columns:
        return {}
    told = codes.select("code", parent=pl.col("parent_codes").list.first()).drop_nulls("parent")
    return dict(told.iter_rows())


def common_codes(facts: pl.DataFrame, parents: Mapping[str, str], *, least: int) -> set[str]:
    """Codes that at least ``least`` patients have, counting for a parent the patients of its too rare children.

    A code with values is never replaced: the numbers of its parent may mean something else.
    """
    valued = set(facts.filter(pl.col("numeric_value").is_not_null())["code"].unique())
    have = facts.select("subject_id", "code").unique()
    found: set[str] = set()
    for _ in range(MOST_STEPS_UP):
        counted = dict(have.group_by("code").len().iter_rows())
        found |= {code for code, patients in counted.items() if patients >= least}
        up = {code: parents[code] for code in counted if code not in found | valued and code in parents}
        if not up:
            break
        have = have.with_columns(pl.col("code").replace(up)).unique()
    return found


def back_off(facts: pl.DataFrame, known: set[str], parents: Mapping[str, str]) -> pl.DataFrame:
    """Replace each code that is not known by the nearest of its ancestors that is; others stay as they are.

    Where no ancestor is known, the code of its choice that stands for unknown ones takes its place, if there is one.
    """
    up = {}
    for code in facts["code"].unique():
        place = code
        for _ in range(MOST_STEPS_UP):
            if place in known or place not in parents:
                break
            place = parents[place]
        if place not in known:
            place = f"{code.rpartition('//')[0]}//{UNSAID}"
        if place in known and place != code:
            up[code] = place
    return facts.with_columns(pl.col("code").replace(up)) if up else facts


def _entries(
    ordered: pl.DataFrame, facts: pl.DataFrame, *, codes: pl.DataFrame, limits: Limits
) -> tuple[list[CodeEntry], list[ValueBins | None]]:
    """Each code's entry and value bins, in drawing order."""
    about = {row["code"]: row for row in codes.iter_rows(named=True)}
    values = facts.drop_nulls("numeric_value").partition_by("code", as_dict=True)
    entries, tables = [], []
    for row in ordered.iter_rows(named=True):
        table = _value_bins(values.get((row["code"],)), limits)
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


def _value_bins(frame: pl.DataFrame | None, limits: Limits) -> ValueBins | None:
    """Bins of one code's values; None for a code without values."""
    if frame is None:
        return None
    column, subjects = frame["numeric_value"].to_numpy(), frame["subject_id"].to_numpy()
    low, high = protected_extremes(column, subjects, patients=limits.least_patients)
    return fit_bins(column, low, high, most=limits.bins)


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
    facts: pl.DataFrame, kept: pl.DataFrame, *, codes: pl.DataFrame, least_patients: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Codes with their ``field``, in drawing order, and a summary of each field.

    Statics first, then death and what seldom happens, from the history. Of what is said about as often, fields with
    few levels come before those with many: their choice is learnt from few examples.
    """
    death = codes.filter(pl.col("role") == "death")["code"]
    kept = kept.with_columns(field=pl.col("code"), death=pl.col("code").is_in(death.implode()))
    kept = _with_choices(kept, facts)
    named = facts.join(kept.select("code", "field"), on="code").with_columns(code=pl.col("field"))
    groups = _summarise(named, least_patients=least_patients)
    sizes = kept.group_by("field").agg(
        codes=pl.len(), values=pl.col("values").max(), death=pl.col("death").any()
    )
    ranked = groups.join(sizes, left_on="code", right_on="field").with_columns(
        rank=pl.when(pl.col("first")).then(0)
        .when(pl.col("static")).then(1)
        .when(pl.col("death")).then(2)
        .when(pl.col("seldom") & (pl.col("codes") == 1)).then(3)
        .otherwise(4),
        often=pl.col("rows").log(2).round().neg(),
        levels=pl.max_horizontal("codes", "values"),
    )  # fmt: skip
    ranked = ranked.sort("rank", "often", "levels", pl.col("rows").cast(pl.Int64).neg(), "code")
    ranked = ranked.with_row_index("place")
    ordered = kept.join(ranked.select("place", field="code"), on="field")
    unsaid = pl.col("code").str.ends_with(f"//{UNSAID}")
    return ordered.sort("place", unsaid, pl.col("rows").cast(pl.Int64).neg(), "code"), ranked


def _with_unsaid(
    facts: pl.DataFrame, kept: pl.DataFrame, *, least_patients: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Let one code stand for all withheld ones of a choice: that something was said is known, what is not."""
    choices = _with_choices(kept.with_columns(field=pl.col("code"), death=pl.lit(False)), facts)
    groups = choices.filter(pl.col("field") != pl.col("code"))["field"].unique()
    group = pl.col("code").str.extract("^(.+)//[^/]*$")
    rare = ~pl.col("code").is_in(kept["code"].implode())
    facts = facts.with_columns(
        code=pl.when(rare & group.is_in(groups.implode())).then(group + f"//{UNSAID}").otherwise("code")
    )
    names = [*kept["code"], *(f"{name}//{UNSAID}" for name in groups)]
    facts = facts.filter(pl.col("code").is_in(names))
    return facts, _summarise(facts, least_patients=least_patients)


def _with_choices(kept: pl.DataFrame, facts: pl.DataFrame) -> pl.DataFrame:
    """Name the field of codes that exclude each other by what stands before their last //.

    A choice: two codes or more without values, of which no moment of any patient has two. Codes that each happen once
    in a life (first diagnoses) are questions of their own, even where no two of them ever fell on one day.
    """
    plain = kept.filter((pl.col("values") == 0) & ~pl.col("first") & ~pl.col("death") & ~pl.col("repeats"))
    plain = plain.with_columns(group=pl.col("code").str.extract("^(.+)//[^/]*$")).drop_nulls("group")
    grouped = facts.join(plain.select("code", "group"), on="code")
    a_moment = grouped.group_by("group", "static", "subject_id", "moment").len()
    a_patient = a_moment.group_by("group", "static", "subject_id").agg(pl.col("len").max(), moments=pl.len())
    alone = a_patient.group_by("group", "static").agg(pl.col("len").max(), pl.col("moments").max())
    once = plain.group_by("group", "static").agg(
        codes=pl.len(), once=(pl.col("rows") * (pl.col("most") <= 1)).sum() / pl.col("rows").sum()
    )
    choices = alone.join(once, on=["group", "static"]).filter(
        pl.col("len") == 1,
        pl.col("codes") > 1,
        pl.col("static") | (pl.col("once") < 0.5) | (pl.col("moments") == 1),
    )
    named = plain.join(choices.select("group", "static"), on=["group", "static"]).select(
        "code", named="group"
    )
    both = named.group_by("named").agg(pl.col("code")).explode("code")
    return (
        kept.join(both, on="code", how="left").with_columns(field=pl.coalesce("named", "field")).drop("named")
    )


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
    values = facts.group_by("code").agg(values=pl.col("numeric_value").drop_nulls().n_unique())
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
    ).join(values, on="code")  # fmt: skip


def with_certainties(
    vocabulary: Vocabulary, prior: IntArray, following: IntArray, static: npt.NDArray[np.bool_]
) -> Vocabulary:
    """Add what always followed what: one row a decision of training records (field before, field or end, static)."""
    size = vocabulary.size
    key = static.astype(np.int64) * (size + 1) + prior
    seen = np.bincount(key, minlength=2 * (size + 1))
    least, most = np.full(2 * (size + 1), size + 1), np.full(2 * (size + 1), -1)
    np.minimum.at(least, key, following)
    np.maximum.at(most, key, following)
    sure = np.where((seen >= SURE) & (least == most), least, -1)
    return replace(
        vocabulary,
        sure=sure.reshape(2, size + 1).astype(np.int64),
        sure_seen=np.where(sure >= 0, seen, 0).reshape(2, size + 1).astype(np.int64),
    )

"""From noisy counts to fields: which codes exclude each other, what comes once, in which order all is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from salus.trajectory.bins import FloatArray, ValueBins
from salus.trajectory.private_contents import AGAIN, Contents
from salus.trajectory.private_values import Learnt, padded
from salus.trajectory.vocabulary import BIRTH, START, UNSAID, CodeEntry, Field, Protection

ONCE = 0.02
"""A code comes once where no larger share of its patients has it at several moments."""
ALWAYS = 0.99
"""A static field is there in everybody from this share on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Fields and codes in drawing order. ``about``: code, static, field, once.

    ``shares``: each level's in its field; ``rates``: share of patients that have a field.
    """

    entries: tuple[CodeEntry, ...]
    fields: tuple[Field, ...]
    about: pl.DataFrame
    lows: FloatArray
    inner: FloatArray
    shares: FloatArray
    rates: FloatArray
    protection: Protection


def plan_of(
    contents: Contents, learnt: Mapping[str, Learnt], *, codes: pl.DataFrame, patients: float, most: int
) -> Plan:
    """Lay out what was counted; of more than ``most`` fields the commonest stay."""
    death = codes.filter(pl.col("role") == "death")["code"]
    named = _with_fields(contents, death, patients)
    ordered = _ordered(named, codes["code"].to_list(), most)
    about = {row["code"]: row for row in codes.iter_rows(named=True)}
    entries, tables, weights = [], list[ValueBins | None](), []
    for row in ordered.iter_rows(named=True):
        values = learnt.get(row["code"])
        entries.append(
            CodeEntry(
                code=row["code"],
                static=row["static"],
                death=row["death"],
                absent=values is not None and values.absent,
                unsaid=row["unsaid"],
                bins=0 if values is None else values.bins.count,
                decimals=int(row["decimals"] or 0),
                unit=about.get(row["code"], {}).get("unit"),
            )
        )
        tables.append(None if values is None else values.bins)
        weights.append(np.asarray([row["patients"]]) if values is None else values.weights)
    lows, inner = padded(tables)
    return Plan(
        entries=tuple(entries),
        fields=tuple(_fields(ordered)),
        about=ordered.select("code", "static", "field", "once"),
        lows=lows,
        inner=inner,
        shares=_shares(ordered["field"].to_list(), weights),
        rates=_rates(ordered, patients),
        protection=Protection(least_patients=0),
    )


def _with_fields(contents: Contents, death: pl.Series, patients: float) -> pl.DataFrame:
    """Each code with its field: codes without numbers that hardly anybody has two of at once share one."""
    codes = contents.codes.with_columns(
        death=pl.col("code").is_in(death.implode()),
        first=pl.col("code").is_in([START, BIRTH]),
        unsaid=pl.lit(False),
    )
    plain = pl.col("decimals").is_null() & ~pl.col("death") & ~pl.col("first") & pl.col("group").is_not_null()
    groups = (
        codes.filter(plain)
        .group_by("group", "static")
        .agg(
            number=pl.len(),
            patients=pl.col("patients").sum(),
            again=(pl.col("again") * pl.col("patients")).sum() / pl.col("patients").sum(),
        )
    )
    apart = pl.col("group").is_in(list(contents.together))
    lives = pl.col("group").is_in(list(contents.sequel)) & (pl.col("again") < AGAIN) & ~pl.col("static")
    choices = groups.filter(pl.col("number") > 1, ~apart, ~lives).select(
        "group", "static", choice=pl.lit(True)
    )
    codes = codes.join(choices, on=["group", "static"], how="left").with_columns(
        choice=pl.col("choice").fill_null(False) & plain
    )
    codes = codes.with_columns(field=pl.when("choice").then("group").otherwise("code"))
    sequel = pl.col("choice") & pl.col("group").is_in(list(contents.sequel))
    shown = codes.group_by("field").agg(
        field_patients=pl.col("patients").sum(),
        once=((pl.col("again") < ONCE) & ~sequel & ~pl.col("static")).all() | pl.col("death").any(),
        seldom=(pl.col("again") < AGAIN).all() & ~pl.col("static").any() & ~(sequel.any()),
        always=pl.col("static").all() & (pl.col("patients").sum() >= ALWAYS * patients),
    )
    codes = codes.join(shown, on="field")
    valued = set(codes.filter(pl.col("decimals").is_not_null())["group"].drop_nulls())
    rest = codes.filter(pl.col("choice"), ~pl.col("group").is_in(list(valued))).unique(
        "field", maintain_order=True
    )
    rest = rest.with_columns(code=pl.col("field") + f"//{UNSAID}", unsaid=pl.lit(True), patients=pl.lit(0.0))
    return pl.concat([codes, rest.filter(~pl.col("code").is_in(codes["code"].implode()))])


def _ordered(named: pl.DataFrame, listed: list[str], most: int) -> pl.DataFrame:
    """Codes in drawing order: of fields that come about as often, as the source lists them.

    Who describes a source usually names outcomes last. What is drawn last is learnt best: from all the rest.
    """
    place = {code: number for number, code in enumerate(listed)}
    named = named.with_columns(
        listed=pl.col("code").replace_strict(place, default=len(place), return_dtype=pl.Int64)
    )
    fields = named.group_by("field").agg(
        pl.col("field_patients", "static", "death", "first", "seldom").first(),
        codes=pl.len(),
        valued=pl.col("decimals").is_not_null().any(),
        listed=pl.col("listed").min(),
    )
    ranked = fields.with_columns(
        rank=pl.when(pl.col("first")).then(0)
        .when(pl.col("static")).then(1)
        .when(pl.col("death")).then(2)
        .when(pl.col("seldom") & (pl.col("codes") == 1) & ~pl.col("valued")).then(3)
        .otherwise(4),
        often=pl.col("field_patients").log(2).round().neg(),
    )  # fmt: skip
    ranked = ranked.sort("rank", "often", "listed", "field").head(most).with_row_index("place")
    ordered = named.join(ranked.select("field", "place"), on="field")
    return ordered.sort("place", "unsaid", pl.col("patients").neg(), "code")


def _fields(ordered: pl.DataFrame) -> list[Field]:
    found, first = [], 0
    for (name,), frame in ordered.partition_by("field", as_dict=True, maintain_order=True).items():
        row = frame.row(0, named=True)
        found.append(
            Field(
                name=str(name),
                first=first,
                last=first + frame.height,
                static=row["static"],
                once=row["once"],
                seldom=row["seldom"],
                always=row["always"],
                death=row["death"],
            )
        )
        first += frame.height
    return found


def _rates(ordered: pl.DataFrame, patients: float) -> FloatArray:
    """Share of patients that have each field, at least one in a thousand."""
    fields = ordered.unique("field", keep="first", maintain_order=True)["field_patients"].to_numpy()
    found: FloatArray = np.clip(fields / patients, 1e-3, 1.0).astype(np.float32)
    return found


def _shares(fields: list[str], weights: list[np.ndarray]) -> FloatArray:
    """How common each level is among those of its field; where nothing is known, all alike."""
    names = np.repeat(np.asarray(fields), [len(one) for one in weights])
    flat = np.concatenate(weights) + 1.0
    _, place = np.unique(names, return_inverse=True)
    found: FloatArray = (flat / np.bincount(place, flat)[place]).astype(np.float32)
    return found

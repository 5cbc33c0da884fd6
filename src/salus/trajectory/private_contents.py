"""Which codes there are and how they behave, from noisy counts of patients.

One row a patient and code says whether it is static, whether it comes again, and how many decimals its numbers have;
beside it, how far the numbers reach where no plausible range is declared. Everything else follows from their counts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from salus.trajectory.bins import IntArray
from salus.trajectory.private_counts import Noise, at_most, covering, growing, noisy_cells, noisy_keys
from salus.trajectory.vocabulary import BIRTH

MOST_DECIMALS = 3
SIZES = growing(5_000)
"""Numbers of things and of moments of a patient that are told apart."""
ENDS = np.r_[-growing(2**40, 1.1)[:0:-1], growing(2**40, 1.1)]
"""Grains from the anchor that are told apart."""
YEARS = (0.0, 120.0)
"""Ages that are possible."""
SHARE = 0.99
"""Share of patients whose records are not cut."""
AGAIN = 0.25
"""A code comes again when this share of its patients has it at several moments."""


class Extent(NamedTuple):
    """How many patients there are, how many things and moments one has at most, and when records end at the latest."""

    patients: float
    things: int
    moments: int
    latest: int


class Contents(NamedTuple):
    """``codes``: one row a kept code: static, again, patients (noisy), decimals (null: no number), low, high, group.

    ``together``, ``sequel``: groups of which patients have several codes at once, or codes at several moments.
    """

    codes: pl.DataFrame
    together: set[str]
    sequel: set[str]


def group_of() -> pl.Expr:
    """What stands before the last // of a code."""
    return pl.col("code").str.extract(r"^(.+?)//(?:[^/]|/[^/])*$")


def things_of(facts: pl.DataFrame, codes: pl.DataFrame) -> pl.DataFrame:
    """Every thing a patient shows: kind, code, and what is said of it; one row each."""
    ranged = set(_declared(codes)["code"]) | {BIRTH}
    a_code = facts.group_by("subject_id", "code", "static").agg(
        again=pl.col("moment").n_unique() > 1,
        decimals=_decimals().max(),
        low=_bucket().min(),
        high=_bucket().max(),
    )
    shown = a_code.select("subject_id", "code", "static", "again", "decimals", kind=pl.lit("code"))
    far = a_code.filter(~pl.col("code").is_in(ranged), pl.col("low").is_not_null())
    reach = [
        far.select("subject_id", "code", decimals=pl.col(name), kind=pl.lit("reach"))
        for name in ("low", "high")
    ]
    plain = facts.filter(pl.col("numeric_value").is_null()).with_columns(code=group_of()).drop_nulls("code")
    at_once = plain.group_by("subject_id", "code", "moment").len().filter(pl.col("len") > 1)
    moments = plain.group_by("subject_id", "code").agg(number=pl.col("moment").n_unique())
    groups = [
        at_once.select("subject_id", "code", kind=pl.lit("together")),
        moments.filter(pl.col("number") > 1).select("subject_id", "code", kind=pl.lit("sequel")),
    ]
    return (
        pl.concat([shown, *reach, *groups], how="diagonal")
        .unique(maintain_order=True)
        .select("subject_id", "kind", "code", "static", "again", "decimals")
    )


def _decimals() -> pl.Expr:
    """Decimals that write a number as exactly as a 32-bit float, at most MOST_DECIMALS."""
    number, found = pl.col("numeric_value").cast(pl.Float64), pl.lit(MOST_DECIMALS)
    for decimals in range(MOST_DECIMALS - 1, -1, -1):
        near = (number.round(decimals) - number).abs() <= number.abs() * 1e-6
        found = pl.when(near).then(pl.lit(decimals)).otherwise(found)
    return pl.when(number.is_not_null()).then(found).cast(pl.Int64)


def _bucket() -> pl.Expr:
    """Which power of two a number reaches, away from nought; nought is 0."""
    number = pl.col("numeric_value").cast(pl.Float64)
    power = number.abs().clip(2.0**-150).log(2).floor().cast(pl.Int64) + 151
    return pl.when(number.is_not_null()).then(number.sign().cast(pl.Int64) * power)


def _bounds(bucket: int) -> tuple[float, float]:
    """The numbers of a bucket."""
    if bucket == 0:
        return 0.0, 0.0
    near, far = 2.0 ** (abs(bucket) - 151), 2.0 ** (abs(bucket) - 150)
    return (near, far) if bucket > 0 else (-far, -near)


def _declared(codes: pl.DataFrame) -> pl.DataFrame:
    """Codes whose plausible range is declared: they and it are public."""
    return codes.filter(pl.col("low").is_not_null(), pl.col("high").is_not_null())


def extent_of(things: pl.DataFrame, moments: pl.DataFrame, patients: pl.DataFrame, noise: Noise) -> Extent:
    """How much there is, from four histograms to each of which a patient adds 1."""
    number = patients.height
    blocks = (
        np.zeros(number, dtype=np.int64),
        np.searchsorted(SIZES, things.group_by("subject_id").len()["len"].to_numpy()),
        np.searchsorted(SIZES, moments.group_by("subject_id").len()["len"].to_numpy()),
        np.searchsorted(ENDS, patients["end"].to_numpy()),
    )
    sizes = (1, len(SIZES), len(SIZES), len(ENDS))
    starts = np.r_[0, np.cumsum(sizes)]
    cells: IntArray = np.concatenate(
        [
            start + np.minimum(block, size - 1)
            for start, block, size in zip(starts, blocks, sizes, strict=False)
        ]
    )
    rows = pl.DataFrame({"cell": cells, "weight": np.ones(len(cells))})
    found = noisy_cells(rows, most=len(sizes), size=int(starts[-1]), noise=noise)
    _, many, long, late = np.split(found, starts[1:-1])
    scale = noise.scale(len(sizes))
    return Extent(
        patients=max(float(found[0]), 1.0),
        things=max(covering(SIZES, many, SHARE, scale=scale), 1),
        moments=max(covering(SIZES, long, SHARE, scale=scale), 2),
        latest=covering(ENDS, late, SHARE, scale=scale),
    )


def contents_of(
    things: pl.DataFrame, codes: pl.DataFrame, *, most: int, delta: float, noise: Noise
) -> Contents:
    """Which codes enough patients have, and how they behave. ``delta``: chance that a secret code shows."""
    kept = noisy_keys(
        at_most(things, most, noise.random), most=most, delta=delta, noise=noise, public=_public(codes)
    )
    shown = kept.filter(pl.col("kind") == "code")
    usual = shown.group_by("code", "static").agg(pl.col("patients").sum()).sort("code", "patients")
    usual = usual.unique("code", keep="last", maintain_order=True)
    found = (
        shown.join(usual.select("code", "static"), on=["code", "static"])
        .group_by("code", "static")
        .agg(
            pl.col("patients").sum(),
            again=pl.col("patients").filter(pl.col("again")).sum() / pl.col("patients").sum(),
            decimals=pl.col("decimals").max(),
        )
    )
    reach = _reach(kept).join(found.select("code"), on="code")
    ranged = pl.concat(
        [
            reach,
            _declared(codes).select("code", pl.col("low", "high").cast(pl.Float64)),
            pl.DataFrame({"code": [BIRTH], "low": [YEARS[0]], "high": [YEARS[1]]}),
        ]
    ).unique("code", keep="last")
    found = found.join(ranged, on="code", how="left").with_columns(
        group=group_of(), decimals=pl.when(pl.col("low").is_not_null()).then("decimals")
    )
    return Contents(
        codes=found.sort("code"),
        together=set(kept.filter(pl.col("kind") == "together")["code"]),
        sequel=set(kept.filter(pl.col("kind") == "sequel")["code"]),
    )


def _reach(kept: pl.DataFrame) -> pl.DataFrame:
    """Lowest and highest number of each code without a declared range."""
    rows = []
    for (code,), frame in (
        kept.filter(pl.col("kind") == "reach").sort("code").partition_by("code", as_dict=True).items()
    ):
        ends = [_bounds(int(bucket)) for bucket in frame["decimals"]]
        rows.append((code, min(low for low, _ in ends), max(high for _, high in ends)))
    return pl.DataFrame(rows, schema={"code": pl.String, "low": pl.Float64, "high": pl.Float64}, orient="row")


def _public(codes: pl.DataFrame) -> pl.DataFrame:
    """What can be said of the codes that are public: those with a declared range, and those that have a role."""
    roles = codes.filter(pl.col("role") == "death").select("code", valued=pl.lit(False))
    ranges = _declared(codes).select("code", valued=pl.lit(True))
    known = pl.concat([roles, ranges]).unique("code")
    ways = pl.DataFrame({"static": [False, True]}).join(pl.DataFrame({"again": [False, True]}), how="cross")
    places = pl.DataFrame(
        {"valued": [False] + [True] * (MOST_DECIMALS + 1), "decimals": [None, *range(MOST_DECIMALS + 1)]},
        schema={"valued": pl.Boolean, "decimals": pl.Int64},
    )
    return (
        known.join(places, on="valued")
        .join(ways, how="cross")
        .select("code", "static", "again", "decimals", kind=pl.lit("code"))
    )

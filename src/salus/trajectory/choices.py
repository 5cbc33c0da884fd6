"""Which codes share a field: those that exclude each other, and, of very many codes, those that are alike."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from salus.trajectory.ancestors import MOST_STEPS_UP
from salus.trajectory.tallies import Facts, added_up


def with_choices(kept: pl.DataFrame, facts: Facts) -> pl.DataFrame:
    """Name the field of codes that exclude each other by what stands before their last //.

    A choice: two codes or more without values, of which no moment of any patient has two. Codes that each happen once
    in a life (first diagnoses) are questions of their own, even where no two of them ever fell on one day.
    """
    plain = kept.filter(~pl.col("valued") & ~pl.col("first") & ~pl.col("death") & ~pl.col("repeats"))
    plain = plain.with_columns(group=pl.col("code").str.extract("^(.+)//.*$")).drop_nulls("group")
    alone = added_up((_at_once(shard, plain) for shard in facts), _most)
    once = plain.group_by("group", "static").agg(
        codes=pl.len(), once=(pl.col("rows") * (pl.col("most") <= 1)).sum() / pl.col("rows").sum()
    )
    if alone is None:
        return kept
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


def _at_once(facts: pl.DataFrame, plain: pl.DataFrame) -> pl.DataFrame:
    """How many codes of a group a moment has at most, and how many such moments a patient."""
    grouped = facts.join(plain.select("code", "group"), on="code")
    a_moment = grouped.group_by("group", "static", "subject_id", "moment").len()
    a_patient = a_moment.group_by("group", "static", "subject_id").agg(pl.col("len").max(), moments=pl.len())
    return _most(a_patient)


def _most(parts: pl.DataFrame) -> pl.DataFrame:
    return parts.group_by("group", "static").agg(pl.col("len", "moments").max())


def with_families(kept: pl.DataFrame, parents: Mapping[str, str], *, fields: int, most: int) -> pl.DataFrame:
    """Where there would be more than ``fields`` fields, let codes that are alike share one that may come repeatedly.

    The commonest codes without values, up to half of ``fields``, keep fields of their own; the others, in the order of
    their ancestors, are cut into runs of at most ``most``. What is scored is then the run and a code of it, never all.
    """
    if kept["field"].n_unique() <= fields:
        return kept
    own = (pl.col("field") == pl.col("code")) & ~pl.col("valued")
    can = kept.filter(own & ~pl.col("static") & ~pl.col("first") & ~pl.col("death"))
    others = kept["field"].n_unique() - can.height
    room = (most * (fields - others) - can.height) // max(
        most - 1, 1
    )  # alone + (can - alone) / most fields, at most
    alone = max(min(fields // 2, room), 0)
    shared = can.sort(pl.col("rows").cast(pl.Int64).neg(), "code")[alone:]
    line = pl.Series("line", [_line(code, parents) for code in shared["code"]])
    shared = shared.with_columns(line).sort("line")
    runs = -(-shared.height // most)
    shared = shared.with_columns(run=pl.int_range(pl.len()) * runs // pl.len())
    ends = shared.group_by("run").agg(
        family=pl.format("{}..{}", pl.col("code").first(), pl.col("code").last().str.extract("([^/]*)$"))
    )
    named = shared.join(ends, on="run").select("code", "family")
    return (
        kept.join(named, on="code", how="left")
        .with_columns(field=pl.coalesce("family", "field"))
        .drop("family")
    )


def _line(code: str, parents: Mapping[str, str]) -> str:
    """A code's ancestors from the root down, and the code itself: what is alike lies side by side."""
    line = [code]
    while line[-1] in parents and len(line) <= MOST_STEPS_UP:
        line.append(parents[line[-1]])
    return "\n".join(reversed(line))

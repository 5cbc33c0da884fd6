"""The facts of a timeline's quality: of how many rows, patients or codes a check fails, and where. No thresholds.

A timeline is read twice, a shard of whole patients at a time: what is held grows with codes and months, not with rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from salus.timeline.columns import SPLITS
from salus.timeline.quality_completeness import has_value
from salus.timeline.quality_rows import (
    END,
    PERIOD,
    Knowledge,
    Rule,
    has_position,
    known_codes,
    looked_at,
    part_of_source,
    row_rules,
)
from salus.timeline.store import read_shards

LEVELS = ("all", "part", "site", "month", "code")
"""What a fact is told for: all rows, one part of the source, one site, one month, one code."""
FACT_COLUMNS: dict[str, pl.DataType] = {
    "check": pl.String(),
    "about": pl.String(),
    "by": pl.String(),
    "group": pl.String(),
    "failed": pl.Int64(),
    "checked": pl.Int64(),
    "failed_patients": pl.Int64(),
    "checked_patients": pl.Int64(),
}
FACT = ["check", "about", "by", "group"]
EXAMPLE_COLUMNS: dict[str, pl.DataType] = dict.fromkeys((*FACT, "position"), pl.String())
MOST_EXAMPLES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was counted. ``facts``: see FACT_COLUMNS. ``examples``: positions of rows that fail, never their values.

    ``codes``: rows, patients and values of each code; what drift is measured on.
    """

    patients: int
    rows: int
    facts: pl.DataFrame
    examples: pl.DataFrame
    codes: pl.DataFrame


def measure_facts(folder: Path, about: Knowledge) -> Facts:
    """Count all checks over the timeline in ``folder``."""
    codes, parts = _first_pass(folder)
    valued = frozenset(codes.filter(pl.col("with_value") > 0)["code"].to_list())
    about = replace(about, valued=valued)
    rules, known = row_rules(about), known_codes(about)
    counts: list[pl.DataFrame] = []
    examples: list[pl.DataFrame] = []
    patients = rows = 0
    for place, shard in _shards(folder):
        seen = looked_at(shard, known, about)
        patients += shard["subject_id"].n_unique()
        rows += shard.height
        found = [*count_rows(seen, rules), *count_patients(seen, parts)]
        counts = [_summed([*counts, *found])]
        examples = [_first_few([*examples, *_examples(seen, rules, place)])]
    summed = counts[0] if counts else pl.DataFrame(schema=FACT_COLUMNS)
    facts = pl.concat([summed, _counted_codes(parts, known)]).filter(pl.col("checked") > 0)
    shown = examples[0] if examples else pl.DataFrame(schema=EXAMPLE_COLUMNS)
    return Facts(
        patients=patients,
        rows=rows,
        facts=facts.sort(FACT),
        examples=shown.sort(FACT, maintain_order=True),
        codes=codes,
    )


def _shards(folder: Path) -> Iterator[tuple[str, pl.DataFrame]]:
    """Each shard and what it is called."""
    for split in SPLITS:
        files = sorted((folder / "data" / split).glob("*.parquet"))
        for file, shard in zip(files, read_shards(folder, split), strict=True):
            yield f"{split}/{file.name}", shard


def _first_pass(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows, patients and values of each code; and which codes there are in each part of the source."""
    counted: list[pl.DataFrame] = []
    met: list[pl.DataFrame] = []
    for _, shard in _shards(folder):
        one = shard.group_by("code").agg(
            pl.len().cast(pl.Int64).alias("rows"),
            pl.col("subject_id").n_unique().cast(pl.Int64).alias("patients"),
            has_value().sum().cast(pl.Int64).alias("with_value"),
        )
        counted = [pl.concat([*counted, one]).group_by("code").sum()]
        met = [pl.concat([*met, _codes_met(shard)]).group_by("part", "code").agg(pl.col("timed").any())]
    kinds = {"code": pl.String} | dict.fromkeys(("rows", "patients", "with_value"), pl.Int64)
    codes = counted[0] if counted else pl.DataFrame(schema=kinds)
    parts = (
        met[0] if met else pl.DataFrame(schema={"part": pl.String, "code": pl.String, "timed": pl.Boolean})
    )
    return codes.sort("code"), parts.sort("part", "code")


def _codes_met(shard: pl.DataFrame) -> pl.DataFrame:
    """Which codes each part of the source has, and whether any of their rows has a time."""
    return shard.group_by(part_of_source(), "code").agg(pl.col("time").is_not_null().any().alias("timed"))


def count_rows(seen: pl.DataFrame, rules: list[Rule]) -> list[pl.DataFrame]:
    """Facts of the checks that look at rows one by one, for every level."""
    frame = seen.with_columns(pl.lit("all").alias("all")).with_columns(
        expression.fill_null(False).alias(f"{kind}{number}")
        for number, (_, _, checked, failed) in enumerate(rules)
        for kind, expression in (("c", checked), ("f", checked & failed))
    )
    return [_level(frame, rules, level) for level in LEVELS]


def _level(frame: pl.DataFrame, rules: list[Rule], level: str) -> pl.DataFrame:
    """The counts of all checks for one level, one row a check and group."""
    aggregated: list[pl.Expr] = []
    for number in range(len(rules)):
        for kind in "cf":
            marked = pl.col(f"{kind}{number}")
            aggregated += [
                marked.sum().cast(pl.Int64).alias(f"{kind}{number}"),
                pl.col("subject_id").filter(marked).n_unique().cast(pl.Int64).alias(f"{kind}p{number}"),
            ]
    wide = frame.filter(pl.col(level).is_not_null()).group_by(pl.col(level).alias("group")).agg(aggregated)
    long = [
        wide.select(
            pl.lit(name).alias("check"),
            pl.lit(about).alias("about"),
            pl.lit(level).alias("by"),
            "group",
            pl.col(f"f{number}").alias("failed"),
            pl.col(f"c{number}").alias("checked"),
            pl.col(f"fp{number}").alias("failed_patients"),
            pl.col(f"cp{number}").alias("checked_patients"),
        ).filter(pl.col("checked") > 0)
        for number, (name, about, _, _) in enumerate(rules)
    ]
    return pl.concat(long).cast(pl.Schema(FACT_COLUMNS))


def count_patients(seen: pl.DataFrame, parts: pl.DataFrame) -> list[pl.DataFrame]:
    """Facts about whole patients: without any row of a part of the source; with observation periods that overlap."""
    everyone = seen["subject_id"].n_unique()
    having = dict(seen.group_by("part").agg(pl.col("subject_id").n_unique()).iter_rows())
    lacking = [
        ("measurePersonCompleteness", "part", "part", part, everyone - having.get(part, 0), everyone)
        for part in parts["part"].unique().to_list()
    ]
    with_periods, overlapping = _periods(seen)
    overlap = ("measureObservationPeriodOverlap", "time", "all", "all", overlapping, with_periods)
    told = [(*row, row[4], row[5]) for row in [*lacking, overlap] if row[5]]
    return [pl.DataFrame(told, schema=FACT_COLUMNS, orient="row")]


def _periods(seen: pl.DataFrame) -> tuple[int, int]:
    """Patients with observation periods, and those of them whose periods overlap or lie back to back."""
    begins = seen.filter(pl.col("code") == PERIOD).select(
        "subject_id", "source", pl.col("time").alias("from")
    )
    ends = seen.filter(pl.col("code") == END + PERIOD).select(
        "subject_id", "source", pl.col("time").alias("to")
    )
    spans = begins.join(ends, on=["subject_id", "source"]).sort("subject_id", "from", "to")
    before = pl.col("to").cum_max().shift(1).over("subject_id")
    touching = spans.filter(pl.col("from") <= before + pl.duration(days=1))
    return spans["subject_id"].n_unique(), touching["subject_id"].n_unique()


def _counted_codes(parts: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Facts about distinct codes: of each part of the source, how many are of no standard vocabulary."""
    event = pl.col("timed") & (pl.col("role") == "event") & (pl.col("code") != PERIOD)
    event &= ~pl.col("is_visit") & ~pl.col("code").str.starts_with(END)
    told = parts.join(known, on="code", how="inner").filter(event)
    counted = told.group_by(pl.col("part").alias("group")).agg(
        (~pl.col("standard")).sum().cast(pl.Int64).alias("failed"), pl.len().cast(pl.Int64).alias("checked")
    )
    return counted.select(
        pl.lit("sourceValueCompleteness").alias("check"),
        pl.lit("code").alias("about"),
        pl.lit("part").alias("by"),
        "group",
        "failed",
        "checked",
        pl.lit(None, pl.Int64).alias("failed_patients"),
        pl.lit(None, pl.Int64).alias("checked_patients"),
    )


def _summed(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """One row a fact: no patient is in two shards, so patients add up too."""
    return pl.concat(frames).group_by(FACT).sum().select(list(FACT_COLUMNS))


def _examples(seen: pl.DataFrame, rules: list[Rule], place: str) -> list[pl.DataFrame]:
    """For each check the first rows that fail, of each code and each part: where they came from, or where they lie."""
    lies = pl.concat_str([pl.lit(f"{place}, row "), (pl.col("row") + 1).cast(pl.String)])
    frames = []
    for name, about, checked, failed in rules:
        wrong = seen.filter(checked.fill_null(False) & failed.fill_null(False))
        if wrong.is_empty():
            continue
        position = (
            pl.when(has_position() & ~_names_patient()).then("source").otherwise(lies).alias("position")
        )
        for level in ("code", "part"):
            said = (pl.lit(name).alias("check"), pl.lit(about).alias("about"), pl.lit(level).alias("by"))
            group = pl.col(level).cast(pl.String).alias("group")
            told = wrong.filter(pl.col(level).is_not_null()).select(*said, group, position)
            frames.append(_first_few([told]))
    return frames


def _names_patient() -> pl.Expr:
    """Whether a source is a patient's own row or number: such rows are named by where they lie."""
    own = pl.col("source").str.extract(r"[:/]([^:/]+)$") == pl.col("subject_id").cast(pl.String)
    return (own | pl.col("part").str.to_lowercase().is_in(["person", "patient"])).fill_null(False)


def _first_few(frames: list[pl.DataFrame]) -> pl.DataFrame:
    if not frames:
        return pl.DataFrame(schema=EXAMPLE_COLUMNS)
    once = pl.concat(frames).unique(maintain_order=True)
    return once.group_by(FACT, maintain_order=True).head(MOST_EXAMPLES)

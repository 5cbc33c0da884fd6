"""Judges the facts of a timeline's quality by thresholds, which can change without counting again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from salus.timeline.quality_facts import FACT
from salus.timeline.quality_kinds import KINDS, Severity, kind_of

PASS, FAIL = "PASS", "FAIL"
SMALLEST_GROUP = 5
WORST_FIRST = tuple(Severity)
Case = tuple[str, str, str, str]
"""Check, about, level and group of a fact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """How many percent may fail, and who says so."""

    percent: float
    said_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """``checks``: by check and about; ``only``: for one case, first. ``blocking``: severities that fail a gate."""

    checks: Mapping[tuple[str, str], Threshold]
    only: Mapping[Case, Threshold] = field(default_factory=dict)
    blocking: tuple[Severity, ...] = (Severity.FATAL, Severity.CONVENTION)

    def of(self, case: Case) -> Threshold:
        """The threshold of one case."""
        return self.only.get(case) or self.checks[case[:2]]


def judge(facts: pl.DataFrame, thresholds: Thresholds) -> pl.DataFrame:
    """Add percent, threshold, who says it, verdict, and what kind of check it is; ``case``: whether a worker mends it.

    As at OHDSI more than the threshold fails: a threshold of 0 allows nothing.
    """
    found = [
        thresholds.of((check, about, by, group)) for check, about, by, group in facts.select(FACT).iter_rows()
    ]
    percent = 100 * pl.col("failed") / pl.col("checked")
    judged = facts.with_columns(
        percent.alias("percent"),
        pl.Series("threshold", [one.percent for one in found], dtype=pl.Float64),
        pl.Series("said_by", [one.said_by for one in found], dtype=pl.String),
    )
    judged = judged.join(_kinds(), on=["check", "about"], how="left", maintain_order="left")
    verdict = pl.when(pl.col("percent") > pl.col("threshold")).then(pl.lit(FAIL)).otherwise(pl.lit(PASS))
    case = (pl.col("by") == pl.col("work")) | (pl.col("check") == "measureObservationPeriodOverlap")
    return judged.with_columns(verdict.alias("verdict"), case.alias("case")).drop("work")


def _kinds() -> pl.DataFrame:
    rows = [
        (k.name, k.about, k.category.value, k.context.value, k.severity.value, k.counts, k.work)
        for k in KINDS
    ]
    names = ["check", "about", "category", "context", "severity", "counts", "work"]
    return pl.DataFrame(rows, schema=names, orient="row")


def work_list(judged: pl.DataFrame) -> pl.DataFrame:
    """Cases that fail, worst first: by severity, then by how many patients they touch, then by their share."""
    rank = pl.col("severity").replace_strict({name.value: place for place, name in enumerate(WORST_FIRST)})
    return (
        judged.filter(pl.col("case") & (pl.col("verdict") == FAIL))
        .with_columns(rank.alias("rank"))
        .sort(
            ["rank", "failed_patients", "percent", "check", "about", "group"],
            descending=[False, True, True, False, False, False],
            nulls_last=True,
        )
        .drop("rank")
    )


def overview(judged: pl.DataFrame) -> pl.DataFrame:
    """How many cases pass and fail for each category and context."""
    passed = pl.col("verdict") == PASS
    return (
        judged.filter("case")
        .group_by("category", "context")
        .agg(passed.sum().alias("passed"), (~passed).sum().alias("failed"))
        .sort("category", "context")
    )


def gate(judged: pl.DataFrame, thresholds: Thresholds) -> dict[str, object]:
    """What a gate asks: PASS or FAIL, and how many cases of each severity fail."""
    cases = judged.filter("case")
    failing = {
        name.value: cases.filter((pl.col("severity") == name.value) & (pl.col("verdict") == FAIL)).height
        for name in WORST_FIRST
    }
    blocked = any(failing[name.value] for name in thresholds.blocking)
    return {
        "verdict": FAIL if blocked else PASS,
        "blocking": [name.value for name in thresholds.blocking],
        "cases": cases.height,
        "failing": failing,
    }


def withheld(facts: pl.DataFrame) -> pl.DataFrame:
    """Blank what would count one to four patients: those who fail, or all who were looked at."""
    few = pl.col("failed_patients").is_between(1, SMALLEST_GROUP - 1).fill_null(False)
    scarce = pl.col("checked_patients").is_between(1, SMALLEST_GROUP - 1).fill_null(False)
    failed = [name for name in ("failed", "failed_patients", "percent") if name in facts.columns]
    blanked = facts.with_columns((few | scarce).alias("withheld"))
    blanked = blanked.with_columns(
        pl.when(~pl.col("withheld")).then(pl.col(name)).alias(name) for name in failed
    )
    return blanked.with_columns(
        pl.when(~scarce).then(pl.col(name)).alias(name) for name in ("checked", "checked_patients")
    )


def in_words(check: str, about: str, settings: Mapping[str, str]) -> str:
    """The sentence of a kind of check; ``settings``: what its gaps hold."""
    return kind_of(check, about).words.format_map(dict(settings))

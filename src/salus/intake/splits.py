"""Which split a patient belongs to: a hash of seed and id, so adding patients never moves one."""

from __future__ import annotations

import numpy as np
import polars as pl

from salus.errors import SourceValueError
from salus.formats.csv_source import Source, SplitRule
from salus.intake.csv_file import FILE


def hashed_share(subjects: np.ndarray, seed: int) -> np.ndarray:
    """A number in [0, 1) for each id (SplitMix64), the same on every machine."""
    with np.errstate(over="ignore"):
        mixed = subjects.astype(np.uint64) + np.uint64(seed + 1) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return np.asarray((mixed >> np.uint64(11)) / float(1 << 53))


def split_subjects(events: pl.DataFrame, source: Source) -> pl.DataFrame:
    """Give ``subject_id`` and ``split``: by a patient's files where those say so, and by hash."""
    subjects = events.select("subject_id").unique().sort("subject_id")
    allowed_by_file = {
        file.name: file.splits for table in source.tables for file in table.files if file.splits
    }
    groups = sorted(set(allowed_by_file.values()))
    subjects = subjects.with_columns(pl.lit(None, dtype=pl.Int16).alias("group"))
    for number, group in enumerate(groups):
        files = [name for name, splits in allowed_by_file.items() if splits == group]
        inside = pl.col("subject_id").is_in(
            events.filter(pl.col(FILE).is_in(files))["subject_id"].unique().implode()
        )
        if subjects.select((inside & pl.col("group").is_not_null()).any()).item():
            raise SourceValueError(
                "patients are in files of different splits",
                where=source.path.name,
                fix="give these files the same 'splits', or take the patients out of one",
            )
        subjects = subjects.with_columns(
            pl.when(inside).then(pl.lit(number)).otherwise("group").alias("group")
        )
    share = pl.Series(hashed_share(subjects["subject_id"].to_numpy(), source.splits.seed))
    chosen = pl.when(pl.lit(False)).then(pl.lit("")).otherwise(_by_share(share, source.splits, ()))
    for number, group in enumerate(groups):
        chosen = (
            pl.when(pl.col("group") == number).then(_by_share(share, source.splits, group)).otherwise(chosen)
        )
    return subjects.select("subject_id", chosen.alias("split"))


def split_by_hash(subjects: pl.Series, rule: SplitRule) -> pl.Series:
    """The split of each subject, by the hash alone."""
    share = pl.Series(hashed_share(subjects.to_numpy(), rule.seed))
    return pl.select(_by_share(share, rule, ()).alias("split")).to_series()


def _by_share(share: pl.Series, rule: SplitRule, allowed: tuple[str, ...]) -> pl.Expr:
    shares = [(name, part) for name, part in rule.shares if not allowed or name in allowed]
    total = sum(part for _, part in shares)
    shares = [(name, part / total if total else 1 / len(shares)) for name, part in shares]
    chosen, reached = pl.lit(shares[-1][0]), 1.0
    for name, part in reversed(shares):
        chosen = pl.when(pl.lit(share) < reached).then(pl.lit(name)).otherwise(chosen)
        reached -= part
    return chosen


def describe_rule(rule: SplitRule, *, of: str = "subject") -> str:
    """The rule in one line, for the settings of the timeline.

    >>> describe_rule(SplitRule(seed=0, shares=(("train", 0.75), ("held_out", 0.25))))
    'hash of subject, seed 0: train 0.75, held_out 0.25'
    """
    shares = ", ".join(f"{name} {share:g}" for name, share in rule.shares)
    return f"hash of {of}, seed {rule.seed}: {shares}"


def describe_splits(source: Source) -> str:
    """The rule of a source, and the files that say it themselves."""
    files = [
        f"{file.name} → {'/'.join(file.splits)}"
        for table in source.tables
        for file in table.files
        if file.splits
    ]
    return "; ".join([describe_rule(source.splits), *files])

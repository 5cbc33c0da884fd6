"""Who and what is in a timeline, counted shard by shard, and whether it can be learnt from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import polars as pl

from salus.errors import OtherTimeline, TooFewPatients, ValueNotFinite
from salus.trajectory.vocabulary import Clock

LEAST_TRAIN, LEAST_TUNING = 10, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """Rows, patients and patients with a dated row, by split; patients with the anchor; values that are no numbers."""

    rows: Counter[str] = field(default_factory=Counter)
    patients: Counter[str] = field(default_factory=Counter)
    dated: Counter[str] = field(default_factory=Counter)
    anchored: Counter[str] = field(default_factory=Counter)
    not_finite: Counter[str] = field(default_factory=Counter)

    def check(self, clock: Clock) -> None:
        """Raise TooFewPatients (SAL-305), ValueNotFinite (SAL-315) or OtherTimeline (SAL-306: no anchor)."""
        self._check_patients()
        self.check_finite()
        self._check_anchor(clock)

    def _check_patients(self) -> None:
        """There are enough patients to learn from and to stop by; who has no dated row has no moment to learn from."""
        for split, least in (("train", LEAST_TRAIN), ("tuning", LEAST_TUNING)):
            everyone, dated = self.patients[split], self.dated[split]
            if dated < least:
                said = "" if everyone < least else " have a dated row"
                raise TooFewPatients(
                    f"{dated if said else everyone} patients in split '{split}'{said}; at least {least} are needed",
                    where="data/" + split,
                    fix="ingest more patients, or change the splits in source.yaml",
                )

    def check_finite(self) -> None:
        """Every number is one: one infinite value would spoil its code's distribution, and then the whole loss."""
        if not self.not_finite:
            return
        codes = sorted(self.not_finite)
        more = f" and {len(codes) - 1} more codes" if len(codes) > 1 else ""
        raise ValueNotFinite(
            f"{self.not_finite.total()} rows of {codes[0]}{more} hold a value that is infinite or not a number",
            where="data, column numeric_value",
            fix="leave the value empty (null) where there is none, then ingest again",
        )

    def _check_anchor(self, clock: Clock) -> None:
        """Every subject has the anchor exactly at time zero, or times cannot be counted from it."""
        anchored, everyone = self.anchored.total(), self.patients.total()
        if clock.anchor is not None and anchored != everyone:
            raise OtherTimeline(
                f"{everyone - anchored} of {everyone} patients lack the anchor {clock.anchor} at time zero",
                where="metadata/dataset.json",
                fix="give every patient the anchor in source.yaml, or name no anchor and no time zero",
            )


def take_census(shards: Iterable[tuple[str, pl.DataFrame]], clock: Clock) -> Census:
    """Count shard after shard, each with its split; no patient is in two."""
    census = Census()
    for split, shard in shards:
        census.rows[split] += shard.height
        census.patients[split] += shard["subject_id"].n_unique()
        census.dated[split] += shard.filter(pl.col("time").is_not_null())["subject_id"].n_unique()
        if clock.anchor is not None:
            at_zero = (pl.col("code") == clock.anchor) & (pl.col("time") == clock.zero)
            census.anchored[split] += shard.filter(at_zero)["subject_id"].n_unique()
        census.not_finite.update(_not_finite(shard))
    return census


def check_values(shards: Iterable[pl.DataFrame]) -> None:
    """Raise ValueNotFinite (SAL-315) where a value is infinite or not a number."""
    census = Census()
    for shard in shards:
        census.not_finite.update(_not_finite(shard))
    census.check_finite()


def _not_finite(shard: pl.DataFrame) -> dict[str, int]:
    """How many rows of which code hold a value that is no number."""
    bad = shard.filter(pl.col("numeric_value").is_not_null() & ~pl.col("numeric_value").is_finite())
    return dict(bad.group_by("code").len().iter_rows())

"""Records told apart by digests of what they say: who is in two places, and which synthetic patient is a copy."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import binom

BIRTH = "MEDS_BIRTH"
LEAST_ROWS = 5
"""Rows below which two records may well say the same by chance."""
CHANCE = 0.001
DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprints:
    """A digest of each patient's record, times counted from the first dated row; and how many rows it has."""

    subject: NDArray[np.int64]
    digest: NDArray[np.bytes_]
    rows: NDArray[np.int64]

    def within(self, others: Fingerprints) -> NDArray[np.bool_]:
        """Which of these records stand word for word among ``others``."""
        return np.isin(self.digest, others.digest)

    def of(self, chosen: np.ndarray) -> Fingerprints:
        """Take some of them."""
        return Fingerprints(subject=self.subject[chosen], digest=self.digest[chosen], rows=self.rows[chosen])


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """How many held-out records stand among those trained on, and how many training records have a twin there."""

    leaked: int
    held_out: int
    twins: int
    train: int

    @property
    def is_sure(self) -> bool:
        """Whether chance, of which training records' own twins are the measure, would hardly do that."""
        if not self.leaked:
            return False
        by_chance = (self.twins + 1) / (self.train + 1)
        return bool(binom.sf(self.leaked - 1, self.held_out, min(by_chance, 1.0)) < CHANCE)


def fingerprints(events: pl.DataFrame) -> Fingerprints:
    """Digest each patient's record; ids, sources and when it was known do not count, nor does when it began."""
    dated = pl.col("time").filter(pl.col("code") != BIRTH).min().over("subject_id")
    said = pl.concat_str(
        pl.col("code"),
        (pl.col("time") - dated).dt.total_seconds().cast(pl.String).fill_null(""),
        pl.col("numeric_value").cast(pl.String).fill_null(""),
        separator="\x1f",
    )
    records = (
        events.select("subject_id", said.alias("said"))
        .group_by("subject_id")
        .agg(pl.col("said").sort().str.join("\x1e"), rows=pl.len())
        .sort("subject_id")
    )
    digests = [blake2b(text.encode(), digest_size=DIGEST_BYTES).digest() for text in records["said"]]
    return Fingerprints(
        subject=records["subject_id"].to_numpy(),
        digest=np.array(digests, dtype=f"V{DIGEST_BYTES}").astype(f"V{DIGEST_BYTES}").view(f"S{DIGEST_BYTES}")
        if digests
        else np.zeros(0, dtype=f"S{DIGEST_BYTES}"),
        rows=records["rows"].to_numpy().astype(np.int64),
    )


def leak_between(train: Fingerprints, held_out: Fingerprints) -> Leak:
    """Look for held-out records among those trained on; records of few rows are left out."""
    long, also = train.of(train.rows >= LEAST_ROWS), held_out.of(held_out.rows >= LEAST_ROWS)
    times = np.unique(long.digest, return_counts=True)[1]
    return Leak(
        leaked=int(also.within(long).sum()),
        held_out=len(also.subject),
        twins=int(times[times > 1].sum()),
        train=len(long.subject),
    )

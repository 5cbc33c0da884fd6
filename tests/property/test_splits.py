"""Splits: the same patient is always in the same one, and the shares come out."""

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from salus.intake.splits import hashed_share

MASK = (1 << 64) - 1


def slow_share(subject, seed):
    """SplitMix64 as published, in plain whole numbers."""
    mixed = (subject + (seed + 1) * 0x9E3779B97F4A7C15) & MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & MASK
    return ((mixed ^ (mixed >> 31)) >> 11) / (1 << 53)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1), st.integers(0, 2**32))
def test_the_fast_hash_is_the_slow_one(subjects, seed):
    fast = hashed_share(np.array(subjects, dtype=np.int64), seed)
    assert fast.tolist() == [slow_share(subject & MASK, seed) for subject in subjects]


def test_consecutive_ids_spread_evenly():
    shares = pl.Series(hashed_share(np.arange(100_000), 20))
    assert abs((shares < 0.7).mean() - 0.7) < 0.01
    assert shares.min() >= 0 and shares.max() < 1

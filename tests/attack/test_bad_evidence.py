"""Synthetic populations broken in each way they can be: a reason or a clear error, never a traceback or a guess."""

from __future__ import annotations

import math

import polars as pl
import pytest

from salus.cohort.labels import label
from salus.cohort.moments import index_moments, known_at_index
from salus.errors import NothingToCompare
from salus.evidence.fidelity import fidelity
from salus.evidence.outcome_model import Population
from salus.evidence.utility import utility
from tests.invented import CODES, TASK, invent

REAL, HELD_OUT = invent(400, seed=1), invent(200, seed=2, first=5000)
GOOD = invent(400, seed=3)
BROKEN = {
    "no index moment": GOOD.filter(pl.col("code") != "ENTRY"),
    "nothing but the index": GOOD.filter(pl.col("code") == "ENTRY"),
    "one patient": GOOD.filter(pl.col("subject_id") == 0),
    "one patient again and again": pl.concat(
        [
            GOOD.filter(pl.col("subject_id") == 0).with_columns(subject_id=pl.lit(n, dtype=pl.Int64))
            for n in range(50)
        ]
    ),
    "only static facts": GOOD.filter(pl.col("time").is_null()),
    "only unknown codes": GOOD.with_columns(code=pl.lit("NEVER//SEEN")),
    "values that are not numbers": GOOD.with_columns(numeric_value=pl.lit(float("nan"), dtype=pl.Float32)),
    "values without end": GOOD.with_columns(numeric_value=pl.lit(float("inf"), dtype=pl.Float32)),
    "everything at once": GOOD.with_columns(time=pl.lit(GOOD["time"].drop_nulls()[0])),
}


def population(name: str, events: pl.DataFrame) -> Population:
    moments = index_moments(events, TASK)
    known = known_at_index(events, moments)
    return Population(name=name, known=known, moments=moments, labels=label(events, TASK, CODES))


@pytest.mark.parametrize("way", BROKEN)
def test_a_broken_population_gets_a_low_score_or_a_reason(way):
    found = fidelity(REAL, BROKEN[way], real_held_out=HELD_OUT, anchor="ENTRY", seed=1).findings
    found += utility(
        population("real", REAL),
        population("synthetic", BROKEN[way]),
        held_out=population("held_out", HELD_OUT),
        seed=1,
    ).findings
    assert all(one.reason for one in found if one.value is None)
    assert all(math.isfinite(one.value) for one in found if one.value is not None)
    overall = next(one for one in found if one.metric == "fidelity.overall" and one.comparison == "synthetic")
    ceiling = next(one for one in found if one.metric == "fidelity.overall" and one.comparison == "ceiling")
    if way == "one patient":
        assert "1 patients can be compared" in overall.reason
    else:
        assert overall.value < ceiling.value - 0.01


def test_no_synthetic_patient_is_a_clear_error():
    with pytest.raises(NothingToCompare, match="no synthetic patient"):
        fidelity(REAL, GOOD.clear(), real_held_out=HELD_OUT, anchor="ENTRY", seed=1)

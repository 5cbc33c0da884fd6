"""What is drawn is drawn as often as the likelihood says, also beside something that has no level."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import torch

from salus.trajectory.draws import InTurn
from salus.trajectory.likelihood import patient_likelihood
from salus.trajectory.network import Network, Size
from salus.trajectory.reading import prepare, read_histories
from salus.trajectory.sampling import Sampler
from tests.small_ward import CODES, SETTINGS, ZERO, ward

ALARM, POTASSIUM = "ALARM//BED", "LOINC//2823-3"
WITH_ALARM = pl.concat(
    [CODES, CODES.filter(pl.col("code") == "SEX//F").with_columns(code=pl.lit(ALARM))], how="vertical"
)
DRAWN = 6_000
KINDS = {"time": pl.Datetime("us"), "numeric_value": pl.Float32}


def with_alarms(events: pl.DataFrame) -> pl.DataFrame:
    """An alarm rings once, at the potassium of day 10: what seldom happens is said first."""
    rung = events.filter((pl.col("code") == POTASSIUM) & (pl.col("time") == ZERO + timedelta(days=10)))
    return pl.concat(
        [events, rung.with_columns(code=pl.lit(ALARM), numeric_value=pl.lit(None, dtype=pl.Float32))]
    )


def test_a_value_beside_an_event_is_drawn_as_often_as_it_is_likely():
    """Each level of a potassium, given the alarm of the same moment: its share of 6,000 draws is its likelihood."""
    events = with_alarms(ward(60))
    vocabulary = prepare(events, WITH_ALARM, SETTINGS).vocabulary
    names = [field.name for field in vocabulary.fields]
    assert names.index(ALARM) < names.index(POTASSIUM), "the alarm is said first"
    torch.manual_seed(3)
    network = Network(vocabulary, Size(width=16)).eval()
    with torch.no_grad():
        network.said.own.mul_(8)
        network.drawn.weight.mul_(8)
        network.told.smooth.mul_(40)
    entry = events.filter((pl.col("subject_id") == 2) & (pl.col("time").is_null() | (pl.col("time") <= ZERO)))
    records = read_histories(entry, WITH_ALARM, SETTINGS, vocabulary)
    alarm, first = (vocabulary.field_start[names.index(name)] for name in (ALARM, POTASSIUM))
    levels = np.arange(first, vocabulary.field_start[names.index(POTASSIUM) + 1])
    with torch.inference_mode():
        sampler = Sampler(network, vocabulary, draws=InTurn(1))
        begun = sampler.from_history(records).of(torch.zeros(DRAWN, dtype=torch.int64))
        begun.row, begun.time = torch.arange(DRAWN), begun.time + 10
        drawn = sampler.moment(begun, torch.full((DRAWN,), 10), signs=sampler.signs(begun))
    rung = drawn.row[drawn.level == alarm]
    beside = drawn.level[np.isin(drawn.row, rung) & np.isin(drawn.level, levels)]
    assert len(beside) > 500
    share = np.bincount(beside - first, minlength=len(levels)) / len(beside)
    likely = np.zeros(len(levels))
    then = {"subject_id": 2, "time": ZERO + timedelta(days=10)}
    for value in vocabulary.inner[levels, 2].tolist():
        said = pl.DataFrame([then | {"code": ALARM}, then | {"code": POTASSIUM, "numeric_value": value}])
        whole = pl.concat([entry, said.cast(KINDS)], how="diagonal_relaxed")
        read = read_histories(whole, WITH_ALARM, SETTINGS, vocabulary)
        nats = patient_likelihood(network, read, vocabulary)
        likely[read.level[-1] - first] = np.exp(-float(nats.code[0] + nats.value[0]))
    told = likely > 0  # a middle that lies on an edge is read as the next level
    share, likely = share[told] / share[told].sum(), likely[told] / likely.sum()
    assert likely.max() > 2 * likely.min(), "the levels differ"
    np.testing.assert_allclose(share, likely, atol=0.04)

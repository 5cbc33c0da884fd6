"""The likelihood of the whole record under each possible completion referees what is drawn for a gap."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch

from salus.trajectory.completing import complete
from salus.trajectory.gaps import Gaps, Moments, find_fields
from salus.trajectory.likelihood import patient_likelihood
from salus.trajectory.network import Network, Size
from salus.trajectory.reading import prepare, read_histories
from tests.small_ward import CODES, SETTINGS, ward

VOCABULARY = prepare(ward(60), CODES, SETTINGS).vocabulary
EVENTS = ward(60).filter(pl.col("split") == "held_out")
POTASSIUM = "LOINC//2823-3"


@pytest.fixture(scope="module")
def network() -> Network:
    """Untrained, so that no completion is certain; sex is heard well enough to matter."""
    torch.manual_seed(3)
    network = Network(VOCABULARY, Size(width=16)).eval()
    with torch.no_grad():
        for heard in (network.moment, network.context, network.level_norm, network.mix_norm):
            heard.weight.mul_(3)
        network.said.own.mul_(5)
        for head in (network.next_wait, network.end_wait):
            head[-1].weight.mul_(4)
    return network


def nats(network: Network, events: pl.DataFrame) -> np.ndarray:
    """Of each patient's whole record, by subject."""
    records = read_histories(events, CODES, SETTINGS, VOCABULARY)
    parts = patient_likelihood(network, records, VOCABULARY)
    return np.asarray(parts.code + parts.value + parts.wait)


def test_a_sex_is_drawn_as_often_as_the_whole_record_is_likely_with_it(network):
    """Twelve patients, two possible sexes each: the posterior is exact, and 400 samples of each patient meet it."""
    bare = EVENTS.filter(~pl.col("code").str.starts_with("SEX//"))
    subjects = bare["subject_id"].unique().sort()
    with_sex = [
        pl.concat([bare, pl.DataFrame({"subject_id": subjects, "code": code})], how="diagonal")
        for code in ("SEX//F", "SEX//M")
    ]
    women, men = (nats(network, events) for events in with_sex)
    posterior = 1 / (1 + np.exp(women - men))
    assert posterior.std() > 0.05
    fields = find_fields("sex", VOCABULARY, where="--fields")
    gaps = Gaps(fields=fields, moments=Moments.STATIC, samples=400)
    records = read_histories(bare, CODES, SETTINGS, VOCABULARY)
    found = complete(network, VOCABULARY, records=records, gaps=gaps, seed=4)
    female = VOCABULARY.level_start[VOCABULARY.index()["SEX//F"]]
    share = np.bincount(found.patient[found.level == female], minlength=len(subjects)) / 400
    np.testing.assert_allclose(share, posterior, atol=0.1)
    assert np.abs(share - posterior).mean() < 0.04


def test_a_value_is_drawn_as_often_as_the_whole_record_is_likely_with_it(network):
    """The first potassium of three patients is missing: each level's posterior by its likelihood, summed below 5."""
    few = EVENTS.filter(pl.col("subject_id").is_in(EVENTS["subject_id"].unique().sort()[:3].implode()))
    first = few.filter(pl.col("code") == POTASSIUM).group_by("subject_id").agg(time=pl.col("time").min())
    gap = few.join(first.with_columns(code=pl.lit(POTASSIUM)), on=["subject_id", "time", "code"], how="anti")
    position = VOCABULARY.index()[POTASSIUM]
    levels = np.arange(VOCABULARY.level_start[position], VOCABULARY.level_start[position + 1])
    middles = VOCABULARY.inner[levels, 2]
    told = np.stack(
        [
            nats(
                network,
                pl.concat(
                    [
                        gap,
                        first.with_columns(
                            code=pl.lit(POTASSIUM), numeric_value=pl.lit(float(value), dtype=pl.Float32)
                        ),
                    ],
                    how="diagonal",
                ),
            )
            for value in middles
        ]
    )
    weights = np.exp(-(told - told.min(axis=0)))
    posterior = (weights * (middles < 5)[:, None]).sum(axis=0) / weights.sum(axis=0)
    fields = find_fields("2823-3", VOCABULARY, where="--fields")
    gaps = Gaps(fields=fields, moments=Moments.FIRST, samples=400)
    records = read_histories(gap, CODES, SETTINGS, VOCABULARY)
    found = complete(network, VOCABULARY, records=records, gaps=gaps, seed=4)
    low = (found.moment - records.moment_start[found.patient] == 1) & (VOCABULARY.inner[found.level, 2] < 5)
    share = np.bincount(found.patient[low], minlength=3) / 400
    np.testing.assert_allclose(share, posterior, atol=0.12)

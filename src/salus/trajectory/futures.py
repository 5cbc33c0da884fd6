"""Sampled futures as rows after the index, and what they say together: fans of values, cumulative incidence.

Follow-up does not end in a sampled future; death ends it. An outcome counts by the chance it had at every moment (its
compensator, see :mod:`salus.trajectory.forecasting`), so that a curve of it ends at the forecast's risk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch

from salus.trajectory.bins import FloatArray, IntArray
from salus.trajectory.encoding import draw_values
from salus.trajectory.forecasting import Asked, Histories, Start, monte_carlo, start_futures, walk
from salus.trajectory.network import Network
from salus.trajectory.situation import Drawn
from salus.trajectory.vocabulary import FOREVER, Vocabulary

LEAST_FUTURES = 10
"""No band is drawn from fewer futures than these."""
PERCENTILES = {"lowest": 0.05, "low": 0.25, "middle": 0.5, "high": 0.75, "highest": 0.95}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chances:
    """One row a drawn moment that still counted: its ``patient`` and ``future``, grains ``after`` the index.

    ``chance`` (moments, questions): what was added there to the chance of each outcome.
    """

    patient: IntArray
    future: IntArray
    after: IntArray
    chance: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Futures:
    """What was drawn. ``facts``: patient (place among the histories), future, after (grains), code, value."""

    facts: pl.DataFrame
    chances: Chances
    samples: int


def draw_futures(
    network: Network, vocabulary: Vocabulary, *, histories: Histories, asked: Asked, seed: int
) -> Futures:
    """Sample futures of each history up to the longest horizon; nothing drawn lies at or before the index."""
    samples = asked.samples
    with torch.inference_mode():
        start = start_futures(network, vocabulary, histories=histories, asked=asked, seed=seed)
        drawn, chances = follow(start)
    facts = _facts(drawn, start.settling.index, vocabulary=vocabulary, samples=samples)
    row, after, chance = chances
    moments = Chances(patient=row // samples, future=row % samples, after=after, chance=chance)
    return Futures(facts=facts, chances=moments, samples=samples)


def follow(start: Start) -> tuple[list[Drawn], tuple[IntArray, IntArray, FloatArray]]:
    """Simulate to the longest horizon or death; without a limit, until every question is settled.

    Gives what was drawn, and for every moment its row, grains after the index and the chances that count.
    """
    index, horizons = start.settling.index, start.settling.horizons
    final = np.minimum(index + horizons.max(), FOREVER)
    rows, after, chances, kept = [], [], [], []
    for moment in walk(start, to_the_end=True):
        rows.append(moment.row)
        after.append(moment.time - index[moment.row])
        chances.append(moment.chance)
        kept.append(_before(moment.drawn, final))
    return kept, (np.concatenate(rows), np.concatenate(after), np.concatenate(chances))


def _before(drawn: Drawn, final: IntArray) -> Drawn:
    """Keep facts up to the last moment looked at."""
    keep = drawn.time <= final[drawn.row]
    return Drawn(
        row=drawn.row[keep],
        time=drawn.time[keep],
        level=drawn.level[keep],
        inside=drawn.inside[keep],
    )


def _facts(drawn: list[Drawn], index: IntArray, *, vocabulary: Vocabulary, samples: int) -> pl.DataFrame:
    """What was drawn, as rows sorted by patient, future and time."""
    row, time, level = (
        np.concatenate([getattr(moment, name) for moment in drawn]) for name in ("row", "time", "level")
    )
    values = np.concatenate([draw_values(m.level, m.inside, vocabulary) for m in drawn])
    names = np.asarray([entry.code for entry in vocabulary.entries], dtype=object)
    return pl.DataFrame(
        {
            "patient": row // samples,
            "future": row % samples,
            "after": time - index[row],
            "code": pl.Series(names[vocabulary.level_code[level]], dtype=pl.String),
            "value": pl.Series(values, dtype=pl.Float32).fill_nan(None),
        }
    ).sort("patient", "future", "after", maintain_order=True)


def incidence(chances: Chances, *, patient: int, samples: int, grid: Sequence[float]) -> pl.DataFrame:
    """One patient's outcomes by grains after the index: ``question``, ``after``, ``risk``, ``lower``, ``upper``.

    The share of all futures in which the outcome has happened by then, those that ended in death before it included:
    not one less a Kaplan-Meier curve, which would speak of a world without death. Bounds: 95 % Monte Carlo.
    """
    own = chances.patient == patient
    steps = np.asarray(grid)
    place = np.searchsorted(steps, chances.after[own], side="left")
    questions = chances.chance.shape[1]
    summed = np.zeros((len(steps) + 1, samples, questions))
    np.add.at(summed, (place, chances.future[own]), chances.chance[own].astype(np.float64))
    risk, lower, upper = monte_carlo(summed.cumsum(axis=0)[:-1])
    return pl.concat(
        pl.DataFrame(
            {
                "question": np.full(len(steps), number),
                "after": steps.astype(np.float64),
                "risk": risk[:, number],
                "lower": lower[:, number],
                "upper": upper[:, number],
            }
        )
        for number in range(questions)
    )


def fan(values: pl.DataFrame, *, edges: Sequence[float], least: int = LEAST_FUTURES) -> pl.DataFrame:
    """Bands of one code's values (``future``, ``after``, ``value``) over the bins (start, end] of ``edges``.

    Each future counts once a bin, with the mean of its values there. Gives ``start``, ``end``, ``futures``, and the
    5th, 25th, 50th, 75th and 95th percentile (lowest, low, middle, high, highest); bins of fewer than ``least``
    futures are left out.
    """
    bins = pl.DataFrame({"bin": range(len(edges) - 1), "start": edges[:-1], "end": edges[1:]})
    known = values.drop_nulls("value")
    place = np.searchsorted(np.asarray(edges), known["after"].to_numpy(), side="left") - 1
    percentiles = {
        name: pl.col("value").quantile(at, interpolation="linear") for name, at in PERCENTILES.items()
    }
    return (
        known.with_columns(bin=pl.Series(place, dtype=pl.Int64))
        .group_by("bin", "future")
        .agg(pl.col("value").cast(pl.Float64).mean())
        .group_by("bin")
        .agg(futures=pl.len(), **percentiles)
        .filter(pl.col("futures") >= least)
        .join(bins.cast({"bin": pl.Int64, "start": pl.Float64, "end": pl.Float64}), on="bin")
        .sort("bin")
        .select("start", "end", "futures", *PERCENTILES)
    )

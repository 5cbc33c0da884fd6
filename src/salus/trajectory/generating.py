"""Whole patients from nothing, as timeline rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from salus.timeline.label import DRAWN
from salus.trajectory.bins import FloatArray, IntArray
from salus.trajectory.conditioning import Resampling, draw_statics
from salus.trajectory.conditions import Condition
from salus.trajectory.draws import InTurn
from salus.trajectory.encoding import draw_values, time_of
from salus.trajectory.network import Network
from salus.trajectory.sampling import Sampler
from salus.trajectory.situation import Drawn
from salus.trajectory.vocabulary import BIRTH, START, YEAR_SECONDS, Clock, Vocabulary

ROW_SCHEMA = pl.Schema(
    {
        "subject_id": pl.Int64(),
        "at": pl.Int64(),
        "code": pl.String(),
        "numeric_value": pl.Float32(),
        "unit": pl.String(),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Drawn patients: their facts, and one row a patient: reference moment and end in grains, age there, died.

    ``resampling``: how they came about where conditions were set.
    """

    drawn: list[Drawn]
    reference: IntArray
    end: IntArray
    died: npt.NDArray[np.bool_]
    age: FloatArray
    resampling: Resampling | None = None


def draw_population(
    network: Network, vocabulary: Vocabulary, *, patients: int, seed: int, given: Sequence[Condition] = ()
) -> Population:
    """Draw ``patients`` whole records, from their static facts to death or the end of follow-up.

    ``given``: only such patients, as the model distributes them; raises ConditionUnmet (SAL-311) when it draws none.
    """
    draws = InTurn(seed)
    sampler = Sampler(network, vocabulary, draws=draws)
    died, resampling = np.zeros(patients, dtype=bool), None
    with torch.inference_mode():
        if given:
            statics, resampling = draw_statics(sampler, given, patients=patients, generator=draws.generator)
            situation = sampler.begin(patients, statics)
        else:
            situation, statics = sampler.from_nothing(patients)
        end, age = situation.time.numpy().copy(), situation.age.numpy().copy()
        anchored = vocabulary.clock.anchor is not None
        reference = np.zeros_like(end) if anchored else end.copy()
        drawn = [statics, sampler.first_moment(situation)]
        for _ in range(vocabulary.longest_record):
            gone = sampler.dies(drawn[-1])
            died[gone] = True
            end[situation.row.numpy()] = situation.time.numpy()
            situation = situation.of(torch.from_numpy(~np.isin(situation.row.numpy(), gone)).nonzero()[:, 0])
            if not len(situation.row):
                break
            situation, moment, stopped = sampler.next_moment(situation)
            end[stopped.row.numpy()] = stopped.time.numpy()
            drawn.append(moment)
    return Population(drawn=drawn, reference=reference, end=end, died=died, age=age, resampling=resampling)


def timeline_rows(population: Population, vocabulary: Vocabulary, *, first_subject: int) -> pl.DataFrame:
    """Write drawn patients as timeline rows: subject_id, time, code, numeric_value, unit, known_time, source."""
    facts = [moment for moment in population.drawn if len(moment.row)]
    row, time, level = (
        np.concatenate([getattr(moment, name) for moment in facts]) for name in ("row", "time", "level")
    )
    value = np.concatenate([draw_values(moment.level, moment.inside, vocabulary) for moment in facts])
    frame = (
        pl.DataFrame(
            {"subject_id": row, "at": time, "position": vocabulary.level_code[level], "numeric_value": value}
        )
        .join(code_words(vocabulary), on="position", how="left", maintain_order="left")
        .filter(~pl.col("code").is_in([START, BIRTH]))
        .with_columns(
            at=pl.when(~pl.col("static")).then("at"),
            numeric_value=pl.col("numeric_value").fill_nan(None),
        )
        .select(ROW_SCHEMA.keys())
        .cast(ROW_SCHEMA)
    )
    return _dated(
        pl.concat([frame, _frame_rows(population, vocabulary.clock)]), vocabulary.clock, first_subject
    )


def code_words(vocabulary: Vocabulary) -> pl.DataFrame:
    """What each code's position stands for."""
    entries = vocabulary.entries
    return pl.DataFrame(
        {
            "position": np.arange(len(entries)),
            "code": [entry.code for entry in entries],
            "static": [entry.static for entry in entries],
            "unit": pl.Series([entry.unit for entry in entries], dtype=pl.String),
        }
    )


def _frame_rows(population: Population, clock: Clock) -> pl.DataFrame:
    """Rows that are not facts of the model: anchor, birth, end of follow-up."""
    patients = len(population.end)
    everyone = np.arange(patients)
    rows = []
    if clock.anchor is not None:
        rows.append((everyone, np.zeros(patients, dtype=np.int64), clock.anchor))
    if clock.follow_up_end is not None:
        rows.append((everyone[~population.died], population.end[~population.died], clock.follow_up_end))
    if clock.birth is not None:
        known = ~np.isnan(population.age)
        grains = np.round(population.age[known].astype(np.float64) * YEAR_SECONDS / clock.grain_seconds)
        rows.append((everyone[known], population.reference[known] - grains.astype(np.int64), clock.birth))
    frames = [
        pl.DataFrame({"subject_id": subject, "at": at}).with_columns(
            pl.col("at").cast(pl.Int64),
            code=pl.lit(code),
            numeric_value=pl.lit(None, dtype=pl.Float32),
            unit=pl.lit(None, dtype=pl.String),
        )
        for subject, at, code in rows
    ]
    return pl.concat(frames) if frames else pl.DataFrame(schema=ROW_SCHEMA)


def _dated(frame: pl.DataFrame, clock: Clock, first_subject: int) -> pl.DataFrame:
    """Turn grains into times, number the patients, and sort as the timeline wants it."""
    return (
        frame.with_columns(subject_id=pl.col("subject_id") + first_subject, time=time_of(pl.col("at"), clock))
        .with_columns(
            known_time=pl.col("time"), source=pl.lit(DRAWN), text_value=pl.lit(None, dtype=pl.String)
        )
        .sort("subject_id", "time", nulls_last=False, maintain_order=True)
        .select("subject_id", "time", "code", "numeric_value", "text_value", "unit", "known_time", "source")
    )


def draw_rows(
    network: Network, vocabulary: Vocabulary, *, patients: int, seed: int, first_subject: int
) -> pl.DataFrame:
    """Draw whole patients and write them as timeline rows, numbered from ``first_subject``."""
    population = draw_population(network, vocabulary, patients=patients, seed=seed)
    return timeline_rows(population, vocabulary, first_subject=first_subject)

"""Filled facts as timeline rows, marked as such."""

from __future__ import annotations

import numpy as np
import polars as pl

from salus.timeline.label import COMPLETED
from salus.trajectory.completing import Filled
from salus.trajectory.encoding import Records, draw_values, grain_of, time_of
from salus.trajectory.generating import code_words
from salus.trajectory.vocabulary import BIRTH, YEAR_SECONDS, Vocabulary


def filled_rows(filled: Filled, records: Records, vocabulary: Vocabulary) -> pl.DataFrame:
    """One row a filled fact: subject_id, sample, grain, time (null: static), code, numeric_value, unit, source.

    An age becomes a birth, the code of which is in the model's clock. ``grain``: of the moment, null where static.
    """
    clock, position = vocabulary.clock, vocabulary.level_code[filled.level]
    aged = position == vocabulary.index().get(BIRTH, -1)
    value = draw_values(filled.level, filled.inside, vocabulary)
    static = np.asarray([entry.static for entry in vocabulary.entries], dtype=bool)[position]
    start = records.time[records.moment_start[filled.patient]]
    reference = np.zeros_like(start) if clock.anchor is not None else start
    years = np.where(aged, value, 0).astype(np.float64)
    birth = reference - np.round(years * YEAR_SECONDS / clock.grain_seconds).astype(np.int64)
    return (
        pl.DataFrame(
            {
                "subject_id": records.subject[filled.patient],
                "sample": filled.sample,
                "grain": records.time[filled.moment],
                "at": np.where(aged, birth, records.time[filled.moment]),
                "aged": aged,
                "dated": ~static,
                "position": position,
                "numeric_value": value,
            }
        )
        .join(code_words(vocabulary), on="position", how="left", maintain_order="left")
        .select(
            "subject_id",
            "sample",
            grain=pl.when("dated").then("grain"),
            time=pl.when(pl.col("dated") | pl.col("aged")).then(time_of(pl.col("at"), clock)),
            code=pl.when("aged").then(pl.lit(clock.birth)).otherwise("code"),
            numeric_value=pl.when(~pl.col("aged")).then(pl.col("numeric_value").fill_nan(None)),
            unit=pl.when(~pl.col("aged")).then("unit"),
            source=pl.lit(COMPLETED),
        )
    )


def beside(recorded: pl.DataFrame, filled: pl.DataFrame, vocabulary: Vocabulary) -> pl.DataFrame:
    """Filled facts of which the record says nothing itself, not even with a code that the model does not know.

    A filled fact takes the time of the first recorded one of its moment. Gives ``recorded``'s columns and ``sample``.
    """
    clock = vocabulary.clock
    grain = pl.when(pl.col("code") != (clock.birth or "")).then(grain_of(pl.col("time"), clock))
    choices = [one.name for one in vocabulary.fields if one.last - one.first > 1]
    group = pl.col("code").str.extract("^(.+)//.*$")
    says = pl.when(group.is_in(choices)).then(group).otherwise("code").alias("says")
    told = recorded.select("subject_id", "time", says, grain.alias("grain"))
    first = told.drop_nulls("grain").group_by("subject_id", "grain").agg(earliest=pl.col("time").min())
    return (
        filled.with_columns(says)
        .join(
            told.select("subject_id", "grain", "says").unique(),
            on=["subject_id", "grain", "says"],
            how="anti",
            nulls_equal=True,
        )
        .join(first, on=["subject_id", "grain"], how="left", maintain_order="left")
        .with_columns(time=pl.coalesce("earliest", "time"))
        .with_columns(known_time=pl.col("time"), text_value=pl.lit(None, dtype=pl.String))
        .select(
            "sample", *(name for name in recorded.columns if name in (*FILLED, "known_time", "text_value"))
        )
    )


FILLED = ("subject_id", "time", "code", "numeric_value", "unit", "source")

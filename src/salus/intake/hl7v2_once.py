"""Facts that were told several times, once; and those of merged patients as the survivor's."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from salus.intake.hl7v2_people import TRAIT_COLUMNS
from salus.timeline.columns import BIRTH

FINAL = ("subject_id", "time", "code", "numeric_value", "text_value", "unit", "known_time", "source", "kind")


def as_survivors(subjects: pl.Series, became: Mapping[int, int]) -> pl.Series:
    """The numbers of patients after all merges."""
    if not became:
        return subjects
    olds, news = list(became), list(became.values())
    return subjects.replace(olds, news)


def told_once(facts: pl.DataFrame) -> pl.DataFrame:
    """Leave out what says again what was said last of the same thing; in order of patient and time.

    A result that comes with every message of its order is one fact, known since the first. A correction says something
    else and stays; so does the final result after a preliminary one, for its status is another.
    """
    moment = pl.when("told").then("time").alias("moment")
    thing = ["subject", "code", "same", "moment"]
    rows = facts.with_columns(moment).sort(*thing, "known_time", "source", nulls_last=False)
    said = ["numeric_value", "text_value", "unit", "status"]
    again = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift()) for name in (*thing, *said))
    first = pl.int_range(pl.len()) == 0
    return rows.filter(first | ~again).rename({"subject": "subject_id"}).select(FINAL)


def traits_once(traits: pl.DataFrame) -> pl.DataFrame:
    """What was told of patients, each thing once, with when it was told first and last."""
    told = traits.group_by("subject", "trait", "code", "time").agg(
        pl.col("first").min(),
        pl.col("last").max(),
        pl.col("source").sort_by("first", "source", nulls_last=True).first(),
    )
    return told.select(list(TRAIT_COLUMNS))


def last_traits(traits: pl.DataFrame) -> pl.DataFrame:
    """What was told last of each patient's birth, sex, race, ethnicity and death.

    Birth is known from birth on, death since it was first told; what holds for good has no time.
    """
    told = traits_once(traits)
    order = told.sort("subject", "trait", "last", "code", "time", nulls_last=False)
    latest = order.group_by("subject", "trait", maintain_order=True).last()
    known = pl.when(pl.col("code") == BIRTH).then("time").when(pl.col("time").is_not_null()).then("first")
    rows = latest.filter(pl.col("code").is_not_null()).select(
        pl.col("subject").alias("subject_id"),
        "time",
        "code",
        pl.lit(None, dtype=pl.Float32).alias("numeric_value"),
        pl.lit(None, dtype=pl.String).alias("text_value"),
        pl.lit(None, dtype=pl.String).alias("unit"),
        known.fill_null(pl.col("time")).alias("known_time"),
        "source",
        pl.lit(0, dtype=pl.UInt8).alias("kind"),
    )
    return rows.select(FINAL)


def changed_traits(traits: pl.DataFrame) -> int:
    """How often what was told of a patient changed: a person should look where it is often."""
    told = traits.select("subject", "trait", "code", "time").unique()
    many = told.group_by("subject", "trait").len().filter(pl.col("len") > 1)
    return int(many["len"].sum()) - many.height

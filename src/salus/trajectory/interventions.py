"""Interventions as people write them (``LOINC//2823-3=4.0@index+24h``), in terms of the model's levels and grains."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from salus.errors import ConditionRefused, nearest
from salus.trajectory.conditions import by_name
from salus.trajectory.encoding import grain_of, insides_of, place_values
from salus.trajectory.placing import Placement
from salus.trajectory.vocabulary import BIRTH, START, Clock, Vocabulary

WHERE = "--do"
MOMENT = re.compile(r"index(?:\s*\+\s*(\d+)\s*(min|h|d|w))?")
UNIT_SECONDS = {"min": 60, "h": 3_600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervention:
    """A code (position in the vocabulary), with a number or without, set ``after`` grains from the index."""

    written: str
    code: int
    value: float | None
    after: int


def read_interventions(written: Sequence[str], vocabulary: Vocabulary) -> tuple[Intervention, ...]:
    """Read ``CODE[=VALUE]@MOMENT`` each; a moment is ``index`` or ``index+24h`` (min, h, d, w).

    Raises ConditionRefused (SAL-310).
    """
    if not written:
        raise ConditionRefused("no intervention is given", where=WHERE, fix="write --do CODE=VALUE@index+24h")
    found = tuple(_read(text, vocabulary) for text in written)
    taken = {(vocabulary.level_field[vocabulary.level_start[one.code]], one.after) for one in found}
    if len(taken) < len(found):
        raise ConditionRefused(
            "two interventions say different things of one field at one moment",
            where=WHERE,
            fix="give one of them, or another moment",
        )
    return found


def placements_of(interventions: Sequence[Intervention], vocabulary: Vocabulary) -> tuple[Placement, ...]:
    """Where the interventions after the index go; those at the index belong to the history (:func:`set_at_index`)."""
    later = [one for one in interventions if one.after > 0]
    codes = np.asarray([one.code for one in later], dtype=np.int64)
    values = np.asarray([np.nan if one.value is None else one.value for one in later], dtype=np.float32)
    levels, ranks = place_values(codes, values, vocabulary)
    return tuple(
        Placement(after=one.after, level=int(level), inside=float(place))
        for one, level, place in zip(later, levels, insides_of(levels, ranks, vocabulary), strict=True)
    )


def set_at_index(
    known: pl.DataFrame,
    moments: pl.DataFrame,
    *,
    interventions: Sequence[Intervention],
    vocabulary: Vocabulary,
) -> pl.DataFrame:
    """Add the interventions at the index to what was known; what the same field said at that moment gives way.

    ``moments``: subject_id, prediction_time.
    """
    now = [one for one in interventions if one.after == 0]
    columns = ["subject_id", "time", "code", "numeric_value", "text_value"]
    known = known.select(columns)
    for one in now:
        field = vocabulary.fields[vocabulary.level_field[vocabulary.level_start[one.code]]]
        says = [entry.code for entry in vocabulary.entries[field.first : field.last]]
        clock = vocabulary.clock
        grain = grain_of(pl.col("time"), clock) == grain_of(pl.col("prediction_time"), clock)
        kept = known.join(moments, on="subject_id", how="left").filter(
            ~(pl.col("code").is_in(says) & grain).fill_null(False)
        )
        added = moments.select(
            "subject_id",
            time=pl.col("prediction_time"),
            code=pl.lit(vocabulary.entries[one.code].code),
            numeric_value=pl.lit(one.value, dtype=pl.Float32),
            text_value=pl.lit(None, dtype=pl.String),
        )
        known = pl.concat([kept.select(columns), added], how="vertical_relaxed")
    return known


def _read(text: str, vocabulary: Vocabulary) -> Intervention:
    what, at, when = text.rpartition("@")
    name, equals, value = (part.strip() for part in what.partition("="))
    if not at or not name or (equals and not value):
        raise ConditionRefused(
            f"'{text}' is not an intervention", where=WHERE, fix="write CODE@MOMENT or CODE=VALUE@MOMENT"
        )
    code = _code(name, vocabulary)
    return Intervention(
        written=text,
        code=code,
        value=_value(name, value or None, code=code, vocabulary=vocabulary),
        after=_after(when, vocabulary.clock),
    )


def _code(name: str, vocabulary: Vocabulary) -> int:
    """Position of a dated code, named in full or by its last part."""
    names = by_name(
        (entry.code, position)
        for position, entry in enumerate(vocabulary.entries)
        if not entry.static and not entry.unsaid
    )
    found = names.get(name.casefold(), set())
    if len(found) == 1:
        return next(iter(found))
    known = [entry.code for entry in vocabulary.entries if not entry.static and not entry.unsaid]
    static = [entry.code for entry in vocabulary.entries if entry.static and entry.code not in (START, BIRTH)]
    if name in static:
        raise ConditionRefused(
            f"'{name}' is static: it does not happen at a moment",
            where=WHERE,
            fix="draw such patients with `salus generate --given`",
        )
    problem = f"'{name}' may be any of {len(found)} codes" if found else f"the model knows no dated '{name}'"
    raise ConditionRefused(
        problem + ("" if found else nearest(name, [*known, *names])),
        where=WHERE,
        fix="write a dated code that the model was trained on, in full",
    )


def _value(name: str, written: str | None, *, code: int, vocabulary: Vocabulary) -> float | None:
    """The number to set; it must be one that the model has seen the like of."""
    entry = vocabulary.entries[code]
    if not entry.bins:
        if written is not None:
            raise ConditionRefused(f"'{name}' has no number", where=WHERE, fix=f"write {entry.code}@MOMENT")
        return None
    if written is None and entry.absent:
        return None
    first = vocabulary.level_start[code]
    numbers = vocabulary.inner[first : first + entry.bins - int(entry.absent)].astype(np.float64)
    reach = f"{numbers.min():.{entry.decimals}f} to {numbers.max():.{entry.decimals}f}"
    try:
        value = float(written or "")
    except ValueError:
        raise ConditionRefused(
            f"'{name}' needs a number",
            where=WHERE,
            fix=f"write {entry.code}=NUMBER@MOMENT; the model knows {reach}",
        ) from None
    if not numbers.min() - 1e-6 <= value <= numbers.max() + 1e-6:
        raise ConditionRefused(
            f"the model knows no {name} of {written}",
            where=WHERE,
            fix=f"set a number from {reach}: of others the model has seen too few patients",
        )
    return value


def _after(written: str, clock: Clock) -> int:
    """Grains from the index."""
    found = MOMENT.fullmatch(written.strip())
    if found is None:
        raise ConditionRefused(
            f"'@{written}' is not a moment",
            where=WHERE,
            fix="write @index, or a time after it: @index+24h, @index+3d (min, h, d, w)",
        )
    if clock.order_only and found[1]:
        raise ConditionRefused(
            f"'@{written}' cannot be found: the times of this record say only an order",
            where=WHERE,
            fix="write @index",
        )
    seconds = int(found[1] or 0) * UNIT_SECONDS[found[2] or "h"]
    if seconds % clock.grain_seconds:
        raise ConditionRefused(
            f"'@{written}' falls between two moments: this record counts in {clock.grain}s",
            where=WHERE,
            fix=f"write a whole number of {clock.grain}s",
        )
    return seconds // clock.grain_seconds

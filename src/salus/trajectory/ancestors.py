"""What a code is a kind of, and what stands for a code that too few patients have or that the model does not know."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from salus.trajectory.tallies import Facts, added_up
from salus.trajectory.vocabulary import UNSAID

MOST_STEPS_UP = 8
"""How far a code that is too rare is followed to what it is a kind of."""


def parents_of(codes: pl.DataFrame) -> dict[str, str]:
    """What each code is a kind of: its first parent, where it has one."""
    if "parent_codes" not in codes.columns:
        return {}
    told = codes.select("code", parent=pl.col("parent_codes").list.first()).drop_nulls("parent")
    return dict(told.iter_rows())


def common_codes(facts: Facts, parents: Mapping[str, str], *, least: int) -> set[str]:
    """Codes that at least ``least`` patients have, counting for a parent the patients of its too rare children.

    A code with values is never replaced: the numbers of its parent may mean something else.
    """
    counted, valued = _patients_a_code(facts, {})
    found: set[str] = set()
    moved: dict[str, str] = {}
    for _ in range(MOST_STEPS_UP):
        found |= {code for code, patients in counted.items() if patients >= least}
        stays = found | valued
        up = {code: parents[code] for code in counted if code not in stays and code in parents}
        if not up:
            break
        moved = {code: up.get(place, place) for code, place in moved.items()} | {
            code: place for code, place in up.items() if code not in moved
        }
        counted, _ = _patients_a_code(facts, moved)
    return found


def _patients_a_code(facts: Facts, moved: Mapping[str, str]) -> tuple[dict[str, int], set[str]]:
    """How many patients each code has, once some are ``moved`` to others; and which codes have values."""
    parts = (
        shard.select(
            "subject_id", pl.col("code").replace(moved), valued=pl.col("numeric_value").is_not_null()
        )
        .group_by("code")
        .agg(pl.col("subject_id").n_unique().cast(pl.Int64), pl.col("valued").any())
        for shard in facts
    )
    found = added_up(
        parts, lambda both: both.group_by("code").agg(pl.col("subject_id").sum(), pl.col("valued").any())
    )
    rows = [] if found is None else list(found.iter_rows())
    return {code: patients for code, patients, _ in rows}, {code for code, _, valued in rows if valued}


def back_off(facts: pl.DataFrame, known: set[str], parents: Mapping[str, str]) -> pl.DataFrame:
    """Replace each code that is not known by the nearest of its ancestors that is; others stay as they are.

    Where no ancestor is known, the code of its choice that stands for unknown ones takes its place, if there is one.
    """
    up = {}
    for code in facts["code"].unique():
        place = code
        for _ in range(MOST_STEPS_UP):
            if place in known or place not in parents:
                break
            place = parents[place]
        if place not in known:
            place = f"{code.rpartition('//')[0]}//{UNSAID}"
        if place in known and place != code:
            up[code] = place
    return facts.with_columns(pl.col("code").replace(up)) if up else facts

"""Thousands of codes: those that come seldom share fields with their like, so that what is scored does not grow."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks.wide_vocabulary import SETTINGS, WideWorld
from salus.progress import QUIET
from salus.trajectory.choices import with_families
from salus.trajectory.generating import draw_rows
from salus.trajectory.reading import Lessons, prepare
from salus.trajectory.training import TrainSettings, fit

WORLD = WideWorld(codes=3_000, patients=400)


def kept(codes: dict[str, int], *, valued: tuple[str, ...] = ()) -> pl.DataFrame:
    """Codes with so many rows, each a field of its own as yet."""
    return pl.DataFrame({"code": [*codes], "rows": [*codes.values()]}).with_columns(
        field=pl.col("code"),
        valued=pl.col("code").is_in(valued),
        static=pl.lit(False),
        first=pl.lit(False),
        death=pl.lit(False),
    )


def test_few_codes_keep_their_fields():
    codes = kept({"DX//1": 9, "DX//2": 8, "DX//3": 7})
    assert with_families(codes, {}, fields=3, most=2).equals(codes)


def test_the_commonest_keep_their_fields_and_the_others_share_with_their_like():
    """Six codes and at most four fields: K has values, one can stay alone, four share two fields.

    In the order of ancestors Z//8 lies beside E//7, under the same parent, whatever its name.
    """
    codes = kept({"A//1": 90, "A//2": 80, "E//7": 5, "B//3": 4, "Z//8": 3, "K//1": 50}, valued=("K//1",))
    found = with_families(codes, {"E//7": "E", "Z//8": "E", "B//3": "B"}, fields=4, most=2)
    fields = dict(found.select("code", "field").iter_rows())
    alone = {code for code, field in fields.items() if code == field}
    assert alone == {"K//1", "A//1"}
    assert fields["E//7"] == fields["Z//8"] == "E//7..8"
    assert fields["A//2"] == fields["B//3"]
    assert max(found.group_by("field").len()["len"]) == 2


@pytest.fixture(scope="module")
def lessons() -> Lessons:
    return prepare(pl.concat(WORLD.frames()), WORLD.described(), SETTINGS)


def test_fields_stay_few_where_codes_are_many(lessons: Lessons):
    """More than a thousand codes; a thousand fields and 256 levels in one are the bounds."""
    vocabulary = lessons.vocabulary
    sizes = [last - first for first, last in pairwise(vocabulary.field_start.tolist())]
    assert len(vocabulary.entries) > 1_100
    assert vocabulary.size <= 1_024
    assert max(sizes) <= 256
    families = [one for one in vocabulary.fields if one.last - one.first > 2]
    assert families and all(one.repeats for one in families)
    dated = [one for one in vocabulary.fields if not one.static]
    assert any(one in families for one in dated[: vocabulary.tracked])


def test_rare_codes_count_as_their_parents(lessons: Lessons):
    """A leaf that fewer than five patients have is read as the ten codes it belongs to."""
    codes = [entry.code for entry in lessons.vocabulary.entries]
    assert any(code.endswith("x") for code in codes)
    assert lessons.vocabulary.protection.backed_off_facts > 0


def test_training_and_drawing_work(lessons: Lessons, tmp_path: Path):
    """A loss below that of guessing among all codes (7.1 nats and more), and drawn codes are known ones."""
    settings = TrainSettings(
        minutes=10, width=16, depth=1, dropout=0.0, share_facts=1_000, most_epochs=1, most_gap=1.0
    )
    network, log = fit(lessons, settings=settings, checkpoint=tmp_path, progress=QUIET)
    assert np.isfinite(log.best_loss)
    drawn = draw_rows(network, lessons.vocabulary, patients=20, seed=1, first_subject=1)
    assert drawn.height > 40
    known = {entry.code for entry in lessons.vocabulary.entries} | {"MEDS_BIRTH"}
    assert set(drawn["code"]) <= known

"""What must hold for any futures: nothing known after the index enters, and the same seed gives the same bytes."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from salus.programme.usecase_folder import UseCaseFolder
from salus.progress import QUIET
from salus.timeline.store import read_codes, read_settings, read_timeline, write_timeline
from salus.workflows.futures import FuturesSettings, write_futures
from tests.small_ward import ZERO
from tests.ward_usecase import copy_of

MADE = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
CANARY = 987.65
LATER = pl.col("known_time") > ZERO


def drawn(place: UseCaseFolder) -> dict[str, bytes]:
    """Draw, and give every file's bytes."""
    settings = FuturesSettings(patients=5, samples=16, seed=11)
    write_futures(place, settings=settings, made=MADE, progress=QUIET)
    files = sorted(path for path in place.futures.rglob("*") if path.is_file())
    return {path.relative_to(place.futures).as_posix(): path.read_bytes() for path in files}


def changed(place: UseCaseFolder, events: pl.DataFrame) -> UseCaseFolder:
    """The same use case with other rows."""
    codes, settings = read_codes(place.timeline), read_settings(place.timeline)
    write_timeline(place.timeline, events, codes=codes, settings=settings)
    return place


def deleted(events: pl.DataFrame) -> pl.DataFrame:
    return events.filter(~((pl.col("split") == "held_out") & LATER).fill_null(False))


def altered(events: pl.DataFrame) -> pl.DataFrame:
    late = ((pl.col("split") == "held_out") & LATER & pl.col("numeric_value").is_not_null()).fill_null(False)
    return events.with_columns(numeric_value=pl.when(late).then(CANARY).otherwise("numeric_value"))


def released_late(events: pl.DataFrame) -> pl.DataFrame:
    """A potassium drawn at the index but released a day later, added to everyone."""
    first = events.filter((pl.col("split") == "held_out") & (pl.col("code") == "WARD//ENTRY"))
    added = first.with_columns(
        code=pl.lit("LOINC//2823-3"),
        numeric_value=pl.lit(CANARY, dtype=pl.Float32),
        unit=pl.lit("mmol/L"),
        known_time=pl.col("time") + pl.duration(days=1),
    )
    return pl.concat([events, added]).sort("subject_id", "time", nulls_last=False, maintain_order=True)


@pytest.mark.parametrize("change", [deleted, altered, released_late])
def test_what_is_known_only_after_the_index_changes_no_future(ward_usecase, tmp_path, change):
    before = drawn(copy_of(ward_usecase, tmp_path / "before"))
    other = copy_of(ward_usecase, tmp_path / "after")
    after = drawn(changed(other, change(read_timeline(other.timeline))))
    model_made = [name for name in before if name.endswith(("futures.json", ".parquet", "outcomes.svg"))]
    assert len(model_made) == 2 + 5
    assert {name: after[name] for name in model_made} == {name: before[name] for name in model_made}


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not(ward_usecase, tmp_path):
    place = copy_of(ward_usecase, tmp_path / "ward")
    first = drawn(place)
    assert drawn(place) == first
    settings = FuturesSettings(patients=5, samples=16, seed=12)
    write_futures(place, settings=settings, made=MADE, progress=QUIET)
    assert (place.futures / "futures.parquet").read_bytes() != first["futures.parquet"]

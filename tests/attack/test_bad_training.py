"""Data sets that are too small, too plain, too long or not numbers: each is refused in words, or does what it says."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from salus.cli import main
from salus.errors import LossNotFinite, SettingsRefused, TooFewPatients, ValueNotFinite
from salus.progress import QUIET
from salus.timeline.store import read_timeline, write_timeline
from salus.trajectory.generating import draw_rows
from salus.trajectory.reading import left_out, prepare, read_histories
from salus.trajectory.training import TrainSettings, fit
from salus.workflows.generate import generate
from salus.workflows.train import TrainChoices, train
from tests.small_ward import CODES, SETTINGS, ZERO, ward

CANARY = 987.65
POTASSIUM = "LOINC//2823-3"
QUICK = TrainSettings(minutes=1, width=16, depth=1, most_epochs=1)
NO_ANCHOR = replace(SETTINGS, anchor=None, time_zero=None)


def drawn_after(events: pl.DataFrame, folder: Path, *, settings=SETTINGS, codes=CODES) -> pl.DataFrame:
    """Fifty patients from a model of these events, after one pass."""
    lessons = prepare(events, codes, settings)
    network, log = fit(lessons, settings=QUICK, checkpoint=folder / "c", progress=QUIET)
    assert np.isfinite(log.best_loss)
    return draw_rows(network, lessons.vocabulary, patients=50, seed=1, first_subject=1)


def test_one_patient_cannot_be_trained_on(tmp_path: Path):
    """One patient is one of the ten that training needs, and none to tune by."""
    alone = ward(20).filter(pl.col("subject_id") == 2)
    with pytest.raises(TooFewPatients, match="1 patients in split 'train'; at least 10"):
        prepare(alone, CODES, SETTINGS)


def test_a_timeline_without_tuning_patients_is_refused():
    with pytest.raises(TooFewPatients, match="0 patients in split 'tuning'; at least 2"):
        prepare(ward(60).filter(pl.col("split") != "tuning"), CODES, SETTINGS)


def test_patients_of_whom_no_day_is_known_do_not_count_as_patients_to_tune_by():
    """Tuning patients with a sex and nothing else have no moment: there is nothing to measure a loss on."""
    events = ward(60).filter((pl.col("split") != "tuning") | pl.col("time").is_null())
    with pytest.raises(TooFewPatients, match="0 patients in split 'tuning' have a dated row"):
        prepare(events, CODES, NO_ANCHOR)


def test_one_code_is_enough(tmp_path: Path):
    """Nothing but potassium: what is drawn, after one hasty pass, holds nothing else."""
    events = ward(60).filter(pl.col("code") == POTASSIUM)
    drawn = drawn_after(events, tmp_path, settings=NO_ANCHOR, codes=CODES.filter(pl.col("code") == POTASSIUM))
    assert drawn["code"].unique().to_list() == [POTASSIUM]
    assert drawn["subject_id"].n_unique() > 10


def test_one_code_without_a_value_at_one_moment_is_enough(tmp_path: Path):
    """The smallest record: one event, one day, no number. So is every drawn one (or empty, after one hasty pass)."""
    events = ward(60).filter(pl.col("code") == POTASSIUM).with_columns(numeric_value=pl.lit(None, pl.Float32))
    events = events.filter(pl.col("time") == ZERO)
    drawn = drawn_after(events, tmp_path, settings=NO_ANCHOR, codes=CODES.filter(pl.col("code") == POTASSIUM))
    assert 10 < drawn.height == drawn["subject_id"].n_unique()
    assert drawn["time"].unique().to_list() == [ZERO]
    assert drawn["numeric_value"].null_count() == drawn.height


def test_only_the_anchor_is_nothing_to_learn():
    events = ward(60).filter(pl.col("code") == "WARD//ENTRY")
    with pytest.raises(TooFewPatients, match="no dated code"):
        prepare(events, CODES, SETTINGS)


def test_equal_values_are_drawn_as_they_are(tmp_path: Path):
    """Every potassium is 4.2: so is every drawn one."""
    four = pl.when(pl.col("code") == POTASSIUM).then(pl.lit(4.2, pl.Float32))
    drawn = drawn_after(ward(60).with_columns(numeric_value=four), tmp_path)
    values = drawn.filter(pl.col("code") == POTASSIUM)["numeric_value"]
    assert len(values) and values.unique().to_list() == [pytest.approx(4.2)]


def test_moments_of_which_nothing_may_be_said_are_moments_all_the_same(tmp_path: Path):
    """Three patients have a rare code on a day of its own: it is withheld, the empty day stays, training goes on."""
    rare = pl.DataFrame(
        {
            "subject_id": [1, 2, 3],
            "time": [ZERO + timedelta(days=3)] * 3,
            "code": ["RARE//X"] * 3,
            "split": ["train"] * 3,
        },
        schema_overrides={"time": pl.Datetime("us")},
    )
    events = pl.concat([ward(60), rare], how="diagonal").sort("subject_id", "time", nulls_last=False)
    lessons = prepare(events, CODES, SETTINGS)
    empty = np.diff(lessons.train.fact_start) == 0
    assert empty.sum() == 3
    assert set(lessons.train.time[empty]) == {3}
    assert "RARE//X" not in drawn_after(events, tmp_path)["code"].to_list()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_no_number_is_refused_before_training(tmp_path: Path, value: float):
    """The message names the code and how many rows, and no patient's value."""
    bad = (pl.col("subject_id") == 1) & (pl.col("code") == POTASSIUM)
    shown = (pl.col("subject_id") == 2) & (pl.col("code") == POTASSIUM)
    events = ward(60).with_columns(
        numeric_value=pl.when(bad)
        .then(value)
        .when(shown)
        .then(CANARY)
        .otherwise("numeric_value")
        .cast(pl.Float32)
    )
    with pytest.raises(ValueNotFinite, match=r"4 rows of LOINC//2823-3") as problem:
        prepare(events, CODES, SETTINGS)
    assert "987" not in str(problem.value)
    write_timeline(tmp_path / "t", events, codes=CODES, settings=SETTINGS)
    with pytest.raises(ValueNotFinite):
        train(tmp_path / "t", tmp_path / "m", choices=TrainChoices(minutes=0.02), progress=QUIET)
    assert not (tmp_path / "m").exists()
    with pytest.raises(ValueNotFinite):
        read_histories(events, CODES, SETTINGS, prepare(ward(60), CODES, SETTINGS).vocabulary)


def test_codes_the_model_never_saw_count_as_what_they_are_a_kind_of_or_are_left_out_and_counted():
    """A model that knows NSAID and a choice of colours (one too rare to be named) meets three new codes.

    IBUPROFEN is read as NSAID, its parent; COLOUR//GREEN as something of the choice, as the rare one was. NEW is
    neither: its two rows are left out and counted. The anchor is no fact and not counted.
    """
    colours = {"RED": pl.col("subject_id") % 2 == 1, "RARE": pl.col("subject_id").is_in([2, 4, 6])}
    colours["BLUE"] = ~colours["RED"] & ~colours["RARE"]
    learnt = [
        ward(60),
        given("NSAID"),
        *(given(f"COLOUR//{name}").filter(who) for name, who in colours.items()),
    ]
    vocabulary = prepare(in_order(learnt), CODES, SETTINGS).vocabulary
    kind = pl.DataFrame({"code": ["IBUPROFEN"], "parent_codes": [["NSAID"]], "role": ["event"]})
    codes = pl.concat([CODES, kind], how="diagonal_relaxed")
    entry = ward(60).filter(pl.col("code") == "WARD//ENTRY")
    new = [given("IBUPROFEN"), given("COLOUR//GREEN"), given("NEW"), given("NEW", day=9)]
    events = in_order([entry, *new]).filter(pl.col("subject_id") == 1)
    records = read_histories(events, codes, SETTINGS, vocabulary)
    said = [vocabulary.entries[place].code for place in vocabulary.level_code[records.level]]
    assert sorted(said) == ["COLOUR//*", "NSAID", "SALUS//START"]
    found = left_out(events, codes, vocabulary)
    assert (found.rows, found.codes) == (2, 1)


def given(code: str, *, day: int = 4) -> pl.DataFrame:
    """One row of ``code`` on that day for everybody of the ward."""
    when = pl.lit(ZERO + timedelta(days=day), dtype=pl.Datetime("us"))
    entry = ward(60).filter(pl.col("code") == "WARD//ENTRY")
    return entry.with_columns(code=pl.lit(code), time=when, known_time=when)


def in_order(parts: list[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(parts).sort("subject_id", "time", nulls_last=False)


def test_a_loss_that_is_no_number_ends_training_and_nothing_is_kept(tmp_path: Path):
    """A rate that throws the weights out of all bounds: the next loss is no number, and no checkpoint holds it."""
    lessons = prepare(ward(60), CODES, SETTINGS)
    wild = replace(QUICK, rate=1e38, share_facts=50)
    with pytest.raises(LossNotFinite, match="not a number at step") as problem:
        fit(lessons, settings=wild, checkpoint=tmp_path / "c", progress=QUIET)
    assert "fix:" in str(problem.value)
    assert not [*tmp_path.rglob("*.safetensors")]


def test_one_patients_long_record_does_not_say_how_long_drawn_records_may_be(tmp_path: Path):
    """Woman 2 has 40 more days of potassium and 30 more facts on one of them; four others could have hidden her.

    Of 36 training patients women have 6 dated moments (static, days 0 to 50) or 7 in all, and are followed to day 60;
    facts in a moment: two statics' (sex, start, age: three). Nobody but her reaches more,
    or waits longer than ten days (she: 50), so nothing drawn does.
    """
    mine = ward(60).filter(pl.col("code") == POTASSIUM, pl.col("subject_id") == 2).head(1)
    days = [
        mine.with_columns(time=pl.lit(ZERO + timedelta(days=100 + day), pl.Datetime("us")))
        for day in range(40)
    ]
    crowd = [mine.with_columns(time=pl.lit(ZERO + timedelta(days=120), pl.Datetime("us")))] * 30
    plain = prepare(ward(60), CODES, SETTINGS).vocabulary
    marked = prepare(in_order([ward(60), *days, *crowd]), CODES, SETTINGS).vocabulary
    for limit in (plain, marked):
        assert (limit.longest_record, limit.latest, limit.longest_moment) == (7, 60, 3)
        assert limit.wait_edges[-1] == 11  # women wait ten days: for the next potassium, and for the end


def test_patients_drawn_without_an_event_are_counted_as_such(tmp_path: Path):
    """Records of a code that may be missing, without anchor or birth: those drawn empty have no row and are told."""
    events = ward(60).filter(pl.col("code") == POTASSIUM).with_columns(numeric_value=pl.lit(None, pl.Float32))
    codes = CODES.filter(pl.col("code") == POTASSIUM)
    write_timeline(tmp_path / "t", events.filter(pl.col("time") == ZERO), codes=codes, settings=NO_ANCHOR)
    train(tmp_path / "t", tmp_path / "m", choices=TrainChoices(minutes=0.001, seed=1), progress=QUIET)
    found = generate(tmp_path / "m", tmp_path / "s", patients=200, seed=1, progress=QUIET)
    assert found.patients == read_timeline(tmp_path / "s")["subject_id"].n_unique() < 200
    assert found.patients + found.without_events == 200


def test_no_minutes_are_typed_wrongly(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Exit code 2, with what to type instead; nothing is written."""
    write_timeline(tmp_path / "t", ward(20), codes=CODES, settings=SETTINGS)
    with pytest.raises(SystemExit) as end:
        main(["train", str(tmp_path / "t"), "--to", str(tmp_path / "m"), "--minutes", "0"])
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert "[SAL-308] 0.0 minutes cannot be trained" in said and "fix:" in said
    assert not (tmp_path / "m").exists()
    for minutes in (-1, float("nan"), float("inf")):
        with pytest.raises(SettingsRefused):
            train(tmp_path / "t", tmp_path / "m", choices=TrainChoices(minutes=minutes), progress=QUIET)


LONG = """
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
import polars as pl
sys.path.insert(0, sys.argv[1])
from small_ward import CODES, SETTINGS, ZERO, ward
from salus.progress import QUIET
from salus.trajectory.reading import prepare
from salus.trajectory.training import TrainSettings, fit
from salus.workflows.machine import MemoryWatch

if __name__ == "__main__":
    one = ward(60).filter(pl.col("code") == "LOINC//2823-3", pl.col("subject_id") == 2).head(1)
    when = pl.lit(ZERO, dtype=pl.Datetime("us")) + pl.duration(minutes=5 * pl.int_range(100_000))
    long = pl.concat([one] * 100_000).with_columns(time=when, known_time=when)
    events = pl.concat([ward(60), long]).sort("subject_id", "time", nulls_last=False)
    with MemoryWatch() as memory:
        lessons = prepare(events, CODES, replace(SETTINGS, grain="minute"))
        settings = TrainSettings(minutes=1, width=16, depth=1, most_epochs=1)
        _, log = fit(lessons, settings=settings, checkpoint=Path(sys.argv[2]), progress=QUIET)
    print(lessons.train.facts, log.facts_seen, log.best_loss, memory.peak)
"""


def test_a_patient_with_a_hundred_thousand_events_is_trained_on_like_others(tmp_path: Path):
    """All her facts are learnt from, in one step, within 2.5 GB (a narrow network; the default's are in the docs).

    36 training patients of the ward have 306 facts.
    """
    script = tmp_path / "long.py"
    script.write_text(LONG)
    asked = subprocess.run(
        [sys.executable, str(script), str(Path(__file__).parents[1]), str(tmp_path / "c")],
        capture_output=True,
        text=True,
        check=True,
    )
    facts, seen, loss, peak = asked.stdout.split()
    assert int(facts) == 100_306
    assert int(seen) == 100_306
    assert np.isfinite(float(loss))
    assert int(peak) < 2.5e9


def test_a_forecast_says_what_it_could_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """12 held-out patients have a code at entry that no training patient had: 12 rows of 1 code are left out."""
    write_timeline(tmp_path / "t", ward(60), codes=CODES, settings=SETTINGS)
    train(tmp_path / "t", tmp_path / "m", choices=TrainChoices(minutes=0.02, seed=1), progress=QUIET)
    described = CODES.filter(pl.col("role") == "event").head(1).with_columns(code=pl.lit("NEW"))
    later = in_order([ward(60), given("NEW", day=0)])
    write_timeline(tmp_path / "l", later, codes=pl.concat([CODES, described]), settings=SETTINGS)
    (tmp_path / "task.yaml").write_text(TASK)
    asked = ["forecast", str(tmp_path / "m"), str(tmp_path / "l"), "--task", str(tmp_path / "task.yaml")]
    with pytest.raises(SystemExit) as end:
        main([*asked, "--to", str(tmp_path / "r.parquet"), "--samples", "2"])
    assert end.value.code == 0
    assert "left out: 12 rows of 1 code that the model has never seen" in capsys.readouterr().out


TASK = """
name: ward
index: {code: WARD//ENTRY}
outcomes:
  - name: death_30d
    any_of: [MEDS_DEATH]
    within: {days: 30}
"""

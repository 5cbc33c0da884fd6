"""Filling what is missing: drawn given what was recorded, marked as completed, never over what was recorded."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from salus.cli import main
from salus.errors import ConditionRefused
from salus.progress import QUIET
from salus.timeline.store import read_settings, read_timeline, write_timeline
from salus.trajectory.artefact import Model
from salus.trajectory.completing import complete
from salus.trajectory.draws import InTurn
from salus.trajectory.filling import filled_rows
from salus.trajectory.gaps import Gaps, Moments, Using, find_fields
from salus.trajectory.reading import read_histories
from salus.trajectory.sampling import Sampler
from salus.workflows.complete import CompleteSettings, complete_timeline
from tests.small_model import trained, trained_folder, varied
from tests.small_ward import CODES, SETTINGS, ZERO, ward

POTASSIUM = "LOINC//2823-3"
HELD_OUT = ward(200).filter(pl.col("split") == "held_out")
NOBODYS_SEX = HELD_OUT.filter(~pl.col("code").str.starts_with("SEX//"))


def filled(events: pl.DataFrame, gaps: Gaps, *, model: Model | None = None, seed: int = 5) -> pl.DataFrame:
    model = model or trained()
    records = read_histories(events, CODES, SETTINGS, model.vocabulary)
    found = complete(model.network, model.vocabulary, records=records, gaps=gaps, seed=seed)
    return filled_rows(found, records, model.vocabulary)


def asking(names: str, **how: object) -> Gaps:
    return replace(Gaps(fields=find_fields(names, trained().vocabulary, where="--fields")), **how)


def test_a_missing_sex_follows_from_potassium_and_from_how_the_stay_ended():
    """Near 4 and leaving on day 60: a woman (even numbers). Near 6 and dying on day 20: a man."""
    found = filled(NOBODYS_SEX, asking("sex"))
    assert found.height == 40
    assert set(found["source"]) == {"completed"}
    assert found["time"].null_count() == 40
    right = pl.when(pl.col("subject_id") % 2 == 0).then(pl.lit("SEX//F")).otherwise(pl.lit("SEX//M"))
    assert found.filter(pl.col("code") == right).height >= 38


def test_the_first_potassium_alone_tells_the_sex_already():
    """Only the moment of entry is known: sex missing, potassium recorded there, which is drawn after the sex."""
    entry = NOBODYS_SEX.filter(pl.col("time").is_null() | (pl.col("time") <= ZERO))
    found = filled(entry, asking("sex"))
    women = set(found.filter(pl.col("code") == "SEX//F")["subject_id"])
    assert sum(woman % 2 == 0 for woman in women) >= 18
    assert sum(woman % 2 == 1 for woman in women) <= 2


def test_from_the_history_alone_the_sex_stays_open():
    """Nothing but the age is known before the first potassium: half of forty samples of forty patients are women."""
    found = filled(NOBODYS_SEX, asking("sex", using=Using.HISTORY, moments=Moments.STATIC, samples=40))
    assert found.height == 1_600
    assert found.filter(pl.col("code") == "SEX//F").height == pytest.approx(800, abs=250)
    assert found.group_by("subject_id").agg(pl.col("code").n_unique())["code"].max() == 2


def test_a_missing_potassium_is_as_the_sex_has_it():
    """The first potassium is missing: near 4 in women, near 6 in men, on the day of entry, once."""
    first = (pl.col("code") == POTASSIUM) & (pl.col("time") == ZERO)
    found = filled(HELD_OUT.filter(~first), asking("2823-3"))
    assert found["subject_id"].n_unique() == found.height == 40
    assert set(found["time"]) == {ZERO}
    assert set(found["unit"]) == {"mmol/L"}
    women = found.filter(pl.col("subject_id") % 2 == 0)["numeric_value"]
    men = found.filter(pl.col("subject_id") % 2 == 1)["numeric_value"]
    assert women.mean() == pytest.approx(4, abs=0.2)
    assert men.mean() == pytest.approx(6, abs=0.2)


def test_a_missing_age_becomes_a_birth():
    """The ward's ages are 40 to 79; a birth so many years before entry."""
    found = filled(HELD_OUT.filter(pl.col("code") != "MEDS_BIRTH"), asking("age"))
    assert set(found["code"]) == {"MEDS_BIRTH"}
    years = found.select(years=(ZERO - pl.col("time")).dt.total_days() / 365.25)["years"]
    assert years.round(1).is_between(39, 80).all()
    assert found["numeric_value"].null_count() == 40


def test_where_nothing_is_missing_nothing_is_filled():
    assert filled(HELD_OUT, asking("sex,age")).is_empty()


def test_all_fills_what_everybody_has():
    """Neither sex nor birth recorded: both are filled for everybody; no death is ever filled."""
    bare = NOBODYS_SEX.filter(pl.col("code") != "MEDS_BIRTH")
    found = filled(bare, Gaps(fields=None, moments=Moments.EVERY))
    assert found.filter(pl.col("code").str.starts_with("SEX//")).height == 40
    assert found.filter(pl.col("code") == "MEDS_BIRTH").height == 40
    assert found.filter(pl.col("code") == "MEDS_DEATH").is_empty()


def test_several_samples_scatter_where_the_record_leaves_it_open_and_the_seed_repeats_them():
    ages = filled(HELD_OUT.filter(pl.col("code") != "MEDS_BIRTH"), asking("age", samples=8))
    assert ages.group_by("subject_id").agg(pl.col("time").n_unique())["time"].mean() > 4
    again = filled(HELD_OUT.filter(pl.col("code") != "MEDS_BIRTH"), asking("age", samples=8))
    other = filled(HELD_OUT.filter(pl.col("code") != "MEDS_BIRTH"), asking("age", samples=8), seed=6)
    assert ages.equals(again)
    assert not ages.equals(other)


def static_records(model: Model, patients: int) -> pl.DataFrame:
    """Everybody as the model draws them: code and number of each static fact."""
    with torch.inference_mode():
        drawn = Sampler(model.network, model.vocabulary, draws=InTurn(3)).statics(patients)
    codes = [model.vocabulary.entries[place].code for place in model.vocabulary.level_code[drawn.level]]
    return pl.DataFrame({"row": drawn.row, "code": codes}).group_by("row").agg("code")


def test_a_field_is_filled_as_rejection_would_given_facts_drawn_after_it():
    """Sex is drawn before allergy. Of those whom the model draws with an allergy and no height, from There, so many are
    women: as many as of filled sexes of a record that says just that. 40 equal records of 250 samples each."""
    model = varied()
    everybody = static_records(model, 200_000)
    says = pl.col("code").list
    kept = everybody.filter(
        says.contains("ALLERGY"), says.contains("ORIGIN//There"), ~says.contains("HEIGHT")
    )
    women = kept.filter(says.contains("SEX//F")).height / kept.height
    record = HELD_OUT.filter(pl.col("code").is_in(["WARD//ENTRY"]))
    more = [
        pl.DataFrame({"subject_id": record["subject_id"].unique(), "code": code}).with_columns(
            split=pl.lit("held_out")
        )
        for code in ("ALLERGY", "ORIGIN//There")
    ]
    fields = find_fields("sex,age", model.vocabulary, where="--fields")
    gaps = Gaps(fields=fields, moments=Moments.STATIC, using=Using.HISTORY, samples=250)
    found = filled(pl.concat([record, *more], how="diagonal"), gaps, model=model)
    share = found.filter(pl.col("code") == "SEX//F").height / (40 * 250)
    assert found.height == 2 * 40 * 250
    assert share == pytest.approx(
        women, abs=4.5 * np.sqrt(women * (1 - women) * (1 / kept.height + 2 / 10_000))
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The ward's timeline without the sex of the held-out patients."""
    events = ward(200)
    hidden = (pl.col("split") == "held_out") & pl.col("code").str.starts_with("SEX//")
    write_timeline(tmp_path / "timeline", events.filter(~hidden), codes=CODES, settings=SETTINGS)
    return tmp_path


def run(place: Path, *options: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["complete", str(trained_folder()), str(place / "timeline"), "--json", *options])
    return int(ended.value.code or 0)


def test_the_command_leaves_every_recorded_row_as_it_is_and_marks_the_others(place, capsys):
    assert run(place, "--fields", "sex", "--to", str(place / "whole")) == 0
    told = json.loads(capsys.readouterr().out)
    before, after = read_timeline(place / "timeline"), read_timeline(place / "whole")
    assert (told["filled"], told["patients"]) == (40, 40)
    assert sum(told["by_code"].values()) == 40
    assert "do not forecast" in told["warning"]
    assert after.filter(pl.col("source") != "completed").equals(before)
    assert after.filter(pl.col("source") == "completed").height == 40
    assert set(after.filter(pl.col("source") == "completed")["split"]) == {"held_out"}
    assert "completed: sex" in read_settings(place / "whole").splits


def test_several_samples_are_several_timelines_and_the_same_seed_gives_the_same(place, capsys):
    for name in ("one", "two"):
        assert (
            run(place, "--fields", "sex", "--samples", "2", "--split", "held_out", "--to", str(place / name))
            == 0
        )
    assert sorted(path.name for path in (place / "one").iterdir()) == ["01", "02"]
    assert read_timeline(place / "one" / "02").equals(read_timeline(place / "two" / "02"))


def test_a_category_that_the_model_does_not_know_counts_as_recorded(place):
    """One patient's sex is a code withheld from the model: it is not filled over."""
    told = pl.concat(
        [
            read_timeline(place / "timeline"),
            pl.DataFrame(
                {"subject_id": [161], "code": ["SEX//X"], "source": ["invented"], "split": ["held_out"]}
            ),
        ],
        how="diagonal",
    ).sort("subject_id", "time", nulls_last=False, maintain_order=True)
    codes = pl.concat([CODES, pl.DataFrame({"code": ["SEX//X"], "role": ["event"]})], how="diagonal")
    write_timeline(place / "other", told, codes=codes, settings=SETTINGS)
    settings = CompleteSettings(fields="sex")
    complete_timeline(trained_folder(), place / "other", to=place / "out", settings=settings, progress=QUIET)
    own = read_timeline(place / "out").filter(
        pl.col("subject_id") == 161, pl.col("code").str.starts_with("SEX//")
    )
    assert own["code"].to_list() == ["SEX//X"]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ("sxe", "the model knows no field 'sxe' (did you mean 'sex'?)"),
        ("MEDS_DEATH", "'MEDS_DEATH' is never filled"),
        ("start", "'start' is never filled"),
    ],
)
def test_fields_that_cannot_be_filled_are_refused(fields, says):
    with pytest.raises(ConditionRefused) as refused:
        find_fields(fields, trained().vocabulary, where="--fields")
    assert says in refused.value.what


def test_the_recorded_timeline_is_never_replaced(place, capsys):
    assert run(place, "--fields", "sex", "--to", str(place / "timeline")) == 2
    assert "would take the place of the recorded one" in capsys.readouterr().err

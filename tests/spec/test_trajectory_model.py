"""A model trained on the invented ward for seconds knows its rules: who dies, when, and what potassium they have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from salus.progress import QUIET
from salus.trajectory.artefact import Lineage, Model, load_model, save_model
from salus.trajectory.forecasting import Asked, Histories, Question, draw_risks, monte_carlo
from salus.trajectory.generating import draw_rows
from salus.trajectory.reading import prepare, read_histories
from salus.trajectory.training import TrainSettings, fit
from tests.interrupting import Interruption, StopAfter
from tests.small_ward import CODES, SETTINGS, ZERO, ward

EVENTS = ward(200)
LESSONS = prepare(EVENTS, CODES, SETTINGS)
QUICK = TrainSettings(
    minutes=2, width=32, share_facts=100, most_epochs=60, averaging=0.9, dropout=0.0, patience=60
)
LINEAGE = Lineage(
    salus="0", torch="0", timeline_digest="0", data_set="invented ward", splits="", patients_train=120,
    patients_tuning=40, facts_after_death=0, hardware={},
)  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Trained once for this file, saved, and read back: everything below runs on what the disk holds."""
    network, log = fit(LESSONS, settings=QUICK, checkpoint=tmp_path_factory.mktemp("run"), progress=QUIET)
    made = Model(
        network=network,
        vocabulary=LESSONS.vocabulary,
        settings=QUICK,
        log=log,
        lineage=LINEAGE,
        codes=CODES.to_dicts(),
    )
    folder = tmp_path_factory.mktemp("model")
    save_model(made, folder)
    return load_model(folder)


@pytest.fixture(scope="module")
def drawn(model: Model) -> pl.DataFrame:
    return draw_rows(model.network, model.vocabulary, patients=400, seed=11, first_subject=1)


def of(drawn: pl.DataFrame, sex: str) -> pl.DataFrame:
    members = drawn.filter(pl.col("code") == sex)["subject_id"]
    return drawn.filter(pl.col("subject_id").is_in(members.implode()))


def test_half_the_drawn_patients_are_women(drawn):
    """400 patients at one half: three standard errors are 30."""
    assert abs(drawn.filter(pl.col("code") == "SEX//F").height - 200) < 40


def test_men_die_on_day_20_and_women_leave_follow_up_on_day_60(drawn):
    men, women = of(drawn, "SEX//M"), of(drawn, "SEX//F")
    deaths = men.filter(pl.col("code") == "MEDS_DEATH").select((pl.col("time") - ZERO).dt.total_days())[
        "time"
    ]
    assert len(deaths) > 0.8 * men["subject_id"].n_unique()
    assert deaths.median() == 20
    ends = women.filter(pl.col("code") == "FOLLOW_UP//END").select((pl.col("time") - ZERO).dt.total_days())[
        "time"
    ]
    assert len(ends) > 0.8 * women["subject_id"].n_unique()
    assert ends.median() == 60


def test_drawn_potassium_follows_sex(drawn):
    """Near 6 mmol/L in men, near 4 mmol/L in women, with one decimal and the unit beside it."""
    for sex, level in (("SEX//M", 6.0), ("SEX//F", 4.0)):
        values = of(drawn, sex).filter(pl.col("code") == "LOINC//2823-3")
        assert abs(values["numeric_value"].mean() - level) < 0.3
        assert values["unit"].unique().to_list() == ["mmol/L"]
        tenths = values["numeric_value"].cast(pl.Float64) * 10
        assert ((tenths - tenths.round(0)).abs() < 1e-4).all()


def test_nothing_follows_death_and_what_happens_once_happens_once(drawn):
    death = drawn.filter(pl.col("code") == "MEDS_DEATH").select("subject_id", died="time")
    assert death["subject_id"].is_unique().all()
    after = drawn.join(death, on="subject_id").filter(pl.col("time") > pl.col("died"))
    assert after.is_empty()


def test_every_drawn_patient_has_the_anchor_at_time_zero_and_a_birth(drawn):
    anchors = drawn.filter(pl.col("code") == "WARD//ENTRY")
    assert anchors.height == 400
    assert anchors["time"].unique().to_list() == [ZERO]
    assert drawn.filter(pl.col("code") == "MEDS_BIRTH").height == 400


def test_the_same_seed_draws_the_same_patients_and_another_seed_others(model, drawn):
    again = draw_rows(model.network, model.vocabulary, patients=400, seed=11, first_subject=1)
    other = draw_rows(model.network, model.vocabulary, patients=400, seed=12, first_subject=1)
    assert again.equals(drawn)
    assert not other.equals(drawn)


def risks(model: Model, events: pl.DataFrame, within: int) -> dict[int, float]:
    """Risk of death within so many days of entry, by subject; 64 futures each."""
    records = read_histories(events, CODES, SETTINGS, model.vocabulary)
    asked = Asked(questions=(Question(name="death", codes=("MEDS_DEATH",), within=within),), samples=64)
    known = Histories(records=records, known_until=np.zeros(records.patients, dtype=np.int64))
    found = draw_risks(model.network, model.vocabulary, histories=known, asked=asked, seed=5)
    return dict(zip(records.subject.tolist(), found.risk[:, 0].tolist(), strict=True))


def test_the_risk_of_death_is_near_one_in_men_and_near_nought_in_women(model):
    """Known at entry: sex, age and the first potassium. Within 30 days all men die and no woman does."""
    known = EVENTS.filter(
        (pl.col("split") == "held_out") & (pl.col("time").is_null() | (pl.col("time") <= ZERO))
    )
    found = risks(model, known, within=30)
    men = [risk for subject, risk in found.items() if subject % 2]
    women = [risk for subject, risk in found.items() if not subject % 2]
    assert np.mean(men) > 0.9
    assert np.mean(women) < 0.1


def test_a_death_after_the_horizon_does_not_count(model):
    """Men die on day 20: hardly one within 10 days."""
    known = EVENTS.filter(
        (pl.col("split") == "held_out") & (pl.col("time").is_null() | (pl.col("time") <= ZERO))
    )
    assert np.mean(list(risks(model, known, within=10).values())) < 0.1


def test_monte_carlo_bounds_are_those_of_the_mean_of_the_futures():
    """Chances 0, 0.2, 0.4, 0.6: mean 0.3, SD sqrt(0.2/3) = 0.2582, so 0.3 +- 1.96 x 0.2582/2 = 0.047 to 0.553."""
    risk, lower, upper = monte_carlo(np.asarray([[[0.0], [0.2], [0.4], [0.6]]], dtype=np.float32))
    np.testing.assert_allclose([risk[0, 0], lower[0, 0], upper[0, 0]], [0.3, 0.047, 0.553], atol=1e-3)


def test_one_future_says_nothing_of_its_error():
    risk, lower, upper = monte_carlo(np.asarray([[[0.25]]], dtype=np.float32))
    assert (risk[0, 0], lower[0, 0], upper[0, 0]) == (0.25, 0.0, 1.0)


def test_an_interrupted_run_resumes_to_the_same_weights(tmp_path: Path):
    """Stopped in the second epoch and started again, training ends where an undisturbed run ends."""
    settings = TrainSettings(minutes=5, width=16, share_facts=400, most_epochs=3)
    whole, log = fit(LESSONS, settings=settings, checkpoint=tmp_path / "a", progress=QUIET)
    with pytest.raises(Interruption):
        fit(LESSONS, settings=settings, checkpoint=tmp_path / "b", progress=StopAfter(log.steps // 2))
    resumed, again = fit(LESSONS, settings=settings, checkpoint=tmp_path / "b", progress=QUIET)
    assert again.steps == log.steps
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=0, atol=0)

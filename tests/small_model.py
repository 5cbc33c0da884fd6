"""Models of the invented ward, trained for seconds, once for all tests: as it is, and with more static facts."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

from salus.progress import QUIET
from salus.trajectory.artefact import Lineage, Model, load_model, save_model
from salus.trajectory.reading import prepare
from salus.trajectory.training import TrainSettings, fit
from tests.small_ward import CODES, SETTINGS, ZERO, ward

QUICK = TrainSettings(
    minutes=2, width=32, share_facts=100, most_epochs=60, averaging=0.9, dropout=0.0, patience=60
)
LINEAGE = Lineage(
    salus="0", torch="0", timeline_digest="0", data_set="invented ward", splits="", patients_train=120,
    patients_tuning=40, facts_after_death=0, hardware={},
)  # fmt: skip


@cache
def trained_folder() -> Path:
    """The folder of a model that knows the ward's rules: women near 4 mmol/L, men near 6 who die on day 20."""
    return _train(ward(200), QUICK)


@cache
def trained() -> Model:
    return load_model(trained_folder())


@cache
def varied_folder() -> Path:
    """The folder of a model of the ward with more static facts that depend on each other; not all of them are recorded.

    Height (of one in two patients): near 178 cm in men and 165 in women. Allergy (a mere event): of three in five
    women and one in five men. Origin (of three in four patients): mostly There from age 60, else mostly Here.
    """
    random, events = np.random.default_rng(7), ward(300)
    birth = events.filter(pl.col("code") == "MEDS_BIRTH").sort("subject_id")["time"]
    old = [born.year <= ZERO.year - 60 for born in birth]
    rows: list[tuple[int, str, float | None]] = []
    for subject in range(1, 301):
        woman = subject % 2 == 0
        if random.random() < 0.5:
            rows.append((subject, "HEIGHT", round(float(random.normal(165 if woman else 178, 6)), 0)))
        if random.random() < (0.6 if woman else 0.2):
            rows.append((subject, "ALLERGY", None))
        if random.random() < 0.75:
            usual, other = ("There", "Here") if old[subject - 1] else ("Here", "There")
            origin = random.choice([usual, other, "Elsewhere"], p=[0.7, 0.2, 0.1])
            rows.append((subject, f"ORIGIN//{origin}", None))
    kinds = {"subject_id": pl.Int64, "code": pl.String, "numeric_value": pl.Float32}
    more = pl.DataFrame(rows, schema=kinds, orient="row").join(
        events.select("subject_id", "split").unique(), on="subject_id"
    )
    return _train(pl.concat([events, more], how="diagonal"), replace(QUICK, most_epochs=20))


@cache
def varied() -> Model:
    return load_model(varied_folder())


def _train(events: pl.DataFrame, settings: TrainSettings) -> Path:
    place = Path(tempfile.mkdtemp(prefix="small-model-"))
    lessons = prepare(events, CODES, SETTINGS)
    network, log = fit(lessons, settings=settings, checkpoint=place / "run", progress=QUIET)
    made = Model(
        network=network,
        vocabulary=lessons.vocabulary,
        settings=settings,
        log=log,
        lineage=LINEAGE,
        codes=[
            *CODES.to_dicts(),
            *({"code": code} for code in sorted(set(events["code"]) - set(CODES["code"]))),
        ],
    )
    (place / "model").mkdir()
    save_model(made, place / "model")
    return place / "model"

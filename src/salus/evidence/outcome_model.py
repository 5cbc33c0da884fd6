"""The honest simple rule: gradient-boosted trees on the summary of a record, one model an outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import lightgbm
import numpy as np
import polars as pl

from salus.evidence.discrimination import Floats
from salus.evidence.summary_features import KEY, SummaryColumns, learn_columns, summary_features

LEAST_EVENTS = 20
ROUNDS = 300
# The best of four settings by 3-fold cross-validation on the cohort's training patients (second best on the stays').
SETTINGS: Mapping[str, object] = {
    "objective": "binary",
    "learning_rate": 0.03,
    "num_leaves": 8,
    "min_data_in_leaf": 40,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "num_threads": 1,  # the same model on every machine; two threads that share a core are slower
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
METHOD = "LightGBM, 300 rounds of 8 leaves at 0.03, on summary features at the index"


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """One group of patients: what was known of each at the index, the index moments, the outcome labels."""

    name: str
    known: pl.DataFrame
    moments: pl.DataFrame
    labels: pl.DataFrame


class FeatureTables:
    """Summary tables of several populations in the same columns: those that ``model_on`` has."""

    def __init__(self, model_on: Population) -> None:
        self.columns: SummaryColumns = learn_columns(model_on.known)
        self._tables: dict[str, pl.DataFrame] = {}

    def rows(self, population: Population, task: str) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Features and labels of the patients who have an answer for ``task``, in the order of subject_id."""
        if population.name not in self._tables:
            table = summary_features(population.known, population.moments, self.columns)
            self._tables[population.name] = table
        answered = population.labels.filter((pl.col("task") == task) & pl.col("label").is_not_null())
        joined = answered.sort("subject_id").join(
            self._tables[population.name], on=KEY, how="left", maintain_order="left"
        )
        names = [name for name in self._tables[population.name].columns if name not in KEY]
        return joined.select(names), joined.select("subject_id", outcome=pl.col("label").cast(pl.Float64))


def fit_and_predict(
    tables: FeatureTables, task: str, *, trained_on: Population, tested_on: Population, seed: int
) -> tuple[pl.DataFrame | None, str]:
    """Risks of the tested patients (subject_id, outcome, risk), or None and why there are none."""
    features, answers = tables.rows(trained_on, task)
    happened = int(answers["outcome"].sum())
    if min(happened, answers.height - happened) < LEAST_EVENTS:
        return None, (
            f"{happened} of {answers.height} patients of '{trained_on.name}' have the outcome; "
            f"{LEAST_EVENTS} with and {LEAST_EVENTS} without it are needed"
        )
    data = lightgbm.Dataset(_matrix(features), answers["outcome"].to_numpy())
    model = lightgbm.train({**SETTINGS, "seed": seed}, data, num_boost_round=ROUNDS)
    features, answers = tables.rows(tested_on, task)
    if answers.is_empty():
        return None, f"no patient of '{tested_on.name}' has an answer"
    risk: Floats = np.asarray(model.predict(_matrix(features)), dtype=np.float64)
    return answers.with_columns(risk=pl.Series(risk)), ""


def _matrix(features: pl.DataFrame) -> np.ndarray:
    return features.to_numpy().astype(np.float32)

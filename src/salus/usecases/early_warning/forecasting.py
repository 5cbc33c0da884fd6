"""Forecasts, patient by patient: nobody's risk depends on who else is asked about, nor on the patient's number."""

from __future__ import annotations

import numpy as np
import polars as pl

from salus.cohort.task import Outcome
from salus.errors import SettingsRefused
from salus.trajectory.artefact import Model
from salus.trajectory.forecasting import Asked, Histories, Question, Risks, draw_risks
from salus.trajectory.reading import read_histories
from salus.trajectory.spreading import spread
from salus.usecases.contract import Budget, Proposal
from salus.usecases.early_warning.ward_round import Known, WardRound, index_grain

FUTURES = 64
"""Futures drawn for each patient."""
LEVEL = 0.95
"""Of the Monte Carlo interval: what is said beside each risk."""
ROWS = pl.Schema(
    {
        "candidate": pl.Int64(),
        "subject_id": pl.Int64(),
        "prediction_time": pl.Datetime("us"),
        "outcome": pl.String(),
        "until": pl.Datetime("us"),
        "risk": pl.Float64(),
        "lower": pl.Float64(),
        "upper": pl.Float64(),
        "level": pl.Float64(),
        "futures": pl.Int64(),
        "abstained": pl.String(),
        "age": pl.Float64(),
        "codes": pl.Int64(),
        "strange": pl.Int64(),
    }
)


def forecast_round(around: WardRound, n: int, *, seed: int, budget: Budget) -> Proposal:
    """Forecast for the first ``n`` patients, or as many as the budget allows. Raises SettingsRefused (SAL-308)."""
    if n < 1:
        raise SettingsRefused(
            f"{n} patients cannot be forecast", where="n", fix="give a whole number above 0"
        )
    opened, model = around.opened, around.opened.model
    asked = around.patients[:n]
    rows, made = [], 0
    for number in budget.pieces(len(asked) if model is not None else 0):
        rows += _forecast(around, asked[number], candidate=number + 1, seed=seed)
        made = number + 1
    return Proposal(
        kind=opened.usecase.kind,
        asked=n,
        made=made,
        seed=seed,
        rows=pl.DataFrame(rows, schema=ROWS, orient="row"),
        digests={
            "model": model.digest if model else "",
            "task": opened.digest_of(opened.folder.task.name),
            "record": opened.timeline_digest,
        },
        stopped=_stopped(around, n, made, budget=budget),
        missing=around.needs().missing,
    )


def _stopped(around: WardRound, n: int, made: int, *, budget: Budget) -> str:
    if made == n:
        return ""
    if around.opened.model is None:
        return "the model is missing"
    if made < min(n, len(around.patients)):
        return f"{budget.seconds:g} seconds were used up"
    return f"no more than {len(around.patients)} patients have an index moment"


def _forecast(around: WardRound, patient: Known, *, candidate: int, seed: int) -> list[tuple[object, ...]]:
    """One row an outcome; no number where something required is unknown."""
    model, outcomes = around.opened.model, around.task.outcomes
    reasons = [_abstains(around, patient, outcome) for outcome in outcomes]
    risks = None
    if model is not None and not all(reasons):
        risks = _draw(around, model, patient, seed=seed)
    found: list[tuple[object, ...]] = []
    for number, (outcome, reason) in enumerate(zip(outcomes, reasons, strict=True)):
        numbers: tuple[float | None, ...] = (None, None, None)
        if risks is not None and not reason:
            numbers = tuple(float(part[0, number]) for part in (risks.risk, risks.lower, risks.upper))
        until = None if outcome.within is None else patient.moment + outcome.within
        found.append(
            (
                candidate, patient.subject_id, patient.moment, outcome.name, until, *numbers, LEVEL, FUTURES,
                reason or None, patient.age, patient.codes, patient.strange,
            )
        )  # fmt: skip
    return found


def _abstains(around: WardRound, patient: Known, outcome: Outcome) -> str:
    """Why nothing is said of an outcome; empty where something is. Unknown is never taken as negative."""
    if patient.lacking:
        names = ", ".join(around.opened.describe(code) for code in patient.lacking)
        return f"not known at the index moment: {names}"
    if patient.had(outcome):
        return "the patient had it already"
    if patient.codes == patient.strange:
        return "the model knows no code of this record"
    return ""


def _draw(around: WardRound, model: Model, patient: Known, *, seed: int) -> Risks:
    """Draw one patient's futures, on one core and from the seed alone."""
    grain_seconds = model.vocabulary.clock.grain_seconds
    questions = tuple(
        Question(
            name=outcome.name,
            codes=outcome.any_of,
            within=None if outcome.within is None else int(outcome.within.total_seconds() // grain_seconds),
            until=outcome.until,
        )
        for outcome in around.task.outcomes
    )
    records = read_histories(patient.rows, around.opened.codes, around.opened.settings, model.vocabulary)
    histories = Histories(
        records=records, known_until=np.asarray([index_grain(model, patient.moment)], dtype=np.int64)
    )

    def work(these: Histories) -> Risks:
        return draw_risks(
            model.network,
            model.vocabulary,
            histories=these,
            asked=Asked(questions=questions, samples=FUTURES),
            seed=seed,
        )

    (risks,) = spread(work, [histories])
    return risks

"""How good forecasts are on held-out patients, with the simple model's AUROC always beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from salus.evidence.calibration import calibration_line, reliability_bins
from salus.evidence.discrimination import Floats, auprc, auroc, brier
from salus.evidence.outcome_model import METHOD
from salus.evidence.resampling import interval, patient_weights
from salus.findings import Finding

LEAST_EVENTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Findings per task, and groups of patients by predicted risk for the calibration picture."""

    findings: list[Finding]
    reliability: pl.DataFrame


def forecast_accuracy(
    forecast: pl.DataFrame, labels: pl.DataFrame, *, baseline: pl.DataFrame, seed: int
) -> Accuracy:
    """Compare risks with what happened, task by task.

    ``forecast``: subject_id, task, risk, samples. ``labels``: subject_id, task, label. ``baseline``: subject_id,
    task, real_risk of the simple model. Patients without an answer or without a forecast are left out, and counted.
    """
    answered = labels.filter(pl.col("label").is_not_null())
    joined = (
        answered.select("subject_id", "task", outcome=pl.col("label").cast(pl.Float64))
        .join(forecast.select("subject_id", "task", "risk", "samples"), on=["subject_id", "task"], how="left")
        .join(baseline.select("subject_id", "task", "real_risk"), on=["subject_id", "task"], how="left")
        .sort("task", "subject_id")
    )
    found: list[Finding] = []
    bins: list[pl.DataFrame] = []
    for task in joined["task"].unique().sort().to_list():
        rows = joined.filter(pl.col("task") == task)
        met = rows.filter(pl.col("risk").is_not_null())
        found += _findings(task, met, without=rows.height - met.height, seed=seed)
        if met.height:
            groups = reliability_bins(met["outcome"].to_numpy(), met["risk"].cast(pl.Float64).to_numpy())
            bins.append(groups.select(pl.lit(task).alias("task"), pl.all()))
    return Accuracy(findings=found, reliability=pl.concat(bins) if bins else pl.DataFrame())


def _findings(task: str, rows: pl.DataFrame, *, without: int, seed: int) -> list[Finding]:
    outcome = rows["outcome"].to_numpy()
    events = int(outcome.sum())
    reason = "" if not without else f"{without} patients with an answer have no forecast and are left out"
    few = min(events, len(outcome) - events) < LEAST_EVENTS
    if few:
        reason = (
            f"{events} of {len(outcome)} patients have the outcome; {LEAST_EVENTS} of each kind are needed"
        )
    weights = (
        patient_weights(rows["subject_id"].to_numpy(), seed=seed) if not few else np.ones((1, len(outcome)))
    )
    measured = [] if few else _measure(rows, weights)
    by_name = {name: (value, draws) for name, value, draws in measured}
    nothing = (float("nan"), np.full(1, np.nan))
    found = []
    for name, method, comparison in MEASURES:
        bounds = interval(*by_name.get(name, nothing))
        found.append(
            Finding(
                metric=f"forecast.{name}",
                population=f"held_out: {task}",
                value=bounds.value,
                lower=bounds.lower,
                upper=bounds.upper,
                patients=rows.height,
                events=events,
                method=f"{method}; 1,000 bootstrap draws of patients, percentile bounds",
                seed=seed,
                comparison=comparison,
                reason=reason if bounds.value is not None or few else reason or "could not be fitted",
            )
        )
    return found


MEASURES = (
    ("auroc", "share of pairs told apart, ties half", ""),
    ("auprc", "average precision", "the outcome's frequency is what guessing gets"),
    ("brier", "mean squared error of the risk", ""),
    ("slope", "logistic recalibration; risks of 0 or 1 moved inside by half a sample", "1 is ideal"),
    ("intercept", "logistic recalibration; risks of 0 or 1 moved inside by half a sample", "0 is ideal"),
    ("baseline_auroc", METHOD, "learnt from real patients"),
    ("auroc_difference", "forecast minus baseline on the same draws", METHOD),
)


def _measure(rows: pl.DataFrame, weights: Floats) -> list[tuple[str, float, Floats]]:
    """Each measure's value on the patients and on every draw of them."""
    outcome = rows["outcome"].to_numpy()
    risk = rows["risk"].cast(pl.Float64).to_numpy()
    simple: dict[str, Callable[..., Floats]]
    simple = {"auroc": auroc, "auprc": auprc, "brier": brier}
    found = [
        (name, float(measure(outcome, risk)[0]), measure(outcome, risk, weights=weights))
        for name, measure in simple.items()
    ]
    samples = rows["samples"].max()
    smallest = 0.5 / float(samples) if isinstance(samples, int) and samples > 0 else 1e-6
    lines = calibration_line(outcome, risk, smallest=smallest)
    drawn = calibration_line(outcome, risk, weights=weights, smallest=smallest)
    found += [
        (name, float(one[0]), many)
        for name, one, many in zip(("slope", "intercept"), lines, drawn, strict=True)
    ]
    if rows["real_risk"].null_count() == 0:
        base = rows["real_risk"].to_numpy()
        value, draws = float(auroc(outcome, base)[0]), auroc(outcome, base, weights=weights)
        found.append(("baseline_auroc", value, draws))
        found.append(("auroc_difference", found[0][1] - value, found[0][2] - draws))
    return found

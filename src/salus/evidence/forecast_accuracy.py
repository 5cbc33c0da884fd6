"""How good forecasts are on held-out patients and in each group of them, with the simple model always beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from salus.evidence.calibration import calibration_line, reliability_bins
from salus.evidence.discrimination import Floats, auprc, auroc, brier
from salus.evidence.groups import Slice
from salus.evidence.net_benefit import THRESHOLDS, above_default, net_benefit, net_benefit_curve
from salus.evidence.outcome_model import METHOD
from salus.evidence.resampling import BOUNDS, REPLICATES, interval, patient_weights
from salus.evidence.withheld import SMALLEST, shown, told
from salus.findings import Finding

LEAST_EVENTS = 5
LEAST_IN_GROUP = 10
BINS = 10
DRAWN = f"{REPLICATES:,} bootstrap draws of patients, {BOUNDS}"
RECALIBRATION = "logistic recalibration; risks of 0 or 1 moved inside by half a sample"
MEASURES = {
    "auroc": ("share of pairs told apart, ties half", ""),
    "auprc": ("average precision", "the outcome's frequency is what guessing gets"),
    "brier": ("mean squared error of the risk", ""),
    "slope": (RECALIBRATION, "1 is ideal"),
    "intercept": (RECALIBRATION, "0 is ideal"),
    "baseline_auroc": (METHOD, "learnt from real patients"),
    "auroc_difference": ("forecast minus baseline on the same draws", METHOD),
}
IN_GROUPS = ("auroc", "brier", "slope", "intercept")
BENEFIT = "true alarms less false ones at the odds of the risk, a patient (Vickers & Elkin 2006)"
UNMEASURED = (float("nan"), np.full(1, np.nan))


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Findings per task and group; patients by predicted risk for the calibration picture; net benefit's curve."""

    findings: list[Finding]
    reliability: pl.DataFrame
    net_benefit: pl.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """Patients of one population with risk and outcome, and the bootstrap's draws of them; or why there are none."""

    population: str
    rows: pl.DataFrame
    reason: str
    few: bool
    weights: Floats
    events: int | None  # None: withheld

    @property
    def outcome(self) -> Floats:
        return self.rows["outcome"].to_numpy()

    @property
    def risk(self) -> Floats:
        return self.rows["risk"].cast(pl.Float64).to_numpy()


def forecast_accuracy(
    forecast: pl.DataFrame,
    labels: pl.DataFrame,
    *,
    baseline: pl.DataFrame,
    seed: int,
    slices: Sequence[Slice] = (),
) -> Accuracy:
    """Compare risks with what happened, task by task, and again in each of ``slices``.

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
    bins, curves = [pl.DataFrame()], [pl.DataFrame()]
    for task in joined["task"].unique().sort().to_list():
        rows = joined.filter(pl.col("task") == task)
        whole = _asked(f"held_out: {task}", rows, least=0, seed=seed)
        found += [*_accuracy(whole, MEASURES, seed=seed), *_benefit(whole, seed=seed)]
        found += _in_slices(task, rows, slices, seed=seed)
        if whole.rows.height >= SMALLEST:
            number = min(BINS, whole.rows.height // SMALLEST)
            by_risk = reliability_bins(whole.outcome, whole.risk, bins=number)
            bins.append(by_risk.select(pl.lit(task).alias("task"), pl.all()))
            drawn = None if whole.few else whole.weights
            curve = net_benefit_curve(whole.outcome, whole.risk, weights=drawn)
            curves.append(curve.select(pl.lit(task).alias("task"), pl.all()))
    return Accuracy(
        findings=found,
        reliability=pl.concat(bins, how="diagonal"),
        net_benefit=pl.concat(curves, how="diagonal"),
    )


def _in_slices(task: str, rows: pl.DataFrame, slices: Sequence[Slice], *, seed: int) -> list[Finding]:
    """The same in each group. Where one group's events are withheld, so are those of its sisters: they add up."""
    asked = {
        one: _asked(
            f"held_out: {task}; {one.label} {one.name}",
            rows.filter(pl.col("subject_id").is_in(one.patients)),
            least=LEAST_IN_GROUP,
            seed=seed,
        )
        for one in slices
    }
    withheld = {one.label for one, each in asked.items() if each.events is None}
    found = []
    for one, each in asked.items():
        hidden = replace(each, events=None) if one.label in withheld else each
        found += _accuracy(hidden, IN_GROUPS, seed=seed)
    return found


def _asked(population: str, rows: pl.DataFrame, *, least: int, seed: int) -> _Asked:
    """Leave out who has no forecast; say why too few are left, without telling counts of one to four."""
    met = rows.filter(pl.col("risk").is_not_null())
    without, ill = rows.height - met.height, int(met["outcome"].sum())
    well = met.height - ill
    reason = f"{told(without)} patients with an answer have no forecast and are left out" if without else ""
    few = met.height < least or min(ill, well) < LEAST_EVENTS
    if few:
        needed = f"{LEAST_EVENTS} of each" + (f" and {least} in all" if least else "")
        with_it = f"{told(ill)} with the outcome" if ill <= well else f"{told(well)} without the outcome"
        reason = f"{with_it} among {told(met.height)}; {needed} are needed"
    people = met["subject_id"].to_numpy()
    return _Asked(
        population=population,
        rows=met,
        reason=reason,
        few=few,
        weights=np.ones((1, met.height)) if few else patient_weights(people, seed=seed),
        events=None if any(0 < count < SMALLEST for count in (ill, well)) else ill,
    )


def _accuracy(asked: _Asked, names: Sequence[str] | Mapping[str, object], *, seed: int) -> list[Finding]:
    measured = {} if asked.few else _measure(asked, names)
    return [
        _finding(asked, f"forecast.{name}", measured.get(name, UNMEASURED), said=MEASURES[name], seed=seed)
        for name in names
    ]


def _benefit(asked: _Asked, *, seed: int) -> list[Finding]:
    """Net benefit, and what of it is more than the better of acting on all and none gives."""
    measures: dict[str, tuple[Callable[..., Floats], str]] = {
        "forecast.net_benefit": (net_benefit, ""),
        "forecast.net_benefit_difference": (above_default, ", against the better of treating all and none"),
    }
    found = []
    for metric, (measure, against) in measures.items():
        for threshold in THRESHOLDS:
            numbers = UNMEASURED
            if not asked.few:
                value = float(measure(asked.outcome, asked.risk, threshold=threshold)[0])
                drawn = measure(asked.outcome, asked.risk, threshold=threshold, weights=asked.weights)
                numbers = (value, drawn)
            said = (BENEFIT, f"risk {threshold:.2f} or more{against}")
            found.append(_finding(asked, metric, numbers, said=said, seed=seed))
    return found


def _finding(
    asked: _Asked, metric: str, numbers: tuple[float, Floats], *, said: tuple[str, str], seed: int
) -> Finding:
    """Put value and draws into a finding; ``said``: method and comparison."""
    bounds = interval(*numbers, patients=asked.rows["subject_id"].n_unique())
    return Finding(
        metric=metric,
        population=asked.population,
        value=bounds.value,
        lower=bounds.lower,
        upper=bounds.upper,
        patients=shown(asked.rows.height),
        events=asked.events,
        method=f"{said[0]}; {DRAWN}",
        seed=seed,
        comparison=said[1],
        reason=asked.reason
        if bounds.value is not None or asked.few
        else asked.reason or "could not be fitted",
    )


def _measure(asked: _Asked, names: Sequence[str] | Mapping[str, object]) -> dict[str, tuple[float, Floats]]:
    """Each measure's value on the patients and on every draw of them."""
    outcome, risk, weights = asked.outcome, asked.risk, asked.weights
    simple: dict[str, Callable[..., Floats]] = {"auroc": auroc, "auprc": auprc, "brier": brier}
    found = {
        name: (float(measure(outcome, risk)[0]), measure(outcome, risk, weights=weights))
        for name, measure in simple.items()
        if name in names
    }
    samples = asked.rows["samples"].max()
    smallest = 0.5 / float(samples) if isinstance(samples, int) and samples > 0 else 1e-6
    lines = calibration_line(outcome, risk, smallest=smallest)
    drawn = calibration_line(outcome, risk, weights=weights, smallest=smallest)
    for name, one, many in zip(("slope", "intercept"), lines, drawn, strict=True):
        found[name] = (float(one[0]), many)
    if "baseline_auroc" in names and asked.rows["real_risk"].null_count() == 0:
        base = asked.rows["real_risk"].to_numpy()
        value, draws = float(auroc(outcome, base)[0]), auroc(outcome, base, weights=weights)
        found["baseline_auroc"] = (value, draws)
        found["auroc_difference"] = (found["auroc"][0] - value, found["auroc"][1] - draws)
    return found

"""Are synthetic patients of use? An outcome model learnt from them is tested on real held-out patients.

Beside it, always, the same model learnt from the real patients: the ratio of the two says what is lost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from salus.evidence.discrimination import auroc
from salus.evidence.outcome_model import METHOD, FeatureTables, Population, fit_and_predict
from salus.evidence.resampling import BOUNDS, REPLICATES, interval, patient_weights
from salus.findings import Finding, Interval

RISKS = {
    "task": pl.String(),
    "subject_id": pl.Int64(),
    "outcome": pl.Float64(),
    "real_risk": pl.Float64(),
    "synthetic_risk": pl.Float64(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Utility:
    """Findings, and each held-out patient's risk by the model learnt from real and from synthetic patients."""

    findings: list[Finding]
    risks: pl.DataFrame


def utility(real: Population, synthetic: Population, *, held_out: Population, seed: int) -> Utility:
    """Measure every task that ``held_out`` has labels for; ``real`` also serves as the forecast's baseline."""
    tables = FeatureTables(real)
    found: list[Finding] = []
    risks: list[pl.DataFrame] = [pl.DataFrame(schema=RISKS)]
    for task in held_out.labels["task"].unique().sort().to_list():
        by_real, why_real = fit_and_predict(tables, task, trained_on=real, tested_on=held_out, seed=seed)
        by_synthetic, why = fit_and_predict(tables, task, trained_on=synthetic, tested_on=held_out, seed=seed)
        both = _side_by_side(tables.rows(held_out, task)[1], by_real, by_synthetic)
        found += _findings(task, both, reasons=(why_real, why), seed=seed)
        named = both.with_columns(task=pl.lit(task))
        risks.append(named.select(pl.col(name).cast(kind) for name, kind in RISKS.items()))
    return Utility(findings=found, risks=pl.concat(risks))


def _side_by_side(
    answers: pl.DataFrame, by_real: pl.DataFrame | None, by_synthetic: pl.DataFrame | None
) -> pl.DataFrame:
    nothing = pl.lit(None, dtype=pl.Float64)
    return answers.with_columns(
        real_risk=nothing if by_real is None else by_real["risk"],
        synthetic_risk=nothing if by_synthetic is None else by_synthetic["risk"],
    )


def _findings(task: str, risks: pl.DataFrame, *, reasons: tuple[str, str], seed: int) -> list[Finding]:
    """AUROC by the real and by the synthetic model, and their ratio, replicate by replicate on the same draws."""
    outcome = risks["outcome"].to_numpy()
    weights = patient_weights(risks["subject_id"].to_numpy(), seed=seed)
    values, draws = [], []
    for column in ("real_risk", "synthetic_risk"):
        known = len(outcome) > 0 and risks[column].null_count() == 0
        risk = risks[column].to_numpy()
        values.append(float(auroc(outcome, risk)[0]) if known else float("nan"))
        draws.append(auroc(outcome, risk, weights=weights) if known else np.full(len(weights), np.nan))
    with np.errstate(invalid="ignore", divide="ignore"):
        values.append(float(np.divide(values[1], values[0])))
        draws.append(draws[1] / draws[0])
    one_class = "all held-out patients have the same outcome"
    missing = (reasons[0] or one_class, reasons[1] or one_class, reasons[1] or reasons[0] or one_class)
    names = ("utility.real_auroc", "utility.synthetic_auroc", "utility.auroc_ratio")
    sides = ("trained on real patients", "trained on synthetic patients", "synthetic / real")
    found = []
    for name, side, value, drawn, why in zip(names, sides, values, draws, missing, strict=True):
        bounds: Interval = interval(value, drawn, patients=risks.height)
        found.append(
            Finding(
                metric=name,
                population=f"held_out: {task}",
                value=bounds.value,
                lower=bounds.lower,
                upper=bounds.upper,
                patients=risks.height,
                events=int(outcome.sum()),
                method=f"{METHOD}; {REPLICATES:,} bootstrap draws of patients, {BOUNDS}",
                seed=seed,
                comparison=side,
                reason=why if bounds.value is None else "",
            )
        )
    return found

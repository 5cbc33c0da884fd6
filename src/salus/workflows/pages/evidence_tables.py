"""Tables of a bundle's findings: fidelity, utility, privacy, forecasts; what was not measured is said so."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from salus.findings import Finding
from salus.workflows.pages.sheet import Table
from salus.workflows.pages.words import interval, number, share

WORST = 12
EMPTY = "not measured."
HELD_OUT = "held_out: "
ATTACKS = {
    "privacy.membership_auc": "whichever is strongest",
    "privacy.likelihood_auc": "likelihood of the record",
    "privacy.density_auc": "density of synthetic patients",
    "privacy.nearest_auc": "nearest synthetic patient",
}
FORECAST = {
    "forecast.auroc": "AUROC",
    "forecast.baseline_auroc": "AUROC of the simple model",
    "forecast.auroc_difference": "difference",
    "forecast.auprc": "AUPRC",
    "forecast.brier": "Brier score",
    "forecast.slope": "calibration slope",
    "forecast.intercept": "calibration intercept",
}
UTILITY = {
    "utility.real_auroc": "AUROC, learnt from real",
    "utility.synthetic_auroc": "AUROC, learnt from synthetic",
    "utility.auroc_ratio": "synthetic ÷ real",
}


def fidelity_table(scores: pl.DataFrame) -> Table:
    """Every measure: synthetic between ceiling and floor."""
    rows = tuple(
        (
            str(row["measure"]),
            interval(row["synthetic"], row["lower"], row["upper"]),
            interval(row["ceiling"], None, None),
            interval(row["floor"], None, None),
        )
        for row in scores.to_dicts()
    )
    heads = ("measure", "synthetic", "ceiling: other real patients", "floor: shuffled")
    caption = "Fidelity by measure; 1 is the same as the real patients trained on"
    return Table(name="t-fidelity", caption=caption, heads=heads, rows=rows, empty=EMPTY)


def code_table(by_code: pl.DataFrame, meanings: dict[str, str]) -> Table:
    """The codes whose share of patients or values are furthest apart."""
    apart = (pl.col("real_share") - pl.col("share")).abs()
    worst = pl.max_horizontal(apart, 1 - pl.col("values_alike").fill_null(1.0))
    rows = tuple(
        (
            str(row["code"]),
            meanings.get(str(row["code"]), ""),
            share(row["real_share"]),
            share(row["share"]),
            number(row["real_rows"]),
            number(row["rows"]),
            number(row["values_alike"]),
        )
        for row in by_code.sort(worst, descending=True).head(WORST).to_dicts()
    )
    heads = ("code", "meaning", "real patients", "synthetic patients", "real rows a patient",
             "synthetic rows a patient", "values alike")  # fmt: skip
    caption = f"The codes furthest apart ({len(rows)} of {by_code.height}); values alike: 1 is the same"
    return Table(name="t-apart", caption=caption, heads=heads, rows=rows, words_first=2, empty=EMPTY)


def utility_table(findings: Sequence[Finding]) -> Table:
    """Each outcome: learnt from real, learnt from synthetic, their ratio."""
    caption = "Tested on real patients who were held out: AUROC with 95 % interval"
    return _by_task(findings, UTILITY, name="t-utility", caption=caption)


def forecast_table(findings: Sequence[Finding]) -> Table:
    """Each outcome: discrimination and calibration, the simple model beside."""
    caption = "Forecasts of real patients who were held out, with 95 % interval"
    return _by_task(findings, FORECAST, name="t-forecast", caption=caption)


def group_table(findings: Sequence[Finding]) -> Table:
    """The AUROC of each outcome again in groups of patients."""
    rows = tuple(
        (
            *one.population.removeprefix(HELD_OUT).split("; ", 1),
            f"{one.patients:,}",
            "fewer than 5" if one.events is None else f"{one.events:,}",
            _bounded(one),
        )
        for one in findings
        if one.metric == "forecast.auroc" and "; " in one.population
    )
    heads = ("outcome", "patients who are", "patients", "with the outcome", "AUROC")
    caption = "The same forecasts in groups of patients"
    return Table(name="t-groups", caption=caption, heads=heads, rows=rows, words_first=2, empty=EMPTY)


def privacy_table(findings: Sequence[Finding]) -> Table:
    """Each attack with its control and the guess without a model."""
    found = {(one.metric, one.comparison): one for one in findings if one.kind == "privacy"}
    rows = tuple(
        (
            words,
            _bounded(found[metric, "attack"]),
            *(_bounded(found.get((metric, other))) for other in ("control", "baseline")),
        )
        for metric, words in ATTACKS.items()
        if (metric, "attack") in found
    )
    heads = ("attack by", "AUC", "the same on patients never learnt from", "guess without the model")
    caption = "Can one tell who was trained on? 0.5 is guessing, 1 is certain"
    return Table(name="t-privacy", caption=caption, heads=heads, rows=rows, empty=EMPTY)


def privacy_notes(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Who was attacked, and what each attack's finding says of itself."""
    attacks = [one for one in findings if one.metric in ATTACKS and one.comparison == "attack"]
    told = [f"Attack by {ATTACKS[one.metric]}: {one.reason}." for one in attacks if one.reason]
    return tuple(
        dict.fromkeys([f"{one.population[:1].upper()}{one.population[1:]}." for one in attacks] + told)
    )


def _by_task(findings: Sequence[Finding], columns: dict[str, str], *, name: str, caption: str) -> Table:
    tasks: dict[str, dict[str, Finding]] = {}
    for one in findings:
        if one.metric in columns and "; " not in one.population:
            tasks.setdefault(one.population.removeprefix(HELD_OUT), {})[one.metric] = one
    rows = tuple(
        (task, _patients(found), *(_bounded(found.get(metric)) for metric in columns))
        for task, found in tasks.items()
    )
    heads = ("outcome", "patients (with it)", *columns.values())
    return Table(name=name, caption=caption, heads=heads, rows=rows, empty=EMPTY)


def _patients(found: dict[str, Finding]) -> str:
    one = next(iter(found.values()))
    return f"{one.patients:,} ({'fewer than 5' if one.events is None else f'{one.events:,}'})"


def _bounded(one: Finding | None) -> str:
    return interval(None, None, None) if one is None else interval(one.value, one.lower, one.upper)

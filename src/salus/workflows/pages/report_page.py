"""The report of a run: what was done, how close synthetic patients are, what can be learnt from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from salus.workflows.pages import report_pictures
from salus.workflows.pages.comparison import (
    code_shares,
    invented_patients,
    main_codes,
    period_name,
    rates_by_period,
    rows_a_patient,
    value_shares,
)
from salus.workflows.pages.drawing import Picture
from salus.workflows.pages.render import Page, Table, render
from salus.workflows.pages.report_tables import (
    code_table,
    fidelity_table,
    figure,
    forecast_table,
    key_numbers,
    made_with_table,
    measures,
    run_tables,
    utility_table,
)
from salus.workflows.pages.words import number, shown_unit
from salus.workflows.stages import Json

MOST_LINES = 14
FEWEST_IN_CALIBRATION = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Everything the report can show; None or empty where a run did not make it."""

    summary: Json = None
    by_code: pl.DataFrame | None = None
    real: pl.DataFrame | None = None
    synthetic: pl.DataFrame | None = None
    codes: pl.DataFrame | None = None
    time_zero: datetime | None = None
    curve: pl.DataFrame | None = None  # x, loss, who
    curve_across: str = "seconds of training"
    reliability: dict[str, pl.DataFrame] = field(
        default_factory=dict
    )  # task -> predicted, observed, patients


def report_page(run: Run, page: Page) -> str:
    """Write the page for ``run``."""
    return render(
        "report.html.j2",
        page,
        key=key_numbers(run.summary),
        run=run_tables(run.summary),
        learning=_learning(run),
        fidelity_words=_fidelity_words(run.summary),
        ladder=_ladder(run.summary),
        fidelity=fidelity_table(run.summary),
        occurrence=_occurrence(run),
        details=[code_table(run.by_code, _meanings(run.codes)), *_counts(run)],
        values=_values(run),
        utility=utility_table(run.summary),
        forecast=forecast_table(run.summary),
        calibration=_calibration(run.reliability),
        patients=_patients(run),
        most_lines=MOST_LINES,
        made_with=made_with_table(run.summary),
    )


def _fidelity_words(summary: Json) -> str:
    overall, ceiling = figure(summary, "fidelity", "overall"), figure(summary, "fidelity", "ceiling")
    floor = figure(summary, "fidelity", "floor")
    if overall is None:
        return "An overall number was not computed in this run."
    said = f"Overall {number(overall)}; real patients against other real patients reach {number(ceiling)}"
    return f"{said}, shuffled columns {number(floor)}." if floor is not None else f"{said}."


def _learning(run: Run) -> Picture | None:
    if run.curve is None or run.curve.is_empty():
        return None
    caption = "Loss while training, on the patients trained on and on others used to stop."
    return report_pictures.learning_curve(run.curve, across=run.curve_across, caption=caption)


def _ladder(summary: Json) -> Picture | None:
    known = measures(summary).drop_nulls("synthetic")
    if known.is_empty():
        return None
    caption = (
        "Each measure: synthetic patients (diamond) between shuffled columns (cross) and real ones (dot)."
    )
    return report_pictures.ladder(known, caption=caption)


def _occurrence(run: Run) -> list[Picture]:
    if run.real is None or run.synthetic is None or run.codes is None:
        return []
    shares = code_shares(run.real, run.synthetic)
    drawn = [report_pictures.marginals(shares, caption="Each dot is a code; on the line both are equal.")]
    rates = rates_by_period(run.real, run.synthetic, codes=run.codes, time_zero=run.time_zero)
    if rates.height:
        caption = "Rows per patient in each period of follow-up, over everyone."
        drawn.append(report_pictures.rates(rates, across=period_name(rates), caption=caption))
    return drawn


def _counts(run: Run) -> list[Table]:
    if run.real is None or run.synthetic is None:
        return []
    rows = tuple(
        (f"{row['measure']}, {row['quantile']}", number(row["real"]), number(row["synthetic"]))
        for row in rows_a_patient(run.real, run.synthetic).to_dicts()
    )
    heads = ("each patient's", "real", "synthetic")
    return [Table(name="t-counts", caption="How much one patient has", heads=heads, rows=rows)]


def _values(run: Run) -> list[Picture]:
    if run.real is None or run.synthetic is None or run.codes is None:
        return []
    described = {
        str(row["code"]): (str(row["description"] or row["code"]), shown_unit(row["unit"]))
        for row in run.codes.to_dicts()
    }
    decimals = dict(zip(run.codes["code"], run.codes["decimals"], strict=True))
    drawn = []
    for code in main_codes(run.real, run.codes):
        shares = value_shares(run.real, run.synthetic, code, decimals=decimals.get(code))
        if shares.height:
            name, unit = described.get(code, (code, ""))
            drawn.append(report_pictures.values(shares, name=name, unit=unit))
    return drawn


def _calibration(reliability: dict[str, pl.DataFrame]) -> list[Picture]:
    return [
        report_pictures.calibration(groups, task=task)
        for task, groups in reliability.items()
        if groups["patients"].sum() >= FEWEST_IN_CALIBRATION
    ]


def _meanings(codes: pl.DataFrame | None) -> dict[str, str]:
    if codes is None:
        return {}
    return {str(code): str(said or "") for code, said in codes.select("code", "description").iter_rows()}


def _patients(run: Run) -> list[list[tuple[str, str]]]:
    if run.synthetic is None or run.codes is None:
        return []
    return invented_patients(run.synthetic, codes=run.codes, time_zero=run.time_zero)

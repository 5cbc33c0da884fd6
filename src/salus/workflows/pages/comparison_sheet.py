"""The sheet of synthetic beside real patients: as groups, as single timelines, and what was measured on both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import polars as pl

from salus.findings import Finding
from salus.workflows.pages import comparison_pictures, evidence_tables
from salus.workflows.pages.comparison import (
    MEANS,
    PRESENCE,
    REAL,
    SYNTHETIC,
    busy_periods,
    code_shares,
    main_codes,
    pair_correlations,
    period_name,
    rates_by_period,
    rows_a_patient,
    value_shares,
)
from salus.workflows.pages.drawing import Drawn
from salus.workflows.pages.patient_timelines import choose, ground, since, timeline_picture
from salus.workflows.pages.sheet import Section, Sheet, Table
from salus.workflows.pages.words import number, shown_unit

FEWEST_IN_CALIBRATION = 50
Part = tuple[Section, Sequence[Drawn]]
"""A section and its pictures, in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What is laid side by side: real patients trained on, others held out, synthetic ones, and the evidence.

    ``tables``: of the bundle, by name; empty where nothing was measured. ``curve``: x, loss, who.
    """

    real: pl.DataFrame
    held_out: pl.DataFrame
    synthetic: pl.DataFrame
    codes: pl.DataFrame
    time_zero: datetime | None
    findings: tuple[Finding, ...]
    tables: Mapping[str, pl.DataFrame]
    curve: pl.DataFrame | None
    curve_across: str


def comparison_sheet(compared: Compared, head: Sheet) -> tuple[Sheet, dict[str, str]]:
    """The sections under ``head`` and their pictures: file name -> SVG."""
    parts = [
        _fidelity(compared),
        _occurrence(compared),
        _values(compared),
        _together(compared),
        _patients(compared),
        _utility(compared),
        _privacy(compared),
        _forecast(compared),
        _learning(compared),
        _notes(),
    ]
    sections = tuple(
        replace(section, figures=tuple(figure for figure, _ in drawn)) for section, drawn in parts
    )
    return replace(head, sections=sections), {figure.file: svg for _, drawn in parts for figure, svg in drawn}


def _fidelity(compared: Compared) -> Part:
    scores = compared.tables.get("fidelity")
    if scores is None:
        words: tuple[str, ...] = ("Fidelity has not been measured.",)
        return Section(name="fidelity", heading=FIDELITY, words=words), []
    known = scores.drop_nulls("synthetic")
    overall = known.filter(pl.col("measure") == "overall").to_dicts()
    words = tuple(
        f"Overall {number(row['synthetic'])}; real patients against other real patients reach"
        f" {number(row['ceiling'])}, shuffled columns {number(row['floor'])}."
        for row in overall
    )
    caption = "Each measure: synthetic patients (diamond) between shuffled columns (cross) and other real ones (dot)."
    drawn = [comparison_pictures.ladder(known.rename({"measure": "name"}), "fidelity.svg", caption=caption)]
    folded = (evidence_tables.fidelity_table(scores),)
    return Section(
        name="fidelity", heading=FIDELITY, words=words, folded=folded
    ), drawn if known.height else []


def _occurrence(compared: Compared) -> Part:
    names = _names(compared.codes)
    shares = code_shares(compared.real, compared.synthetic)
    shares = shares.with_columns(name=pl.col("code").replace(names))
    caption = f"Each dot is one of {shares.height} codes; on the line both are equal. {_of(compared)}"
    drawn = [comparison_pictures.marginals(shares, "shares.svg", caption=caption)]
    rates = rates_by_period(
        compared.real, compared.synthetic, codes=compared.codes, time_zero=compared.time_zero
    )
    if rates.height:
        rates, left_out = busy_periods(rates), rates.height
        rare = " Periods at both ends that hold less than one row in a hundred are not drawn."
        caption = f"Rows per patient in each period, over everyone.{rare * (rates.height < left_out)} {_of(compared)}"
        drawn.append(
            comparison_pictures.rates(rates, "rates.svg", across=period_name(rates), caption=caption)
        )
    counts = Table(
        name="t-counts",
        caption="How much one patient has",
        heads=("each patient's", "real", "synthetic"),
        rows=tuple(
            (f"{row['measure']}, {row['quantile']}", number(row[REAL]), number(row[SYNTHETIC]))
            for row in rows_a_patient(compared.real, compared.synthetic).to_dicts()
        ),
    )
    by_code = compared.tables.get("codes")
    tables = (counts,) if by_code is None else (counts, evidence_tables.code_table(by_code, names))
    return Section(name="occurrence", heading="How much is recorded, and when", tables=tables), drawn


def _values(compared: Compared) -> Part:
    decimals = dict(zip(compared.codes["code"], compared.codes["decimals"], strict=True))
    units = dict(zip(compared.codes["code"], compared.codes["unit"], strict=True))
    names = _names(compared.codes)
    drawn: list[Drawn] = []
    for code in main_codes(compared.real, compared.codes):
        shares = value_shares(compared.real, compared.synthetic, code, decimals=decimals.get(code))
        if shares.height:
            file = f"values-{len(drawn) + 1:02}.svg"
            unit = shown_unit(units.get(code))
            drawn.append(comparison_pictures.values(shares, file, name=names.get(code, code), unit=unit))
    words = (
        f"The {len(drawn)} codes that most real patients have, between the 1st and the 99th percentile of real values."
        if drawn
        else "No code has values of enough patients.",
    )
    return Section(name="values", heading="Values of the main codes", words=words), drawn


def _together(compared: Compared) -> Part:
    pairs = pair_correlations(compared.real, compared.synthetic, codes=compared.codes)
    heading = "What belongs together"
    if pairs.is_empty():
        words: tuple[str, ...] = ("No pair of codes has enough patients.",)
        return Section(name="together", heading=heading, words=words), []
    names = _names(compared.codes)
    gap = pairs.with_columns(gap=(pl.col(REAL) - pl.col(SYNTHETIC)).abs()).sort("gap", descending=True)
    worst, counted = gap.row(0, named=True), pairs["kind"].value_counts()
    kinds = dict(zip(counted["kind"], counted["count"], strict=True))
    said = (
        f"Rank correlation over patients of {kinds.get(MEANS, 0)} pairs of mean values and {kinds.get(PRESENCE, 0)}"
        f" pairs of codes being there at all; on the line both are equal. Half of the pairs differ by less than"
        f" {number(float(gap['gap'].to_numpy().mean() if gap.height < 2 else gap['gap'].sort()[gap.height // 2]))}."
        f" Widest apart: {names.get(worst['first'], worst['first'])} with"
        f" {names.get(worst['second'], worst['second'])} ({worst['kind']}), real {worst[REAL]:.2f},"
        f" synthetic {worst[SYNTHETIC]:.2f}. {_of(compared)}"
    )
    drawn = [comparison_pictures.correlations(pairs, "correlations.svg", caption=said)]
    return Section(name="together", heading=heading), drawn


def _patients(compared: Compared) -> Part:
    real = choose(since(compared.held_out, compared.time_zero))
    made = choose(since(compared.synthetic, compared.time_zero))
    if not real or not made:
        return Section(name="patients", heading=SINGLE, words=("There is no patient to show.",)), []
    on = ground([*real, *made], codes=compared.codes, real=compared.real)
    drawn: list[Drawn] = []
    for place in range(max(len(real), len(made))):
        for label, people in (("REAL", real), ("SYNTHETIC", made)):
            if place < len(people):
                drawn.append(timeline_picture(people[place], on, label=label, number=place + 1))
    everyone = {name: frame["subject_id"].n_unique() for name, frame in _both(compared).items()}
    words = (
        f"{len(real)} of {everyone[REAL]:,} real patients who were held out, and {len(made)} of"
        f" {everyone[SYNTHETIC]:,} synthetic ones. Nobody chose them: patients are put in order of their number of"
        " rows, and every k-th is taken, from the same places of both orders.",
        "A row for each recorded code; a dot is larger and darker the higher its value is among all real values"
        " of that code.",
    )
    mark = "Single real patients are shown here, without names or numbers. Do not pass this page on."
    return Section(name="patients", heading=SINGLE, words=words, mark=mark, patients=True), drawn


def _both(compared: Compared) -> dict[str, pl.DataFrame]:
    return {REAL: compared.held_out, SYNTHETIC: compared.synthetic}


def _utility(compared: Compared) -> Part:
    words = (
        "The same gradient boosting on a summary of the record is trained once on real and once on synthetic patients;"
        " both are tested on real patients who were held out.",
    )
    tables = (evidence_tables.utility_table(compared.findings),)
    heading = "Utility: can one learn from them?"
    return Section(name="utility", heading=heading, words=words, tables=tables), []


def _privacy(compared: Compared) -> Part:
    words = (
        "Each attack scores patients, some of whom were trained on. The control makes the same attack on patients of"
        " whom none was trained on; the guess uses the record alone, without the model and without synthetic patients.",
    )
    tables = (evidence_tables.privacy_table(compared.findings),)
    heading = "Privacy: can one tell who was trained on?"
    notes = evidence_tables.privacy_notes(compared.findings)
    return Section(name="privacy", heading=heading, words=words, tables=tables, notes=notes), []


def _forecast(compared: Compared) -> Part:
    drawn: list[Drawn] = []
    for name, draw in (
        ("reliability", comparison_pictures.calibration),
        ("net_benefit", comparison_pictures.net_benefit),
    ):
        frame = compared.tables.get(name, pl.DataFrame({"task": []}, schema={"task": pl.String}))
        for (task,), part in frame.group_by("task", maintain_order=True):
            if name == "net_benefit" or part["patients"].sum() >= FEWEST_IN_CALIBRATION:
                file = f"{name.replace('_', '-')}-{len(drawn) + 1:02}.svg"
                drawn.append(draw(part, file, task=str(task)))
    words = (
        "For each held-out patient the model draws futures from the index moment on; the risk is the share of futures"
        " with the outcome. Gradient boosting on a summary of the record stands beside it as the simple model.",
    )
    return Section(
        name="forecast",
        heading="Forecast by sampled futures",
        words=words,
        tables=(evidence_tables.forecast_table(compared.findings),),
        folded=(evidence_tables.group_table(compared.findings),),
    ), drawn


def _learning(compared: Compared) -> Part:
    if compared.curve is None or compared.curve.is_empty():
        words: tuple[str, ...] = ("The model left no record of its training.",)
        return Section(name="training", heading="Training", words=words), []
    caption = "Loss while training, on the patients trained on and on others used to stop."
    drawn = comparison_pictures.learning_curve(
        compared.curve, "training.svg", across=compared.curve_across, caption=caption
    )
    return Section(name="training", heading="Training"), [drawn]


def _notes() -> Part:
    return Section(name="reading", heading="How to read this", notes=NOTES), []


def _of(compared: Compared) -> str:
    real, made = (part["subject_id"].n_unique() for part in (compared.real, compared.synthetic))
    return f"{real:,} real patients trained on, {made:,} synthetic."


def _names(codes: pl.DataFrame) -> dict[str, str]:
    return {str(row["code"]): str(row["description"] or row["code"]) for row in codes.to_dicts()}


FIDELITY = "Fidelity: do synthetic patients look like real ones?"
SINGLE = "Single patients, real and synthetic"
NOTES = (
    "Brackets hold 95 % intervals, resampled by patient.",
    "The ceiling compares real patients with other real patients who were held out: nothing synthetic can be expected"
    " to come closer. The floor compares real patients with the same columns shuffled: it keeps how often things"
    " happen and loses what belongs together.",
    "AUROC: the chance that a patient with the outcome gets a higher risk than one without. AUPRC: precision averaged"
    " over recall; chance is the outcome's share. Brier score: mean squared error of the risk, lower is better."
    " Calibration: slope 1 and intercept 0 are perfect. Net benefit: true alarms less false ones, these weighed by"
    " the risk from which one acts.",
    "In pictures of groups, real is drawn as a solid line, synthetic as a dashed one. Groups of one to four patients"
    " are left out.",
)

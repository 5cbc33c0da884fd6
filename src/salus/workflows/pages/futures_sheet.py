"""The page of one held-out patient: what was known, the risks, and what the model expects to follow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import polars as pl

from salus.cohort.task import Task
from salus.trajectory.futures import LEAST_FUTURES
from salus.workflows.pages.futures_pictures import Measured, bands_of, incidence_picture, value_picture
from salus.workflows.pages.sheet import Figure, Section, Sheet, Table
from salus.workflows.pages.words import HELD, interval, number, share, shown_unit

PICTURES, FIRST = 8, 10
APART = ("anchor", "birth", "death", "follow_up_end")
NO_BASELINE = "not measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What all patients' pages share.

    ``codes``: the timeline's codes; ``main``: measured codes, the most usual first; ``again``: those of them that
    these data hold after the index too; ``horizon``: hours drawn, None: no limit; ``shown``: hours of it that curves
    show, ``beyond``: the share of futures that go on after that.
    """

    task: Task
    codes: pl.DataFrame
    main: tuple[str, ...]
    again: frozenset[str]
    horizon: float | None
    shown: float
    beyond: float
    patients: int
    samples: int
    seed: int
    made: datetime
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """One patient, without any id.

    ``known``, ``later``: rows with ``hours`` since the index (and ``known_hours``), by what was known then; ``drawn``:
    future, hours, code, value; ``curves``: task, hours, risk, lower, upper; ``risks``: task, risk, lower, upper;
    ``baseline``: risk by task; ``answers``: what happened, by task.
    """

    number: int
    birth_hours: float | None
    known: pl.DataFrame
    later: pl.DataFrame
    drawn: pl.DataFrame
    curves: pl.DataFrame
    risks: pl.DataFrame
    baseline: Mapping[str, float] | None
    answers: Mapping[str, tuple[bool | None, str | None]]


def patient_title(patient: Patient, scene: Scene) -> str:
    """Number, sex and age in whole years."""
    known = set(patient.known["code"])
    sex = [
        name_of(row) for row in scene.codes.to_dicts() if row["code"] in known and row["code"][:5] == "SEX//"
    ]
    years = [] if patient.birth_hours is None else [f"{int(-patient.birth_hours / 24 / 365.25)} years"]
    return ", ".join([f"Patient {patient.number}", *(text.lower() for text in sex), *years])


def patient_sheet(patient: Patient, scene: Scene) -> tuple[Sheet, dict[str, str]]:
    """The page and its pictures by file name."""
    pictures: dict[str, str] = {}
    sections = (
        _known_section(patient, scene),
        _risk_section(patient, scene),
        _incidence_section(patient, scene, pictures),
        _value_section(patient, scene, pictures),
        _notes(scene),
    )
    lead = (
        f"One of {scene.patients} held-out patients, spread over the forecast risk of {scene.task.outcomes[0].name}:"
        f" what was known at the index, and {scene.samples} futures that the model drew from there."
    )
    sheet = Sheet(
        title=patient_title(patient, scene),
        lead=lead,
        made=scene.made.isoformat(),
        digest=scene.digest,
        seed=scene.seed,
        sections=sections,
    )
    return sheet, pictures


def name_of(code: Mapping[str, object]) -> str:
    """What a code means in a few words.

    >>> name_of({"code": "CHART//MG", "description": "Magnesium; the publisher's page names another unit"})
    'Magnesium'
    """
    return str(code["description"] or code["code"]).split(";")[0].split(" (")[0].strip()


def moment_words(hours: float | None) -> str:
    """A time seen from the index.

    >>> moment_words(-2.5).replace(HELD, " "), moment_words(0), moment_words(24 * 400).replace(HELD, " ")
    ('2.5 hours before', 'at the index', '1.1 years after')
    """
    if hours is None:
        return "always"
    if hours == 0:
        return "at the index"
    length = abs(hours)
    if length < 72:
        said = f"{length:.1f}{HELD}hours"
    elif length < 24 * 120:
        said = f"{length / 24:.0f}{HELD}days"
    else:
        said = f"{length / 24 / 365.25:.1f}{HELD}years"
    return f"{said} {'before' if hours < 0 else 'after'}"


def _meanings(scene: Scene) -> dict[str, dict[str, object]]:
    return {row["code"]: row for row in scene.codes.to_dicts()}


def _known_section(patient: Patient, scene: Scene) -> Section:
    about = _meanings(scene)
    dated = patient.known.filter(
        ~pl.col("code").is_in([code for code, row in about.items() if row["role"] in APART]),
        ~pl.col("code").str.starts_with("SEX//"),
    )
    values = dated.drop_nulls("numeric_value").sort("hours", maintain_order=True)
    last = values.group_by("code", maintain_order=True).last()
    late = last.filter(pl.col("known_hours") != pl.col("hours")).height > 0
    rows = [_value_row(row, about[row["code"]], late=late) for row in _ordered(last, scene)]
    first = _values_table("known-values", "REAL: the last value of what is measured most", rows[:FIRST], late)
    other = _values_table("other-values", "REAL: the last value of what else is measured", rows[FIRST:], late)
    facts = _facts_table(dated.filter(pl.col("numeric_value").is_null()), about)
    words = ["Nothing below was known later than the index; the model saw these facts and no others."]
    if rows and not late:
        words.append("These data name no later time at which a value became known to staff.")
    return Section(
        name="known",
        heading="Known at the index",
        words=tuple(words),
        tables=(first, facts),
        folded=(other,) if other.rows else (),
    )


def _values_table(name: str, caption: str, rows: list[tuple[str, ...]], late: bool) -> Table:
    return Table(
        name=name,
        caption=caption,
        heads=("what", "last value", "measured", *(("known to staff",) if late else ())),
        rows=tuple(rows),
        empty="Nothing was measured before the index.",
    )


def _value_row(row: Mapping[str, Any], about: Mapping[str, object], *, late: bool) -> tuple[str, ...]:
    """What, last value, when; and when it was known, where that differs in any row."""
    known = "at once" if row["known_hours"] == row["hours"] else moment_words(row["known_hours"])
    when = moment_words(row["hours"])
    return (name_of(about), _value_words(row, about), when, *((known,) if late else ()))


def _ordered(last: pl.DataFrame, scene: Scene) -> list[dict[str, Any]]:
    place = {code: number for number, code in enumerate(scene.main)}
    return sorted(last.to_dicts(), key=lambda row: (place.get(row["code"], len(place)), row["code"]))


def _value_words(row: Mapping[str, object], about: Mapping[str, object]) -> str:
    value, decimals = float(str(row["numeric_value"])), about["decimals"]
    unit = shown_unit(row["unit"])
    if not isinstance(decimals, int):
        return number(value, unit)
    return f"{value:,.{decimals}f}" + (f"{HELD}{unit}" if unit not in ("", "1") else "")


def _facts_table(facts: pl.DataFrame, about: Mapping[str, Mapping[str, object]]) -> Table:
    spans = facts.group_by("code").agg(
        first=pl.col("hours").min(), last=pl.col("hours").max(), times=pl.len()
    )
    rows = tuple(
        (
            name_of(about[row["code"]]),
            moment_words(row["first"]),
            "–" if row["times"] == 1 else moment_words(row["last"]),
        )
        for row in spans.sort("first", "code", nulls_last=False).to_dicts()
    )
    return Table(
        name="known-facts",
        caption="REAL: diagnoses and other facts present",
        heads=("what", "first", "last"),
        rows=rows,
        words_first=3,
        empty="No diagnosis or other fact is recorded before the index.",
    )


def _risk_section(patient: Patient, scene: Scene) -> Section:
    rows = []
    already = had_already(patient, scene)
    for row in patient.risks.to_dicts():
        baseline = None if patient.baseline is None else patient.baseline.get(row["task"])
        there = row["task"] in already
        rows.append(
            (
                row["task"],
                "present already" if there else interval(row["risk"], row["lower"], row["upper"]),
                NO_BASELINE if baseline is None else f"{baseline:.3f}",
                _answer_words(*patient.answers.get(row["task"], (None, None))),
            )
        )
    table = Table(
        name="risks",
        caption="Risk of each outcome, with its 95 % Monte Carlo interval, beside the baseline",
        heads=("outcome", "forecast risk", "baseline's risk", "REAL: happened"),
        rows=tuple(rows),
    )
    notes = [
        "A risk is the expected share of futures in which the outcome happens. The interval says how sure the drawing"
        " is, not how right the model is. What really happened was held back from the model."
    ]
    if patient.baseline is None:
        notes.append(
            "There is no evidence bundle beside these forecasts, so the baseline's risk is left out."
        )
    elif any(row[2] == NO_BASELINE for row in rows):
        notes.append("The baseline's risk is measured only for patients in whom the outcome has an answer.")
    return Section(name="risks-section", heading="Risks", tables=(table,), notes=tuple(notes))


def _answer_words(label: bool | None, reason: str | None) -> str:
    if label is not None:
        return "yes" if label else "no"
    words = {
        "prior": "before the index",
        "censored": "record ends first",
        "ended": "record ends first",
    }
    return words.get(str(reason), "not known")


def had_already(patient: Patient, scene: Scene) -> list[str]:
    """Outcomes known at the index to be there already, so that nobody asks for them."""
    known = set(patient.known["code"])
    return [outcome.name for outcome in scene.task.outcomes if known & set(outcome.unless_before)]


def _incidence_section(patient: Patient, scene: Scene, pictures: dict[str, str]) -> Section:
    already = had_already(patient, scene)
    curves = patient.curves.filter(~pl.col("task").is_in(already))
    figures: tuple[Figure, ...] = ()
    if curves.height:
        caption = (
            "Cumulative incidence: the share of all futures in which the outcome has happened, with its 95 %"
            " Monte Carlo band. A future that ends in death stays in the count, so this is not one less a"
            " Kaplan-Meier curve."
        )
        if scene.beyond:
            caption += (
                f" {share(scene.beyond)} of all futures go on beyond the picture; the shares told count them."
            )
        figure, pictures["outcomes.svg"] = incidence_picture(
            curves, until=scene.shown, file="outcomes.svg", caption=caption
        )
        figures = (figure,)
    words = [
        "The curves were drawn anew: they end at the risks above but for Monte Carlo error.",
        *(f"{name} was present at the index already and is not drawn." for name in already),
    ]
    return Section(
        name="outcomes", heading="When it is expected to happen", words=tuple(words), figures=figures
    )


def _value_section(patient: Patient, scene: Scene, pictures: dict[str, str]) -> Section:
    figures: list[Figure] = []
    for shown in _worth_drawing(patient, scene, _meanings(scene)):
        file = f"value-{len(figures) + 1}.svg"
        figure, pictures[file] = value_picture(shown, file)
        figures.append(figure)
    if scene.again:
        words = (
            "Right of the dotted line all but the hollow marks was made by the model: median and bands of"
            f" {scene.samples} futures, where at least {LEAST_FUTURES} of them hold a value, and the first few"
            " futures themselves. A patient who dies or is not measured is not in the band.",
        )
    else:
        words = (
            "No measurements are recorded after the index in these data: nothing that is measured before it comes"
            " again, so there is no fan.",
        )
    mark = "" if figures else "Nothing is measured often enough in this patient to draw."
    return Section(name="values", heading="Measured values", words=words, mark=mark, figures=tuple(figures))


def _worth_drawing(
    patient: Patient, scene: Scene, about: Mapping[str, Mapping[str, object]]
) -> list[Measured]:
    """The most usual measured codes of which two values are known or a fan can be drawn."""
    every = (_measured(patient, scene, about[code]) for code in scene.main)
    return list(islice((one for one in every if one.known.height > 1 or bands_of(one).height), PICTURES))


def _measured(patient: Patient, scene: Scene, about: Mapping[str, object]) -> Measured:
    def real(rows: pl.DataFrame) -> pl.DataFrame:
        own = rows.filter(pl.col("code") == about["code"]).drop_nulls(["numeric_value", "hours"])
        return own.select("hours", value=pl.col("numeric_value").cast(pl.Float64)).sort("hours", "value")

    drawn = patient.drawn.filter(pl.col("code") == about["code"]).drop_nulls("value")
    return Measured(
        name=name_of(about),
        unit=shown_unit(about["unit"]),
        known=real(patient.known),
        later=real(patient.later),
        drawn=drawn.select("future", "hours", "value"),
        horizon=scene.shown if about["code"] in scene.again else None,
    )


def _notes(scene: Scene) -> Section:
    until = "until every outcome is settled" if scene.horizon is None else _far(scene.horizon)
    return Section(
        name="notes",
        heading="How to read this page",
        mark="Not for clinical use.",
        notes=(
            "Futures are what the model expects for patients with such a record, not what will happen to this one.",
            f"Drawn from {scene.samples} futures with seed {scene.seed}, followed {until} or until death; follow-up"
            " itself does not end in them.",
            f"The {scene.patients} patients are the middle ones of {scene.patients} equal groups by forecast risk of"
            f" {scene.task.outcomes[0].name}, of those held out who were alive and followed at the index and did not"
            " have that outcome already. They carry a number and no id.",
        ),
    )


def _far(hours: float) -> str:
    return "for " + moment_words(hours).removesuffix(" after") if math.isfinite(hours) else "without limit"

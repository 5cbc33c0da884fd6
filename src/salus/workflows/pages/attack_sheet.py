"""The page of an attack: what was asked, what was found, and what it does not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from salus.findings import METRICS, Finding
from salus.workflows.pages.attack_pictures import beside_picture, rates_picture
from salus.workflows.pages.attack_words import NAMES, by_metric, is_leak, sentences
from salus.workflows.pages.drawing import Drawn
from salus.workflows.pages.evidence_tables import privacy_notes, privacy_table
from salus.workflows.pages.sheet import Check, Section, Sheet, Table
from salus.workflows.pages.words import interval

LEAD = (
    "Attacks were made on the set as somebody outside would make them. Each was made on patients the model learnt from,"
    " on patients it never saw, and without the set at all: only what the first has above both others is a leak."
)
LIMITS = (
    "Not being caught by these attacks is no proof. Only training with differential privacy gives one.",
    "An average hides single patients: look at the groups, and at the attack with few false alarms.",
    "Who knows more than the fields laid out here, or has a better attack, may find more.",
    "Forecasts through the service were not attacked, and no model was trained again without a patient.",
)
CAPTION = (
    "Each secret apart, worst first; of forty that leak nothing, one has its whole interval above nought"
)
SIDES = ("attack", "control", "baseline")


def attack_sheet(
    findings: Sequence[Finding],
    tables: Mapping[str, pl.DataFrame],
    *,
    remarks: Sequence[str],
    about: tuple[str, str, int],
) -> tuple[Sheet, dict[str, str]]:
    """The page and its pictures, file name -> SVG. ``about``: when made, digest of the set, seed."""
    made, digest, seed = about
    rates = rates_picture(findings, "rates.svg")
    shapes = [
        beside_picture(
            tables["runs"],
            "runs.svg",
            title="facts in a row shared with one member",
            caption="The longest stretch each record shares with a member. Dashed right of solid: learnt by heart.",
        ),
        beside_picture(
            tables["distances"],
            "distances.svg",
            title="distance to the nearest member (share of columns)",
            caption="How far each record is from the nearest member. Dashed left of solid: copied closely.",
        ),
    ]
    drawn = [one for one in (rates, *shapes) if one is not None]
    sheet = Sheet(
        title="Attacks on a synthetic set",
        lead=LEAD,
        made=made,
        digest=digest,
        seed=seed,
        sections=(
            Section(name="found", heading="What was found", checks=_checks(findings), notes=tuple(remarks)),
            _membership(findings),
            _guessing(findings, rates),
            _copies(findings, [one for one in shapes if one is not None]),
            Section(name="limits", heading="What it does not say", notes=LIMITS),
        ),
    )
    return sheet, {figure.file: svg for figure, svg in drawn}


def _checks(findings: Sequence[Finding]) -> tuple[Check, ...]:
    found = by_metric(findings)
    said = sentences(findings)
    return tuple(
        Check(look=_leaks(found, metric), text=f"{name}. {said[name]}")
        for metric, name in NAMES.items()
        if name in said
    )


def _leaks(found: Mapping[str, Mapping[str, Finding]], metric: str) -> bool:
    """Whether a person should look: the bound shows a leak, or nothing could be measured."""
    if metric.endswith("_auc"):
        one = found.get(metric, {}).get("attack")
        return one is None or one.lower is None or one.lower > 0.5
    sides = found.get(metric, {})
    return is_leak(sides.get("attack"), sides.get("baseline"), found.get(f"{metric}_risk", {}).get("attack"))


def _membership(findings: Sequence[Finding]) -> Section:
    return Section(
        name="membership",
        heading="Who was learnt from?",
        tables=(privacy_table(findings), _tail_table(findings), _group_table(findings)),
        notes=privacy_notes(findings),
    )


def _guessing(findings: Sequence[Finding], rates: Drawn | None) -> Section:
    wanted = ("singling_univariate", "singling_multivariate", "linkability", "inference")
    return Section(
        name="guessing",
        heading="Singled out, linked, guessed",
        words=(
            "Risk is what the set adds to what can be guessed of patients it knows nothing about, as a share of what"
            " was left to guess. Below nought is chance.",
        ),
        figures=() if rates is None else (rates[0],),
        tables=(_rate_table(findings, wanted, name="t-guesses"),),
        folded=(_secret_table(findings),),
        notes=_remarks(findings, wanted),
    )


def _copies(findings: Sequence[Finding], shapes: Sequence[Drawn]) -> Section:
    wanted = ("copies", "near_copies", "runs")
    return Section(
        name="copies",
        heading="Copied or learnt by heart",
        figures=tuple(figure for figure, _ in shapes),
        tables=(_rate_table(findings, wanted, name="t-copies"),),
        notes=_remarks(findings, wanted),
    )


def _rate_table(findings: Sequence[Finding], wanted: Sequence[str], *, name: str) -> Table:
    found = by_metric(findings)
    rows = tuple(
        (
            NAMES[metric],
            *(_bounded(found[metric].get(side)) for side in SIDES),
            _bounded(found.get(f"{metric}_risk", {}).get("attack")),
        )
        for metric in (f"privacy.{one}" for one in wanted)
        if metric in found
    )
    heads = ("question", "right about members", "about patients never learnt from", "without the set", "risk")
    return Table(name=name, caption="Share of guesses that were right, and the risk", heads=heads, rows=rows)


def _tail_table(findings: Sequence[Finding]) -> Table:
    found = by_metric(findings)
    rows = tuple(
        (METRICS[metric].meaning, *(_bounded(sides.get(side)) for side in SIDES))
        for metric, sides in found.items()
        if "_tpr_" in metric
    )
    heads = ("members found", "attack", "the same on patients never learnt from", "guess without the model")
    caption = "Members found where few others are suspected; chance finds as many as it suspects wrongly"
    return Table(name="t-tail", caption=caption, heads=heads, rows=rows, empty="not measured.")


def _group_table(findings: Sequence[Finding]) -> Table:
    groups: dict[str, dict[str, Finding]] = {}
    for one in findings:
        if one.metric == "privacy.membership_group_auc":
            groups.setdefault(one.population.split("; ", 1)[1], {})[one.comparison] = one
    rows = tuple(
        (
            name,
            sides["attack"].population.split("; ", 1)[0],
            *(_bounded(sides.get(side)) for side in ("attack", "control")),
        )
        for name, sides in groups.items()
    )
    heads = ("patients who are", "compared", "AUC", "the same on patients never learnt from")
    caption = "Membership of patients unlike the others; 0.5 is guessing"
    return Table(
        name="t-worst", caption=caption, heads=heads, rows=rows, words_first=2, empty="not measured."
    )


def _secret_table(findings: Sequence[Finding]) -> Table:
    secrets: dict[str, dict[tuple[str, str], Finding]] = {}
    for one in findings:
        if one.metric.startswith("privacy.inference_field"):
            secret = one.population.split("; secret ", 1)[1]
            secrets.setdefault(secret, {})[one.metric, one.comparison] = one
    rate, added = "privacy.inference_field", "privacy.inference_field_risk"
    rows = sorted(
        (
            (
                secret,
                *(_bounded(found.get((rate, side))) for side in SIDES),
                _bounded(found.get((added, "attack"))),
            )
            for secret, found in secrets.items()
        ),
        key=lambda row: -_value(secrets[row[0]].get((added, "attack"))),
    )
    heads = ("secret", "right about members", "about patients never learnt from", "without the set", "risk")
    return Table(name="t-secrets", caption=CAPTION, heads=heads, rows=tuple(rows))


def _remarks(findings: Sequence[Finding], wanted: Sequence[str]) -> tuple[str, ...]:
    metrics = [f"privacy.{one}" for one in wanted]
    said = [
        f"{NAMES[one.metric]}: {one.population}" + (f"; {one.reason}" if one.reason else "") + "."
        for one in findings
        if one.metric in metrics and one.comparison == "attack"
    ]
    return tuple(said)


def _value(one: Finding | None) -> float:
    return -1.0 if one is None or one.value is None else one.value


def _bounded(one: Finding | None) -> str:
    return interval(None, None, None) if one is None else interval(one.value, one.lower, one.upper)

"""Forecasts back to the record: a RiskAssessment each, or a document for systems that take nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

import polars as pl

from salus.errors import UseCaseValueError, nearest
from salus.outlet.fhir_capability import Capability
from salus.outlet.fhir_draft import Draft, earlier_resource
from salus.outlet.fhir_risk import Risk, RiskForm, RiskWords, risk_draft
from salus.programme.usecase import State
from salus.usecases.contract import Order, Proposal
from salus.usecases.early_warning.ward_round import Known, WardRound


def risk_drafts(
    around: WardRound, proposal: Proposal, order: Order, capability: Capability
) -> Iterator[Draft]:
    """One resource for each patient and outcome that has a number.

    ``order.earlier`` holds what is corrected under "SUBJECT/OUTCOME"; ``order.form`` is one of :class:`RiskForm`.
    """
    form, words = _form(order.form, capability), _words(around, proposal)
    people = {patient.subject_id: patient for patient in around.patients}
    for row in proposal.rows.filter(pl.col("risk").is_not_null()).iter_rows(named=True):
        subject, outcome = int(row["subject_id"]), str(row["outcome"])
        risk = _risk(around, row, known=people[subject], origin=proposal.digest, order=order)
        raw = order.earlier.get(f"{subject}/{outcome}")
        earlier = None if raw is None else earlier_resource(raw, form.resource_type)
        yield risk_draft(risk, words, form=form, earlier=earlier)


def _form(name: str, capability: Capability) -> RiskForm:
    """The form that was asked for, or else the best that the receiving system takes."""
    if name:
        if name not in list(RiskForm):
            raise UseCaseValueError(
                f"forecasts cannot be written as '{name}'{nearest(name, list(RiskForm))}",
                where="order.form",
                fix=f"use one of: {', '.join(RiskForm)}",
            )
        return RiskForm(name)
    for form in RiskForm:
        if capability.may_create(form.resource_type):
            return form
    raise UseCaseValueError(
        "the receiving system takes neither RiskAssessment nor DocumentReference",
        where="order.server",
        fix="show the forecast to people instead of writing it",
    )


def _words(around: WardRound, proposal: Proposal) -> RiskWords:
    """A number under supervision is preliminary: somebody looks at it before it counts."""
    usecase = around.opened.usecase
    final = usecase.state is State.PRODUCTION
    return RiskWords(
        model=proposal.digests["model"],
        method="Expected share of simulated futures, drawn by a generative model of patients' records",
        title=usecase.title,
        status="final" if final else "preliminary",
        note=f"Not for: {'; '.join(usecase.card.not_for)}.",
        grain=around.opened.settings.grain,
    )


def _risk(around: WardRound, row: Mapping[str, object], *, known: Known, origin: str, order: Order) -> Risk:
    name, until = str(row["outcome"]), row["until"]
    outcome = next(one for one in around.task.outcomes if one.name == name)
    share, lower, upper = (float(str(row[part])) for part in ("risk", "lower", "upper"))
    return Risk(
        subject_id=known.subject_id,
        patient=order.patients.get(known.subject_id),
        moment=known.moment,
        until=until if isinstance(until, datetime) else None,
        outcome=name,
        codes=tuple((code, around.opened.describe(code)) for code in outcome.any_of),
        risk=share,
        lower=lower,
        upper=upper,
        futures=int(str(row["futures"])),
        basis=tuple(_basis(around, known)),
        origin=origin,
    )


def _basis(around: WardRound, known: Known) -> Iterator[tuple[str, str]]:
    """The latest known row of each code that the use case requires or looks at."""
    inputs = around.opened.usecase.inputs
    wanted = dict.fromkeys((*inputs.required, *inputs.used))
    latest = known.rows.filter(pl.col("code").is_in(list(wanted))).unique(
        "code", keep="last", maintain_order=True
    )
    for source, code in latest.select("source", "code").iter_rows():
        if source:
            yield str(source), str(code)

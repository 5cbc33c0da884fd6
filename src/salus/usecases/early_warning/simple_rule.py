"""The simple rule beside every risk: gradient boosting where it was measured, else how often it happens at all."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from salus.at_rest.files import read_private_parquet
from salus.findings import Bundle
from salus.usecases.citing import Place, Reference, Sentence, figure, find_finding, finding_sentence, sentence
from salus.usecases.contract import Baseline, Proposal
from salus.usecases.early_warning.checking import cell
from salus.usecases.early_warning.ward_round import WardRound
from salus.usecases.frequency import answers_of_trained

RISKS = pl.Schema({"subject_id": pl.Int64(), "outcome": pl.String(), "risk": pl.Float64(), "row": pl.Int64()})
TABLE = "risks"


def simple_rule(around: WardRound) -> Baseline:
    """What the simple rule says of each outcome, and of each patient it was computed for. Always answers."""
    opened = around.opened
    sentences = [*_stated(around)]
    for number, outcome in enumerate(around.task.outcomes):
        sentences += _frequency(around, number)
        if opened.bundle is not None:
            sentences += _accuracy(around, opened.bundle, number, population=f"held_out: {outcome.name}")
    return Baseline(name=opened.usecase.baseline, sentences=tuple(sentences), risks=_risks(opened.bundle))


def beside(around: WardRound, baseline: Baseline, proposal: Proposal) -> Iterator[Sentence]:
    """What the simple rule says of the patients of a proposal."""
    bundle = around.opened.bundle
    if bundle is None or baseline.risks is None:
        return
    places = proposal.rows.with_row_index("place").filter(pl.col("risk").is_not_null())
    found = places.join(
        baseline.risks.select("subject_id", "outcome", "row", simple="risk"),
        on=["subject_id", "outcome"],
        how="inner",
        maintain_order="left",
    ).filter(pl.col("simple").is_not_null())
    for place, row, risk in found.select("place", "row", "simple").iter_rows():
        source = Reference(kind=Place.TABLE, digest=bundle.digest, at=f"{TABLE}/{row}/real_risk")
        yield sentence(
            "Patient {}, {}: {} by the simple rule",
            cell(proposal, place, "candidate"),
            cell(proposal, place, "outcome"),
            figure(risk, source, ".1%"),
        )


def _stated(around: WardRound) -> Iterator[Sentence]:
    opened = around.opened
    source = Reference(
        kind=Place.DOCUMENT, digest=opened.digest_of("usecase.yaml"), at="usecase.yaml/baseline"
    )
    yield sentence("Simple rule: {}", figure(opened.usecase.baseline, source))


def _outcome_name(around: WardRound, number: int) -> tuple[str, Reference]:
    name = around.opened.folder.task.name
    source = Reference(kind=Place.DOCUMENT, digest=around.opened.digest_of(name), at=f"{name}/{number}")
    return around.task.outcomes[number].name, source


def _frequency(around: WardRound, number: int) -> Iterator[Sentence]:
    """How many of those trained on had the outcome: what anybody can say without a model."""
    outcome, source = _outcome_name(around, number)
    opened = around.opened
    if not opened.folder.timeline.is_dir():
        yield sentence("{}: nobody counted how often it happens", figure(outcome, source))
        return
    had, answered = answers_of_trained(opened, outcome)
    places = [
        Reference(kind=Place.RECORD, digest=opened.real_digest, at=f"train/{outcome}/{name}")
        for name in ("had", "answered")
    ]
    yield sentence(
        "{}: {} of {} patients that the model learnt from had it",
        figure(outcome, source),
        figure(had, places[0], ","),
        figure(answered, places[1], ","),
    )


def _accuracy(around: WardRound, bundle: Bundle, number: int, *, population: str) -> Iterator[Sentence]:
    place = find_finding(bundle, "forecast.baseline_auroc", population=population)
    if place is not None:
        outcome = figure(*_outcome_name(around, number))
        yield finding_sentence(bundle, place, sentence("{}: AUROC of the simple rule", outcome))


def _risks(bundle: Bundle | None) -> pl.DataFrame:
    """The risks that gradient boosting gave to held-out patients, with their places in the table."""
    if bundle is None or not (bundle.folder / f"{TABLE}.parquet").is_file():
        return RISKS.to_frame()
    table = read_private_parquet(bundle.folder / f"{TABLE}.parquet").with_row_index("row")
    found = table.select("subject_id", outcome="task", risk="real_risk", row="row")
    return found.select(pl.col(name).cast(kind) for name, kind in RISKS.items())

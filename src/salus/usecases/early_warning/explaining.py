"""What may be said of each patient: the risk with its interval, what it rests on, or why there is none."""

from __future__ import annotations

from collections.abc import Iterator

from salus.usecases.citing import Place, Reference, Sentence, figure, find_finding, finding_sentence, sentence
from salus.usecases.contract import Concern, Explanation, Proposal, Weight
from salus.usecases.early_warning.checking import cell
from salus.usecases.early_warning.simple_rule import beside, simple_rule
from salus.usecases.early_warning.ward_round import WardRound


def explain_risks(around: WardRound, proposal: Proposal, concerns: tuple[Concern, ...]) -> Explanation:
    """No number about a patient where anything blocks: then only why."""
    blocks = tuple(one.sentence for one in concerns if one.weight is Weight.BLOCK)
    baseline = simple_rule(around)
    if blocks:
        no_number = sentence("No risk is shown")
        return Explanation(baseline=baseline, withheld=(no_number, *blocks), sentences=())
    warnings = tuple(one.sentence for one in concerns)
    said = (
        *beside(around, baseline, proposal),
        *_rows(around, proposal),
        *_stopped(proposal),
        *_trust(around),
        *warnings,
    )
    return Explanation(baseline=baseline, withheld=(), sentences=said)


def _rows(around: WardRound, proposal: Proposal) -> Iterator[Sentence]:
    opened = around.opened
    for row, (subject, risk) in enumerate(proposal.rows.select("subject_id", "risk").iter_rows()):
        who = (cell(proposal, row, "candidate"), cell(proposal, row, "outcome"))
        if risk is None:
            yield sentence("Patient {}, {}: no forecast, {}", *who, cell(proposal, row, "abstained"))
            continue
        patient = next(one for one in around.patients if one.subject_id == subject)
        known, index = (
            figure(value, Reference(kind=Place.RECORD, digest=opened.timeline_digest, at=f"{subject}/{name}"))
            for name, value in (("known", patient.rows.height), ("index", str(patient.moment)))
        )
        yield sentence(
            "Patient {}, {}: {} ({} Monte Carlo interval {} to {}), over {} futures, from {} rows known by {}",
            *who,
            *(cell(proposal, row, name, ".1%") for name in ("risk",)),
            cell(proposal, row, "level", ".0%"),
            *(cell(proposal, row, name, ".1%") for name in ("lower", "upper")),
            cell(proposal, row, "futures"),
            known,
            index,
        )


def _stopped(proposal: Proposal) -> Iterator[Sentence]:
    if proposal.stopped:
        made, asked, why = (
            figure(value, Reference(kind=Place.PROPOSAL, digest=proposal.digest, at=name))
            for name, value in (
                ("made", proposal.made),
                ("asked", proposal.asked),
                ("stopped", proposal.stopped),
            )
        )
        yield sentence("{} of {} patients, then {}", made, asked, why)


def _trust(around: WardRound) -> Iterator[Sentence]:
    """How well such risks held on held-out patients."""
    bundle = around.opened.bundle
    if bundle is None:
        return
    for number, outcome in enumerate(around.task.outcomes):
        name = around.opened.folder.task.name
        place = Reference(kind=Place.DOCUMENT, digest=around.opened.digest_of(name), at=f"{name}/{number}")
        for metric, about in (
            ("forecast.auroc", "share of pairs told apart on held-out patients"),
            ("forecast.slope", "calibration slope on held-out patients"),
        ):
            found = find_finding(bundle, metric, population=f"held_out: {outcome.name}")
            if found is not None:
                yield finding_sentence(bundle, found, sentence(f"{{}}: {about}", figure(outcome.name, place)))

"""What speaks against releasing synthetic patients."""

from __future__ import annotations

from salus.evidence.withheld import told
from salus.programme.gate import Judgement, Verdict
from salus.usecases.citing import Place, Reference, figure, sentence
from salus.usecases.concerns import block, foreign_concerns, standing_concerns, warning
from salus.usecases.contract import Concern, Proposal
from salus.usecases.copies import copies_of_trained
from salus.usecases.opened import Opened

FEW = 50
"""Of fewer patients nothing can be said about how like real ones they are."""


def check_release(opened: Opened, proposal: Proposal) -> tuple[Concern, ...]:
    """Gate, privacy, copies: each blocks. Few patients: a warning."""
    concerns = [*standing_concerns(opened, writes_synthetic=True), *foreign_concerns(opened, proposal)]
    if opened.standing.judgement is not None:
        concerns += _privacy(opened.standing.judgement)
    if not proposal.made:
        concerns.append(block("nothing", sentence("No patient was drawn")))
        return tuple(concerns)
    concerns += _copies(opened, proposal)
    if proposal.made < FEW:
        made = Reference(kind=Place.PROPOSAL, digest=proposal.digest, at="made")
        concerns.append(
            warning("few", sentence("{} patients are too few to stand for all", figure(proposal.made, made)))
        )
    return tuple(concerns)


def _privacy(judgement: Judgement) -> list[Concern]:
    """A release needs a criterion about privacy, and each of them met."""
    asked = [
        (number, one)
        for number, one in enumerate(judgement.criteria)
        if one.criterion.metric.startswith("privacy.")
    ]
    if not asked:
        return [block("privacy", sentence("The protocol asks nothing about privacy"))]
    concerns = []
    for number, one in asked:
        if one.verdict is not Verdict.PASS:
            name, verdict, reason = (
                figure(
                    value,
                    Reference(
                        kind=Place.GATE, digest=judgement.protocol_digest, at=f"criteria/{number}/{part}"
                    ),
                )
                for part, value in (
                    ("id", one.criterion.id),
                    ("verdict", one.verdict.value),
                    ("reason", one.reason),
                )
            )
            concerns.append(block("privacy", sentence("Privacy, {}: {}, {}", name, verdict, reason)))
    return concerns


def _copies(opened: Opened, proposal: Proposal) -> list[Concern]:
    """Exact copies of patients trained on; only how many, never who."""
    copies = copies_of_trained(opened, proposal)
    if not copies:
        return []
    source = Reference(kind=Place.PROPOSAL, digest=proposal.digest, at="copies")
    said = sentence("{} drawn patients copy the dated record of one trained on", figure(told(copies), source))
    return [block("copies", said)]

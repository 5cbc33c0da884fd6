"""What may be said of synthetic patients, each number with its finding."""

from __future__ import annotations

from collections.abc import Iterator

from salus.findings import Bundle
from salus.usecases.citing import (
    Place,
    Reference,
    Sentence,
    figure,
    find_finding,
    finding_sentence,
    sentence,
)
from salus.usecases.contract import Baseline, Proposal
from salus.usecases.opened import Opened

SHUFFLED = "columns shuffled"
MARKS = (
    ("synthetic", "How like real patients the synthetic ones are"),
    ("ceiling", "Other real patients, measured in the same way"),
)


def floor(opened: Opened) -> Baseline:
    """The simplest rule: every column of the real records shuffled, so that nothing but the margins is left."""
    bundle = opened.bundle
    about = "How like real patients shuffled columns are, the margins alone"
    number = None if bundle is None else find_finding(bundle, "fidelity.overall", comparison="floor")
    if bundle is None or number is None:
        return Baseline(
            name=SHUFFLED, sentences=(sentence(f"{about}: there is no evidence that can be trusted"),)
        )
    return Baseline(name=SHUFFLED, sentences=(finding_sentence(bundle, number, about),))


def explain_release(opened: Opened, proposal: Proposal) -> Iterator[Sentence]:
    """How many were drawn by what, then what the evidence says of patients so drawn."""
    yield _drawn(proposal)
    bundle = opened.bundle
    if bundle is None:
        yield sentence("There is no evidence about them that can be trusted")
        return
    for comparison, about in MARKS:
        number = find_finding(bundle, "fidelity.overall", comparison=comparison)
        if number is not None:
            yield finding_sentence(bundle, number, about)
    yield from _useful(bundle)
    for number, finding in enumerate(bundle.findings):
        if finding.kind == "privacy" and finding.comparison == "attack":
            name = Reference(kind=Place.FINDING, digest=bundle.digest, at=f"{number}/metric")
            attack = sentence("Attack {}, who was trained on", figure(finding.metric, name))
            yield finding_sentence(bundle, number, attack)


def _drawn(proposal: Proposal) -> Sentence:
    parts = {"made": proposal.made, "asked": proposal.asked, "seed": proposal.seed}
    figures = [
        figure(value, Reference(kind=Place.PROPOSAL, digest=proposal.digest, at=name))
        for name, value in parts.items()
    ]
    text = "{} of {} synthetic patients were drawn with seed {}"
    if proposal.digests["model"]:
        model = Reference(kind=Place.PROPOSAL, digest=proposal.digest, at="digests/model")
        figures.append(figure(proposal.digests["model"][:12], model))
        text += " by the model {}"
    if proposal.stopped:
        figures.append(
            figure(proposal.stopped, Reference(kind=Place.PROPOSAL, digest=proposal.digest, at="stopped"))
        )
        text += "; then {}"
    return sentence(text, *figures)


def _useful(bundle: Bundle) -> Iterator[Sentence]:
    """For each outcome: how well a model learnt from synthetic patients does beside one learnt from real ones."""
    for number, finding in enumerate(bundle.findings):
        if finding.metric == "utility.auroc_ratio" and "; " not in finding.population:
            place = Reference(kind=Place.FINDING, digest=bundle.digest, at=f"{number}/population")
            about = "A model learnt from them, beside one learnt from real patients, on {}"
            yield finding_sentence(bundle, number, sentence(about, figure(finding.population, place)))

"""What speaks against using any proposal, whatever its kind; and no writing of what is blocked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from salus.errors import ProposalBlocked, ReasonMissing, nearest
from salus.programme.gate import Judgement, Verdict
from salus.programme.lock import ABOUT_FORECASTS
from salus.programme.usecase import State
from salus.usecases.citing import Place, Reference, Sentence, figure, sentence
from salus.usecases.contract import Concern, Proposal, Weight
from salus.usecases.locked import used_by, why_locked
from salus.usecases.opened import Opened

STOPPED = (State.PAUSED, State.SUSPENDED, State.RETIRED, State.REVIEW_DUE)


def block(name: str, said: Sentence) -> Concern:
    """A concern that cannot be passed."""
    return Concern(id=name, weight=Weight.BLOCK, sentence=said)


def warning(name: str, said: Sentence) -> Concern:
    """A concern that can be overridden, with a reason."""
    return Concern(id=name, weight=Weight.WARNING, sentence=said)


def standing_concerns(opened: Opened, *, writes_synthetic: bool = False) -> list[Concern]:
    """Blocks of every kind: stopped, in trouble, through no gate, or synthetic without a gate passed on real records.

    ``writes_synthetic``: what the kind writes is synthetic by its nature, and says nothing about a patient.
    """
    concerns = []
    if opened.usecase.state in STOPPED:
        concerns.append(block("state", state_sentence(opened)))
    standing = opened.standing
    if standing.trouble:
        source = Reference(kind=Place.GATE, digest="", at="trouble")
        concerns.append(
            block(
                "evidence",
                sentence("Nobody can say whether it may be used: {}", figure(standing.trouble, source)),
            )
        )
    if standing.judgement is not None and standing.judgement.verdict is not Verdict.PASS:
        concerns.append(block("gate", gate_sentence(standing.judgement)))
    if concerns and writes_synthetic and not used_by(opened, "writing").synthetic:
        return concerns  # only what is written is synthetic, and that is blocked already
    return concerns + _label_concerns(opened, writes_synthetic)


def _label_concerns(opened: Opened, writes_synthetic: bool) -> list[Concern]:
    used = used_by(opened, "writing", writes_synthetic=writes_synthetic)
    if not why_locked(opened, used, about="" if writes_synthetic else ABOUT_FORECASTS):
        return []
    return [
        block("synthetic", sentence(f"No frozen protocol has passed on real records for {used.synthetic}"))
    ]


def gate_sentence(judgement: Judgement) -> Sentence:
    """What the gate says, and why."""
    gate, verdict, reason = (
        figure(value, Reference(kind=Place.GATE, digest=judgement.protocol_digest, at=name))
        for name, value in (
            ("gate", judgement.gate),
            ("verdict", judgement.verdict.value),
            ("reason", judgement.reason),
        )
    )
    return sentence("The gate {} answers {}: {}", gate, verdict, reason)


def state_sentence(opened: Opened) -> Sentence:
    """How far the use case is."""
    source = Reference(kind=Place.DOCUMENT, digest=opened.digest_of("usecase.yaml"), at="usecase.yaml/state")
    return sentence("The use case is in the state {}", figure(opened.usecase.state.value, source))


def foreign_concerns(opened: Opened, proposal: Proposal) -> list[Concern]:
    """A proposal of another model or another kind is nobody's here."""
    model = opened.model
    own = model is not None and proposal.digests.get("model") == model.digest
    if own and proposal.kind == opened.usecase.kind:
        return []
    return [block("model", sentence("The proposal was not made by the model that lies here"))]


def check_writable(
    concerns: Sequence[Concern], overrides: Mapping[str, str], *, where: str
) -> tuple[str, ...]:
    """See that nothing blocks and that every warning is overridden with a reason; give the reasons for the trail.

    Raises ProposalBlocked (SAL-654), ReasonMissing (SAL-655).
    """
    blocks = [concern for concern in concerns if concern.weight is Weight.BLOCK]
    if blocks:
        raise ProposalBlocked(
            f"it cannot be written: {'; '.join(concern.sentence.text for concern in blocks)}",
            where=where,
            fix="see to what blocks it; a block cannot be overridden",
        )
    warnings = [concern.id for concern in concerns if concern.weight is Weight.WARNING]
    strange = [name for name in overrides if name not in warnings]
    if strange:
        raise ReasonMissing(
            f"there is no warning '{strange[0]}' to override{nearest(strange[0], warnings)}",
            where=where,
            fix=f"override only what warns: {', '.join(warnings) or 'nothing does'}",
        )
    silent = [name for name in warnings if not overrides.get(name, "").strip()]
    if silent:
        raise ReasonMissing(
            f"the warning '{silent[0]}' was not overridden with a reason",
            where=where,
            fix=f"say why it may be written all the same: overrides={{'{silent[0]}': 'because ...'}}",
        )
    return tuple(f"{name}: {overrides[name].strip()}" for name in warnings)

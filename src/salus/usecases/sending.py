"""Who writes back, when and from what: the same for every kind."""

from __future__ import annotations

from collections.abc import Sequence

from salus.outlet.fhir_transaction import Origin
from salus.usecases.contract import Order, Proposal
from salus.usecases.opened import Opened


def origin_of(
    opened: Opened, proposal: Proposal, order: Order, *, remarks: Sequence[str], synthetic: bool = False
) -> Origin:
    """What Provenance and AuditEvent say: the model as device, and digests of everything it rests on."""
    sources = dict(proposal.digests) | {"proposal": proposal.digest}
    if opened.bundle is not None:
        sources["evidence"] = opened.bundle.digest
    sources["protocol"] = opened.digest_of(opened.folder.protocol.name)
    return Origin(
        device=f"{opened.usecase.name}: {opened.usecase.title}",
        model=proposal.digests["model"],
        recorded=opened.now,
        asked_by=order.asked_by,
        sources=sources,
        remarks=tuple(remarks),
        synthetic=synthetic,
    )

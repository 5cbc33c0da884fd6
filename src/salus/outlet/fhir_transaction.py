"""Resources into one FHIR R4 transaction with Provenance and AuditEvent, and the transaction that takes it back.

What a server already holds is not created again (``ifNoneExist``); what is corrected is corrected only in the version
that was read (``ifMatch``). The undoing transaction is made from the server's answer: it deletes what was created,
restores what was corrected, and leaves alone what was there before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from salus import __version__
from salus.errors import AnswerStrange
from salus.formats.fhir_r4 import (
    AUDIT_EVENT_TYPE,
    DATA_OPERATION,
    DIGEST,
    INTERACTION,
    PARTICIPANT_TYPE,
    Identifier,
    Meta,
    Reference,
    synthetic_meta,
)
from salus.formats.fhir_r4_resources import (
    AuditDetail,
    AuditEntity,
    AuditEvent,
    Bundle,
    Device,
    Entry,
    Provenance,
    Request,
)
from salus.outlet.fhir_capability import EVERYTHING, Capability
from salus.outlet.fhir_draft import Draft, device_name, instant, name_of

CREATED = "201"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who wrote, when and from what. ``sources``: digests by role; ``remarks``: warnings that somebody overrode.

    ``synthetic``: then what is said about the writing is marked as the rest is.
    """

    device: str
    model: str
    recorded: datetime
    asked_by: str
    sources: Mapping[str, str]
    remarks: Sequence[str] = ()
    synthetic: bool = False


@dataclass(frozen=True, slots=True)
class Transaction:
    """A FHIR R4 transaction as it is sent.

    ``drafts``: what each entry says, for taking it back; an undoing transaction has none.
    """

    bundle: Bundle
    drafts: tuple[Draft, ...] = ()

    def as_bytes(self) -> bytes:
        """The JSON to POST to a server's base address, as ``application/fhir+json``."""
        return json.dumps(self.bundle, ensure_ascii=False, separators=(",", ":")).encode()

    def undo(self, answer: Mapping[str, object]) -> Transaction:
        """The transaction that takes this one back, from the server's ``answer`` to it; last written, first taken back.

        Raises AnswerStrange (SAL-155) where the answer is not one to this transaction.
        """
        answered = _answers(answer, wanted=len(self.drafts))
        undone = [_undone(draft, place) for draft, place in zip(self.drafts, answered, strict=True)]
        entries = [entry for entry in reversed(undone) if entry is not None]
        return Transaction(bundle={"resourceType": "Bundle", "type": "transaction", "entry": entries})


def transaction(
    drafts: Sequence[Draft], origin: Origin, *, capability: Capability = EVERYTHING
) -> Transaction:
    """Put resources, the model as a device, the Provenance of all and a line of audit into one transaction.

    A server that cannot find a kind by its identifier is not asked to: writing twice then creates twice.
    """
    device = _device(origin)
    stamp = f"{'/'.join(draft.name for draft in drafts)}/{instant(origin.recorded)}"
    provenance = Draft(name=name_of("provenance", stamp), resource=_provenance(drafts, origin, device=device))
    audit = Draft(name=name_of("audit", stamp), resource=_audit(drafts, origin, device=device))
    everything = (*drafts, device, provenance, audit)
    entries = [_entry(draft, capability) for draft in everything]
    bundle: Bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    if origin.synthetic:
        bundle["meta"] = synthetic_meta()
    return Transaction(bundle=bundle, drafts=everything)


def _entry(draft: Draft, capability: Capability) -> Entry:
    kind = draft.resource["resourceType"]
    if draft.earlier is not None:
        request: Request = {"method": "PUT", "url": f"{kind}/{draft.earlier['id']}"}
        version = draft.earlier.get("meta", {}).get("versionId")
        if version:
            request["ifMatch"] = f'W/"{version}"'
        resource = copy(draft.resource)
        resource["id"] = draft.earlier["id"]
        return {"fullUrl": draft.full_url, "resource": resource, "request": request}
    request = {"method": "POST", "url": kind}
    if draft.known_as is not None and capability.may_find(kind):
        request["ifNoneExist"] = f"identifier={draft.known_as['system']}|{draft.known_as['value']}"
    return {"fullUrl": draft.full_url, "resource": draft.resource, "request": request}


def _reference(draft: Draft) -> Reference:
    return {"reference": draft.full_url, "type": draft.resource["resourceType"]}


def _digest(role: str, digest: str) -> Reference:
    return {"identifier": {"system": DIGEST, "value": digest}, "display": role}


def _device(origin: Origin) -> Draft:
    known_as: Identifier = {"system": DIGEST, "value": origin.model}
    device: Device = {
        "resourceType": "Device",
        "identifier": [known_as],
        "status": "active",
        "manufacturer": "Salus",
        "deviceName": [{"name": origin.device, "type": "model-name"}],
        "type": {"text": "generative model of patients' records"},
        "version": [{"value": f"Salus {__version__}"}],
    }
    return Draft(name=device_name(origin.model), resource=_marked(device, origin), known_as=known_as)


def _provenance(drafts: Sequence[Draft], origin: Origin, *, device: Draft) -> Provenance:
    corrects = any(draft.earlier is not None for draft in drafts)
    provenance: Provenance = {
        "resourceType": "Provenance",
        "target": [_reference(draft) for draft in drafts],
        "occurredDateTime": instant(origin.recorded),
        "recorded": instant(origin.recorded),
        "activity": {"coding": [{"system": DATA_OPERATION, "code": "UPDATE" if corrects else "CREATE"}]},
        "agent": [
            {
                "type": {"coding": [{"system": PARTICIPANT_TYPE, "code": "author", "display": "Author"}]},
                "who": _reference(device),
            }
        ],
        "entity": [
            {"role": "source", "what": _digest(role, digest)}
            for role, digest in sorted(origin.sources.items())
        ],
    }
    return _marked(provenance, origin)


def _audit(drafts: Sequence[Draft], origin: Origin, *, device: Draft) -> AuditEvent:
    remarks: list[AuditDetail] = [
        {"type": "warning overridden", "valueString": remark} for remark in origin.remarks
    ]
    entities: list[AuditEntity] = [{"what": _reference(draft)} for draft in drafts]
    if remarks:
        entities[0]["detail"] = remarks
    audit: AuditEvent = {
        "resourceType": "AuditEvent",
        "type": {"system": AUDIT_EVENT_TYPE, "code": "rest", "display": "RESTful Operation"},
        "subtype": [{"system": INTERACTION, "code": "transaction", "display": "transaction"}],
        "action": "U" if any(draft.earlier is not None for draft in drafts) else "C",
        "recorded": instant(origin.recorded),
        "outcome": "0",
        "agent": [
            {"name": origin.asked_by, "requestor": True},
            {"who": _reference(device), "requestor": False},
        ],
        "source": {"observer": _reference(device)},
        "entity": entities,
    }
    return _marked(audit, origin)


Made = TypeVar("Made", Device, Provenance, AuditEvent)


def _marked(resource: Made, origin: Origin) -> Made:
    if origin.synthetic:
        resource["meta"] = synthetic_meta()
    return resource


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the server said to one entry: its status, where the resource now is, and in which version."""

    status: str
    place: str
    version: str


def _answers(answer: Mapping[str, object], *, wanted: int) -> list[_Answer]:
    entries = answer.get("entry")
    if (
        answer.get("type") != "transaction-response"
        or not isinstance(entries, list)
        or len(entries) != wanted
    ):
        raise _strange(f"it is not an answer to a transaction of {wanted} entries")
    return [_answer(entry) for entry in entries]


def _answer(entry: object) -> _Answer:
    response = entry.get("response") if isinstance(entry, dict) else None
    if not isinstance(response, dict) or not isinstance(response.get("status"), str):
        raise _strange("an entry has no response with a status")
    location = str(response.get("location") or "")
    place, _, version = location.partition("/_history/")
    place = "/".join(place.rstrip("/").split("/")[-2:])
    etag = str(response.get("etag") or "").removeprefix("W/").strip('"')
    return _Answer(status=response["status"][:3], place=place, version=etag or version)


def _undone(draft: Draft, answer: _Answer) -> Entry | None:
    """What takes one entry back; None where it changed nothing."""
    kind = draft.resource["resourceType"]
    request: Request
    if draft.earlier is not None:
        before = copy(draft.earlier)
        meta = _without_version(before.pop("meta", {}))
        if meta:
            before["meta"] = meta
        request = {"method": "PUT", "url": f"{kind}/{before['id']}"}
        entry: Entry = {"fullUrl": draft.full_url, "resource": before, "request": request}
    elif answer.status == CREATED:
        if not answer.place.startswith(f"{kind}/"):
            raise _strange(f"it does not say where the {kind} was put")
        request = {"method": "DELETE", "url": answer.place}
        entry = {"request": request}
    else:
        return None
    if answer.version:
        request["ifMatch"] = f'W/"{answer.version}"'
    return entry


def _without_version(meta: Meta) -> Meta:
    """What a resource says of itself, without what the server says of it."""
    kept = copy(meta)
    kept.pop("versionId", None)
    kept.pop("lastUpdated", None)
    return kept


def _strange(why: str) -> AnswerStrange:
    return AnswerStrange(
        f"the server's answer cannot be used to take the transaction back: {why}",
        where="outlet.fhir_transaction",
        fix="give the whole Bundle that the server answered with, of type transaction-response",
    )

"""The way back: from the place a number is said to come from to what stands there now.

A reference to something else than what lies here (another digest) resolves to nothing: it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from salus.at_rest.files import read_private_parquet
from salus.cohort.moments import index_moments, known_at_index
from salus.cohort.task import read_task
from salus.errors import UseCaseValueError
from salus.evidence.withheld import told
from salus.formats.read_source import read_source
from salus.usecases.citing import Number, Place, Reference
from salus.usecases.contract import Proposal
from salus.usecases.copies import copies_of_trained
from salus.usecases.frequency import answers_of_trained
from salus.usecases.opened import Opened


def resolve(source: Reference, opened: Opened, proposal: Proposal | None = None) -> Number:
    """What stands at a reference. Raises UseCaseValueError (SAL-652) where it leads nowhere."""
    try:
        return _WAYS[source.kind](source, opened, proposal)
    except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
        raise UseCaseValueError(
            f"the place '{source.at}' of {source.kind.value} {source.digest[:12]} is not here",
            where=opened.folder.name,
            fix="ask again: what was shown rests on something that is no longer what it was",
        ) from error


def _in_bundle(source: Reference, opened: Opened, _: Proposal | None) -> Number:
    bundle = opened.bundle
    if bundle is None or bundle.digest != source.digest:
        raise ValueError("another bundle")
    if source.kind is Place.FINDING:
        number, name = source.at.split("/")
        return _number(getattr(bundle.findings[int(number)], name))
    table, row, column = source.at.split("/")
    frame = read_private_parquet(bundle.folder / f"{table}.parquet")
    return _number(frame[column][int(row)])


def _in_gate(source: Reference, opened: Opened, _: Proposal | None) -> Number:
    standing = opened.standing
    if source.at == "trouble":
        return standing.trouble
    judgement = standing.judgement
    if judgement is None or judgement.protocol_digest != source.digest:
        raise ValueError("another protocol")
    head, rest = _split(source.at)
    if head == "criteria":
        number, name = rest.split("/")
        return _number(judgement.criteria[int(number)].as_json()[name])
    return _number(judgement.as_json()[head])


def _in_record(source: Reference, opened: Opened, _: Proposal | None) -> Number:
    subject, name = _split(source.at)
    if subject == "train":
        return _counted(source, opened, name)
    if opened.timeline_digest != source.digest:
        raise ValueError("other records")
    events = opened.events.filter(pl.col("subject_id") == int(subject))
    moments = index_moments(events, read_task(opened.folder.task))
    if name == "index":
        return str(moments["prediction_time"][0])
    return known_at_index(events, moments).height


def _counted(source: Reference, opened: Opened, at: str) -> Number:
    """How many of the patients trained on had an outcome, or have an answer."""
    if opened.real_digest != source.digest:
        raise ValueError("other records")
    outcome, name = at.split("/")
    had, answered = answers_of_trained(opened, outcome)
    return {"had": had, "answered": answered}[name]


def _in_proposal(source: Reference, opened: Opened, proposal: Proposal | None) -> Number:
    if proposal is None or proposal.digest != source.digest:
        raise ValueError("another proposal")
    head, rest = _split(source.at)
    if head == "rows":
        row, column = rest.split("/")
        return _number(proposal.rows[column][int(row)])
    if head == "digests":
        return proposal.digests[rest][:12]
    if head == "copies":
        return told(copies_of_trained(opened, proposal))
    return _number(getattr(proposal, head))


def _in_document(source: Reference, opened: Opened, _: Proposal | None) -> Number:
    name, at = _split(source.at)
    if opened.digest_of(name) != source.digest:
        raise ValueError("another file")
    if name == opened.folder.source.name:
        return read_source(opened.folder.source).licence
    if name == opened.folder.task.name:
        return read_task(opened.folder.task).outcomes[int(at)].name
    return _number(getattr(opened.usecase, at))


def _split(at: str) -> tuple[str, str]:
    head, _, rest = at.partition("/")
    return head, rest


def _number(value: object) -> Number:
    """Only numbers and texts are ever shown."""
    if not isinstance(value, int | float | str):
        raise TypeError("not a number")
    return value


_WAYS: Mapping[Place, Callable[[Reference, Opened, Proposal | None], Number]] = {
    Place.FINDING: _in_bundle,
    Place.TABLE: _in_bundle,
    Place.GATE: _in_gate,
    Place.RECORD: _in_record,
    Place.PROPOSAL: _in_proposal,
    Place.DOCUMENT: _in_document,
}

"""A forecast as FHIR R4: a RiskAssessment, or a document for systems that take nothing else.

R4 says of ``probabilityDecimal`` that it is a percentage (at most 100), and many read a share (at most 1). We write
what R4 says, and beside it the Monte Carlo interval with its unit, and both once more in words: nobody has to guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from salus.formats.fhir_r4 import (
    INTERVAL,
    PSEUDONYM,
    ROW,
    Period,
    Range,
    Reference,
    concept,
    machine_meta,
    quantity,
)
from salus.formats.fhir_r4_resources import DocumentReference, Prediction, Resource, RiskAssessment
from salus.outlet.fhir_draft import Draft, device_name, identifier, name_of, written_time
from salus.outlet.fhir_note import Note, note_resource


class RiskForm(StrEnum):
    """How a forecast goes back, best first; not every hospital system takes the first."""

    RISK_ASSESSMENT = "risk-assessment"
    DOCUMENT = "document"

    @property
    def resource_type(self) -> str:
        """The resource that such a forecast is."""
        return "DocumentReference" if self is RiskForm.DOCUMENT else "RiskAssessment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """One patient's risk of one outcome: shares of 1, with Monte Carlo bounds; ``until``: how far it looks.

    ``patient``: where the receiving system keeps the patient ("Patient/12"); None: by pseudonym. ``codes``: what the
    outcome is, with descriptions. ``basis``: source and code of the rows it rests on. ``origin``: digest of the
    proposal.
    """

    subject_id: int
    patient: str | None
    moment: datetime
    until: datetime | None
    outcome: str
    codes: tuple[tuple[str, str | None], ...]
    risk: float
    lower: float
    upper: float
    futures: int
    basis: tuple[tuple[str, str], ...]
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskWords:
    """What is the same for all forecasts of a use case. ``model``: digest of the model, the device that performed."""

    model: str
    method: str
    title: str
    status: str
    note: str
    grain: str


def risk_draft(risk: Risk, words: RiskWords, *, form: RiskForm, earlier: Resource | None = None) -> Draft:
    """Write one forecast. ``earlier``: the resource, as the server holds it, that this one takes the place of."""
    name = name_of(risk.origin, risk.subject_id, risk.outcome, risk.moment.isoformat())
    resource: Resource
    if form is RiskForm.DOCUMENT:
        resource = _document(risk, words, name)
    else:
        resource = _assessment(risk, words, name=name, corrects=earlier is not None)
    return Draft(name=name, resource=resource, known_as=identifier(name), earlier=earlier)


def in_words(risk: Risk) -> str:
    """The forecast as a phrase, with its interval and how it came about, so that it is never read alone."""
    return (
        f"{percent(risk.risk):g} % expected over {risk.futures} simulated futures "
        f"(95 % Monte Carlo interval {percent(risk.lower):g} to {percent(risk.upper):g} %)"
    )


def percent(share: float) -> float:
    """A share of 1 as a percentage: one decimal, or two digits where it is below one.

    >>> percent(0.3254), percent(0.00034)
    (32.5, 0.034)
    """
    whole = 100 * share
    return round(whole, 1) if whole >= 1 else float(f"{whole:.2g}")


def _assessment(risk: Risk, words: RiskWords, *, name: str, corrects: bool) -> RiskAssessment:
    return {
        "resourceType": "RiskAssessment",
        "meta": machine_meta(),
        "identifier": [identifier(name)],
        "status": "corrected" if corrects else words.status,
        "method": {"text": words.method},
        "code": {"text": words.title},
        "subject": _subject(risk),
        "occurrenceDateTime": written_time(risk.moment, words.grain),
        "performer": {"reference": f"urn:uuid:{device_name(words.model)}", "type": "Device"},
        "basis": [_basis(source, code) for source, code in risk.basis],
        "prediction": [_prediction(risk, words)],
        "note": [{"text": words.note}],
    }


def _prediction(risk: Risk, words: RiskWords) -> Prediction:
    interval: Range = {"low": quantity(percent(risk.lower), "%"), "high": quantity(percent(risk.upper), "%")}
    when: Period = {"start": written_time(risk.moment, words.grain)}
    if risk.until is not None:
        when["end"] = written_time(risk.until, words.grain)
    codings = [coding for code, description in risk.codes for coding in concept(code, description)["coding"]]
    return {
        "extension": [{"url": INTERVAL, "valueRange": interval}],
        "outcome": {"coding": codings, "text": risk.outcome},
        "probabilityDecimal": percent(risk.risk),
        "whenPeriod": when,
        "rationale": f"{risk.outcome}: {in_words(risk)}",
    }


def _document(risk: Risk, words: RiskWords, name: str) -> DocumentReference:
    """The same in plain text, for a system that files documents and reads nothing else."""
    said = f"{risk.outcome}: {in_words(risk)}"
    as_of = f"As of {written_time(risk.moment, words.grain)}."
    return note_resource(
        Note(
            name=name,
            title=words.title,
            description=said,
            lines=(words.title, said, as_of, words.method, words.note),
            subject=_subject(risk),
        )
    )


def _subject(risk: Risk) -> Reference:
    if risk.patient is not None:
        return {"reference": risk.patient}
    return {"type": "Patient", "identifier": {"system": PSEUDONYM, "value": str(risk.subject_id)}}


def _basis(source: str, code: str) -> Reference:
    """A row of the record: by reference where its source is a resource, by name where it is not."""
    kind, _, rest = source.partition("/")
    if rest and kind.isalpha() and kind[:1].isupper():
        return {"reference": source, "display": code}
    return {"identifier": {"system": ROW, "value": source}, "display": code}

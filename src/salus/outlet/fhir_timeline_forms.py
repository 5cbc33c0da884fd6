"""What each kind of resource can say of an event, and how it says it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass

from salus.formats.categories import is_category
from salus.formats.fhir_systems import ACT_CODE, END_KNOWN, KNOWN, OWN_SYSTEM, STATIC, TEXT_BESIDE, is_code
from salus.formats.omop_words import RANGE
from salus.outlet.fhir_synthetic import VITAL, VITAL_SIGNS
from salus.outlet.fhir_timeline_codes import (
    CONDITION,
    ENCOUNTER,
    NO_VALUE_TOLD,
    OBSERVATION,
    PROCEDURE,
    Meaning,
)
from salus.outlet.fhir_timeline_values import (
    Clock,
    Event,
    Resource,
    amount,
    bound,
    instant,
    is_number,
    is_string,
    is_unit,
)

CLASSES = ("AMB", "EMER", "FLD", "HH", "IMP", "ACUTE", "NONAC", "OBSENC", "PRENC", "SS", "VR")
CONDITION_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
ALLERGY_CLINICAL = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
PRIORITY = "http://terminology.hl7.org/CodeSystem/processpriority"
NOT_TOLD: Resource = {"display": "not told"}
DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Fact:
    """What one resource says: ``event`` with its ``meaning``, and the ``end`` of the same thing.

    ``is_end``: ``event`` is an end itself, whose begin is not told.
    """

    event: Event
    meaning: Meaning
    clock: Clock
    end: Event | None = None
    is_end: bool = False

    @property
    def is_completed(self) -> bool:
        """Whether a model drew it, or its end, into a real record."""
        return self.event.is_completed or (self.end is not None and self.end.is_completed)

    @property
    def start_at(self) -> str | None:
        """When it began."""
        return None if self.is_end else self._written(self.event)

    @property
    def end_at(self) -> str | None:
        """When it ended."""
        return self._written(self.event if self.is_end else self.end)

    @property
    def time(self) -> str:
        """When it was."""
        return self._written(self.event) or ""

    @property
    def known(self) -> str | None:
        """When its begin was known, where that is not when it was."""
        return None if self.is_end else known_later(self.event)

    @property
    def end_known(self) -> str | None:
        """When its end was known, where that is not when it was."""
        last = self.event if self.is_end else self.end
        return None if last is None else known_later(last)

    def period(self) -> Resource:
        """From when to when, as far as it is told."""
        told = {"start": self.start_at, "end": self.end_at}
        return {name: moment for name, moment in told.items() if moment is not None}

    def _written(self, event: Event | None) -> str | None:
        return self.clock.moment(event.time) if event is not None and event.time is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One kind of resource.

    ``prefix``: of its codes. ``whose``: what it calls its patient. ``spans``: it says an end too. ``knows``: it has an
    element for since when it (its begin) is known. ``takes``: which values it holds. ``body``: its elements besides
    whose it is.
    """

    prefix: str = ""
    spans: bool = False
    whose: str = "subject"
    knows: bool = False
    takes: Callable[[Event], bool] = lambda event: event.is_bare
    body: Callable[[Fact], Resource]

    def fits(self, event: Event, meaning: Meaning) -> bool:
        """Whether it says all that the event says."""
        is_mine = meaning.prefix == self.prefix and meaning.thing is not None
        return is_mine and self.spans >= meaning.ends and self.takes(event)

    def resource(self, fact: Fact) -> Resource:
        """All its elements besides whose it is: what R4 has no element for is an extension."""
        extensions = known_extensions(None if self.knows else fact.known, fact.end_known)
        if fact.event.time is None:
            extensions.append({"url": STATIC, "valueBoolean": True})
        if stands_beside(fact.event):
            extensions.append({"url": TEXT_BESIDE, "valueString": fact.event.text})
        return {**({"extension": extensions} if extensions else {}), **self.body(fact)}


def stands_beside(event: Event) -> bool:
    """Whether a text stands beside a number, or with a unit and is no bound: R4 has one value."""
    if event.text is None:
        return False
    return event.number is not None or (event.unit is not None and bound(event.text) is None)


def known_later(event: Event) -> str | None:
    """When an event was known, where that is not when it was."""
    return None if event.known is None or event.known == event.time else instant(event.known)


def known_extensions(begin: str | None, end: str | None) -> list[Resource]:
    """Since when a begin and an end are known, as extensions."""
    told = ((KNOWN, begin), (END_KNOWN, end))
    return [{"url": url, "valueDateTime": known} for url, known in told if known is not None]


def _dosed(event: Event) -> bool:
    return event.text is None and is_number(event.number) and is_unit(event.unit)


def _with_text(event: Event) -> bool:
    return event.number is None and event.unit is None and (event.text is None or is_string(event.text))


def _with_note(event: Event) -> bool:
    return event.number is None and event.unit is None and event.text != ""


def _told(**elements: object) -> Resource:
    """Elements without those that nothing is told of."""
    return {name: element for name, element in elements.items() if element is not None and element != {}}


def _coded(system: str, code: str) -> Resource:
    return {"coding": [{"system": system, "code": code}]}


def _condition(fact: Fact) -> Resource:
    return _told(
        clinicalStatus=_coded(CONDITION_CLINICAL, "resolved") if fact.end_at else None,
        code=fact.meaning.thing,
        onsetDateTime=fact.start_at,
        abatementDateTime=fact.end_at,
        recordedDate=fact.known,
    )


def _allergy(fact: Fact) -> Resource:
    return _told(
        clinicalStatus=_coded(ALLERGY_CLINICAL, "active"),
        code=fact.meaning.thing,
        onsetDateTime=fact.time,
        recordedDate=fact.known,
    )


def _encounter(fact: Fact) -> Resource:
    word = fact.meaning.word
    system = ACT_CODE if word in CLASSES else f"{OWN_SYSTEM}VISIT"
    status = "finished" if fact.end_at else "unknown"
    return {"status": status, "class": {"system": system, "code": word}, "period": fact.period()}


def _procedure(fact: Fact) -> Resource:
    whole = fact.end_at is not None
    return _told(
        status="completed",
        code=fact.meaning.thing,
        performedPeriod=fact.period() if whole else None,
        performedDateTime=None if whole else fact.time,
    )


def _immunization(fact: Fact) -> Resource:
    return _told(
        status="completed",
        vaccineCode=fact.meaning.thing,
        occurrenceDateTime=fact.time,
        recorded=fact.known,
        doseQuantity=_dose(fact),
    )


def _dose(fact: Fact) -> Resource | None:
    return amount(fact.event.number, fact.event.unit) or None


def _doses(fact: Fact) -> list[Resource] | None:
    dose = _dose(fact)
    return [{"doseAndRate": [{"doseQuantity": dose}]}] if dose else None


def _ordered(fact: Fact) -> Resource:
    return _told(
        status="unknown",
        intent="order",
        medicationCodeableConcept=fact.meaning.thing,
        authoredOn=fact.time,
        dosageInstruction=_doses(fact),
    )


def _given(fact: Fact) -> Resource:
    dose = _dose(fact)
    return _told(
        status="completed",
        medicationCodeableConcept=fact.meaning.thing,
        effectiveDateTime=fact.time,
        dosage={"dose": dose} if dose else None,
    )


def _taken(fact: Fact) -> Resource:
    return _told(
        status="unknown",
        medicationCodeableConcept=fact.meaning.thing,
        effectiveDateTime=fact.time,
        dateAsserted=fact.known,
        dosage=_doses(fact),
    )


def _dispensed(fact: Fact) -> Resource:
    return _told(
        status="completed",
        medicationCodeableConcept=fact.meaning.thing,
        whenHandedOver=fact.time,
        quantity=_dose(fact),
    )


def _report(fact: Fact) -> Resource:
    return _told(
        status="final",
        code=fact.meaning.thing,
        effectiveDateTime=fact.time,
        issued=fact.known,
        conclusion=fact.event.text,
    )


def _note(fact: Fact) -> Resource:
    text = fact.event.text
    attachment: Resource = {"title": "text not told"}
    if text is not None:
        data = base64.b64encode(text.encode()).decode()
        attachment = {"contentType": "text/plain; charset=utf-8", "data": data}
    return _told(
        status="current",
        type=fact.meaning.thing,
        date=fact.known,
        content=[{"attachment": attachment}],
        context={"period": {"start": fact.time}},
    )


def _device(fact: Fact) -> Resource:
    return {
        "contained": [{"resourceType": "Device", "id": DEVICE, "type": fact.meaning.thing}],
        "status": "completed",
        "timingDateTime": fact.time,
        "device": {"reference": f"#{DEVICE}"},
    }


def _bill(fact: Fact) -> Resource:
    """What a claim and its answer both say; the item is dated by a period, for a date has no time of day."""
    item = {"sequence": 1, "productOrService": fact.meaning.thing, "servicedPeriod": {"start": fact.time}}
    return {
        "status": "active",
        "type": {"text": "not told"},
        "use": "claim",
        "created": fact.known or fact.time,
        "provider": NOT_TOLD,
        "item": [item],
    }


def _claim(fact: Fact) -> Resource:
    insurance = {"sequence": 1, "focal": True, "coverage": NOT_TOLD}
    return {**_bill(fact), "priority": _coded(PRIORITY, "normal"), "insurance": [insurance]}


def _benefit(fact: Fact) -> Resource:
    insurance = {"focal": True, "coverage": NOT_TOLD}
    return {**_bill(fact), "insurer": NOT_TOLD, "outcome": "complete", "insurance": [insurance]}


def _observed(event: Event) -> bool:
    """Any value that can be written; a unit of nothing cannot."""
    if event.number is None and event.text is None:
        return event.unit is None
    return is_number(event.number) and is_unit(event.unit) and (event.text is None or is_string(event.text))


def _observation(fact: Fact) -> Resource:
    code, value = _value(fact.event, fact.meaning)
    return _told(
        status="final",
        category=[{"coding": [VITAL]}]
        if fact.event.code in VITAL_SIGNS and "valueQuantity" in value
        else None,
        code=code,
        effectiveDateTime=fact.time or None,
        issued=fact.known,
        **value,
    )


def _value(event: Event, meaning: Meaning) -> tuple[object, Resource]:
    """The question and what was found."""
    if not event.is_bare:
        return meaning.whole, _found(event)
    answer = meaning.answer
    if answer is None:
        return meaning.whole, {"dataAbsentReason": NO_VALUE_TOLD}
    if answer.truth is not None:
        return answer.question, {"valueBoolean": answer.truth}
    element = "dataAbsentReason" if answer.is_absent else "valueCodeableConcept"
    return answer.question, {element: answer.concept}


def _found(event: Event) -> Resource:
    """The value; of a text that stands beside it the reference range that it says."""
    if event.text is None:
        return {"valueQuantity": amount(event.number, event.unit)}
    below = bound(event.text)
    if stands_beside(event):
        high_and_low = event.text.removeprefix(RANGE) if event.text.startswith(RANGE) else ""
        told: Resource = {"referenceRange": [{"text": high_and_low}]} if is_string(high_and_low) else {}
        return {**told, "valueQuantity": amount(event.number, event.unit)}
    if below is not None:
        return {"valueQuantity": {**amount(below[1], event.unit), "comparator": below[0]}}
    return {"valueString": event.text}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Observation(Form):
    def fits(self, event: Event, meaning: Meaning) -> bool:
        """Any code that can be written, whatever its prefix."""
        return self.takes(event) and (
            meaning.whole is not None or (event.is_bare and meaning.answer is not None)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Encounter(Form):
    def fits(self, event: Event, meaning: Meaning) -> bool:
        """A word for the kind of visit."""
        word = meaning.word
        return meaning.prefix == self.prefix and is_category(word) and is_code(word) and self.takes(event)


FORMS: dict[str, Form] = {
    OBSERVATION: _Observation(knows=True, takes=_observed, body=_observation),
    CONDITION: Form(spans=True, knows=True, body=_condition),
    ENCOUNTER: _Encounter(spans=True, prefix="VISIT", body=_encounter),
    PROCEDURE: Form(spans=True, body=_procedure),
    "Immunization": Form(whose="patient", knows=True, takes=_dosed, body=_immunization),
    "AllergyIntolerance": Form(prefix="ALLERGY", whose="patient", knows=True, body=_allergy),
    "MedicationRequest": Form(prefix="ORDER", takes=_dosed, body=_ordered),
    "MedicationAdministration": Form(prefix="GIVEN", takes=_dosed, body=_given),
    "MedicationStatement": Form(prefix="TAKEN", knows=True, takes=_dosed, body=_taken),
    "MedicationDispense": Form(prefix="DISPENSED", takes=_dosed, body=_dispensed),
    "DiagnosticReport": Form(prefix="REPORT", knows=True, takes=_with_text, body=_report),
    "DocumentReference": Form(prefix="NOTE", knows=True, takes=_with_note, body=_note),
    "DeviceUseStatement": Form(prefix="DEVICE", body=_device),
    "Claim": Form(prefix="BILLED", whose="patient", knows=True, body=_claim),
    "ExplanationOfBenefit": Form(prefix="BILLED", whose="patient", knows=True, body=_benefit),
}

"""The Patient of a timeline's rows: sex, birth, death, race and ethnicity; what has no place there is told back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from salus.formats.categories import BETWEEN, is_category
from salus.formats.fhir_systems import BORN, CDC_RACE, OMB, SEXES, US_CORE
from salus.outlet.fhir_synthetic import GENDERS
from salus.outlet.fhir_timeline_forms import known_extensions, known_later
from salus.outlet.fhir_timeline_values import Clock, Event, Resource, instant, is_string
from salus.timeline.columns import BIRTH, DEATH

BIRTH_TIME = "http://hl7.org/fhir/StructureDefinition/patient-birthTime"
GENDER_OF = {**GENDERS, **{word: gender for gender, word in SEXES.items()}}
EXTENSIONS = {"RACE": f"{US_CORE}race", "ETHNICITY": f"{US_CORE}ethnicity"}
OTHERS = (BIRTH, DEATH, "SEX", *EXTENSIONS)


@dataclass(slots=True)
class Person:
    """What a Patient says. ``known``: since when birth and death are."""

    clock: Clock
    said: Resource = field(default_factory=dict)
    extensions: dict[str, Resource] = field(default_factory=dict)
    known: dict[str, str | None] = field(default_factory=dict)

    def takes(self, event: Event) -> bool:
        """Say an event, where a Patient has a place for it that is not taken."""
        head, _, word = event.code.partition(BETWEEN)
        if not event.is_bare or head not in OTHERS or (event.time is None) is (head in (BIRTH, DEATH)):
            return False
        if event.time is not None:
            return self._dated(event, event.time)
        if head == "SEX":
            return word in GENDER_OF and self._say("gender", GENDER_OF[word])
        if head not in EXTENSIONS or head in self.extensions or not (is_category(word) and is_string(word)):
            return False
        self.extensions[head] = _extension(EXTENSIONS[head], word)
        return True

    def resource(self) -> Resource:
        """Its elements."""
        found = [self.extensions[head] for head in EXTENSIONS if head in self.extensions]
        found += [self.extensions[BIRTH]] if BIRTH in self.extensions else []
        found += known_extensions(self.known.get(BIRTH), self.known.get(DEATH))
        return {**({"extension": found} if found else {}), **self.said}

    def _dated(self, event: Event, time: datetime) -> bool:
        """Birth or death, and since when it is known."""
        if event.code in self.known or event.code not in (BIRTH, DEATH):
            return False
        self.known[event.code] = known_later(event)
        if event.code == DEATH:
            return self._say("deceasedDateTime", instant(time))
        day = self.clock.day(time)
        if day is None:
            told: Resource = {"valueDateTime": instant(time)}
            self.said["_birthDate"] = {"extension": [{"url": BIRTH_TIME, **told}]}
            self.extensions[BIRTH] = {"url": BORN, **told}
        return self._say("birthDate", day or self.clock.day_of(time))

    def _say(self, element: str, value: str) -> bool:
        if element in self.said:
            return False
        self.said[element] = value
        return True


def _extension(url: str, word: str) -> Resource:
    """Race or ethnicity as US Core writes it; a word that is none of its own has no code."""
    coding: Resource = {"display": word}
    if word in OMB:
        coding = {"system": CDC_RACE, "code": OMB[word], "display": word}
    parts: Iterable[Resource] = (
        {"url": "ombCategory", "valueCoding": coding},
        {"url": "text", "valueString": word},
    )
    return {"url": url, "extension": list(parts)}

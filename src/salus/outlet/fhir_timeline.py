"""A timeline as FHIR R4: the rows of one patient become a Patient and the resources that say the rest, each row once.

What is written is read as the same rows again by the views that Salus comes with, but for what the books count.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import groupby
from zoneinfo import ZoneInfo

import polars as pl

from salus.formats.fhir_r4 import completed_meta, synthetic_meta
from salus.outlet.fhir_draft import name_of
from salus.outlet.fhir_timeline_codes import BY_TABLE, OBSERVATION, Meaning, Meanings
from salus.outlet.fhir_timeline_forms import FORMS, Fact
from salus.outlet.fhir_timeline_people import Person
from salus.outlet.fhir_timeline_values import Clock, Event, Resource
from salus.timeline.columns import BIRTH, DEATH
from salus.timeline.settings import TimelineSettings

NO_CODE = "R4 cannot write its code"
NO_PLACE = "R4 has no place for its value as it is"
DRAWN_OF_PERSON = "a Patient cannot say of one element that a model drew it"
TAKEN = "the Patient has another, or it has no time"
COLUMNS = ("subject_id", "time", "known_time", "code", "numeric_value", "text_value", "unit", "source")


@dataclass(slots=True)
class FhirBooks:
    """Resources by type, events written, and events by code and reason that no resource says."""

    resources: Counter[str] = field(default_factory=Counter)
    events: int = 0
    written: int = 0
    not_expressible: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Said:
    """An event, what its code means, and the kind of resource that says it."""

    event: Event
    meaning: Meaning
    kind: str

    @property
    def same_source(self) -> Hashable:
        """What an end shares with the begin that the same row of the source says."""
        return self.kind, self.meaning.prefix, self.meaning.word, self.event.source or self.event.place

    @property
    def same_thing(self) -> Hashable:
        """What an end shares with its begin where nothing says which is whose; of FHIR's own its source does."""
        own = self.event.source.partition("/")[0] in FORMS
        return self.kind, self.meaning.prefix, self.meaning.word, self.event.place if own else ""


@dataclass(slots=True)
class FhirWriting:
    """Writes the patients of one timeline, and keeps the books."""

    settings: TimelineSettings
    meanings: Meanings
    books: FhirBooks = field(default_factory=FhirBooks)
    clock: Clock = field(init=False)
    population: str = field(init=False)

    def __post_init__(self) -> None:
        self.clock = Clock(ZoneInfo(self.settings.zone), self.settings.grain == "day")
        self.population = population_of(self.settings)

    def patients(self, frame: pl.DataFrame) -> Iterator[list[Resource]]:
        """The resources of each patient of a frame of whole patients, the Patient first."""
        rows = frame.select(COLUMNS).iter_rows()
        for subject, mine in groupby(rows, key=lambda row: int(row[0])):
            yield self.patient(subject, [Event.of(place, row) for place, row in enumerate(mine)])

    def patient(self, subject: int, events: Sequence[Event]) -> list[Resource]:
        """The resources of one patient."""
        name = f"{self.population}-{subject}"
        person, said = Person(self.clock), []
        for event in events:
            if not event.is_completed and person.takes(event):
                self.books.written += 1
            else:
                said += self._placed(event)
        self.books.events += len(events)
        made = [self._resource("Patient", name, person.resource())]
        numbers: Counter[Hashable] = Counter()
        for fact, kind in self._facts(said):
            place = _place_of(fact.event)
            numbers[place] += 1
            whose = {FORMS[kind].whose: {"reference": f"Patient/{name}"}}
            body = {**whose, **FORMS[kind].resource(fact)}
            named = name_of("fhir", name, kind, *place, numbers[place])
            made.append(self._resource(kind, named, body, completed=fact.is_completed))
        return made

    def _resource(
        self, kind: str, name: str, body: Mapping[str, object], *, completed: bool = False
    ) -> Resource:
        self.books.resources[kind] += 1
        meta: dict[str, object] = {}
        if self.settings.synthetic:
            meta = {"meta": synthetic_meta()}
        elif completed:
            meta = {"meta": completed_meta()}
        return {"resourceType": kind, "id": name, **meta, **body}

    def _placed(self, event: Event) -> list[_Said]:
        """The event with its kind of resource; nothing, and a line in the books, where there is none."""
        meaning = self.meanings[event.code]
        kind, why = _kind_of(event, meaning)
        if not kind:
            self.books.not_expressible[event.code, why] += 1
            return []
        self.books.written += 1
        return [_Said(event, meaning, kind)]

    def _facts(self, said: Sequence[_Said]) -> Iterator[tuple[Fact, str]]:
        """Each begin with its end, and all that stands alone."""
        ends = _ends(said)
        paired = {one.event.place for one in ends.values()}
        for one in said:
            place = one.event.place
            if place not in paired:
                end = ends[place].event if place in ends else None
                is_end = one.meaning.ends and FORMS[one.kind].spans
                yield Fact(one.event, one.meaning, self.clock, end, is_end), one.kind


def _kind_of(event: Event, meaning: Meaning) -> tuple[str, str]:
    """The kind of resource that says an event: that of its source, of its code, or an Observation; or why none does."""
    told = re.split("[/:]", event.source, maxsplit=1)[0]
    dated = (BY_TABLE.get(told, told), meaning.kind) if event.time is not None else ()
    for kind in (*dated, OBSERVATION):
        if kind in FORMS and FORMS[kind].fits(event, meaning):
            return kind, ""
    if event.code in (BIRTH, DEATH):
        return "", DRAWN_OF_PERSON if event.is_completed else TAKEN
    return "", NO_CODE if meaning.whole is None else NO_PLACE


def _ends(said: Sequence[_Said]) -> dict[int, _Said]:
    """The end of each begin, by the begin's place: first by their source, then in the order of time."""
    spans = [one for one in said if FORMS[one.kind].spans]
    ends = _paired(spans, lambda one: one.same_source)
    done = {*ends, *(one.event.place for one in ends.values())}
    return ends | _paired([one for one in spans if one.event.place not in done], lambda one: one.same_thing)


def _paired(said: Sequence[_Said], key: Callable[[_Said], Hashable]) -> dict[int, _Said]:
    """Give each end to the first begin with the same key that is still open; at one moment begins come first."""
    is_open: defaultdict[Hashable, deque[_Said]] = defaultdict(deque)
    ends: dict[int, _Said] = {}
    for one in sorted(said, key=lambda one: (one.event.time, one.meaning.ends)):
        waiting = is_open[key(one)]
        if not one.meaning.ends:
            waiting.append(one)
        elif waiting:
            ends[waiting.popleft().event.place] = one
    return ends


def _place_of(event: Event) -> tuple[str, ...]:
    """What an event's resource is named after: its source, or what it says where it has none."""
    return (event.source,) if event.source else (event.code, str(event.time), str(event.known))


def population_of(settings: TimelineSettings) -> str:
    """What the ids of a timeline's patients begin with: another timeline's first patient is another person."""
    told = f"{settings.name}\n{settings.source_digest if settings.synthetic else ''}"
    return f"{'synthetic' if settings.synthetic else 'salus'}-{sha256(told.encode()).hexdigest()[:8]}"

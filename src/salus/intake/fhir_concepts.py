"""The codes of FHIR's concepts: of several codings the preferred one, the others beside it, and their words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from salus.formats.categories import BETWEEN, LONGEST, is_category
from salus.formats.fhir_r4 import CODES
from salus.formats.fhir_systems import SEXES, is_own_code, system_name
from salus.formats.hl7v2_codes import LOCAL, PREFERRED
from salus.intake.parts import CodeMet
from salus.timeline.columns import BIRTH, DEATH

ROLES = {BIRTH: "birth", DEATH: "death"}
WORDS = {BIRTH: "Birth", DEATH: "Death", "SEX//F": "Female", "SEX//M": "Male"}
TITLES = {
    "ORDER": "Ordered",
    "GIVEN": "Given",
    "TAKEN": "Said to be taken",
    "DISPENSED": "Handed out",
    "END": "End of",
    "VISIT": "Visit",
    "END//VISIT": "End of visit",
    "ALLERGY": "Allergy to",
    "REPORT": "Report",
    "NOTE": "Note",
    "DEVICE": "Device",
    "BILLED": "Billed",
    "SEX": "Sex",
    "RACE": "Race",
    "ETHNICITY": "Ethnicity",
}


class Coding(msgspec.Struct):
    """One coding of a concept."""

    system: str | None = None
    code: str | None = None
    display: str | None = None


class Concept(msgspec.Struct):
    """A CodeableConcept; or a Coding, which has no ``coding``."""

    coding: list[Coding] | None = None
    text: str | None = None
    system: str | None = None
    code: str | None = None
    display: str | None = None


DECODER = msgspec.json.Decoder(Concept)


@dataclass(frozen=True, slots=True)
class Named:
    """The code of a concept, its words, and the codes that other systems have for it."""

    code: str
    words: str
    others: tuple[str, ...] = ()


def named(raw: bytes) -> Named | None:
    """The code of a concept; None where it has neither code nor words.

    >>> named(b'{"coding": [{"system": "urn:x", "code": "K"}, {"system": "http://loinc.org", "code": "2823-3"}]}')
    Named(code='LOINC//2823-3', words='2823-3', others=('LOCAL//K',))
    >>> named(b'{"coding": [{"system": "urn:salus:code", "code": "DIAGNOSIS//DIABETES"}]}').code
    'DIAGNOSIS//DIABETES'
    """
    try:
        concept = DECODER.decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    codings = concept.coding or [Coding(concept.system, concept.code, concept.display)]
    for one in codings:
        if one.system == CODES and one.code and is_own_code(one.code):
            return Named(one.code, one.display or concept.text or one.code)
    found = [(system_name(one.system), one) for one in codings if one.code and is_category(one.code.strip())]
    found.sort(key=lambda pair: PREFERRED.index(pair[0]) if pair[0] in PREFERRED else _rank(pair[0]))
    if not found:
        return _in_words(concept, codings)
    codes = [f"{system}{BETWEEN}{(one.code or '').strip()}" for system, one in found]
    words = concept.text or found[0][1].display or found[0][1].code or ""
    display = found[0][1].display
    return Named(codes[0], display or words, tuple(dict.fromkeys(codes[1:])))


def _rank(system: str) -> int:
    return len(PREFERRED) + (system == LOCAL)


def _in_words(concept: Concept, codings: list[Coding]) -> Named | None:
    told = next((text for text in (concept.text, *(one.display for one in codings)) if text), "")
    words = " ".join(told.split()).replace(BETWEEN, "/")[:LONGEST].strip(" /")
    return Named(f"{LOCAL}{BETWEEN}{words}", words) if is_category(words) else None


class Concepts(dict[bytes | None, int]):
    """Numbers of concepts by their JSON, each read once; -1: no code. ``codes`` and ``met`` say what they are."""

    def __init__(self) -> None:
        super().__init__({b"": -1, None: -1})
        self.codes = Codes()

    def __missing__(self, raw: bytes | None) -> int:
        one = named(raw or b"")
        number = -1 if one is None else self.codes.number(one.code, CodeMet(one.words, one.others))
        if one is not None:
            for other in one.others:
                self.codes.describe(other, CodeMet(one.words))
        self[raw] = number
        return number


@dataclass(slots=True)
class Codes:
    """Codes met by a reader: their numbers, and what is known of them."""

    names: list[str] = field(default_factory=list)
    met: dict[str, CodeMet] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    made: dict[tuple[str, int], int] = field(default_factory=dict)
    answered: dict[tuple[int, str, str], int] = field(default_factory=dict)

    def number(self, code: str, met: CodeMet) -> int:
        """The number of a code, new or known."""
        found = self.numbers.get(code)
        if found is None:
            found = self.numbers[code] = len(self.names)
            self.names.append(code)
            self.describe(code, met)
        return found

    def describe(self, code: str, met: CodeMet) -> None:
        """Note what is known of a code; of two descriptions the first by letters stays."""
        known = self.met.get(code)
        if known is None:
            self.met[code] = met
        elif known != met:
            parents = tuple(sorted({*known.parents, *met.parents}))
            self.met[code] = CodeMet(min(known.description, met.description), parents, known.role)

    def prefixed(self, prefix: str, number: int) -> int:
        """A code behind a prefix: ``ORDER//RXNORM//310965``, which is a kind of ``RXNORM//310965``."""
        if not prefix or number < 0:
            return number
        key = prefix, number
        if key not in self.made:
            code = self.names[number]
            words = f"{TITLES.get(prefix, prefix.capitalize())} {self.met[code].description}"
            self.made[key] = self.number(f"{prefix}{BETWEEN}{code}", CodeMet(words, (code,)))
        return self.made[key]

    def worded(self, prefix: str, word: str) -> int:
        """The code of a word behind a prefix: ``SEX//F``; -1 where the word cannot be part of a code."""
        word = SEXES.get(word, word) if prefix == "SEX" else word
        if not is_category(word):
            return -1
        code = f"{prefix}{BETWEEN}{word}" if prefix else word
        words = WORDS.get(code) or f"{TITLES.get(prefix, prefix.capitalize())} {word}"
        return self.number(code, CodeMet(words, role=ROLES.get(code, "event")))

    def answer(self, question: int, answer: str, words: str) -> int:
        """The code of an answer: ``LOINC//72166-2//SNOMED:8517006``, which is a kind of its question.

        An empty answer says that the question's code is all there is.
        """
        if not answer:
            return question
        key = question, answer, words
        if key not in self.answered:
            code = self.names[question]
            told = CodeMet(f"{self.met[code].description}: {words}", (code,))
            self.answered[key] = self.number(f"{code}{BETWEEN}{answer}", told)
        return self.answered[key]

    def of(self, numbers: set[int]) -> Mapping[str, CodeMet]:
        """What is known of these codes, and of those that they are kinds of."""
        waiting, told = [self.names[number] for number in numbers], dict[str, CodeMet]()
        while waiting:
            code = waiting.pop()
            if code not in told:
                told[code] = self.met.get(code, CodeMet(code))
                waiting += told[code].parents
        return told

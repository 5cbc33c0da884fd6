"""Codes of a timeline as FHIR's concepts: which kind of resource says one, and the coding that is read as it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from salus.formats.categories import BETWEEN, is_category
from salus.formats.fhir_r4 import CODES, CodeableConcept, Coding
from salus.formats.fhir_systems import ABSENT, NONE_TOLD, VALUE, is_code, is_own_code, may_hold, system_url
from salus.formats.hl7v2_codes import ANSWER, ENDED

OBSERVATION, CONDITION, ENCOUNTER, PROCEDURE = "Observation", "Condition", "Encounter", "Procedure"
PREFIXES = {
    "ORDER": "MedicationRequest",
    "GIVEN": "MedicationAdministration",
    "TAKEN": "MedicationStatement",
    "DISPENSED": "MedicationDispense",
    "ALLERGY": "AllergyIntolerance",
    "REPORT": "DiagnosticReport",
    "NOTE": "DocumentReference",
    "DEVICE": "DeviceUseStatement",
    "BILLED": "Claim",
    "VISIT": ENCOUNTER,
}
"""What a prefix says: without it the code would be of another kind."""
BY_SYSTEM = {
    **dict.fromkeys(("ICD9CM", "ICD10", "ICD10CM", "DIAGNOSIS", "CONDITION"), CONDITION),
    **dict.fromkeys(("ICD9Proc", "ICD10PCS", "CPT4", "HCPCS", "PROCEDURE"), PROCEDURE),
    "CVX": "Immunization",
}
SPANS = (CONDITION, ENCOUNTER, PROCEDURE)
"""Resources that say a begin and an end."""
BY_TABLE = {"condition_occurrence": CONDITION, "procedure_occurrence": PROCEDURE}
"""Tables of OMOP that say what kind of thing a code of any system is."""
NO_VALUE_TOLD: CodeableConcept = {
    "coding": [{"system": VALUE, "code": NONE_TOLD}],
    "text": "no value is told",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer that a code ends with: yes or no, a concept, or the reason why there is none."""

    question: CodeableConcept
    truth: bool | None = None
    concept: CodeableConcept | None = None
    is_absent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a code says in FHIR.

    ``kind``: the resource for it where its source tells none. ``ends``: it is the end of something. ``thing``: what
    stands behind the prefix (and END), as a concept; ``word``: the same as text. ``whole``: the code as it is.
    """

    kind: str
    prefix: str
    ends: bool
    word: str
    thing: CodeableConcept | None
    whole: CodeableConcept | None
    answer: Answer | None


@dataclass(slots=True)
class Meanings(dict[str, Meaning]):
    """What each code says, found once. ``words``: descriptions of the timeline's codes."""

    words: Mapping[str, str] = field(default_factory=dict)

    def __missing__(self, code: str) -> Meaning:
        found = self[code] = self._meaning(code)
        return found

    def _meaning(self, code: str) -> Meaning:
        ends = code.startswith(ENDED + BETWEEN)
        told = code.removeprefix(ENDED + BETWEEN) if ends else code
        head, _, rest = told.partition(BETWEEN)
        prefix = head if head in PREFIXES and rest else ""
        thing = rest if prefix else told
        kind = PREFIXES.get(prefix) or BY_SYSTEM.get(head, OBSERVATION)
        return Meaning(
            kind=kind if not ends or kind in SPANS else OBSERVATION,
            prefix=prefix,
            ends=ends,
            word=thing,
            thing=self.concept(thing),
            whole=self.concept(code),
            answer=self._answer(code),
        )

    def concept(self, code: str) -> CodeableConcept | None:
        """A concept that is read as this code; None where R4 cannot write it.

        Its words are the text and no display: that would have to be the system's own, which may need a licence.
        """
        first = coding_of(code)
        if first is None:
            return None
        return {"coding": [first], "text": _line(self.words.get(code, "")) or first["code"]}

    def _answer(self, code: str) -> Answer | None:
        question, _, answer = code.rpartition(BETWEEN)
        asked = self.concept(question) if BETWEEN in question else None
        if asked is None:
            return None
        if answer in ("true", "false"):
            return Answer(question=asked, truth=answer == "true")
        system, _, told = answer.partition(ANSWER)
        coding = coding_of(f"{system}{BETWEEN}{told}") if told else None
        if coding is None or coding.get("system") == CODES:
            return None
        words = self.words.get(code, "").removeprefix(f"{self.words.get(question, '')}: ")
        concept: CodeableConcept = {"coding": [coding], "text": _line(words) or told}
        return Answer(question=asked, concept=concept, is_absent=system == ABSENT)


def coding_of(code: str) -> Coding | None:
    """The coding that is read as this code; None where R4 cannot write it.

    >>> coding_of("LOINC//2823-3"), coding_of("LOCAL//K")
    ({'system': 'http://loinc.org', 'code': '2823-3'}, {'code': 'K'})
    >>> coding_of("ICU//HR//high"), coding_of("two  spaces")
    ({'system': 'urn:salus:code', 'code': 'ICU//HR//high'}, None)
    >>> coding_of("LOINC//no-loinc")["system"]
    'urn:salus:code'
    """
    system, _, rest = code.partition(BETWEEN)
    url = system_url(system)
    if rest and url is not None and is_category(rest) and is_code(rest) and may_hold(url, rest):
        return {"system": url, "code": rest} if url else {"code": rest}
    return {"system": CODES, "code": code} if is_own_code(code) else None


def _line(words: str) -> str:
    return " ".join("".join(one if one.isprintable() else " " for one in words).split())

"""How OMOP's concepts are named on a timeline, and back: vocabulary//code, one way for intake and outlet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from salus.formats.categories import BETWEEN, is_category
from salus.timeline.columns import BIRTH, DEATH

END, ADMITTED_FROM, DISCHARGED_TO, CAUSE_OF_DEATH = "END", "ADMITTED_FROM", "DISCHARGED_TO", "CAUSE_OF_DEATH"
PERIOD_START, PERIOD_END = "OBSERVATION_PERIOD", "END//OBSERVATION_PERIOD"
OMOP = "OMOP"
SYNTHETIC = "SYNTHETIC"
"""What a person, and ``cdm_source``, say of themselves where a model drew them."""
"""Vocabulary of concepts that ``concept`` does not hold: ``OMOP//3025315`` is concept 3025315."""
ANSWER = ":"
"""Between vocabulary and code of an answer: ``LOINC//72166-2//SNOMED:266919005``."""
NO_CONCEPT = 0

TRAIT_NAMES = {
    8507: "M",
    8532: "F",
    8521: "OTHER",
    8551: "UNKNOWN",
    8570: "AMBIGUOUS",
    8527: "White",
    8516: "Black or African American",
    8515: "Asian",
    8657: "American Indian or Alaska Native",
    8557: "Native Hawaiian or Other Pacific Islander",
    38003563: "Hispanic or Latino",
    38003564: "Not Hispanic or Latino",
}
"""Concepts of sex, race and ethnicity that every OMOP site has, by the names used on a timeline."""

OPERATORS = {4171754: "<=", 4171755: ">=", 4171756: "<", 4172704: ">"}
"""Concepts before a number that is a bound, not a measurement. 4172703 (=) and 0 change nothing."""

SPECIAL = {BIRTH: "Birth", DEATH: "Death", PERIOD_START: "Records begin", PERIOD_END: "Records end"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Concept:
    """One row of ``concept``."""

    concept_id: int
    name: str
    domain: str
    vocabulary: str
    concept_class: str
    standard: str
    code: str


def concept_code(concept_id: int, concepts: Mapping[int, Concept]) -> str:
    """The code of a concept; one that ``concept`` does not hold keeps its number.

    >>> concept_code(3025315, {})
    'OMOP//3025315'
    """
    known = concepts.get(concept_id)
    if known is None or not known.vocabulary or not known.code or BETWEEN in known.vocabulary:
        return f"{OMOP}{BETWEEN}{concept_id}"
    return f"{known.vocabulary}{BETWEEN}{known.code}"


def answer_code(question: str, answer: str) -> str:
    """The code of an answer to a question.

    >>> answer_code("LOINC//72166-2", "SNOMED//266919005")
    'LOINC//72166-2//SNOMED:266919005'
    """
    return f"{question}{BETWEEN}{answer.replace(BETWEEN, ANSWER)}"


def split_answer(code: str) -> tuple[str, str | None]:
    """Question and answer, each as its own code; no answer: None.

    >>> split_answer("LOINC//72166-2//SNOMED:266919005")
    ('LOINC//72166-2', 'SNOMED//266919005')
    """
    question, _, answer = code.rpartition(BETWEEN)
    if BETWEEN in question and ANSWER in answer:
        return question, answer.replace(ANSWER, BETWEEN, 1)
    return code, None


def source_code(prefix: str, word: str | None) -> str | None:
    """The code of what only the source's own word says; None where the word cannot be one.

    >>> source_code("CONDITION", "J18.9"), source_code("CONDITION", "")
    ('CONDITION//J18.9', None)
    """
    return f"{prefix}{BETWEEN}{word}" if word and is_category(word) else None


def trait_code(prefix: str, concept_id: int, concepts: Mapping[int, Concept]) -> str:
    """The code of a sex, race or ethnicity, by its name: SEX//F.

    >>> trait_code("SEX", 8532, {})
    'SEX//F'
    """
    name = TRAIT_NAMES.get(concept_id)
    if name is None and concept_id in concepts and is_category(concepts[concept_id].name):
        name = concepts[concept_id].name
    return f"{prefix}{BETWEEN}{name}" if name else f"{prefix}{BETWEEN}{OMOP}:{concept_id}"

"""Where each code of a timeline belongs in OMOP: which table, in which part of a row, under which concept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

import polars as pl

from salus.formats.categories import BETWEEN
from salus.formats.omop import CLINICAL, DEATH_TABLE, PERIOD, PERSON, TRAITS
from salus.formats.omop_codes import (
    ADMITTED_FROM,
    CAUSE_OF_DEATH,
    DISCHARGED_TO,
    END,
    OMOP,
    PERIOD_END,
    PERIOD_START,
    TRAIT_NAMES,
    Concept,
    split_answer,
)
from salus.formats.omop_columns import DOMAINS

FIRST_LOCAL = 2_000_000_001
"""OMOP leaves numbers from here on to each site."""
NO_VOCABULARY = "SALUS"
"""The vocabulary of codes that name none."""
VISIT_DETAIL = "VISIT_DETAIL"
ANSWERING = tuple(table.name for table in CLINICAL if table.value.answer)
"""Tables whose rows have answers."""
TABLES = {table.name: table for table in CLINICAL}
BY_PREFIX = {table.prefix: table.name for table in reversed(CLINICAL)}
"""What stands before a word of the source, and the table of such words."""
BY_VOCABULARY = {
    "LOINC": "measurement",
    "Visit": "visit_occurrence",
    **dict.fromkeys(("SNOMED", "ICD9CM", "ICD10", "ICD10CM", "ICD10GM", "DIAGNOSIS"), "condition_occurrence"),
    **dict.fromkeys(("ICD9Proc", "ICD10PCS", "CPT4", "HCPCS", "OPS"), "procedure_occurrence"),
    **dict.fromkeys(("RxNorm", "RxNorm Extension", "ATC", "NDC", "CVX"), "drug_exposure"),
}
TRAIT_NUMBERS = {name: number for number, name in TRAIT_NAMES.items()}


class Part(StrEnum):
    """What of a row an event is."""

    ROW = "row"
    ANSWER = "answer"
    END = "end"
    ADMITTED = "admitted"
    DISCHARGED = "discharged"
    BIRTH = "birth"
    DEATH = "death"
    CAUSE = "cause"
    SEX = "SEX"
    RACE = "RACE"
    ETHNICITY = "ETHNICITY"
    PERIOD_START = "period start"
    PERIOD_END = "period end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where events of one code go. ``base``: what a row's events have in common; ``word``: where no concept is."""

    code: str
    part: Part
    table: str
    base: str
    concept: int = 0
    word: str | None = None
    answer: int = 0


class Numbering:
    """Concept ids: those that a timeline or a vocabulary tells, and new ones of this site for the rest."""

    def __init__(self, codes: pl.DataFrame, known: Mapping[str, Concept]) -> None:
        self.names: dict[str, str | None] = dict(codes.select("code", "description").iter_rows())
        self.parents: dict[str, list[str] | None] = dict(codes.select("code", "parent_codes").iter_rows())
        self.known = known
        self.concepts: dict[int, Concept] = {}
        taken = [number for code in self.names for number in self.told(code)]
        ids = [concept.concept_id for concept in known.values()]
        self.next: int = max([FIRST_LOCAL - 1, *taken, *ids]) + 1
        self.given: dict[str, int] = {}

    def number(self, code: str, table: str, *, told_by: str = "") -> int:
        """The id of a code's concept; ``told_by``: another code whose parents name it."""
        if code not in self.given:
            self.given[code] = self._find(code, told_by)
            self._describe(code, table)
        return self.given[code]

    def told(self, code: str) -> list[int]:
        """Ids that a code or its parents name: ``OMOP//3025315``."""
        parts = [name.partition(BETWEEN) for name in (code, *(self.parents.get(code) or ()))]
        return [int(rest) for prefix, _, rest in parts if prefix == OMOP and rest.isdigit()]

    def _find(self, code: str, told_by: str) -> int:
        if code in self.known:
            return self.known[code].concept_id
        told: list[int] = [*self.told(code), *(self.told(told_by) if told_by else ())]
        if told:
            return told[0]
        self.next += 1
        return self.next - 1

    def _describe(self, code: str, table: str) -> None:
        """A row of ``concept``; none for a concept that the timeline knows by its number alone."""
        number = self.given[code]
        if code in self.known:
            self.concepts[number] = self.known[code]
        elif not code.startswith(f"{OMOP}{BETWEEN}"):
            vocabulary, between, rest = code.partition(BETWEEN)
            self.concepts[number] = Concept(
                concept_id=number,
                name=self.names.get(code) or rest or code,
                domain=DOMAINS.get(table, "Observation"),
                vocabulary=vocabulary if between else NO_VOCABULARY,
                concept_class="Undefined",
                standard="",
                code=rest if between else code,
            )


def concepts_named(code: str) -> Iterator[str]:
    """Every concept's code that a code may hold: its own, what stands behind a word of ours, its answer.

    >>> list(concepts_named("END//RxNorm//308182"))
    ['END//RxNorm//308182', 'RxNorm//308182']
    """
    question, answer = split_answer(code)
    for part in (code, question, answer):
        if part is not None:
            yield part
            if part.partition(BETWEEN)[0] in (
                END,
                ADMITTED_FROM,
                DISCHARGED_TO,
                CAUSE_OF_DEATH,
                VISIT_DETAIL,
            ):
                yield from concepts_named(part.partition(BETWEEN)[2])
            if part == code == question:
                return


def places(codes: pl.DataFrame, met: list[str], numbering: Numbering) -> list[Place]:
    """A place for each code met in events."""
    roles = dict(codes.select("code", "role").iter_rows())
    valued = set(codes.filter(pl.col("decimals").is_not_null())["code"])
    return [_place(code, roles.get(code) or "event", code in valued, numbering) for code in sorted(met)]


def _place(code: str, role: str, valued: bool, numbering: Numbering) -> Place:
    prefix, _, rest = code.partition(BETWEEN)
    frames = {"birth": (Part.BIRTH, PERSON), "death": (Part.DEATH, DEATH_TABLE)}
    if role in frames:
        part, table = frames[role]
        return Place(code=code, part=part, table=table, base=code)
    if code == PERIOD_START:
        return Place(code=code, part=Part.PERIOD_START, table=PERIOD, base=PERIOD)
    if code == PERIOD_END or role == "follow_up_end":
        return Place(code=code, part=Part.PERIOD_END, table=PERIOD, base=PERIOD)
    if prefix in TRAITS:
        return _trait(code, prefix, rest, numbering)
    around = {
        END: (Part.END, ""),
        ADMITTED_FROM: (Part.ADMITTED, "visit_occurrence"),
        DISCHARGED_TO: (Part.DISCHARGED, "visit_occurrence"),
        CAUSE_OF_DEATH: (Part.CAUSE, DEATH_TABLE),
    }
    if prefix in around and BETWEEN in rest:
        part, table = around[prefix]
        if part is Part.END:
            return Place(code=code, part=part, table=_table(rest, numbering, valued), base=rest)
        number, word = _said(rest, table, numbering, told_by=code)
        return Place(code=code, part=part, table=table, base=rest, concept=number, word=word)
    return _row(code, valued, numbering)


def _row(code: str, valued: bool, numbering: Numbering) -> Place:
    question, answer = split_answer(code)
    if answer is not None and not code.startswith(f"{VISIT_DETAIL}{BETWEEN}"):
        marks = [table for table in _marks(question, numbering) if table in ANSWERING]
        table = marks[0] if marks else ANSWERING[-1]
        number, word = _said(question, table, numbering)
        told = numbering.number(answer, table, told_by=code)
        return Place(
            code=code, part=Part.ANSWER, table=table, base=question, concept=number, word=word, answer=told
        )
    table = _table(code, numbering, valued)
    number, word = _said(code.removeprefix(f"{VISIT_DETAIL}{BETWEEN}"), table, numbering, told_by=code)
    return Place(code=code, part=Part.ROW, table=table, base=code, concept=number, word=word)


def _said(code: str, table: str, numbering: Numbering, *, told_by: str = "") -> tuple[int, str | None]:
    """Concept and word of the source: a word that never had a concept gets none."""
    prefix, between, rest = code.partition(BETWEEN)
    if between and prefix in BY_PREFIX and BETWEEN not in rest:
        return 0, rest
    return numbering.number(code, table, told_by=told_by), None


def _table(code: str, numbering: Numbering, valued: bool) -> str:
    """The table that a code's parents name, else that of its domain, of its vocabulary, or the one for all else."""
    marks = _marks(code, numbering)
    if marks:
        return marks[0]
    if code.startswith(f"{VISIT_DETAIL}{BETWEEN}"):
        return "visit_detail"
    prefix = code.partition(BETWEEN)[0]
    if prefix in BY_PREFIX:
        return BY_PREFIX[prefix]
    if valued:
        return "measurement"
    domains = {domain: table for table, domain in reversed(DOMAINS.items()) if table != "visit_detail"}
    if code in numbering.known and numbering.known[code].domain in domains:
        return domains[numbering.known[code].domain]
    return BY_VOCABULARY.get(prefix, "observation")


def _marks(code: str, numbering: Numbering) -> list[str]:
    """The tables whose rows became this code: ``OMOP//measurement`` among its parents."""
    parts = [parent.partition(BETWEEN) for parent in numbering.parents.get(code) or ()]
    return [rest for prefix, _, rest in parts if prefix == OMOP and rest in TABLES]


def _trait(code: str, prefix: str, name: str, numbering: Numbering) -> Place:
    told = numbering.told(code)
    number = told[0] if told else TRAIT_NUMBERS.get(name, 0)
    return Place(
        code=code, part=Part(prefix), table=PERSON, base=code, concept=number, word=None if number else name
    )

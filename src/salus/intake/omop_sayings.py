"""What the rows of OMOP say, each way of saying once: its codes, its unit, and how well it was mapped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from salus.formats.categories import BETWEEN
from salus.formats.omop import CLINICAL, DEATH_TABLE, PERIOD, PERSON, TRAITS, OmopTable
from salus.formats.omop_codes import (
    ADMITTED_FROM,
    CAUSE_OF_DEATH,
    DISCHARGED_TO,
    END,
    OMOP,
    PERIOD_END,
    PERIOD_START,
    SPECIAL,
    answer_code,
    source_code,
    trait_code,
)
from salus.intake.omop_described import Described
from salus.timeline.columns import BIRTH, DEATH
from salus.units import KNOWN_UNITS, SPELLINGS

UCUM = "UCUM"
TABLES = {table.name: table for table in CLINICAL}
Part = int | str | None


class At(IntEnum):
    """When an event of a row is."""

    START = 0
    END = 1
    NEVER = 2


class Carries(IntEnum):
    """What of the row's value an event holds: nothing, all, all if there is a number, or words if there is none."""

    NOTHING = 0
    ALL = 1
    NUMBER = 2
    WORDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """One way in which rows say something: ``said`` is the hash by which its rows know it."""

    said: int
    parts: Mapping[str, Part]
    rows: int


@dataclass(frozen=True, slots=True)
class Meaning:
    """One event that each row of a saying becomes."""

    said: int
    code: str
    at: At
    carries: Carries = Carries.NOTHING
    unit: str | None = None


@dataclass(slots=True, kw_only=True)
class Meanings:
    """All meanings of one table, the sayings that mean nothing, and how many rows were mapped in which way."""

    found: list[Meaning] = field(default_factory=list)
    nothing: list[int] = field(default_factory=list)
    mapped: Counter[str] = field(default_factory=Counter)


def concepts_of(sayings: Iterable[Saying]) -> set[int]:
    """The ids of all concepts that are said."""
    return {part for saying in sayings for part in saying.parts.values() if isinstance(part, int) and part}


def meanings(name: str, sayings: Iterable[Saying], described: Described) -> Meanings:
    """Give each saying of a table the events that its rows become, and describe their codes."""
    book = _Book(described)
    say: Callable[[_Book, Saying], None] = {
        PERSON: _person,
        DEATH_TABLE: _death,
        PERIOD: _period,
    }.get(name) or (lambda made, saying: _clinical(made, saying, TABLES[name]))
    for saying in sayings:
        say(book, saying)
    return book.made


@dataclass(slots=True)
class _Book:
    """Meanings of one table in the making."""

    described: Described
    made: Meanings = field(default_factory=Meanings)

    def code(self, parts: Mapping[str, Part], alias: str, prefix: str) -> tuple[str, str] | None:
        """The code of one thing said, and how it was found; None where nothing can be a code."""
        for column, how in (("concept", "by concept"), ("source_concept", "by the source's concept")):
            if number := _whole(parts.get(f"{alias}_{column}")):
                known = number in self.described.vocabulary.concepts
                return self.described.concept(number), how if known else "by a concept not in the vocabulary"
        word = source_code(prefix, _text(parts.get(f"{alias}_word")))
        if word is None:
            return None
        self.described.add(word, word.partition(BETWEEN)[2])
        return word, "by the source's word"

    def mean(self, meaning: Meaning) -> None:
        """Add one event."""
        self.made.found.append(meaning)


def _text(part: Part) -> str | None:
    return part if isinstance(part, str) else None


def _clinical(book: _Book, saying: Saying, table: OmopTable) -> None:
    found = book.code(saying.parts, "what", table.prefix)
    if found is None:
        book.made.nothing.append(saying.said)
        return
    base, how = found
    book.made.mapped[how] += saying.rows
    if table.before:
        plain, base = base, f"{table.before}{BETWEEN}{base}"
        title = f"{table.name.replace('_', ' ').capitalize()}: {book.described.name(plain)}"
        book.described.add_made(base, title, of=(plain,), parents=book.described.numbers(plain))
    book.described.mark(base, table.name)
    _values(book, saying, table, base)
    if table.ends[0]:
        title = f"End of: {book.described.name(base)}"
        book.described.add_made(f"{END}{BETWEEN}{base}", title, of=(base,))
        book.mean(Meaning(saying.said, f"{END}{BETWEEN}{base}", At.END))
    for part, prefix, at in (("at_start", ADMITTED_FROM, At.START), ("at_end", DISCHARGED_TO, At.END)):
        place = book.code(saying.parts, part, table.prefix) if f"{part}_concept" in saying.parts else None
        if place:
            _derived(book, f"{prefix}{BETWEEN}{place[0]}", Meaning(saying.said, place[0], at))


def _derived(book: _Book, code: str, plain: Meaning) -> None:
    """An event whose code puts a word before that of a thing: it is not of its kind, but names its concept."""
    own = book.described.numbers(plain.code)
    title = code.partition(BETWEEN)[0].replace("_", " ").capitalize()
    name = f"{title}: {book.described.name(plain.code)}"
    book.described.add_made(code, name, of=(plain.code,), parents=own)
    book.mean(Meaning(plain.said, code, plain.at))


def _values(book: _Book, saying: Saying, table: OmopTable, base: str) -> None:
    """The event of the row itself, with its number; and that of its answer, where it has one."""
    unit = table.value.fixed_unit or _unit(book, saying)
    answer = saying.parts.get("answer")
    if not isinstance(answer, int) or not answer:
        book.mean(Meaning(saying.said, base, At.START, Carries.ALL, unit))
        return
    told = book.described.concept(answer)
    code = answer_code(base, told)
    book.described.add_made(
        code,
        f"{book.described.name(base)}: {book.described.name(told)}",
        of=(base, told),
        parents=[base, *book.described.numbers(told)],
    )
    book.mean(Meaning(saying.said, code, At.START, Carries.WORDS))
    book.mean(Meaning(saying.said, base, At.START, Carries.NUMBER, unit))


def _unit(book: _Book, saying: Saying) -> str | None:
    """The unit's UCUM code; else the source's word for it, as UCUM where it can mean nothing else."""
    known = book.described.vocabulary.concepts.get(_whole(saying.parts.get("unit")))
    if known and known.vocabulary == UCUM and known.code:
        return known.code
    word = _text(saying.parts.get("unit_word"))
    if word is None:
        return known.code if known and known.code else None
    unit = SPELLINGS.get(word, word)
    if unit not in KNOWN_UNITS:
        book.made.mapped["unit as the source wrote it"] += saying.rows
    return unit


def _whole(part: Part) -> int:
    return part if isinstance(part, int) else 0


def _person(book: _Book, saying: Saying) -> None:
    book.described.add(BIRTH, SPECIAL[BIRTH], role="birth")
    book.mean(Meaning(saying.said, BIRTH, At.START))
    for prefix in TRAITS:
        alias = prefix.lower()
        concept = _whole(saying.parts[f"{alias}_concept"])
        source = _whole(saying.parts[f"{alias}_source_concept"])
        word = source_code(prefix, _text(saying.parts[f"{alias}_word"]))
        if number := concept or source:
            code = trait_code(prefix, number, book.described.vocabulary.concepts)
            book.described.add(code, _trait_name(prefix, code), parents=[f"{OMOP}{BETWEEN}{number}"])
        elif word:
            code = word
            book.described.add(code, _trait_name(prefix, code))
        else:
            continue
        book.mean(Meaning(saying.said, code, At.NEVER))


def _trait_name(prefix: str, code: str) -> str:
    return f"{prefix.capitalize()}: {code.partition(BETWEEN)[2]}"


def _death(book: _Book, saying: Saying) -> None:
    book.described.add(DEATH, SPECIAL[DEATH], role="death")
    book.mean(Meaning(saying.said, DEATH, At.START))
    if cause := book.code(saying.parts, "what", "CONDITION"):
        book.made.mapped[cause[1]] += saying.rows
        _derived(book, f"{CAUSE_OF_DEATH}{BETWEEN}{cause[0]}", Meaning(saying.said, cause[0], At.START))


def _period(book: _Book, saying: Saying) -> None:
    book.described.add(PERIOD_START, SPECIAL[PERIOD_START])
    book.described.add(PERIOD_END, SPECIAL[PERIOD_END], role="follow_up_end")
    book.mean(Meaning(saying.said, PERIOD_START, At.START))
    book.mean(Meaning(saying.said, PERIOD_END, At.END))

"""What is known of the codes that OMOP's concepts become: names, and what each is a kind of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

import polars as pl

from salus.formats.categories import BETWEEN
from salus.formats.csv_source import CodeEntry
from salus.formats.omop_codes import OMOP, concept_code
from salus.intake.omop_vocabulary import Vocabulary
from salus.timeline.columns import CODE_COLUMNS, fit_columns


class Described:
    """Descriptions of codes in the making, each added once."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.entries: dict[str, CodeEntry] = {}
        self.made_of: dict[str, tuple[str, ...]] = {}

    def concept(self, number: int) -> str:
        """The code of a concept, described with all that is above it."""
        concepts, waiting = self.vocabulary.concepts, [number]
        while waiting:
            low = waiting.pop()
            code, own = concept_code(low, concepts), f"{OMOP}{BETWEEN}{low}"
            if code in self.entries:
                continue
            highs = self.vocabulary.above.get(low, ())
            above = [parent for high in highs if (parent := concept_code(high, concepts)) != code]
            name = concepts[low].name if low in concepts else f"Concept {low}"
            self.add(code, name, parents=[*above, *([own] if own != code else [])])
            waiting += highs
        return concept_code(number, concepts)

    def add(self, code: str, description: str, *, parents: Iterable[str] = (), role: str = "event") -> None:
        """Describe a code, unless it is described."""
        if code not in self.entries:
            once = tuple(dict.fromkeys(parents))
            self.entries[code] = CodeEntry(code=code, description=description, parents=once, role=role)

    def add_made(
        self, code: str, description: str, *, of: tuple[str, ...], parents: Iterable[str] = ()
    ) -> None:
        """Describe a code that is made of others, which stay described as long as it is."""
        self.add(code, description, parents=parents)
        self.made_of[code] = of

    def name(self, code: str) -> str:
        """What a code is called."""
        return self.entries[code].description

    def numbers(self, code: str) -> tuple[str, ...]:
        """What names the concept of a code by its number: the code itself, or some of its parents."""
        if names_concept(code):
            return (code,)
        return tuple(parent for parent in self.entries[code].parents if names_concept(parent))

    def mark(self, code: str, table: str) -> None:
        """Note that rows of a table become this code: after what it is a kind of, before its number."""
        place = f"{OMOP}{BETWEEN}{table}"
        self.add(place, f"Any row of {table}")
        entry = self.entries[code]
        if place not in entry.parents:
            others = tuple(parent for parent in entry.parents if not names_concept(parent))
            self.entries[code] = replace(entry, parents=(*others, place, *(set(self.numbers(code)) - {code})))

    def frame(
        self, met: Iterable[str], units: Mapping[str, Counter[str]], decimals: Mapping[str, int]
    ) -> pl.DataFrame:
        """The codes met in events and what they rest on, each with its most frequent unit and the decimals it needs."""
        rows = [
            {
                "code": code,
                "description": self.entries[code].description,
                "parent_codes": list(self.entries[code].parents),
                "role": self.entries[code].role,
                "unit": min(units[code], key=lambda unit: (-units[code][unit], unit))
                if code in units
                else None,
                "decimals": decimals.get(code),
            }
            for code in sorted(self._rests_on(met))
        ]
        kinds = {name: CODE_COLUMNS[name] for name in (rows[0] if rows else ("code",))}
        return fit_columns(pl.DataFrame(rows, schema=kinds), CODE_COLUMNS, what="codes")

    def _rests_on(self, met: Iterable[str]) -> set[str]:
        found: set[str] = set()
        waiting = list(met)
        while waiting:
            code = waiting.pop()
            if code in self.entries and code not in found:
                found.add(code)
                waiting += [*self.entries[code].parents, *self.made_of.get(code, ())]
        return found


def names_concept(code: str) -> bool:
    """Whether a code is that of a concept by its number.

    >>> names_concept("OMOP//3025315"), names_concept("OMOP//measurement")
    (True, False)
    """
    prefix, _, rest = code.partition(BETWEEN)
    return prefix == OMOP and rest.isdigit()

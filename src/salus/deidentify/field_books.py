"""The books of a de-identification: of every field, what was kept, moved, made coarser, replaced or taken out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Fate(StrEnum):
    """What became of one value."""

    KEPT = "kept"  # as it was
    SHIFTED = "shifted"  # a date or time moved by the patient's own shift
    GENERALISED = (
        "generalised"  # made coarser: a year for a date, three digits for a postcode, 90+ for an age
    )
    PSEUDONYM = "pseudonym"  # an id replaced by what only the key's holder can make again
    SCRUBBED = "scrubbed"  # a free text with what identifies replaced in it
    REMOVED = "removed"  # not passed on


@dataclass(slots=True)
class FieldBooks:
    """How many values of each field met which fate. A field's name is its place, never anything a patient said."""

    counts: Counter[tuple[str, Fate]] = field(default_factory=Counter)

    def add(self, name: str, fate: Fate, number: int = 1) -> None:
        """Enter ``number`` values of a field."""
        if number:
            self.counts[name, fate] += number

    def take_in(self, others: Iterable[FieldBooks]) -> None:
        """Add the books of other parts of the same run."""
        for other in others:
            self.counts.update(other.counts)

    @property
    def met(self) -> int:
        """All values that were met."""
        return self.counts.total()

    def as_json(self) -> dict[str, dict[str, int]]:
        """Fields in alphabetical order, each with its fates.

        >>> books = FieldBooks()
        >>> books.add("Patient.birthDate", Fate.GENERALISED)
        >>> books.as_json()
        {'Patient.birthDate': {'generalised': 1}}
        """
        told: dict[str, dict[str, int]] = {}
        for (name, fate), number in sorted(self.counts.items()):
            told.setdefault(name, {})[fate.value] = number
        return told

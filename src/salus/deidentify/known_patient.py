"""What a structured record says of who the patient is: a note about them is searched for exactly that first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields


@dataclass(frozen=True, slots=True)
class KnownPatient:
    """What identifies one patient, as the record writes it; it shows in no representation of the object.

    ``number`` is the patient's own id as the policy says: what ``Key.date_shift`` is given, so that a date in a note
    moves by the same days as the record. Every other text is one thing as written: a given name or a family name,
    a street line, a town, a postcode. ``birth_date`` is ISO and may be partial ("1950-03"); empty: not known.
    """

    number: str = field(default="", repr=False)
    names: tuple[str, ...] = field(default=(), repr=False)
    birth_date: str = field(default="", repr=False)
    addresses: tuple[str, ...] = field(default=(), repr=False)
    phones: tuple[str, ...] = field(default=(), repr=False)
    emails: tuple[str, ...] = field(default=(), repr=False)
    identifiers: tuple[str, ...] = field(default=(), repr=False)
    sex: str = field(default="", repr=False)

    def joined(self, other: KnownPatient) -> KnownPatient:
        """What two records of one patient say together; the first one's sex, birth date and number hold.

        >>> both = KnownPatient(names=("Mia",)).joined(KnownPatient(names=("Mia", "Roe"), sex="female"))
        >>> both.names, both.sex
        (('Mia', 'Roe'), 'female')
        """
        told: dict[str, str | tuple[str, ...]] = {}
        for each in fields(self):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            told[each.name] = once((*mine, *theirs)) if isinstance(mine, tuple) else mine or theirs
        return KnownPatient(**told)  # type: ignore[arg-type]


NOBODY = KnownPatient()
"""Nothing is known of whom a text is about."""


def once(texts: Iterable[object]) -> tuple[str, ...]:
    """Texts that are not empty, each once, in their order."""
    cleaned = (text.strip() for text in texts if isinstance(text, str))
    return tuple(dict.fromkeys(text for text in cleaned if text))

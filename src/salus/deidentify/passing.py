"""What the formats share while records pass: one policy, one key, one set of books."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache

from salus.deidentify.dates import DateHow, year_of
from salus.deidentify.field_books import Fate, FieldBooks
from salus.deidentify.free_text import TextScrubber
from salus.deidentify.key import Key
from salus.deidentify.known_patient import NOBODY, KnownPatient
from salus.deidentify.policy import Policy, TextHow
from salus.deidentify.rekeying import Rekeying
from salus.errors import BooksUnbalanced, ScrubberMissing

US_POSTCODE = re.compile(r"(\d{5})(?:-?\d{4})?", re.ASCII)
NOBODY_LIVES = "000"
REMEMBERED = 1 << 16
SAMPLED, PLACES = 3, 200
NO_PATIENT = "it names no patient, so nobody can say by how much its dates move"
NOT_NAMED = "the policy does not name this kind of record"
MALFORMED = "no JSON"
Fated = tuple[str | None, Fate]


@dataclass(frozen=True, slots=True)
class Whose:
    """Whom a record is about: their number as the policy says, by how much their dates move, what is known of them."""

    number: str = field(default="", repr=False)
    shift: timedelta | None = field(default=None, repr=False)
    known: KnownPatient = field(default=NOBODY, repr=False)


NOBODYS = Whose()


@dataclass(slots=True)
class Tally:
    """Records read = written + left out + rejected; where the rejected ones are, by names that tell nobody."""

    read: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)
    places: list[tuple[str, int, str]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    sample: dict[str, list[str]] = field(default_factory=dict)

    def reject(self, kind: str, reason: str, place: tuple[str, int]) -> None:
        """Count a record that does not pass, and note the first places."""
        self.rejected[kind, reason] += 1
        if len(self.places) < PLACES:
            self.places.append((*place, reason))

    def show(self, kind: str, text: str) -> None:
        """Keep the first few records of a kind, as they were written, for eyes."""
        shown = self.sample.setdefault(kind, [])
        if len(shown) < SAMPLED:
            shown.append(text)

    def check(self) -> None:
        """Raise BooksUnbalanced (SAL-108) where a record has vanished."""
        gone = self.written.total() + self.left_out.total() + self.rejected.total()
        if self.read.total() != gone:
            raise BooksUnbalanced(
                f"{self.read.total()} records were read and {gone} accounted for",
                where="deidentify",
                fix="report this: it is a bug",
            )


class Passing:
    """What records pass through. ``as_of_year``: against which ages are reckoned."""

    def __init__(
        self,
        policy: Policy,
        key: Key,
        *,
        as_of_year: int,
        scrubber: TextScrubber | None = None,
        rekeying: Rekeying | None = None,
    ) -> None:
        if policy.rules.free_text is TextHow.SCRUB and scrubber is None:
            raise ScrubberMissing(
                "the policy has free text scrubbed, and no scrubber is at hand",
                where=f"policy '{policy.name}', rules.free_text",
                fix="write 'free_text: remove' in a copy of the policy",
            )
        self.policy, self.key, self.as_of_year = policy, key, as_of_year
        self.books, self.tally = FieldBooks(), Tally()
        self.known: dict[str, KnownPatient] = {}
        self.suppressed: frozenset[str] = frozenset()
        self.quasi: dict[str, dict[str, str]] = {}
        self.quasi_before: dict[str, dict[str, str]] = {}
        self.records_of: Mapping[str, str] | None = None
        """Which id of the records a PatientID of images stands for; None: it is that id."""
        self.image_patients = 0
        self._scrubber = scrubber
        self._rekeying = rekeying
        self.pseudonym: Callable[[str, str], str] = lru_cache(REMEMBERED)(self._pseudonym)
        self.number: Callable[[str, str], int] = lru_cache(REMEMBERED)(self._number)
        self.forget()

    def _pseudonym(self, kind: str, text: str) -> str:
        made = self.key.pseudonym(kind, text)
        return self._rekeying.name(kind, text, made) if self._rekeying else made

    def _number(self, kind: str, text: str) -> int:
        made = self.key.number(kind, text)
        return self._rekeying.number(kind, text, made) if self._rekeying else made

    def forget(self) -> None:
        """Look anew at whose a number is: more is known of patients than before."""
        self.whose: Callable[[str], Whose] = lru_cache(REMEMBERED)(self._whose)

    def _whose(self, number: str) -> Whose:
        known = self.known.get(number) or KnownPatient(number=number)
        return Whose(number, self.policy.rules.dates.shift(self.key, number), known)

    @property
    def wants_known(self) -> bool:
        """Whether texts are scrubbed, so that who the patients are has to be read first."""
        return self.policy.rules.free_text is TextHow.SCRUB

    def is_too_old(self, born: str) -> bool:
        """Whether somebody born then may be older than the highest age that is told."""
        year, oldest = year_of(born), self.policy.rules.oldest
        return oldest is not None and (year is None or self.as_of_year - year > oldest)

    def birth_date(self, text: str, whose: Whose, *, hl7: bool = False) -> Fated:
        """A birth date; none of the very old, who would stand out."""
        if self.is_too_old(text) or self.loses("birth_year", whose):
            return None, Fate.REMOVED
        rule = self.policy.rules.birth
        return (rule.hl7 if hl7 else rule.iso)(text, whose.shift)

    def time_of_day(self, text: str) -> Fated:
        """A time without a date: it passes where times of day do."""
        if self.policy.rules.dates.how in (DateHow.KEEP, DateHow.SHIFT):
            return text, Fate.KEPT
        return None, Fate.REMOVED

    def age(self, text: str) -> Fated:
        """Whole or broken years; the very old are told together.

        What is no number does not pass.
        """
        oldest = self.policy.rules.oldest
        try:
            years = float(text)
        except ValueError:
            return None, Fate.REMOVED
        if oldest is not None and not years < oldest + 1:
            return f"{oldest + 1}+", Fate.GENERALISED
        return text, Fate.KEPT

    def postcode(self, text: str, whose: Whose = NOBODYS) -> Fated:
        """The first digits of a US postcode; the whole one where the policy lets it pass; none of other forms."""
        rules = self.policy.rules
        if self.loses("postcode", whose):
            return None, Fate.REMOVED
        if rules.digits is None:
            return text, Fate.KEPT
        found = US_POSTCODE.fullmatch(text.strip())
        if not rules.digits or found is None:
            return None, Fate.REMOVED
        first = found[1][: rules.digits]
        few = first.startswith(tuple(rules.few_people)) or any(
            one.startswith(first) for one in rules.few_people
        )
        return (NOBODY_LIVES[: rules.digits] if few else first), Fate.GENERALISED

    def text(self, text: str, whose: Whose) -> Fated:
        """A free text, by the rule for free text."""
        how = self.policy.rules.free_text
        if how is TextHow.KEEP:
            return text, Fate.KEPT
        if how is TextHow.REMOVE or self._scrubber is None:
            return None, Fate.REMOVED
        return self._scrubber.scrub(text, whose.known).text, Fate.SCRUBBED

    def loses(self, name: str, whose: Whose) -> bool:
        """Whether this patient's quasi-identifier is taken out, because too few are alike."""
        risk = self.policy.risk
        return whose.number in self.suppressed and risk is not None and name in risk.quasi_identifiers

    def note_quasi(self, whose: Whose, before: Mapping[str, object], after: Mapping[str, object]) -> None:
        """Note what the source said of a patient, and what of it passed, that together could tell who they are."""
        for row, told in ((self.quasi_before, before), (self.quasi, after)):
            row.setdefault(whose.number, {}).update(
                {name: str(value) for name, value in told.items() if value}
            )

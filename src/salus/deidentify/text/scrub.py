"""A text with what identifies replaced by surrogates or tags, and what was replaced where and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from salus.deidentify.dates import DateHow, DateRule
from salus.deidentify.free_text import ScrubbedText
from salus.deidentify.key import Key
from salus.deidentify.known_patient import NOBODY, KnownPatient
from salus.deidentify.text.find import Asked, Found, find
from salus.deidentify.text.identity import BIRTH_DATE
from salus.deidentify.text.spans import Kind, Span
from salus.deidentify.text.surrogates import MAKERS, Surrogates, age_surrogate, date_surrogate
from salus.deidentify.text.written_dates import read_date

EVERY_KIND = frozenset(Kind)
SAFE_HARBOR_KINDS = EVERY_KIND - {Kind.PROFESSION}
"""The 18 identifiers name no profession; an institution stands for the place it is in."""

SHIFT_BY_A_YEAR = DateRule(how=DateHow.SHIFT, most_days=365)


class Form(StrEnum):
    """What stands where something identified."""

    SURROGATES = "surrogates"  # invented ones of the same kind: a miss among them does not stand out
    TAGS = "tags"  # [NAME], [DATE] …


@dataclass(frozen=True, slots=True)
class Replaced:
    """One span of the source, and what stands in the result in its place."""

    span: Span
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """The new text, what was replaced in the source's order, and what may be a name and was left."""

    text: str = field(repr=False)
    replaced: tuple[Replaced, ...]
    unsure: tuple[Span, ...]

    @property
    def counts(self) -> Mapping[str, int]:
        """How many of each kind were replaced."""
        return dict(Counter(one.span.kind.value for one in self.replaced))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrubber:
    """How texts are scrubbed in one run; the patient is told for each text."""

    key: Key
    dates: DateRule = SHIFT_BY_A_YEAR
    form: Form = Form.SURROGATES
    kinds: frozenset[Kind] = EVERY_KIND
    hide_all_ages: bool = False
    """False: only ages of 90 and more, as Safe Harbor asks; dates are moved, so an age says no more than they do."""
    model: Asked | None = None
    """Asked about sentences in doubt; without one the rules work alone."""

    def scrub(self, text: str, patient: KnownPatient = NOBODY) -> ScrubbedText:
        """The text with surrogates or tags, and how many of each kind."""
        scrubbed = self.scrub_in_full(text, patient)
        return ScrubbedText(scrubbed.text, scrubbed.counts)

    def scrub_in_full(self, text: str, patient: KnownPatient = NOBODY) -> Scrubbed:
        """The same with every span, its rule and its doubt."""
        return self.replace(text, patient, find(text, patient=patient, model=self.model))

    def replace(self, text: str, patient: KnownPatient, found: Found) -> Scrubbed:
        """Replace what was found, or what is left of it after a review."""
        salt = patient.number or self.key.pseudonym("text of nobody known", text)
        surrogates = Surrogates(self.key, patient, salt)
        pieces, replaced, at = [], [], 0
        made: dict[tuple[str, Kind, str], str | None] = {}
        for span in found.spans:
            old = text[span.start : span.end]
            asked = (old, span.kind, span.rule)
            if asked not in made:
                made[asked] = self._instead(old, span, surrogates)
            new = made[asked]
            if span.kind not in self.kinds or new is None:
                continue
            pieces += [text[at : span.start], new]
            replaced.append(Replaced(span, new))
            at = span.end
        return Scrubbed("".join([*pieces, text[at:]]), tuple(replaced), found.unsure)

    def _instead(self, text: str, span: Span, surrogates: Surrogates) -> str | None:
        """What stands in the place of a span; None: it stays."""
        if span.kind is Kind.AGE and not self.hide_all_ages:
            aged = age_surrogate(text)
            return None if aged == text else aged if self.form is Form.SURROGATES else "[AGE]"
        if span.kind is Kind.DATE:
            return self._date(text, span, surrogates.patient.number)
        if self.form is Form.TAGS or span.kind is Kind.AGE:
            return f"[{span.kind.name}]"
        if span.rule == "social security":
            return surrogates.social_security(text)
        return MAKERS[span.kind](surrogates, text)

    def _date(self, text: str, span: Span, patient: str) -> str | None:
        if self.dates.how is DateHow.KEEP:
            return None
        if self.form is Form.TAGS:
            return "[DATE]"
        if self.dates.how is DateHow.YEAR:
            read = None if span.rule == BIRTH_DATE else read_date(text)
            return str(read.told.year) if read and read.year else "[DATE]"
        shift = self.dates.shift(self.key, patient)
        return (date_surrogate(text, span, shift) if shift is not None else None) or "[DATE]"

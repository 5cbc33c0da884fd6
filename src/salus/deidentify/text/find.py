"""What identifies in a text: by the patient's own identity, by rules and lists, by a model where in doubt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from salus.deidentify.known_patient import NOBODY, KnownPatient
from salus.deidentify.text.addresses import find_addresses, find_fields, find_journeys, find_places
from salus.deidentify.text.identity import find_known
from salus.deidentify.text.lists import Lists, lists
from salus.deidentify.text.numbers import find_numbers
from salus.deidentify.text.organisations import (
    find_letterheads,
    find_organisations,
    find_professions,
    find_workplaces,
)
from salus.deidentify.text.people import NameFinder, lower_names, told_names
from salus.deidentify.text.spans import LIKELY, Kind, Span, trimmed, without_overlaps
from salus.deidentify.text.vocabulary import said_to_be
from salus.deidentify.text.written_dates import find_ages, find_dates
from salus.deidentify.text.written_words import Word, runs_of, words_of

IN_NAMES = said_to_be("in_names")
IN_INSTITUTIONS = IN_NAMES | said_to_be("in_institutions")
"""Small words that stand between capitals of one name."""

Sentence = tuple[int, int]
Asked = Callable[[Sequence[str]], list[list[tuple[int, int, Kind]]]]
"""What a model says of sentences: for each, the places in it that it takes for names."""


@dataclass(frozen=True, slots=True)
class Found:
    """The spans to be replaced, and what may be a name though no rule was sure enough."""

    spans: tuple[Span, ...]
    unsure: tuple[Span, ...]


def find(text: str, *, patient: KnownPatient = NOBODY, model: Asked | None = None) -> Found:
    """Everything in a text that identifies, least doubtful rule first; ``model`` is asked about sentences in doubt."""
    known = lists()
    words = words_of(text)
    spans = [span for span in find_known(text, words, patient, known)]
    spans += _by_rules(text, words, known)
    spans += _again(words, spans, known)
    merged = without_overlaps(trimmed(text, span) for span in spans)
    doubtful = list(find_unsure(words, merged, known))
    if model is not None:
        merged = without_overlaps([*merged, *_by_model(text, doubtful, merged, model)])
    return Found(tuple(merged), tuple(c for c in doubtful if not _touches(merged, c)))


def _by_rules(text: str, words: list[Word], known: Lists) -> Iterator[Span]:
    said = frozenset(word.plain for word in words)
    yield from find_numbers(text)
    yield from find_dates(text)
    yield from find_ages(text)
    yield from find_addresses(text)
    yield from find_fields(text)
    yield from find_journeys(text, said, known)
    yield from find_places(words, known)
    runs = runs_of(words, text, IN_INSTITUTIONS)
    yield from find_organisations(text, words, runs, known)
    yield from find_workplaces(text, said)
    yield from find_professions(text, said)
    people = runs_of(words, text, IN_NAMES)
    names = list(NameFinder(text, words, known).names(people))
    yield from names
    yield from find_letterheads(text, names)
    yield from told_names(text, said, known)
    yield from lower_names(text, words, known)


def _again(words: Sequence[Word], spans: Sequence[Span], known: Lists) -> Iterator[Span]:
    """Other places of a name that the context has told once: "Dr Roe" makes every "Roe" one."""
    told = [s for s in spans if s.kind is Kind.NAME and s.doubt <= LIKELY]
    names: set[str] = set()
    at = 0
    for span in sorted(told, key=lambda s: s.start):
        while at < len(words) and words[at].start < span.start:
            at += 1
        k = at
        while k < len(words) and words[k].end <= span.end:
            if len(words[k].plain) > 2 and not known.is_word(words[k].plain):
                names.add(words[k].plain)
            k += 1
    for word in words:
        if word.plain in names and (word.is_capital or word.in_caseless_line):
            yield Span(word.start, word.end, Kind.NAME, "name told elsewhere", LIKELY)


def find_unsure(words: Sequence[Word], spans: Sequence[Span], known: Lists) -> Iterator[Span]:
    """Capitals outside the spans that no list calls a word, and listed names that are also words."""
    at = 0
    for word in words:
        while at < len(spans) and spans[at].end <= word.start:
            at += 1
        if at < len(spans) and spans[at].start < word.end:
            continue
        if not word.is_capital or len(word.plain) < 2 or word.in_caseless_line:
            continue
        unknown = not known.is_word(word.plain)
        named = known.is_frequent_given(word.plain) or known.is_frequent_family(word.plain)
        if (unknown and not (word.is_all_capitals and len(word.text) < 6)) or (named and not word.begins):
            yield Span(word.start, word.end, Kind.NAME, "capital in doubt", 0.85 if unknown else 0.95)


def _by_model(text: str, doubtful: Sequence[Span], merged: Sequence[Span], model: Asked) -> Iterator[Span]:
    """What the model finds in the sentences around doubts and around weak spans."""
    weak = [
        span
        for span in merged
        if span.doubt >= 0.5 and span.kind in (Kind.NAME, Kind.PLACE, Kind.ORGANISATION)
    ]
    asked = list(_sentences(text, sorted([*doubtful, *weak])))
    for (start, _), named in zip(asked, model([text[a:b] for a, b in asked]), strict=True):
        for first, last, kind in named:
            yield trimmed(text, Span(start + first, start + last, kind, "model", 0.4))


def _sentences(text: str, spans: Sequence[Span]) -> Iterator[Sentence]:
    """The sentences or lines that hold the spans, each once."""
    done = -1
    for span in spans:
        if span.start < done:
            continue
        start = max(text.rfind("\n", 0, span.start), text.rfind(". ", 0, span.start), span.start - 400) + 1
        ends = [e for e in (text.find("\n", span.end), text.find(". ", span.end)) if e >= 0]
        end = min([*ends, len(text), span.end + 400])
        yield max(start, done, 0), end
        done = end


def _touches(spans: Sequence[Span], candidate: Span) -> bool:
    return any(span.start < candidate.end and candidate.start < span.end for span in spans)

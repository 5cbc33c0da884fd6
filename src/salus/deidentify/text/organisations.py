"""Hospitals, practices, firms, schools and what people do for a living."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from salus.deidentify.text.lists import Lists
from salus.deidentify.text.people import CREDENTIALS
from salus.deidentify.text.spans import EVEN, LIKELY, WEAK, Kind, Span
from salus.deidentify.text.vocabulary import DEMOGRAPHIC, PROFESSIONS, said_to_be
from salus.deidentify.text.written_words import Word

JOINING = said_to_be("joining")
HEADS = said_to_be("heads")
FIRM = said_to_be("firm")
SURE_HEADS = said_to_be("sure_heads")
GENERIC = HEADS | said_to_be("generic")
SUFFIX_AFTER = re.compile(
    r",?\s(?:Inc|LLC|LLP|Ltd|Corp|PLC|GmbH|P\.?C|L\.?L\.?C|L\.?P|Co)\b\.?|\s?#\s?\d{1,4}\b", re.IGNORECASE
)
PROFESSION_TOLD = re.compile(
    r"\b(?:(?:works?|worked|working|employed|employment|job|career|position|trained|retired"
    r"|retiring)\s+(?:(?:full|part)[- ]time\s+)?(?:as|from\s+being)\s+(?:an?\s+|the\s+)?"
    r"|(?<=\sas\s)(?:an?\s+|the\s+)?|(?<=,\s)(?:an?|the)\s+|retired\s+|former\s+|(?:occupation|profession"
    r"|job|job\s+title|employment)\s*(?:[:=]|is)\s*(?:an?\s+)?|(?:works?|working|worked)\s+for\s+an?\s+"
    r"|(?:he|she|patient|who|they)\s+(?:is|was)\s+(?:an?|the)\s+(?:retired\s+)?)"
    r"(?P<value>[^\W\d_][\w/&' -]{2,60})",
    re.IGNORECASE,
)
AGED_PROFESSION = re.compile(
    r"(?:old\b|\by/?o\b|\byo\b|\bage\s\d+,?)\s+(?P<value>[^\W\d_][^\W\d]+(?:['’][^\W\d_]+)?(?:[ /&-]+[^\W"
    r"\d_][^\W\d]+(?:['’][^\W\d_]+)?){0,6})",
    re.IGNORECASE,
)
AMBIGUOUS = said_to_be("ambiguous")
ARTICLE_PROFESSION = re.compile(
    r"\b(?:an?|my|our|his|her|became|become|being|hired|the|retired|former|professional|certified"
    r"|licensed)\s+(?P<value>(?:[^\W\d_]+[ /-]){0,3}?(?:"
    + "|".join(sorted(PROFESSIONS - AMBIGUOUS, key=lambda word: (-len(word), word)))
    + r")s?)\b(?!\s+(?:cell|artery|disease|syndrome))",
    re.IGNORECASE,
)
PROFESSION_ENDINGS = ("ologist", "maker", "keeper", "operator")
PROFESSIONS_SAID = PROFESSIONS | frozenset(f"{word}s" for word in PROFESSIONS)
WORKING = said_to_be("working")
STOP = said_to_be("stop")
WORKPLACE = re.compile(
    r"\b(?i:work(?:s|ed|ing)?|employed|employees?|jobs?|volunteer(?:s|ed|ing)?|stud(?:y|ies|ied|ying)"
    r"|intern(?:s|ed)?|ceo|cfo|coo|cto|founder|president|chair(?:man|woman|person)?|owner|spokes(?:man"
    r"|woman|person)|teach(?:es|ing)?|taught|enrolled|graduated|retired|hired|fired|recorded|resign(?:s"
    r"|ed)?)"
    r"\s(?:for|at|with|by|of|from|in)\s(?:the\s|a\s)?(?P<value>[^\W\d_a-zà-ÿ][\w'’.&-]*(?:,?\s(?:[^\W\d_a-"
    r"zà-ÿ][\w'’.&-]*|of|and|the|&)(?=\W|$)){0,5})(?<!\sof)(?<!\sand)(?<!\sthe)"
)
TAIL = re.compile(
    r"(?:\s?,\s(?:[^\W\d_a-z][\w'’.&/-]{0,40}|of|the|and|for|at|de|la|&"
    r"|-)(?:\s(?:[^\W\d_a-z][\w'’.&/-]{0,40}|of|the|and|for|at|de|la|&|-)){0,10}){1,5}[ .]*(?=\n|$)"
)
AT_PLACE = re.compile(
    r"\b(?:at|to|from|by|with|for|attends?|attended|joined|of|in|visited)\s$|\b(?:at|to|from|by|attends"
    r"|attended|of|in)\sthe\s$",
    re.IGNORECASE,
)


def find_organisations(
    text: str, words: Sequence[Word], runs: Sequence[Sequence[int]], known: Lists
) -> Iterator[Span]:
    """Runs of capitals around the noun of an institution, with at least one word that is its own."""
    for run in runs:
        chosen = [words[i] for i in run]
        chosen = _from_last_at(chosen)
        chosen = _without_lead(chosen)
        if len(chosen) < 2:
            continue
        heads = [k for k, word in enumerate(chosen) if word.plain in HEADS]
        firm = SUFFIX_AFTER.match(text, chosen[-1].end)
        own = [w for w in chosen if w.plain not in GENERIC and w.plain not in JOINING]
        end = firm.end() if firm else chosen[-1].end
        at_place = AT_PLACE.search(text[max(0, chosen[0].start - 14) : chosen[0].start]) is not None
        if firm and (own or heads):
            yield Span(chosen[0].start, end, Kind.ORGANISATION, "firm", LIKELY)
        elif heads and (own or (at_place and len(chosen) > 2)) and not _is_heading(text, chosen):
            sure = any(chosen[k].plain in SURE_HEADS for k in heads)
            odd = any(not known.is_word(w.plain) for w in own)
            if sure or (own and (odd or at_place or len(own) > 1)):
                yield Span(
                    chosen[0].start,
                    end,
                    Kind.ORGANISATION,
                    "noun of an institution",
                    LIKELY if sure else EVEN,
                )
        elif own and at_place and len(chosen) > 1 and not chosen[0].in_caseless_line:
            yield Span(chosen[0].start, end, Kind.ORGANISATION, "capitals after at or to", WEAK)


NOT_ITS_OWN = said_to_be("not_its_own")


def _without_lead(chosen: list[Word]) -> list[Word]:
    """Without the words before an institution's own; a "The" inside a sentence is its own."""
    k = 0
    while (
        k < len(chosen) - 1
        and chosen[k].plain in NOT_ITS_OWN
        and (chosen[k].begins or chosen[k].plain != "the")
    ):
        k += 1
    return chosen[k:]


def _from_last_at(chosen: list[Word]) -> list[Word]:
    """Without what stands before an "at" that no institution's noun precedes: "Dr Roe at Ash Clinic"."""
    heads = [k for k, word in enumerate(chosen) if word.plain in HEADS]
    at = [
        k
        for k, word in enumerate(chosen)
        if word.plain == "at" and not word.is_capital and (not heads or k < heads[0])
    ]
    return chosen[at[-1] + 1 :] if at else chosen


def find_letterheads(text: str, names: Sequence[Span]) -> Iterator[Span]:
    """What follows a name to the end of its line, if it is nothing but capitals between commas: a practice, a town."""
    for span in names:
        found = TAIL.match(text, span.end)
        if found is not None and not CREDENTIALS.match(text, span.end):
            yield Span(span.end, found.end(), Kind.ORGANISATION, "capitals after a name", EVEN)


def find_workplaces(text: str, said: frozenset[str]) -> Iterator[Span]:
    """The capitals after "works for" or "graduated from"; ``said``: the text's words, to look no further in vain."""
    if said.isdisjoint(WORKING):
        return
    for found in WORKPLACE.finditer(text):
        yield Span(*found.span("value"), Kind.ORGANISATION, "place of work told", EVEN)


def _is_heading(text: str, chosen: Sequence[Word]) -> bool:
    """A line of its own, or what stands before a colon."""
    following = text[chosen[-1].end : chosen[-1].end + 2]
    return chosen[0].begins and (
        following.startswith(":") or (chosen[0].in_caseless_line and not following.strip())
    )


def find_professions(text: str, said: frozenset[str]) -> Iterator[Span]:
    """What somebody works as, where the text says so, or after their age."""
    if said.isdisjoint(PROFESSIONS_SAID) and not any(word.endswith(PROFESSION_ENDINGS) for word in said):
        return
    for pattern in (PROFESSION_TOLD, AGED_PROFESSION, ARTICLE_PROFESSION):
        for found in pattern.finditer(text):
            value = found.group("value")
            words = []
            for word in re.finditer(r"[^\W\d_]+(?:['-][^\W\d_]+)*", value):
                if word.group().lower() in STOP:
                    break
                words.append(word)
            while words and words[0].group().lower() in DEMOGRAPHIC:
                words.pop(0)
            ends = [k for k, w in enumerate(words) if _is_profession(w.group().lower())]
            if ends:
                at = found.start("value")
                yield Span(
                    at + words[0].start(),
                    at + words[ends[-1]].end(),
                    Kind.PROFESSION,
                    "profession told",
                    EVEN,
                )


def _is_profession(word: str) -> bool:
    return (
        word in PROFESSIONS
        or (word.endswith("s") and word[:-1] in PROFESSIONS)
        or word.endswith(PROFESSION_ENDINGS)
    )

"""Names of people: by the word before or after them, by lists, and because no dictionary knows the word."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from salus.deidentify.text.lists import Lists, plain
from salus.deidentify.text.spans import EVEN, LIKELY, SURE, WEAK, Kind, Span
from salus.deidentify.text.vocabulary import EPONYMS, NOT_NAMES, NOT_WORDS, SAFE_WORDS, said_to_be
from salus.deidentify.text.written_words import Word

PARTICLES = said_to_be("particles")
SUFFIXES = said_to_be("suffixes")
CREDENTIALS = re.compile(
    r"\s{0,2},?\s{0,2}(?:M\.?D\b|D\.?O\b|R\.?N\b|N\.?P\b|P\.?A(?:-C)?\b|Ph\.?D\b|D\.?D\.?S\b|LPN|CNA|MBBS"
    r"|FACS|FACP|FRCP|RD\b|LCSW|DPM|DNP|APRN|ARNP|CRNA|PharmD|OTR|PT\b|MSW|BSN|MSN|FNP|DVM|CNM|RPh|MSc\b)"
)
AFTER = re.compile(
    r"(?:['’]s\b|,?\s+(?:is|was)\s+(?:an?\s+)?(?:\d|\w+[- ]year|seen|admitted|born|here|my|a\s+very"
    r"|reviewed|examined|discharged)|,?\s+(?:an?\s+)?\d{1,3}[\s-]?(?:y|m/?o)"
    r"|,?\s+(?:presents?|presented|reports?|reported|denies|denied|states?|stated|says|said|called"
    r"|complains|lives|lived|works|worked|returns|returned|comes|speak|began|spent|told|asked|agreed|write"
    r"s|wrote|thinks|and\s+(?:his|her)\s+)\b)"
)
TITLES = said_to_be("titles")
STRONG = said_to_be("strong")
MILD = said_to_be("mild")
FIRST_PERSON = re.compile(
    r"(?:\bmy name(?:['’]?s| is)|\b(?:i am|i['’]m|this is|known as|goes by|people call me|introduced as"
    r"|whose name is|under)|\bname\?)\s+$",
    re.I,
)
NO_LEADS = said_to_be("no_leads")
LEADS = (TITLES | STRONG) - NO_LEADS
EPONYM_NOUN = re.compile(
    r"(?:['’]?s?\s|-)\s?(?:disease|syndrome|sign|test|catheter|cells?|lymphoma|contracture|criteri|scor"
    r"|scal|stage|class|grade|fracture|palsy|phenomenon|reflex|point|node|tumou?r"
    r"|chorea|gland|cyst|o?esophagus|line|tube|bod(?:y|ies)|splint|manoeuv|maneuv|procedure|position"
    r"|solution|stain|thyroiditis|ulcer|hernia|sarcoma|coma|respiration|sounds|triad"
    r"|formula|equation|index|pressure|monitor|walker|virus|chart|plate|ataxia|paralysis|apparatus|tendon"
    r"|duct|space|pouch|cirrhosis|purpura|nephr|anomaly|malformation|deformity|dystrophy)",
    re.IGNORECASE,
)
BEFORE = re.compile(r"([^\W\d_]+)([\s.,:'’\"(#-]{1,6})$")
MASKED_FROM = 1.0
SAFE = -4.0
CONTRACTED = ("ll", "re", "ve", "d", "t", "m", "s")
SYNDROME = re.compile(
    r"\s(?:syndrome|disease|disorder|virus|antigen|catheter|lymphoma|classification|criteria|scale|score)"
    r"\b",
    re.IGNORECASE,
)
TITLE_BEFORE = re.compile(
    r"\b(?:Drs?|Doctor|Mrs?|Ms|Mx|Miss|Prof(?:essor)?|Sir|Mme|Rev)\b\.?\s$", re.IGNORECASE
)
HEADING = re.compile(r"[ \t]*:")


@dataclass(slots=True)
class NameFinder:
    """Weighs each word of a run of capitals; what weighs ``MASKED_FROM`` or more is a name."""

    text: str
    words: Sequence[Word]
    known: Lists

    def names(self, runs: Sequence[Sequence[int]]) -> Iterator[Span]:
        """The names in runs of capitals."""
        for run in runs:
            yield from self._in_run(run)

    def weight(self, word: Word) -> float:
        """How much a word by itself looks like a name."""
        parts = [p for p in word.plain.replace("’", "'").split("-") if p]
        if len(parts) > 1:
            weights = [self._weight_of(p, word) for p in parts]
            return -2.0 if min(weights) <= -2 and max(weights) < 2 else max(weights)
        return self._weight_of(word.plain.replace("’", "'"), word)

    def _weight_of(self, name: str, word: Word) -> float:
        head, _, tail = name.partition("'")
        if tail in CONTRACTED and self.known.is_word(head):
            return SAFE
        if SYNDROME.match(self.text, word.start + len(word.text)):
            return -1.0
        if name in EPONYMS:
            if EPONYM_NOUN.match(self.text, word.start + len(word.text)) or not self.known.is_frequent_family(
                name
            ):
                return -1.0
            return 0.0 if self.known.is_word(name) and name not in NOT_WORDS else 1.4
        if name in SAFE_WORDS or len(name) == 1:
            return SAFE
        foreign = not name.isascii()
        often = self.known.is_frequent_given(name) or self.known.is_frequent_family(name)
        listed = often or self.known.is_given(name) or self.known.is_family(name)
        if self.known.is_word(name) or self.known.is_word(_singular(name)):
            return self._word_weight(name, often, listed)
        if word.is_all_capitals and not word.in_caseless_line and len(name) <= 5 and not foreign:
            return 1.2 if often and len(name) > 3 else -1.0
        if listed:
            return 2.0 if often else 1.4
        if word.in_caseless_line or (not foreign and word.is_all_capitals and len(name) < 7):
            return 0.0
        return 1.0

    def _word_weight(self, name: str, often: bool, listed: bool) -> float:
        if self.known.is_frequent_given(name):
            return 0.0
        return -0.3 if often else -0.8 if listed else -2.0

    def _in_run(self, run: Sequence[int]) -> Iterator[Span]:
        chosen = [self.words[i] for i in run]
        before = self._before(chosen[0])
        lead = 0
        while lead < len(chosen) - 1 and chosen[lead].plain in LEADS:
            before = 3.0 if chosen[lead].plain in TITLES else 1.6
            lead += 1
        chosen = chosen[lead:]
        weights = [self.weight(word) for word in chosen]
        after = self._after(chosen[-1])
        told = max(before, after)
        raised = [w + self._from_neighbours(weights, k) for k, w in enumerate(weights)]
        for k in range(len(chosen)):
            if before > 0 and k < 4:
                raised[k] += before if k < 3 or before < 2 else before / 2
            if after > 0 and k >= len(chosen) - 3:
                raised[k] += after
        if told <= 0 and HEADING.match(self.text, chosen[-1].end) and chosen[0].begins:
            raised = [w - 0.6 if w < 1.4 else w for w in raised]
        if (
            len(chosen) == 1
            and not chosen[0].begins
            and not chosen[0].in_caseless_line
            and -0.5 < weights[0] <= 0.0
        ):
            raised[0] += 1.3
        hidden = [w >= MASKED_FROM for w in raised]
        if told >= 2 and not any(hidden) and weights[0] > -2:
            hidden[0] = True
        self._join(chosen, hidden, told)
        self._whole(chosen, hidden, weights, told)
        yield from self._stretches(chosen, hidden, raised, told)

    def _from_neighbours(self, weights: Sequence[float], k: int) -> float:
        """A given name beside a family name makes both surer."""
        near = [weights[j] for j in (k - 1, k + 1) if 0 <= j < len(weights)]
        if near and max(near) >= 1.4 and weights[k] > -2:
            return 1.0
        if weights[k] == 0.0 and any(-0.5 < w <= 0.0 for w in near):
            return 0.7
        return 0.0

    def _join(self, chosen: Sequence[Word], hidden: list[bool], told: float) -> None:
        """Initials, particles and suffixes beside what is hidden are hidden too."""
        for _ in range(2):
            for k, word in enumerate(chosen):
                if hidden[k]:
                    continue
                left, right = k > 0 and hidden[k - 1], k + 1 < len(chosen) and hidden[k + 1]
                small = word.plain in PARTICLES or word.plain in SUFFIXES
                initial = (
                    len(word.text) <= 2
                    and word.is_capital
                    and word.plain not in ("i", "mr", "ms", "dr", "am", "pm")
                )
                if (initial and (left or right)) or (small and left) or (left and right):
                    hidden[k] = True
        if told >= 2 and len(chosen) > 1 and len(chosen[0].text) == 1:
            hidden[0] = True

    def _whole(
        self, chosen: Sequence[Word], hidden: list[bool], weights: Sequence[float], told: float
    ) -> None:
        """The other words of a short run with a name in it: "Tony Junco", "Galaxy Kurtzer was seen"."""
        if len(chosen) < 2 or len(chosen) > 4:
            return
        for k, word in enumerate(chosen):
            if hidden[k] or word.plain in NOT_NAMES:
                continue
            beside_name = k > 0 and hidden[k - 1] and (weights[k - 1] >= 1.4 or weights[k - 1] == 0.0)
            if (
                (told >= 2)
                or (told > 0 and any(hidden))
                or (beside_name and self.known.is_family(word.plain))
            ):
                hidden[k] = True

    def _stretches(
        self, chosen: Sequence[Word], hidden: Sequence[bool], raised: Sequence[float], told: float
    ) -> Iterator[Span]:
        start = None
        for k in range(len(chosen) + 1):
            if k < len(chosen) and hidden[k]:
                start = k if start is None else start
            elif start is not None:
                best = max(raised[start:k])
                rule = (
                    "name by its context" if told >= 1 else "name by lists" if best >= 1.4 else "unknown word"
                )
                doubt = SURE if told >= 2 else LIKELY if best >= 2 else EVEN if best >= 1.4 else WEAK - 0.1
                first = self._with_title(chosen[start].start) if start == 0 else chosen[start].start
                yield Span(first, chosen[k - 1].end, Kind.NAME, rule, doubt)
                start = None

    def _with_title(self, start: int) -> int:
        """Back over a title: it tells of a person, and the surrogate keeps it."""
        found = TITLE_BEFORE.search(self.text, max(0, start - 12), start)
        return start if found is None else found.start()

    def _before(self, word: Word) -> float:
        """What the words before say: 3 for a title or a label, less for words that also stand before other things."""
        context = self.text[max(0, word.start - 40) : word.start]
        found = BEFORE.search(context)
        if found is None:
            return 0.0
        last, between = found.group(1).lower(), found.group(2)
        if "\n" in between:
            return 0.0
        if last in TITLES and between.strip(" .") == "" and last not in ("pt", "pa", "md"):
            return 3.0
        if FIRST_PERSON.search(context):
            return 2.0
        if last in STRONG:
            return 3.0 if ":" in between else 1.6 if between.strip() in ("", ",") else 0.0
        if last == "by" and between == " ":
            return 1.0
        return 0.4 if last in MILD and between == " " else 0.0

    def _after(self, word: Word) -> float:
        if CREDENTIALS.match(self.text, word.end):
            return 3.0
        return 0.5 if AFTER.match(self.text, word.end) else 0.0


TOLD_NAME = re.compile(
    r"\b(?:(?:my|his|her|their|patient['’]?s?|whose|first|last)\s+name(?:['’]?s|\s+is|\s+was|:)|(?:^"
    r"|\n)[ ]*name\s*:|(?:calls?|called)\s+(?:me|him|her)|named"
    r"|goes\s+by)\s+(?P<value>[^\W\d_]{2,30}(?:\s[^\W\d_]{1,30}\.?){0,2})",
    re.IGNORECASE,
)


def told_names(text: str, said: frozenset[str], known: Lists) -> Iterator[Span]:
    """What stands after "my name is" or "named", however it is written, as far as it is no ordinary word."""
    if said.isdisjoint(("name", "name's", "name’s", "named", "call", "calls", "called", "goes")):
        return
    for found in TOLD_NAME.finditer(text):
        at = found.start("value")
        for word in re.finditer(r"\S+", found.group("value")):
            name = plain(word.group())
            if (
                len(name.strip(".")) > 1
                and known.is_word(name)
                and not (word.group()[0].isupper() and known.is_family(name))
            ):
                break
            yield Span(at + word.start(), at + word.end(), Kind.NAME, "name by its context", LIKELY)


def lower_names(text: str, words: Sequence[Word], known: Lists) -> Iterator[Span]:
    """Frequent names written small that are no words; in lines of one case, names by title and by lists."""
    for k, word in enumerate(words):
        if word.is_capital and not word.in_caseless_line:
            continue
        name = word.plain
        previous = words[k - 1] if k else None
        titled = (
            previous is not None
            and previous.plain in TITLES
            and text[previous.end : word.start] in (" ", ". ")
        )
        if len(name) < 3 or name in SAFE_WORDS:
            continue
        if titled and previous is not None and previous.plain not in ("pa", "pt", "md", "fr", "col"):
            if not known.is_word(name) or known.is_frequent_family(name):
                yield Span(word.start, word.end, Kind.NAME, "name by its context", LIKELY)
        elif known.is_given(name) and not known.is_word(name):
            common = known.is_frequent_given(name)
            if len(name) > 3 and (common or (word.in_caseless_line and len(name) > 5)):
                yield Span(word.start, word.end, Kind.NAME, "name written small", EVEN)
            if not common:
                continue
            middle = k + 1 < len(words) and len(words[k + 1].text) == 1
            following = words[k + 1 + middle] if k + 1 + middle < len(words) else None
            if (
                following
                and following.start - word.end <= 1 + 3 * middle
                and known.is_family(following.plain)
                and not known.is_word(following.plain)
            ):
                yield Span(word.start, following.end, Kind.NAME, "name written small", EVEN)


def _singular(name: str) -> str:
    return name[:-1] if name.endswith("s") and len(name) > 3 else name

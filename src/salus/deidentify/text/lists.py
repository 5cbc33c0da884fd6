"""Lists of given names, family names, places and ordinary words; lists/README.md says where each comes from."""

from __future__ import annotations

import lzma
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from salus.deidentify.text.vocabulary import EPONYMS, NOT_NAMES, NOT_WORDS, SAFE_ENDINGS, SAFE_WORDS, STATES

FREQUENT = "2"


@dataclass(frozen=True, slots=True)
class Lists:
    """All lists in lower case without accents; values of the name lists tell sex, origin and frequency."""

    given: dict[str, str]
    family: dict[str, str]
    places: frozenset[str]
    words: frozenset[str]
    nicknames: dict[str, tuple[str, ...]]
    longest_place: dict[str, int]
    """For the first word of places: of how many words the longest of them is, four at most."""

    def is_word(self, plain_word: str) -> bool:
        """Say whether a word is an ordinary or a clinical one, or ends as clinical words do."""
        if plain_word in NOT_WORDS:
            return False
        if plain_word in self.words or plain_word in SAFE_WORDS or plain_word in EPONYMS:
            return True
        return len(plain_word) > 6 and plain_word.endswith(SAFE_ENDINGS)

    def is_given(self, plain_word: str) -> bool:
        """Say whether somebody in the lists has it as a given name."""
        return plain_word in self.given and plain_word not in NOT_NAMES

    def is_family(self, plain_word: str) -> bool:
        """Say whether somebody in the lists has it as a family name."""
        return plain_word in self.family and plain_word not in NOT_NAMES

    def is_frequent_given(self, plain_word: str) -> bool:
        """Say whether thousands have it as a given name."""
        return self.given.get(plain_word, "-")[-1] == FREQUENT and plain_word not in NOT_NAMES

    def is_frequent_family(self, plain_word: str) -> bool:
        """Say whether it is one of the 20,000 most frequent family names."""
        return self.family.get(plain_word, "-")[-1] == FREQUENT and plain_word not in NOT_NAMES


def plain(text: str) -> str:
    """Lower case without accents: the form in which the lists are looked up.

    >>> plain("Müller-Ñáñez")
    'muller-nanez'
    """
    lowered = text.lower()
    if lowered.isascii():
        return lowered
    parts = unicodedata.normalize("NFKD", lowered)
    return "".join(c for c in parts if not unicodedata.combining(c))


@cache
def lists() -> Lists:
    """The lists, read once."""
    towns = frozenset(_lines("places")) | STATES
    return Lists(
        given=_columns("given"),
        family=_columns("family"),
        places=towns,
        words=frozenset(_lines("words")),
        nicknames=_nicknames(),
        longest_place=_longest(towns),
    )


def _lines(name: str) -> list[str]:
    """A list's lines: each begins with how many letters it shares with the one before, as a sign of base 36."""
    found: list[str] = []
    before = ""
    for coded in _unpacked(name).split("\n"):
        before = before[: int(coded[0], 36)] + coded[1:]
        found.append(before)
    return found


def _unpacked(name: str) -> str:
    packed = (files("salus.deidentify.text") / "lists" / f"{name}.txt.xz").read_bytes()
    return lzma.decompress(packed).decode()


def _longest(towns: frozenset[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for town in towns:
        words = town.split()
        found[words[0]] = max(found.get(words[0], 0), min(len(words), 4))
    return found


def _nicknames() -> dict[str, tuple[str, ...]]:
    rows = (line.split() for line in _lines("nicknames"))
    return {row[0]: tuple(row[1:]) for row in rows if row}


def _columns(name: str) -> dict[str, str]:
    return dict(zip(_lines(name), _unpacked(f"{name}_kinds").split("\n"), strict=True))

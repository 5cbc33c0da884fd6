"""Words of our own that the lists do not hold: of the clinic, of callings, and words that tell by their context."""

from __future__ import annotations

from importlib.resources import files


def _own(name: str) -> str:
    path = files("salus.deidentify.text") / "lists" / f"{name}.txt"
    return path.read_text(encoding="utf-8")


def _sections() -> dict[str, frozenset[str]]:
    """The sets of by_context.txt: words between spaces; in ``states`` one name a line."""
    found: dict[str, frozenset[str]] = {}
    for part in _own("by_context").split("[")[1:]:
        name, _, rest = part.partition("]")
        lines = rest.strip().splitlines()
        found[name] = frozenset(lines if name == "states" else " ".join(lines).split())
    return found


SECTIONS = _sections()


def said_to_be(name: str) -> frozenset[str]:
    """One of the sets of words that tell by their context: titles, nouns of institutions, prepositions of place."""
    return SECTIONS[name]


EPONYMS = frozenset(_own("eponyms").split())
"""People after whom diseases, signs and devices are called: in clinical text mostly not the people."""

SAFE_WORDS = frozenset(_own("clinical").split())
"""Abbreviations, brand names and small words of the ward: never a name by themselves."""

NOT_WORDS = frozenset(_own("not_words").split())
"""In the dictionary, but far more often somebody's name."""

NOT_NAMES = SAFE_WORDS | said_to_be("not_names")
"""In a census list, and in a note hardly ever a name."""

SAFE_ENDINGS = tuple(sorted(said_to_be("safe_endings")))
"""Ends of words of medicine and of English that hardly any name has."""

PROFESSIONS = frozenset(_own("professions").split())
"""Last words of what somebody does for a living."""

DEMOGRAPHIC = said_to_be("demographic")
"""What follows an age and is no profession."""

STATES = said_to_be("states")
"""Names of states and countries that are places whatever stands before them."""

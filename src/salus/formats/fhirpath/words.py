"""Cut a FHIRPath expression into words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from salus.errors import ExpressionWrong

TIME = r"\d{2}(?::\d{2}(?::\d{2}(?:\.\d+)?)?)?"
ZONE = r"(?:Z|[+-]\d{2}:\d{2})"
DATE = r"\d{4}(?:-\d{2}(?:-\d{2})?)?"
WORDS = re.compile(
    rf"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<datetime>@{DATE}T(?:{TIME})?{ZONE}?)
    |(?P<date>@{DATE})
    |(?P<time>@T{TIME})
    |(?P<number>\d+(?:\.\d+)?)
    |(?P<string>'(?:[^'\\]|\\.)*')
    |(?P<quoted>`(?:[^`\\]|\\.)*`)
    |(?P<constant>%(?:[A-Za-z_][\w-]*|`[^`]*`|'[^']*'))
    |(?P<variable>\$[A-Za-z]+)
    |(?P<name>[A-Za-z_]\w*)
    |(?P<sign><=|>=|!=|!~|[-+*/&|=~<>.,()\[\]{{}}])""",
    re.VERBOSE | re.DOTALL,
)
ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
ESCAPED = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Word:
    """One word, what kind of word it is, and where it begins."""

    kind: str
    text: str
    at: int


def words_of(expression: str) -> list[Word]:
    """Cut an expression into words; the last is an empty one that says where it ends.

    >>> [word.text for word in words_of("name.given.first()")]
    ['name', '.', 'given', '.', 'first', '(', ')', '']
    """
    words, at = [], 0
    while at < len(expression):
        found = WORDS.match(expression, at)
        if found is None:
            raise wrong(expression, at, "no word begins here")
        kind = str(found.lastgroup)
        if kind != "space":
            words.append(Word(kind, _text(kind, found.group()), at))
        at = found.end()
    return [*words, Word("end", "", at)]


def wrong(expression: str, at: int, what: str) -> ExpressionWrong:
    """The error that an expression cannot be read at a place."""
    return ExpressionWrong(
        f"{what}: character {at + 1} of '{expression}'",
        where="FHIRPath",
        fix="see what Salus knows of FHIRPath in docs/how-to/fhir.md",
    )


def _text(kind: str, written: str) -> str:
    if kind in ("string", "quoted"):
        return ESCAPED.sub(lambda found: _unescaped(found.group(1)), written[1:-1])
    if kind == "constant":
        return written[1:].strip("`'")
    return written[1:] if kind in ("date", "datetime") else written[2:] if kind == "time" else written


def _unescaped(letters: str) -> str:
    return chr(int(letters[1:], 16)) if len(letters) == 5 else ESCAPES.get(letters, letters)

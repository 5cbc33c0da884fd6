"""The words of a text, each with how it is written and whether it begins a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from salus.deidentify.text.lists import plain

WORD = re.compile(r"[^\W\d_]+(?:['’`-][^\W\d_]+)*")
CASELESS_LETTERS = 12
LETTERS = re.compile(r"[^\W\d_]")
LONGEST_WORD = 60


@dataclass(slots=True)
class Word:
    """One word with its place; ``plain`` is how lists are asked for it."""

    start: int
    end: int
    text: str
    plain: str
    is_capital: bool
    is_all_capitals: bool
    begins: bool
    in_caseless_line: bool


def words_of(text: str) -> list[Word]:
    """All words; a possessive 's is cut off, words too long to be any are left out."""
    found: list[Word] = []
    caseless = _caseless_lines(text)
    line = 0
    last_end = 0
    for match in WORD.finditer(text):
        start, end = match.span()
        if end - start > LONGEST_WORD:
            last_end = end
            continue
        while line < len(caseless) - 1 and start >= caseless[line + 1][0]:
            line += 1
        written = match.group()
        if written[-2:] in ("'s", "’s", "`s", "'S", "’S"):
            written, end = written[:-2], end - 2
        capital = written[0].isupper()
        found.append(
            Word(
                start,
                end,
                written,
                written.lower() if written.isascii() else plain(written),
                capital,
                capital and len(written) > 1 and written.isupper(),
                _begins(text, last_end, start),
                caseless[line][1],
            )
        )
        last_end = match.end()
    return found


def _begins(text: str, last_end: int, start: int) -> bool:
    """Whether what stands between two words ends a sentence or a field."""
    between = text[last_end:start]
    if last_end == 0 or between in (" ", "-", ", "):
        return last_end == 0
    return any(sign in between for sign in "\n:|•*;\t!?") or ("." in between and between[-1] in " \"'“(")


def _caseless_lines(text: str) -> list[tuple[int, bool]]:
    """Where each line begins, and whether its letters are all of one case, so that capitals tell nothing."""
    lines: list[tuple[int, bool]] = []
    at = 0
    for line in text.split("\n"):
        letters = len(line) >= CASELESS_LETTERS
        lines.append((at, letters and (line.isupper() or line.islower())))
        at += len(line) + 1
    return lines


def runs_of(words: list[Word], text: str, joining: Iterable[str]) -> list[list[int]]:
    """Positions of words that follow each other with capitals, or with only joining words between them."""
    between = frozenset(joining)
    runs: list[list[int]] = []
    run: list[int] = []
    waiting: list[int] = []
    for i, word in enumerate(words):
        close = not run or _are_close(text, words[(waiting or run)[-1]], word)
        if run and close and not word.is_capital and word.plain in between and len(waiting) < 3:
            waiting.append(i)
            continue
        if word.is_capital:
            if run and close:
                run += [*waiting, i]
            else:
                if run:
                    runs.append(run)
                run = [i]
            waiting = []
        elif run:
            runs.append(run)
            run, waiting = [], []
    if run:
        runs.append(run)
    return runs


def _are_close(text: str, first: Word, second: Word) -> bool:
    between = text[first.end : second.start]
    if between in (" ", "-", " - ", "' ", "’ ") or between.lower() in ("'s ", "’s "):
        return True
    if between in (". ", "."):
        return len(first.text) <= 2 or first.plain in (
            "st",
            "mt",
            "ft",
            "jr",
            "sr",
            "dr",
            "chas",
            "wm",
            "geo",
            "jos",
        )
    return between.strip(" ") in ("&", "@")

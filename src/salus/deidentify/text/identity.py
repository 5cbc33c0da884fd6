"""The patient's own identity in a text: names, address, phones and numbers in all the ways they are written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from functools import lru_cache

from salus.deidentify.known_patient import KnownPatient
from salus.deidentify.text.lists import Lists, plain
from salus.deidentify.text.spans import LIKELY, SURE, Kind, Span
from salus.deidentify.text.vocabulary import NOT_NAMES, said_to_be
from salus.deidentify.text.written_dates import DAY_FIRST, DIGIT_DATE, WORD_DATE, read_date
from salus.deidentify.text.written_words import Word

LONG_ENOUGH_FOR_A_SLIP = 6
SHORTEST_NUMBER = 3
BIRTH_DATE = "the patient's own birth date"
"""The rule that finds it; not even its year is told where dates become years: it would tell an age over 89."""
JOINTS = re.compile(r"['’-]")
PARTS = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
FILLERS = NOT_NAMES | said_to_be("fillers")


def find_known(text: str, words: list[Word], known: KnownPatient, lists: Lists) -> Iterator[Span]:
    """Everything in a text that the record says of the patient."""
    yield from _names(text, words, known, lists)
    yield from _addresses(text, known)
    for number, kind in [(n, Kind.NUMBER) for n in known.identifiers] + [
        (p, Kind.PHONE) for p in known.phones
    ]:
        yield from _number(text, number, kind)
    for email in known.emails:
        yield from _literal(text, email, Kind.EMAIL)
        yield from _literal(text, email.partition("@")[0], Kind.EMAIL)
    yield from _birth_dates(text, known.birth_date)


@lru_cache(maxsize=8)
def name_parts(known: KnownPatient) -> frozenset[str]:
    """The single names of all names, plain; a hyphenated name as a whole and in its parts."""
    parts: set[str] = set()
    for name in known.names:
        for piece in re.split(r"[\s,]+", name):
            whole = plain(piece).strip(".'’()\"")
            parts |= {
                p
                for p in (whole, JOINTS.sub("", whole), *whole.split("-"))
                if len(p) > 1 and p not in FILLERS
            }
    return frozenset(parts)


def _names(text: str, words: list[Word], known: KnownPatient, lists: Lists) -> Iterator[Span]:
    parts = name_parts(known)
    if not parts:
        return
    found = [word for word in words if _is_own(word, parts, lists)]
    yield from (Span(w.start, w.end, Kind.NAME, "the patient's own name", SURE) for w in found)
    short = {nick for part in parts for nick in lists.nicknames.get(part, ())}
    by_length = _by_length(parts)
    for word in words:
        name = word.plain
        if name in parts or (lists.is_word(name) and not (name in short and word.is_capital)):
            continue
        if name in short:
            yield Span(word.start, word.end, Kind.NAME, "short form of the patient's name", LIKELY)
        elif any(is_one_slip_apart(name, part) for part in by_length.get(len(name), ())):
            yield Span(word.start, word.end, Kind.NAME, "the patient's name with a slip", LIKELY)
    yield from _initials_beside(text, found, parts)
    yield from _initials_alone(text, known)
    yield from _glued(text, parts)


def _is_own(word: Word, parts: frozenset[str], lists: Lists) -> bool:
    """One of the names, whole or in a part; written small only where it is no ordinary word: "hope" is none's."""
    name = word.plain
    if (
        name not in parts
        and JOINTS.sub("", name) not in parts
        and not any(p in parts for p in name.split("-"))
    ):
        return False
    return word.is_capital or word.in_caseless_line or not lists.is_word(name)


def _by_length(parts: frozenset[str]) -> dict[int, list[str]]:
    """Names long enough for a slip, under each length that one slip can give them."""
    found: dict[int, list[str]] = {}
    for part in parts:
        if len(part) >= LONG_ENOUGH_FOR_A_SLIP:
            for length in (len(part) - 1, len(part), len(part) + 1):
                found.setdefault(length, []).append(part)
    return found


def _initials_beside(text: str, found: list[Word], parts: frozenset[str]) -> Iterator[Span]:
    """An initial before or after one of the patient's names: "M. Roe", "Roe, M"."""
    first_letters = {part[0] for part in parts}
    for word in found:
        before = re.search(r"(?<!\w)([^\W\d_])\.?[ ]?$", text[max(0, word.start - 4) : word.start])
        if before and before.group(1).lower() in first_letters:
            yield Span(word.start - len(before.group()), word.end, Kind.NAME, "initial beside the name", SURE)
        after = re.match(r",?\s([^\W\d_])(?!\w|['’])\.?", text[word.end : word.end + 5])
        if after and after.group(1).isupper() and after.group(1).lower() in first_letters:
            yield Span(word.start, word.end + after.end(), Kind.NAME, "initial beside the name", SURE)


def _initials_alone(text: str, known: KnownPatient) -> Iterator[Span]:
    """Initials with stops ("M.R.") of the patient's names in the record's order or the other way about."""
    letters = [p[0] for name in known.names for p in re.split(r"[\s,]+", plain(name)) if p and p[0].isalpha()]
    wanted = {a + b for a in letters for b in letters if a != b} if len(letters) < 7 else set()
    for found in re.finditer(r"(?<![\w.])([A-Z])\.\s?([A-Z])\.(?:\s?[A-Z]\.)?(?!\w)", text):
        if (found.group(1) + found.group(2)).lower() in wanted:
            yield Span(*found.span(), Kind.NAME, "the patient's initials", LIKELY)


def _glued(text: str, parts: frozenset[str]) -> Iterator[Span]:
    """Long names inside longer words and in user names: "miaroe26", "RoeMia"."""
    wanted = [re.escape(part) for part in sorted(parts, key=len, reverse=True) if len(part) >= 5]
    if not wanted:
        return
    simple = plain(text)
    if len(simple) != len(text):
        simple = text.lower()
    if len(simple) != len(text):
        return
    for found in re.finditer("|".join(wanted), simple):
        start, end = found.span()
        if (start and simple[start - 1].isalpha()) or simple[end : end + 1].isalpha():
            while start and simple[start - 1].isalnum() and found.start() - start < 40:
                start -= 1
            while end < len(simple) and simple[end].isalnum() and end - found.end() < 40:
                end += 1
            if simple[start:end] not in NOT_NAMES:
                yield Span(start, end, Kind.NAME, "the patient's name inside a word", LIKELY)


def _addresses(text: str, known: KnownPatient) -> Iterator[Span]:
    """Each part of the address as a whole, with any separators, and its longer words and numbers beside each other."""
    for line in known.addresses:
        pieces = PARTS.findall(line)
        if not pieces or (len(pieces) == 1 and len(pieces[0]) < 3):
            continue
        pattern = r"[\s,.#-]{1,4}".join(re.escape(piece) for piece in pieces)
        for found in re.finditer(rf"(?<!\w){pattern}(?!\w)", text, re.IGNORECASE):
            yield Span(*found.span(), Kind.ADDRESS, "the patient's own address", SURE)
        numbers = [p for p in pieces if p.isdigit()]
        names = [p for p in pieces if len(p) > 3 and not p.isdigit() and plain(p) not in FILLERS]
        for number in numbers[:1]:
            for name in names[:1]:
                loose = rf"(?<!\w){number}\W{{1,3}}(?:\w{{1,6}}\.?\W{{1,2}})?{re.escape(name)}(?!\w)(?:\s\w{{1,10}}\b)?"
                for found in re.finditer(loose, text, re.IGNORECASE):
                    yield Span(*found.span(), Kind.ADDRESS, "the patient's own address", LIKELY)


def _number(text: str, number: str, kind: Kind) -> Iterator[Span]:
    """A number with any punctuation between its characters; a phone with or without its country's code."""
    signs = [c for c in number if c.isalnum()]
    if len(signs) < SHORTEST_NUMBER:
        return
    choices = [signs]
    if kind is Kind.PHONE and len(signs) > 10:
        choices.append(signs[-10:])
    if kind is Kind.NUMBER and signs[0] == "0":
        bare = "".join(signs).lstrip("0")
        choices += [list(bare)] if len(bare) > 4 else []
    between = r"[ \t.()/_–-]{0,3}" if len(signs) > 5 else ""
    for chosen in choices:
        pattern = between.join(re.escape(c) for c in chosen)
        beside = r"\d" if len(signs) > 5 else r"[^\W_]"
        for found in re.finditer(rf"(?<!{beside}){pattern}(?!{beside})", text, re.IGNORECASE):
            yield Span(*found.span(), kind, "the patient's own number", SURE)


def _literal(text: str, wanted: str, kind: Kind) -> Iterator[Span]:
    if len(wanted) > 3:
        for found in re.finditer(rf"(?<!\w){re.escape(wanted)}(?!\w)", text, re.IGNORECASE):
            yield Span(*found.span(), kind, "the patient's own address on the net", SURE)


def _birth_dates(text: str, birth_date: str) -> Iterator[Span]:
    try:
        born = date.fromisoformat(birth_date[:10])
    except ValueError:
        return
    for pattern in (DIGIT_DATE, WORD_DATE, DAY_FIRST):
        for found in pattern.finditer(text):
            days = [read_date(found.group(), day_first=first) for first in (False, True)]
            if any(read and read.told == born for read in days):
                yield Span(*found.span(), Kind.DATE, BIRTH_DATE, SURE)


def is_one_slip_apart(first: str, second: str) -> bool:
    """Whether one letter more, less, other, or two neighbours swapped turn one into the other.

    >>> is_one_slip_apart("hellyer", "helyer"), is_one_slip_apart("hellyer", "helyler"), is_one_slip_apart("roe", "doe")
    (True, True, True)
    >>> is_one_slip_apart("hellyer", "hilyer")
    False
    """
    if first == second:
        return True
    if len(first) > len(second):
        first, second = second, first
    k = 0
    while k < len(first) and first[k] == second[k]:
        k += 1
    if len(first) < len(second):
        return first[k:] == second[k + 1 :]
    swapped = first[k : k + 2] == second[k : k + 2][::-1] and len(first[k : k + 2]) == 2
    return first[k + 1 :] == second[k + 1 :] or (swapped and first[k + 2 :] == second[k + 2 :])

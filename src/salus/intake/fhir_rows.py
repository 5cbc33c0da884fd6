"""Rows of our views are judged: time, code, value and unit of each, or the reason why it is no event.

What the columns of a view mean (docs/how-to/fhir.md says it for those who edit one):
``id``, ``patient``, ``version``, ``updated``; ``time``, ``time_2`` … (the first that is told), ``known``; ``prefix``,
``code`` (a concept) or ``word`` (plain) or ``code_key`` (a reference to what has a code); ``number``, ``whole``,
``unit_code``, ``unit``, ``comparator``, ``text``, ``beside`` (a text that stands beside a number), ``answer``,
``absent``, ``truth``, ``moment``; ``in_parts`` (a row without a value is no event; yes: its parts are); ``static``
(holds for good); ``base64`` with ``mime`` (text inside).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import msgspec
import numpy as np

from salus.formats.categories import BETWEEN
from salus.formats.fhir_systems import NO_VALUE
from salus.formats.fhirpath.references import reference_key
from salus.formats.hl7v2_codes import ANSWER
from salus.formats.sql_on_fhir.taking import Block
from salus.intake.fhir_concepts import Concepts, named
from salus.intake.fhir_groups import Group
from salus.intake.fhir_times import LATEST_CODE, NONE, OUTSIDE, PARTIAL, STRANGE, Times
from salus.timeline.columns import BIRTH
from salus.units import SPELLINGS

LARGEST = 3.4e38
UNIT_STRANGE = "unit that is not known as UCUM: kept as it is"
KNOWN_STRANGE = "known time that cannot be read: assumed"
LEFT_OUT = "row left out of a resource that is kept: {}"
NO_ROW = "the view takes nothing of it"


class Verdict(IntEnum):
    """What became of a row."""

    EVENT = 0
    SILENT = 1
    NO_ID = 2
    NO_PATIENT = 3
    NO_CODE = 4
    NO_REFERRED = 5
    NO_VALUE = 6
    NOT_FINITE = 7
    NO_WORD = 8
    NO_TIME = 9
    PARTIAL = 10
    STRANGE = 11
    OUTSIDE = 12


REASONS = {
    Verdict.NO_ID: ("id", "no id"),
    Verdict.NO_PATIENT: ("patient", "no patient, or a reference that does not say who"),
    Verdict.NO_CODE: ("code", "neither a code nor words"),
    Verdict.NO_REFERRED: ("code", "what it refers to for its code is not in the source, or has none"),
    Verdict.NO_VALUE: ("value", "no value that can be read"),
    Verdict.NOT_FINITE: ("value", "a number that a 32-bit float cannot hold"),
    Verdict.NO_WORD: ("code", "nothing is told"),
    Verdict.NO_TIME: ("time", "no time"),
    Verdict.PARTIAL: ("time", "a time told only to the year or month"),
    Verdict.STRANGE: ("time", "no date or time that FHIR knows"),
    Verdict.OUTSIDE: ("time", "a year before 1850 or after 2200"),
}
OF_TIMES = {
    NONE: Verdict.NO_TIME,
    PARTIAL: Verdict.PARTIAL,
    STRANGE: Verdict.STRANGE,
    OUTSIDE: Verdict.OUTSIDE,
}
NOT_TOLD = (Verdict.SILENT, Verdict.NO_TIME, Verdict.NO_WORD)
"""Of a resource that gives other events nobody misses these."""


class Units(dict[tuple[str | None, str | None], int]):
    """Numbers of units by their UCUM code and what is printed: a spelling that can mean only one unit is that unit."""

    def __init__(self) -> None:
        super().__init__({(None, None): -1})
        self.names: list[str] = []
        self.numbers: dict[str, int] = {}

    def __missing__(self, told: tuple[str | None, str | None]) -> int:
        written = (told[0] or told[1] or "").strip()
        number = -1
        if written:
            unit = SPELLINGS.get(written, written)
            number = self.numbers.setdefault(unit, len(self.names))
            if number == len(self.names):
                self.names.append(unit)
        self[told] = number
        return number


class Numbered(dict[str | None, int]):
    """Numbers of texts, each once; -1 for None."""

    def __init__(self) -> None:
        super().__init__({None: -1})
        self.names: list[str] = []

    def __missing__(self, text: str | None) -> int:
        number = self[text] = len(self.names)
        self.names.append(text or "")
        return number


@dataclass(slots=True)
class Memory:
    """What is read once and met often, of one part: times, concepts, units, patients."""

    zone: str = "UTC"
    key: bytes = b""
    referred: Mapping[str, bytes] = field(default_factory=dict)
    concepts: Concepts = field(default_factory=Concepts)
    units: Units = field(default_factory=Units)
    patients: Numbered = field(default_factory=Numbered)
    answers: Answers = field(default_factory=lambda: Answers())
    times: Times = field(init=False)
    births: Times = field(init=False)

    def __post_init__(self) -> None:
        self.times, self.births = Times(self.zone), Times(self.zone, middle=True)


@dataclass(slots=True)
class Rows:
    """The rows of one block as columns of numbers: ``rows`` says of which resource each is."""

    rows: np.ndarray
    verdict: np.ndarray
    time: np.ndarray
    known: np.ndarray
    code: np.ndarray
    number: np.ndarray
    unit: np.ndarray
    patient: np.ndarray
    text: list[str | None] | None
    place: np.ndarray


def rows_of(block: Block, group: Group, memory: Memory, *, place: int) -> Rows:
    """Judge the rows of a block; ``place`` is the number of the first event of each resource."""
    return _Judge(block, group, memory).rows(place)


class _Judge:
    """Makes columns of numbers of one block, and a verdict for each row."""

    def __init__(self, block: Block, group: Group, memory: Memory) -> None:
        self.columns, self.memory, self.group = block.columns, memory, group
        total = len(group.resources)
        self.of = np.arange(total) if block.rows is None else np.asarray(block.rows, np.int64)
        self.size = len(self.of)
        self.verdict = np.zeros(self.size, np.int8)

    def rows(self, place: int) -> Rows:
        """All columns."""
        patient = self._numbers(self.memory.patients, "patient")
        self._say(patient < 0, Verdict.NO_PATIENT)
        code = self._codes()
        time, known = self._times(), self._known()
        number, text = self._numbers_and_texts()
        code = self._answers(code, number, text)
        begins = np.ones(self.size, bool)
        begins[1:] = self.of[1:] != self.of[:-1]
        counted = np.arange(self.size)
        since = np.maximum.accumulate(np.where(begins, counted, 0)) if self.size else counted
        return Rows(
            rows=self.of,
            verdict=self.verdict,
            time=time,
            known=known,
            code=code,
            number=number,
            unit=self._units(),
            patient=patient,
            text=text,
            place=counted - since + place,
        )

    def _say(self, where: np.ndarray, verdict: Verdict) -> None:
        """The first thing that is wrong with a row is its verdict."""
        self.verdict[where & (self.verdict == 0)] = verdict

    def _numbers(self, known: Mapping[Any, int], name: str) -> np.ndarray:
        column = self.columns.get(name)
        if column is None or (not any(column) and column.count(None) == self.size):
            return np.full(self.size, known[None], np.int64)
        return np.fromiter(map(known.__getitem__, column), np.int64, self.size)

    def _first_of(self, known: Mapping[Any, int], name: str, nothing: int) -> np.ndarray:
        """The first of columns ``name``, ``name_2`` … that says something."""
        found, number = self._numbers(known, name), 2
        while f"{name}_{number}" in self.columns and (found == nothing).any():
            found = np.where(found == nothing, self._numbers(known, f"{name}_{number}"), found)
            number += 1
        return found

    def _codes(self) -> np.ndarray:
        codes, column = self.memory.concepts.codes, self.columns
        if "word" in column:
            pairs = zip(column.get("prefix", [""] * self.size), column["word"], strict=True)
            found = np.array(
                [codes.worded(prefix or "", word) if word else -1 for prefix, word in pairs], np.int64
            )
            self._say(found < 0, Verdict.NO_WORD)
            return found
        found = self._first_of(self.memory.concepts, "code", -1)
        if "code_key" in column:
            for row in np.flatnonzero(found < 0).tolist():
                if column["code_key"][row]:
                    found[row] = self._referred(row)
                    if found[row] < 0:
                        self.verdict[row] = self.verdict[row] or Verdict.NO_REFERRED
        self._say(found < 0, Verdict.NO_CODE)
        if "prefix" in column:
            pairs = zip(column["prefix"], found.tolist(), strict=True)
            found = np.array([codes.prefixed(prefix or "", one) for prefix, one in pairs], np.int64)
        return found

    def _referred(self, row: int) -> int:
        """The code of what a reference leads to: inside the resource, or another one."""
        told = self.columns["code_key"][row]
        if told.startswith("#"):
            raw = contained_code(self.group.raw(int(self.of[row])), told[1:])
        else:
            key = reference_key(self.group.urls.get(told, told))
            raw = self.memory.referred.get(key or "", b"")
        return self.memory.concepts[raw]

    def _times(self) -> np.ndarray:
        is_birth = "word" in self.columns and self.columns["word"][:1] == [BIRTH]
        found = self._first_of(self.memory.births if is_birth else self.memory.times, "time", NONE)
        static = self.columns.get("static")
        told = np.zeros(self.size, bool) if static is None else np.array([bool(one) for one in static], bool)
        bad = ~told & (found <= LATEST_CODE)
        if bad.any():
            for code, verdict in OF_TIMES.items():
                self._say(bad & (found == code), verdict)
        return np.where(told, NONE, found)

    def _known(self) -> np.ndarray:
        return self._first_of(self.memory.times, "known", NONE)

    def _numbers_and_texts(self) -> tuple[np.ndarray, list[str | None] | None]:
        number = np.full(self.size, np.nan)
        for name in ("number", "whole"):
            if name in self.columns and self.columns[name].count(None) < self.size:
                told = np.array(self.columns[name], np.float64)
                number = np.where(np.isnan(number), told, number)
        self._say(np.abs(number) > LARGEST, Verdict.NOT_FINITE)
        text = self.columns.get("text")
        for name in ("moment", "base64", "comparator", "beside"):
            column = self.columns.get(name)
            rows = [row for row, one in enumerate(column) if one] if column and any(column) else []
            if rows:
                text = list(text) if text is not None else [None] * self.size
            for row in rows:
                assert text is not None and column is not None
                text[row] = self._as_text(name, row, number) or text[row]
        return number, text

    def _as_text(self, name: str, row: int, number: np.ndarray) -> str | None:
        told = str(self.columns[name][row])
        if name in ("moment", "beside"):
            return told
        if name == "base64":
            return text_inside(told, str((self.columns.get("mime") or {row: ""})[row] or ""))
        bound, number[row] = number[row], np.nan
        return None if np.isnan(bound) else f"{told}{bound:g}"

    def _answers(self, code: np.ndarray, number: np.ndarray, text: list[str | None] | None) -> np.ndarray:
        """Codes of answers; a row that needs a value and has none is no event."""
        has_value = ~np.isnan(number)
        if text is not None and any(text):
            has_value |= np.fromiter((one is not None for one in text), bool, self.size)
        codes = self.memory.concepts.codes
        for name in ("answer", "truth", "absent"):
            column = self.columns.get(name) or []
            is_told = any(column) or (name == "truth" and False in column)
            for row in (
                [n for n, one in enumerate(column) if one is not None and one != b""] if is_told else ()
            ):
                told = self.memory.answers[column[row]]
                if told is not None and not has_value[row] and code[row] >= 0:
                    code[row] = codes.answer(int(code[row]), *told)
                    has_value[row] = True
        parts = self.columns.get("in_parts")
        if parts is not None and not has_value.all():
            in_parts = np.array([one is True for one in parts], bool)
            self.verdict[~has_value & in_parts] = Verdict.SILENT
            self._say(~has_value, Verdict.NO_VALUE)
        return code

    def _units(self) -> np.ndarray:
        if "unit_code" not in self.columns and "unit" not in self.columns:
            return np.full(self.size, -1)
        none = [None] * self.size
        pairs = zip(self.columns.get("unit_code", none), self.columns.get("unit", none), strict=True)
        return np.fromiter(map(self.memory.units.__getitem__, pairs), np.int64, self.size)


class Answers(dict[bool | bytes, tuple[str, str] | None]):
    """What answers add to codes, each read once."""

    def __missing__(self, told: bool | bytes) -> tuple[str, str] | None:
        found = self[told] = answer_of(told)
        return found


def answer_of(told: object) -> tuple[str, str] | None:
    """What an answer adds to the code of its question, and its words.

    >>> answer_of(True), answer_of(b'{"coding": [{"system": "http://snomed.info/sct", "code": "8517006"}]}')
    (('true', 'true'), ('SNOMED:8517006', '8517006'))
    """
    if isinstance(told, bool):
        return str(told).lower(), str(told).lower()
    one = named(told) if isinstance(told, bytes) else None
    if one is not None and one.code == NO_VALUE:
        return "", ""
    return None if one is None else (one.code.replace(BETWEEN, ANSWER, 1), one.words)


def text_inside(told: str, mime: str) -> str | None:
    """The text of an attachment; None where it is no plain text.

    >>> text_inside("aGVsbG8=", "text/plain; charset=utf-8"), text_inside("aGVsbG8=", "application/pdf")
    ('hello', None)
    """
    if not mime.lower().startswith("text/plain"):
        return None
    try:
        return base64.b64decode(told, validate=True).decode()
    except (binascii.Error, ValueError):
        return None


class _Inside(msgspec.Struct):
    """A resource inside another."""

    id: str | None = None
    code: msgspec.Raw = msgspec.Raw(b"")
    type: msgspec.Raw = msgspec.Raw(b"")


class _Outside(msgspec.Struct):
    """A resource with others inside."""

    contained: list[_Inside] = []


_OUTSIDES = msgspec.json.Decoder(_Outside)


def contained_code(raw: bytes, name: str) -> bytes:
    """The code of a medication or the type of a device inside a resource, as JSON; empty where there is none."""
    try:
        found = _OUTSIDES.decode(raw).contained
    except (msgspec.DecodeError, ValueError, RecursionError):
        return b""
    return next((bytes(one.code) or bytes(one.type) for one in found if one.id == name), b"")

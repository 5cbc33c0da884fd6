"""Conditions on static facts, as people write them (``sex=F``, ``age=60..80``), in terms of the model's levels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from salus.errors import ConditionRefused, nearest
from salus.trajectory.bins import INNER, FloatArray
from salus.trajectory.vocabulary import START, UNSAID, Vocabulary

WITHIN_ROUNDING = 0.499
"""A drawn number is shown rounded: what lies within so much of the last decimal is shown as the number itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What a field may say: of each of its levels, the places from ``low`` to ``high`` (equal: not this level).

    ``needed``: the field must be said; else it may also stay unsaid.
    """

    field: int
    low: FloatArray
    high: FloatArray
    needed: bool

    @property
    def share(self) -> FloatArray:
        """How much of each level is allowed, 0 to 1."""
        shares: FloatArray = np.maximum(self.high - self.low, 0)
        return shares


def read_conditions(written: Sequence[str], vocabulary: Vocabulary, *, where: str) -> tuple[Condition, ...]:
    """Read ``NAME=LEVELS`` each, and take together what is asked of the same field.

    A name is that of a static field or code, or its last part, in capitals or not. Levels: codes with commas between
    them, a range ``low..high`` (either end may be left out), or ``yes`` and ``no`` of a code.
    Raises ConditionRefused (SAL-310).
    """
    return together([_read(text, vocabulary, where) for text in written], vocabulary, where=where)


def together(conditions: Iterable[Condition], vocabulary: Vocabulary, *, where: str) -> tuple[Condition, ...]:
    """Take together what is asked of the same field, in drawing order; what excludes each other is refused."""
    found: dict[int, Condition] = {}
    for one in conditions:
        other = found.get(one.field, one)
        found[one.field] = both = replace(
            one,
            low=np.maximum(one.low, other.low),
            high=np.minimum(one.high, other.high),
            needed=one.needed or other.needed,
        )
        if both.needed and not both.share.any():
            raise ConditionRefused(
                f"two conditions on '{shown(vocabulary, one.field)}' exclude each other",
                where=where,
                fix="give one of them, or levels or ranges that overlap",
            )
    return tuple(found[field] for field in sorted(found))


def having(vocabulary: Vocabulary, code: int, *, said: bool) -> Condition:
    """The condition that a field says this code (position), or that it does not."""
    field = int(vocabulary.level_field[vocabulary.level_start[code]])
    chosen = _levels_of(vocabulary, field) == code
    allowed = (chosen if said else ~chosen).astype(np.float32)
    return Condition(field=field, low=np.zeros_like(allowed), high=allowed, needed=said)


def find_code(written: str, vocabulary: Vocabulary, *, where: str) -> int:
    """Position of the static code that ``written`` names, in full or by its last part.

    Raises ConditionRefused (SAL-310).
    """
    codes = {position: vocabulary.entries[position].code for position in _sayable(vocabulary)}
    names = by_name((code, position) for position, code in codes.items())
    return _only(written, names, known=[*codes.values()], where=where)


def shown(vocabulary: Vocabulary, field: int) -> str:
    """A field's name as people write it: its last part; in small letters where it is a word."""
    last = vocabulary.fields[field].name.rpartition("//")[2]
    return last.lower() if last.isalpha() else last


def by_name(named: Iterable[tuple[str, int]]) -> dict[str, set[int]]:
    """What each name, in small letters, may stand for: of every code (or field) its name in full and its last part."""
    found: dict[str, set[int]] = {}
    for name, number in named:
        for part in (name, name.rpartition("//")[2]):
            found.setdefault(part.casefold(), set()).add(number)
    return found


def _sayable(vocabulary: Vocabulary) -> list[int]:
    """Positions of static codes that may be drawn and that people may name."""
    return [
        position
        for position, entry in enumerate(vocabulary.entries)
        if entry.static and not entry.unsaid and entry.code != START
    ]


def _levels_of(vocabulary: Vocabulary, field: int) -> np.ndarray:
    """Position of the code of each level of a field."""
    first, last = vocabulary.field_start[field : field + 2]
    return vocabulary.level_code[first:last]


def _only(written: str, names: dict[str, set[int]], *, known: Sequence[str], where: str) -> int:
    """What a name stands for; it must be one thing."""
    found = names.get(written.strip().casefold(), set())
    if len(found) == 1:
        return next(iter(found))
    if found:
        raise ConditionRefused(
            f"'{written}' may be any of {len(found)} codes", where=where, fix="write the code in full"
        )
    raise ConditionRefused(
        f"the model knows no static '{written}'{nearest(written, [*known, *names])}",
        where=where,
        fix=f"choose among {_listed(known)}; what is dated or withheld cannot be asked for",
    )


def _listed(names: Sequence[str]) -> str:
    few = [*dict.fromkeys(names)]
    return ", ".join(few[:12]) + (f" and {len(few) - 12} more" if len(few) > 12 else "")


def _read(text: str, vocabulary: Vocabulary, where: str) -> Condition:
    name, equals, levels = text.partition("=")
    if not equals or not name.strip() or not levels.strip():
        raise ConditionRefused(
            f"'{text}' is not a condition", where=where, fix="write NAME=LEVELS, such as sex=F or age=60..80"
        )
    fields = {
        number: one.name for number, one in enumerate(vocabulary.fields) if one.static and one.name != START
    }
    names = by_name((field_name, number) for number, field_name in fields.items())
    asked = levels.strip().casefold()
    if asked in ("yes", "no"):
        return having(vocabulary, find_code(name, vocabulary, where=where), said=asked == "yes")
    field = _only(name, names, known=[shown(vocabulary, number) for number in fields], where=where)
    if vocabulary.entries[vocabulary.fields[field].first].bins:
        return _range(levels.strip(), field, vocabulary, where=where)
    return _choice(levels, field, vocabulary, where=where)


def _choice(written: str, field: int, vocabulary: Vocabulary, *, where: str) -> Condition:
    """Levels of a choice, with commas between them."""
    codes = _levels_of(vocabulary, field)
    names = by_name(
        (vocabulary.entries[position].code, place)
        for place, position in enumerate(codes)
        if not vocabulary.entries[position].unsaid
    )
    known = [vocabulary.entries[p].code.rpartition("//")[2] for p in codes]
    known = [name for name in known if name != UNSAID]
    allowed = np.zeros(len(codes), dtype=np.float32)
    allowed[[_only(one, names, known=known, where=where) for one in written.split(",")]] = 1
    return Condition(field=field, low=np.zeros_like(allowed), high=allowed, needed=True)


def _range(written: str, field: int, vocabulary: Vocabulary, *, where: str) -> Condition:
    """A range of a number, both ends in it; a single number stands for all that is shown as that number."""
    low, high = _bounds(written, where)
    first, last = vocabulary.field_start[field : field + 2]
    decimals = vocabulary.entries[vocabulary.fields[field].first].decimals
    step = 10.0**-decimals
    # Both ends are taken to the nearest number inside them that can be shown at all.
    least = math.ceil(round(low / step, 6)) if math.isfinite(low) else low
    most = math.floor(round(high / step, 6)) if math.isfinite(high) else high
    bounds = (least - WITHIN_ROUNDING) * step, (most + WITHIN_ROUNDING) * step
    numbers = vocabulary.inner[first:last][vocabulary.has_value[first:last]].astype(np.float64)
    places = np.zeros((last - first, 2), dtype=np.float32)
    places[vocabulary.has_value[first:last]] = [places_between(row, *bounds) for row in numbers]
    if least > most or not (places[:, 1] > places[:, 0]).any():
        raise ConditionRefused(
            f"no {shown(vocabulary, field)} lies in {written}",
            where=where,
            fix=f"the model draws from {numbers.min():.{decimals}f} to {numbers.max():.{decimals}f}",
        )
    return Condition(field=field, low=places[:, 0], high=places[:, 1], needed=True)


def _bounds(written: str, where: str) -> tuple[float, float]:
    low, dots, high = (part.strip() for part in written.partition(".."))
    try:
        ends = float(low or -math.inf), float((high or math.inf) if dots else low)
    except ValueError:
        ends = math.nan, math.nan
    if any(math.isnan(end) for end in ends) or not (low or high):
        raise ConditionRefused(
            f"'{written}' is not a range of numbers",
            where=where,
            fix="write low..high, such as 60..80, 60.. or ..80; one number alone means just that",
        )
    if ends[0] > ends[1]:
        raise ConditionRefused(
            f"the range {written} is empty", where=where, fix=f"the lower end comes first: {high}..{low}"
        )
    return ends


def places_between(points: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """Between which places in a bin its values lie in ``low`` to ``high``; ``points``: its values at INNER places.

    >>> places_between(np.array([60.0, 62.0, 64.0, 66.0, 68.0]), 63.0, 99.0)
    (0.375, 1.0)
    """
    if points[-1] < low or points[0] > high:
        return 0.0, 0.0
    places = np.linspace(0, 1, INNER)
    left = int(np.searchsorted(points, low, side="left"))
    right = int(np.searchsorted(points, high, side="right"))
    start = (
        0.0 if left == 0 else float(np.interp(low, points[left - 1 : left + 1], places[left - 1 : left + 1]))
    )
    end = (
        1.0
        if right == INNER
        else float(np.interp(high, points[right - 1 : right + 1], places[right - 1 : right + 1]))
    )
    return start, end

"""Where an interval lies against a threshold, as the numbers of a small drawing; the templates draw it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH, EDGE = 220.0, 8.0
"""Width of a drawing in pixels, and what stays free at both ends."""
LETTER = 6.6
"""Pixels that one digit of a label takes."""


@dataclass(frozen=True, slots=True)
class Span:
    """The range of numbers that a drawing shows."""

    low: float
    high: float

    def place(self, number: float) -> float:
        """Pixels from the left edge; what lies outside the range stands at its end.

        >>> Span(0.0, 1.0).place(0.5)
        110.0
        """
        share = (number - self.low) / (self.high - self.low)
        return round(EDGE + (WIDTH - 2 * EDGE) * min(max(share, 0.0), 1.0), 1)


@dataclass(frozen=True, slots=True)
class Limit:
    """A threshold's line, its label and where the label starts; ``side``: 1 where higher passes, -1 where lower."""

    at: float
    label: str
    label_at: float
    side: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """Pixels from the left: the value, its bounds, the part that passes, the limits. None: not there."""

    value: float
    lower: float | None
    upper: float | None
    passes: tuple[float, float] | None = None
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True)
class Measured:
    """A value with its bounds."""

    value: float
    lower: float | None = None
    upper: float | None = None

    @property
    def numbers(self) -> tuple[float, ...]:
        """Those that are there."""
        return tuple(each for each in (self.value, self.lower, self.upper) if each is not None)


def span_of(numbers: Iterable[float]) -> Span:
    """A range that holds all ``numbers`` with some room around them.

    >>> span_of([0.5, 0.5])
    Span(low=0.4, high=0.6)
    """
    shown = [number for number in numbers if math.isfinite(number)]
    low, high = min(shown, default=0.0), max(shown, default=1.0)
    room = (high - low) * 0.12 or max(abs(high), 1e-6) * 0.2
    return Span(low - room, high + room)


def draw(
    measured: Measured,
    span: Span,
    *,
    low: tuple[float, str] | None = None,
    high: tuple[float, str] | None = None,
) -> Drawing:
    """Draw an interval; ``low`` and ``high`` are the limits between which it passes, each with its label."""
    limits = [_limit(limit, span, side=side) for limit, side in ((low, 1), (high, -1)) if limit is not None]
    passes = None
    if limits:
        start = span.place(low[0]) if low else 0.0
        end = span.place(high[0]) if high else WIDTH
        passes = (start, round(end - start, 1))
    return Drawing(
        value=span.place(measured.value),
        lower=None if measured.lower is None else span.place(measured.lower),
        upper=None if measured.upper is None else span.place(measured.upper),
        passes=passes,
        limits=_apart(limits),
    )


def _limit(limit: tuple[float, str], span: Span, *, side: int) -> Limit:
    at, label = span.place(limit[0]), limit[1]
    width = LETTER * len(label)
    return Limit(
        at=at, label=label, label_at=round(min(max(at - width / 2, 0.0), WIDTH - width), 1), side=side
    )


def _apart(limits: Sequence[Limit]) -> tuple[Limit, ...]:
    """Keep two labels from lying over each other: the first moves left, the second right."""
    if len(limits) < 2:
        return tuple(limits)
    first, second = limits[0], limits[-1]
    overlap = first.label_at + LETTER * (len(first.label) + 1) - second.label_at
    if overlap <= 0:
        return (first, second)
    left = max(first.label_at - overlap / 2, 0.0)
    right = min(left + LETTER * (len(first.label) + 1), WIDTH - LETTER * len(second.label))
    return (
        Limit(first.at, first.label, round(left, 1), first.side),
        Limit(second.at, second.label, round(right, 1), second.side),
    )

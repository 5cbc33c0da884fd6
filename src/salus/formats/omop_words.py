"""What stands beside a number on a timeline as text: a bound, a reference range, words of the source."""

from __future__ import annotations

import re
from dataclasses import dataclass

RANGE, UP_TO, AND_WORDS = "ref ", "..", "; "
NUMBER = r"-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?"
BOUND = re.compile(rf"^(<=|>=|<|>)({NUMBER})(?:; |$)", re.IGNORECASE)
SPAN = re.compile(rf"^ref ({NUMBER})?\.\.({NUMBER})?(?: [^;]*)?(?:; |$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """The parts of a text beside a number; each is None where it is not told."""

    operator: str | None = None
    bound: float | None = None
    low: float | None = None
    high: float | None = None
    words: str | None = None


def read_beside(text: str | None) -> Beside:
    """Take a text apart. ``<5``, as a laboratory may write it, stays a text: our own bounds are written ``<5.0``.

    >>> read_beside("<5.0; ref 3.5..5.1 mmol/L; haemolysed")
    Beside(operator='<', bound=5.0, low=3.5, high=5.1, words='haemolysed')
    """
    rest = text or ""
    bound = BOUND.match(rest)
    if bound and bound[2] != repr(float(bound[2])):
        bound = None
    rest = rest[bound.end() :] if bound else rest
    span = SPAN.match(rest)
    rest = rest[span.end() :] if span else rest
    return Beside(
        operator=bound[1] if bound else None,
        bound=float(bound[2]) if bound else None,
        low=_number(span[1]) if span else None,
        high=_number(span[2]) if span else None,
        words=rest or None,
    )


def _number(written: str | None) -> float | None:
    return float(written) if written else None

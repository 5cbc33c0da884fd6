"""A place in a text that may identify, what kind it is, which rule says so, and how doubtful it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

SURE = 0.0
LIKELY = 0.2
EVEN = 0.5
WEAK = 0.8


class Kind(StrEnum):
    """What a span of a text tells of a person."""

    NAME = "name"
    DATE = "date"
    AGE = "age"
    PHONE = "phone"
    EMAIL = "email"
    URL = "url"
    NETWORK = "network"  # an IP or hardware address
    NUMBER = "number"  # record, account, licence, device, card numbers
    ADDRESS = "address"  # street, box, postcode
    PLACE = "place"  # a town, county, state or country
    ORGANISATION = "organisation"
    PROFESSION = "profession"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """From ``start`` to before ``end`` in characters; ``doubt`` 0 for certain, 1 for hardly believed."""

    start: int
    end: int
    kind: Kind
    rule: str
    doubt: float

    @property
    def length(self) -> int:
        """How many characters it covers."""
        return self.end - self.start


def without_overlaps(spans: Iterable[Span]) -> list[Span]:
    """One span for each stretch of overlapping ones: recall first, so it covers all that any of them covers.

    Kind and rule are those of the least doubtful; of equals, of the longest.

    >>> name, date = Span(0, 8, Kind.NAME, "list", 0.5), Span(6, 12, Kind.DATE, "numeric", 0.0)
    >>> without_overlaps([date, name])
    [Span(start=0, end=12, kind=<Kind.DATE: 'date'>, rule='numeric', doubt=0.0)]
    """
    merged: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.start, s.end, s.doubt)):
        if span.length <= 0:
            continue
        if merged and span.start < merged[-1].end:
            last = merged[-1]
            best = min(last, span, key=lambda s: (s.doubt, -s.length))
            merged[-1] = Span(last.start, max(last.end, span.end), best.kind, best.rule, best.doubt)
        else:
            merged.append(span)
    return merged


def trimmed(text: str, span: Span) -> Span:
    """The span without spaces and separators at its ends."""
    start, end = span.start, span.end
    while start < end and text[start] in " \t\r\n,;:|":
        start += 1
    while end > start and text[end - 1] in " \t\r\n,;:|":
        end -= 1
    if end - start > 3 and text[end - 1] == "." and span.kind in (Kind.ADDRESS, Kind.PLACE):
        end -= 1
    if (start, end) == (span.start, span.end):
        return span
    return Span(start, end, span.kind, span.rule, span.doubt)

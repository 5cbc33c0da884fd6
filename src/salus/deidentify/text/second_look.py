"""What a person should look at again after a text was scrubbed: capitals that were left, then spans that were doubtful.

A list holds text of patients. It is written for its owner's eyes only (mode 0600), to a file that does not exist yet.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from salus.deidentify.text.find import Found
from salus.deidentify.text.spans import EVEN, Kind, Span, without_overlaps

AROUND = 40
OWNER_ONLY = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """One place to look at; ``document`` is a pseudonym, ``number`` counts places of one document."""

    document: str
    number: int
    start: int
    end: int
    kind: str
    rule: str
    doubt: float
    replaced: bool
    """False: it stands in the result as it was, so that a yes of the reader closes a leak."""
    before: str = field(repr=False)
    text: str = field(repr=False)
    after: str = field(repr=False)


def doubts(document: str, text: str, found: Found, *, from_doubt: float = EVEN) -> list[Doubt]:
    """What was left and may be a name, the likeliest first; then what was replaced, the most doubtful first."""
    left = sorted(found.unsure, key=lambda span: (span.doubt, span.start))
    hidden = sorted(
        (s for s in found.spans if s.doubt >= from_doubt), key=lambda span: (-span.doubt, span.start)
    )
    places = [(span, False) for span in left] + [(span, True) for span in hidden]
    return [_doubt(document, n, text, span, replaced) for n, (span, replaced) in enumerate(places)]


def _doubt(document: str, number: int, text: str, span: Span, replaced: bool) -> Doubt:
    return Doubt(
        document=document,
        number=number,
        start=span.start,
        end=span.end,
        kind=span.kind.value,
        rule=span.rule,
        doubt=span.doubt,
        replaced=replaced,
        before=text[max(0, span.start - AROUND) : span.start],
        text=text[span.start : span.end],
        after=text[span.end : span.end + AROUND],
    )


def in_order(rows: Iterable[Doubt]) -> list[Doubt]:
    """Of many documents: what was left, the likeliest name first; then what was replaced on weak ground."""
    return sorted(rows, key=lambda r: (r.replaced, -r.doubt if r.replaced else r.doubt, r.document, r.number))


def write_doubts(path: Path, rows: Iterable[Doubt]) -> int:
    """Write a new file of JSON Lines that only its owner reads; how many rows it has."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    written = 0
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        for row in in_order(rows):
            file.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")
            written += 1
    return written


def read_doubts(path: Path) -> Iterator[Doubt]:
    """The rows of a list as they were written."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield Doubt(**json.loads(line))


def reviewed(found: Found, rows: Iterable[Doubt], identifies: Mapping[int, bool]) -> Found:
    """What was found after a reader's answers: ``identifies`` says of a row's number whether it tells of a person.

    Rows without an answer stay as they were. Give the result to ``Scrubber.replace``.
    """
    added: list[Span] = []
    refused: set[tuple[int, int]] = set()
    for row in rows:
        answer = identifies.get(row.number)
        if answer and not row.replaced:
            added.append(Span(row.start, row.end, Kind(row.kind), "second look", 0.0))
        if answer is False and row.replaced:
            refused.add((row.start, row.end))
    kept = [span for span in found.spans if (span.start, span.end) not in refused]
    spans = tuple(without_overlaps([*kept, *added]))
    taken = {(span.start, span.end) for span in added}
    return replace(found, spans=spans, unsure=tuple(c for c in found.unsure if (c.start, c.end) not in taken))

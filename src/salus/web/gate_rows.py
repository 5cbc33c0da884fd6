"""The rows of the gate table: each criterion with what was measured, what was asked, and how they lie."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from salus.findings import Bundle
from salus.programme.gate import WORST_FIRST, Judged, Judgement, Verdict
from salus.programme.protocol import Criterion, Protocol
from salus.web import words
from salus.web.interval_drawing import Drawing, Measured, Span, draw, span_of
from salus.workflows.pages.words import HELD


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One criterion as the page shows it; ``number``: of the finding that it rests on."""

    criterion: Criterion
    asked: str
    verdict: Verdict | None = None
    reason: str = ""
    further: str = ""
    number: int | None = None
    population: str = ""
    value: str = ""
    bounds: str = ""
    counts: str = ""
    drawing: Drawing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The rows of one kind of evidence, under its question."""

    kind: str
    heading: str
    question: str
    rows: tuple[Row, ...]


def judged_groups(judgement: Judgement, bundle: Bundle | None) -> tuple[Group, ...]:
    """The rows of a judged gate, by kind of evidence, in the order of the protocol."""
    numbers = {
        id(finding): number for number, finding in enumerate(bundle.findings if bundle else (), start=1)
    }
    spans = _spans(judgement.criteria)
    rows = []
    for judged in judgement.criteria:
        number = numbers.get(id(judged.finding)) if judged.finding else None
        rows.append(_row(judged, number=number, span=spans.get(judged.criterion.metric)))
    return _grouped(rows)


def asked_groups(protocol: Protocol) -> tuple[Group, ...]:
    """What the protocol asks for, where nothing could be judged."""
    return _grouped(
        [
            Row(
                criterion=criterion,
                asked=words.asked(criterion),
                population=words.population(criterion.population),
            )
            for criterion in protocol.criteria
        ]
    )


def counted(judgement: Judgement) -> list[tuple[Verdict, list[str]]]:
    """The names of the criteria of each verdict, worst first."""
    found: dict[Verdict, list[str]] = {}
    for judged in judgement.criteria:
        found.setdefault(judged.verdict, []).append(judged.criterion.id)
    return [(verdict, found[verdict]) for verdict in (*WORST_FIRST, Verdict.PASS) if verdict in found]


def _grouped(rows: Sequence[Row]) -> tuple[Group, ...]:
    kinds = list(dict.fromkeys(row.criterion.evidence for row in rows))
    return tuple(
        Group(
            kind=kind,
            heading=words.KINDS.get(kind, (words.title_of(kind), ""))[0],
            question=words.KINDS.get(kind, ("", ""))[1],
            rows=tuple(row for row in rows if row.criterion.evidence == kind),
        )
        for kind in kinds
    )


def _row(judged: Judged, *, number: int | None, span: Span | None) -> Row:
    criterion, finding = judged.criterion, judged.finding
    measured, figure = _measured(judged), criterion.threshold.figure
    bounds = [figure(each) for each in measured.numbers[1:]] if measured else []
    return Row(
        criterion=criterion,
        asked=words.asked(criterion),
        verdict=judged.verdict,
        reason=words.signs(words.capital(judged.reason)),
        further=_further(judged),
        number=number,
        population=words.population(finding.population if finding else criterion.population),
        value=figure(measured.value) if measured else "",
        bounds=f"{HELD}to{HELD}".join(bounds),
        counts=_counts(judged),
        drawing=_drawing(judged, measured, span) if measured and span else None,
    )


def _measured(judged: Judged) -> Measured | None:
    found = judged.finding
    if found is None or found.value is None or not math.isfinite(found.value):
        return None
    whole = all(each is not None and math.isfinite(each) for each in (found.lower, found.upper))
    return Measured(found.value, found.lower, found.upper) if whole else Measured(found.value)


def _spans(criteria: Sequence[Judged]) -> dict[str, Span]:
    """One range a metric, so that rows of the same metric can be compared by eye."""
    numbers: dict[str, list[float]] = {}
    for judged in criteria:
        measured, asked = _measured(judged), judged.criterion.threshold
        if measured:
            limits = [limit for limit in (asked.low, asked.high) if limit is not None]
            numbers.setdefault(judged.criterion.metric, []).extend([*measured.numbers, *limits])
    return {metric: span_of(those) for metric, those in numbers.items()}


def _drawing(judged: Judged, measured: Measured, span: Span) -> Drawing:
    asked = judged.criterion.threshold
    written = iter(re.findall(r"-?\d[\d.]*", asked.text))
    low = None if asked.low is None else (asked.low, next(written, f"{asked.low:g}"))
    high = None if asked.high is None else (asked.high, next(written, f"{asked.high:g}"))
    return draw(measured, span, low=low, high=high)


def _counts(judged: Judged) -> str:
    found = judged.finding
    if found is None:
        return ""
    events = f", {found.events:,}{HELD}events" if found.events is not None else ""
    return f"{words.patients(found)}{HELD}patients{events}"


def _further(judged: Judged) -> str:
    """How many patients the events that are still needed make, at the rate seen."""
    found, events = judged.finding, judged.further_events
    if found is None or not found.events or events is None:
        return ""
    return f"At this rate that is some {events * found.patients / found.events:,.0f} patients"

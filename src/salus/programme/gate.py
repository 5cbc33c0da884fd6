"""Judge findings by a protocol: a pure function, so that new thresholds judge old findings without measuring again.

A criterion passes when the bound it names clears its threshold, fails when the opposite bound does not reach it, and
is inconclusive between. What is missing, expired or of the wrong kind is not estimable: silence never passes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from salus.errors import nearest
from salus.findings import Finding
from salus.programme.protocol import Bound, Criterion, Protocol, Threshold

CLOCKS_DIFFER = timedelta(hours=1)
"""How far ahead of our clock that of another machine may be."""
BEYOND_REACH = 1_000_000_000
"""So many further patients are none: the value lies on the threshold."""
NAMED = 3
"""Criteria named in a sentence before it says how many more there are."""


class Verdict(StrEnum):
    """What a gate answers. NOT_APPLICABLE needs a signature, so this version never gives it."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_ESTIMABLE = "NOT_ESTIMABLE"
    NOT_APPLICABLE = "NOT_APPLICABLE"


WORST_FIRST = (Verdict.FAIL, Verdict.NOT_ESTIMABLE, Verdict.INCONCLUSIVE)
NAMES = {
    Bound.LOWER: "lower bound",
    Bound.UPPER: "upper bound",
    Bound.BOTH: "bounds",
    Bound.POINT: "value",
}
SAYING_OF_BOUNDS = {
    Bound.LOWER: ("clears", "does not clear"),
    Bound.UPPER: ("clears", "does not clear"),
    Bound.BOTH: ("both lie", "do not both lie"),
    Bound.POINT: ("clears", "does not clear"),
}
SAYING = {
    Verdict.FAIL: "fail",
    Verdict.NOT_ESTIMABLE: "cannot be estimated",
    Verdict.INCONCLUSIVE: "are inconclusive",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One criterion with its verdict, the finding it rests on, and the events still needed where that is known."""

    criterion: Criterion
    verdict: Verdict
    finding: Finding | None
    reason: str
    further_events: int | None = None

    def as_json(self) -> dict[str, str | float | int | None]:
        """The row of this criterion in ``salus gate --json`` and summary.json."""
        asked, found = self.criterion, self.finding
        return {
            "id": asked.id,
            "metric": asked.metric,
            "population": found.population if found else asked.population,
            "value": found.value if found else None,
            "lower": found.lower if found else None,
            "upper": found.upper if found else None,
            "bound": asked.bound.value,
            "threshold": asked.threshold.text,
            "verdict": self.verdict.value,
            "reason": self.reason,
            "severity": asked.severity.value,
            "patients": found.patients if found else None,
            "events": found.events if found else None,
            "further_events": self.further_events,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdict of a gate. ``exploratory`` says why the evidence can open nothing; empty where it can."""

    gate: str
    version: int
    verdict: Verdict
    reason: str
    criteria: tuple[Judged, ...]
    exploratory: str
    protocol_digest: str
    bundle_digest: str

    def as_json(self) -> dict[str, object]:
        """What ``salus gate --json`` prints and summary.json holds."""
        return {
            "gate": self.gate,
            "version": self.version,
            "verdict": self.verdict.value,
            "reason": self.reason,
            "exploratory": self.exploratory,
            "protocol": self.protocol_digest,
            "bundle": self.bundle_digest,
            "criteria": [judged.as_json() for judged in self.criteria],
        }


def judge(
    protocol: Protocol, findings: Sequence[Finding], *, now: datetime, bundle_digest: str = ""
) -> Judgement:
    """Judge ``findings`` by ``protocol``. ``now`` (with its zone) decides what has expired."""
    criteria = tuple(judge_criterion(criterion, findings, now=now) for criterion in protocol.criteria)
    exploratory = _exploratory(protocol, criteria)
    verdict, reason = _overall(criteria)
    if verdict is Verdict.PASS and exploratory:
        verdict, reason = Verdict.INCONCLUSIVE, f"{reason}, but the evidence is exploratory: {exploratory}"
    return Judgement(
        gate=protocol.gate,
        version=protocol.version,
        verdict=verdict,
        reason=reason,
        criteria=criteria,
        exploratory=exploratory,
        protocol_digest=protocol.digest,
        bundle_digest=bundle_digest,
    )


def judge_criterion(criterion: Criterion, findings: Sequence[Finding], *, now: datetime) -> Judged:
    """Judge one criterion: find its finding, see whether it may be used, then look at its bounds."""
    found = matching(criterion, findings)
    if len(found) != 1:
        why = _several(criterion, found) if found else _none(criterion, findings)
        return Judged(criterion=criterion, verdict=Verdict.NOT_ESTIMABLE, finding=None, reason=why)
    finding = found[0]
    unusable = _unusable(criterion, finding, now)
    if unusable:
        return Judged(criterion=criterion, verdict=Verdict.NOT_ESTIMABLE, finding=finding, reason=unusable)
    verdict, reason, further = _too_few(criterion, finding) or _by_bounds(criterion, finding)
    return Judged(
        criterion=criterion, verdict=verdict, finding=finding, reason=reason, further_events=further
    )


def matching(criterion: Criterion, findings: Sequence[Finding]) -> list[Finding]:
    """Every finding that a criterion can mean; a population or comparison it leaves out may be any."""
    return [
        finding
        for finding in findings
        if finding.metric == criterion.metric
        and criterion.population in ("", finding.population)
        and criterion.comparison in ("", finding.comparison)
    ]


def _none(criterion: Criterion, findings: Sequence[Finding]) -> str:
    measured = [finding for finding in findings if finding.metric == criterion.metric]
    if not measured:
        return f"{criterion.metric} was not measured"
    populations = sorted({finding.population for finding in measured})
    if criterion.population and criterion.population not in populations:
        return (
            f"{criterion.metric} was not measured on '{criterion.population}'"
            f"{nearest(criterion.population, populations)}"
        )
    comparisons = sorted({finding.comparison for finding in measured})
    return (
        f"{criterion.metric} was not measured with the comparison '{criterion.comparison}'"
        f"{nearest(criterion.comparison, comparisons)}"
    )


def _several(criterion: Criterion, found: Sequence[Finding]) -> str:
    which = "population" if len({finding.population for finding in found}) > 1 else "comparison"
    names = sorted({getattr(finding, which) for finding in found})
    if len(names) == 1:
        return f"{len(found)} findings say the same of {criterion.metric}: measure again"
    return (
        f"{len(found)} findings fit; name the `{which}`: one of {', '.join(repr(name) for name in names[:6])}"
    )


def _unusable(criterion: Criterion, finding: Finding, now: datetime) -> str:
    """Why a finding says nothing about a criterion, or the empty string."""
    if finding.value is None or not math.isfinite(finding.value):
        return f"no value: {finding.reason or 'no reason was given'}"
    if finding.grade > criterion.min_grade:
        return f"its grade is {finding.grade}; {criterion.min_grade} or better is asked"
    if criterion.bound is not Bound.POINT:
        if not (_finite(finding.lower) and _finite(finding.upper)):
            return "it has no bounds" + (f": {finding.reason}" if finding.reason else "")
        if _or_nan(finding.lower) > _or_nan(finding.upper):
            return "its lower bound lies above its upper bound"
        if not math.isclose(finding.level, criterion.level, abs_tol=1e-9):
            return f"its bounds are of level {finding.level:g}; {criterion.level:g} is asked"
    return _out_of_date(criterion, finding, now)


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def measured_at(finding: Finding) -> datetime | None:
    """When a finding was measured; None where it does not say, or not with its zone."""
    try:
        moment = datetime.fromisoformat(finding.created)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _out_of_date(criterion: Criterion, finding: Finding, now: datetime) -> str:
    if criterion.max_age is None:
        return ""
    created = measured_at(finding)
    if created is None:
        return "it does not say when it was measured"
    if created > now + CLOCKS_DIFFER:
        return f"it was measured on {created.date()}, which is still to come: see to the clock"
    expired = criterion.max_age.after(created)
    return f"it expired on {expired.date()}: measured on {created.date()}" if expired < now else ""


Answer = tuple[Verdict, str, int | None]


def _too_few(criterion: Criterion, finding: Finding) -> Answer | None:
    if criterion.min_events and finding.events is None:
        return Verdict.NOT_ESTIMABLE, "it does not say how many events it rests on", None
    events = criterion.min_events - (finding.events or 0)
    if events > 0:
        few = f"{finding.events:,} events of at least {criterion.min_events:,}: {events:,} further events"
        return Verdict.INCONCLUSIVE, few, events
    patients = criterion.min_patients - finding.patients
    if patients > 0:
        few = f"{finding.patients:,} patients of at least {criterion.min_patients:,}: {patients:,} further patients"
        return Verdict.INCONCLUSIVE, few, None
    return None


def _by_bounds(criterion: Criterion, finding: Finding) -> Answer:
    asked, bound = criterion.threshold, criterion.bound
    value, lower, upper = (_or_nan(each) for each in (finding.value, finding.lower, finding.upper))
    named = {
        Bound.LOWER: (lower,),
        Bound.UPPER: (upper,),
        Bound.BOTH: (lower, upper),
        Bound.POINT: (value,),
    }[bound]
    said = f"the {NAMES[bound]} {' and '.join(asked.figure(each) for each in named)}"
    clears, does_not = SAYING_OF_BOUNDS[bound]
    if all(asked.cleared_by(each) for each in named):
        return Verdict.PASS, f"{said} {clears} {asked.text}", None
    if bound is Bound.POINT:
        return Verdict.FAIL, f"{said} {does_not} {asked.text}", None
    if _out_of_reach(bound, asked, lower, upper):
        return Verdict.FAIL, _missed(bound, asked, lower, upper), None
    short = f"{said} {does_not} {asked.text}"
    if not _or(asked.low, -math.inf) < value < _or(asked.high, math.inf):
        why = f"{short}, nor does the value {asked.figure(value)}: more patients alone do not help"
        return Verdict.INCONCLUSIVE, why, None
    return _still_needed(short, finding, asked)


def _out_of_reach(bound: Bound, asked: Threshold, lower: float, upper: float) -> bool:
    """Whether no value of the interval would do."""
    if bound is Bound.BOTH:
        return upper < _or(asked.low, -math.inf) or lower > _or(asked.high, math.inf)
    return not asked.cleared_by(upper if bound is Bound.LOWER else lower)


def _missed(bound: Bound, asked: Threshold, lower: float, upper: float) -> str:
    if bound is Bound.BOTH:
        limits = asked.text.removeprefix("in ")
        return f"the whole interval {asked.figure(lower)} to {asked.figure(upper)} lies outside {limits}"
    end, opposite = ("upper", upper) if bound is Bound.LOWER else ("lower", lower)
    return f"even the {end} bound {asked.figure(opposite)} does not reach {asked.text}"


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _or_nan(value: float | None) -> float:
    """What is missing compares false with everything, so it clears nothing."""
    return _or(value, math.nan)


def _still_needed(short: str, finding: Finding, asked: Threshold) -> Answer:
    counted, what = (finding.events, "events") if finding.events else (finding.patients, "patients")
    needed = needed_to_clear(finding, asked, counted=counted)
    if not needed <= BEYOND_REACH:
        return Verdict.INCONCLUSIVE, f"{short}: the value lies on the threshold", None
    further = max(math.ceil(needed) - counted, 1)
    said = f"{short}: about {further:,} further {what} would do, if the value stays"
    return Verdict.INCONCLUSIVE, said, further if finding.events else None


def needed_to_clear(finding: Finding, asked: Threshold, *, counted: int) -> float:
    """How many events (or patients) it takes until the bounds clear, if the value stays where it is.

    The distance of a bound from the value shrinks as 1/√n. With 100 events, a value of 0.80 and a lower bound of 0.70,
    a threshold of 0.75 is half as far from the value as the bound: it takes four times the events, 400.
    """
    value, lower, upper = (_or_nan(each) for each in (finding.value, finding.lower, finding.upper))
    widest = 1.0
    if asked.low is not None:
        widest = max(widest, (value - lower) / (value - asked.low))
    if asked.high is not None:
        widest = max(widest, (upper - value) / (asked.high - value))
    # Rounded, because 0.8 - 0.7 is not quite 0.1 and one event more would be asked for.
    return round(counted * widest * widest, 6)


def _exploratory(protocol: Protocol, criteria: Sequence[Judged]) -> str:
    """Why this evidence can open nothing, or the empty string."""
    if protocol.exploratory:
        return protocol.exploratory
    if protocol.frozen_at is None:
        return f"version {protocol.version} of the protocol is not frozen"
    early = [judged for judged in criteria if judged.finding and _before(judged.finding, protocol.frozen_at)]
    if early:
        which = _listed([judged.criterion.id for judged in early])
        return f"measured before the protocol was frozen on {protocol.frozen_at.date()}: {which}"
    return ""


def _before(finding: Finding, frozen_at: datetime) -> bool:
    created = measured_at(finding)
    return created is None or created < frozen_at


def _overall(criteria: Sequence[Judged]) -> tuple[Verdict, str]:
    if not criteria:
        return Verdict.NOT_ESTIMABLE, "the protocol has no criterion"
    for verdict in WORST_FIRST:
        these = [judged.criterion.id for judged in criteria if judged.verdict is verdict]
        if these:
            return (
                verdict,
                f"{len(these)} of {len(criteria)} criteria {SAYING[verdict]}: {_listed(these)}",
            )
    return Verdict.PASS, f"all {len(criteria)} criteria pass"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")

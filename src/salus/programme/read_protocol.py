"""Read a protocol.yaml strictly: a criterion that nobody could measure or meet is refused, not passed over.

Every key is explained in docs/reference/protocol.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from salus.errors import (
    MetricUnknown,
    ProtocolFileError,
    ProtocolValueError,
    SourceError,
    SourceFileError,
    nearest,
)
from salus.findings import METRICS, Grade, file_digest
from salus.formats.strict_yaml import Section, read_section
from salus.programme.protocol import Age, Bound, Criterion, Protocol, Severity, SignOff, StopRule
from salus.programme.read_limits import check_direction, check_fit, read_age, read_count, read_threshold
from salus.programme.usecase import State

TIERS = ("1", "2", "3")
HIGH_STAKES = 3
ACTIONS = ("pause", "suspend", "retire")
FORM = "correct it; docs/reference/protocol.md explains every key of a protocol.yaml"


def read_protocol(path: Path) -> Protocol:
    """Read a protocol.yaml as it stands; whether it is frozen is said beside it (:mod:`.freezing`).

    Raises ProtocolFileError (SAL-601), ProtocolValueError (SAL-602), MetricUnknown (SAL-603).
    """
    try:
        return replace(_protocol(read_section(path)), digest=file_digest(path))
    except SourceFileError as error:
        quoted = '; put thresholds in quotes: ">= 0.85"' if "YAML" in error.what else ""
        raise ProtocolFileError(error.what, where=error.where, fix=error.fix + quoted) from error
    except SourceError as error:
        fix = FORM if "csv_source" in error.fix else error.fix
        raise ProtocolValueError(error.what, where=error.where, fix=fix) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Defaults:
    """What holds for every criterion that does not say otherwise."""

    test_set: str
    tier: int
    level: float = 0.95
    min_grade: Grade = Grade.A
    max_age: Age | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """One of the criteria that an entry stands for."""

    suffix: str
    population: str
    threshold: str


def _protocol(content: Section) -> Protocol:
    head = content.section("protocol")
    if head.has("frozen"):
        raise head.wrong("'frozen' is not said here", "remove it; `salus freeze` writes protocol.frozen.json")
    version, test_set = read_count(head, "version"), head.text("test_set", "held_out")
    tier = int(head.one_of("tier", TIERS))
    head.done()
    if version < 1:
        raise head.wrong(
            "a protocol needs a version", "write 'version: 1', and a higher one with each change"
        )
    defaults = _defaults(content, _Defaults(test_set=test_set, tier=tier))
    protocol = Protocol(
        gate=_gate(content),
        version=version,
        tier=tier,
        test_set=test_set,
        criteria=_all_criteria(content, defaults),
        exploratory=" ".join(content.text("exploratory", "").split()),
        stop_rules=tuple(
            _stop_rule(Section(item, file=content.file, place=f"stop_rules[{number}]"))
            for number, item in enumerate(content.items("stop_rules"))
        ),
        sign_off=_sign_off(content.section("signoff")) if content.has("signoff") else None,
        not_judged=content.words("not_judged"),
    )
    content.done()
    return protocol


def _gate(content: Section) -> str:
    gate, states = content.text("gate"), [state.value for state in State]
    ends = gate.split("->")
    if len(ends) != 2:
        raise content.wrong(f"'gate' cannot be '{gate}'", "write the states it lies between: model->silent")
    for end in ends:
        if end not in states:
            raise content.wrong(
                f"'gate' names '{end}', which is no state{nearest(end, states)}",
                f"use two of: {', '.join(states)}",
            )
    return gate


def _defaults(content: Section, fallback: _Defaults) -> _Defaults:
    if not content.has("defaults"):
        return fallback
    written = content.section("defaults")
    given = replace(
        fallback,
        level=_level(written, fallback),
        min_grade=_grade(written, fallback),
        max_age=read_age(written, "max_age"),
    )
    written.done()
    return given


def _all_criteria(content: Section, defaults: _Defaults) -> tuple[Criterion, ...]:
    criteria: list[Criterion] = []
    for number, item in enumerate(content.items("criteria")):
        entry = Section(item, file=content.file, place=f"criteria[{number}]")
        criteria += [_criterion(entry, target, defaults) for target in _targets(entry, defaults)]
        entry.done()
    if not criteria:
        raise content.wrong(
            "the protocol has no criterion, so nothing could fail it", "add one under 'criteria:'"
        )
    names = [criterion.id for criterion in criteria]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise content.wrong(f"two criteria are called '{twice[0]}'", "give each an 'id' of its own")
    return tuple(criteria)


def _targets(entry: Section, defaults: _Defaults) -> Iterator[_Target]:
    """One target for each outcome and each group that an entry names."""
    ways = [key for key in ("population", "outcomes", "thresholds") if entry.has(key)]
    if len(ways) > 1:
        raise entry.wrong(f"'{ways[0]}' and '{ways[1]}' say whom it is about twice", "remove one of the two")
    places = _places(entry, defaults.test_set)
    if not places:
        raise entry.wrong(f"'{ways[0]}' names no outcome", "name at least one, as task.yaml calls it")
    groups = entry.words("groups")
    for place in places:
        yield from _of_groups(entry, place, groups) if groups else (place,)


def _places(entry: Section, test_set: str) -> list[_Target]:
    if entry.has("thresholds"):
        if entry.has("threshold"):
            raise entry.wrong("'threshold' and 'thresholds' contradict each other", "keep one of the two")
        outcomes = entry.pairs("thresholds")
    elif entry.has("outcomes"):
        outcomes = tuple((outcome, entry.text("threshold")) for outcome in entry.words("outcomes"))
    else:
        return [
            _Target(suffix="", population=entry.text("population", ""), threshold=entry.text("threshold"))
        ]
    return [
        _Target(suffix=f"-{outcome}", population=f"{test_set}: {outcome}", threshold=text)
        for outcome, text in outcomes
    ]


def _of_groups(entry: Section, place: _Target, groups: tuple[str, ...]) -> Iterator[_Target]:
    if not place.population:
        raise entry.wrong("'groups' of which population?", "add 'outcomes:' or 'population:'")
    for group in groups:
        yield replace(
            place,
            suffix=f"{place.suffix}-{re.sub(r'[^A-Za-z0-9_]+', '-', group)}",
            population=f"{place.population}; {group}",
        )


def _criterion(entry: Section, target: _Target, defaults: _Defaults) -> Criterion:
    metric = _metric(entry)
    criterion = Criterion(
        id=_name(entry) + target.suffix,
        evidence=metric.split(".")[0],
        metric=metric,
        population=target.population,
        comparison=entry.text("comparison", ""),
        bound=Bound(entry.one_of("bound", [bound.value for bound in Bound])),
        threshold=read_threshold(entry, target.threshold),
        severity=Severity(entry.one_of("severity", [severity.value for severity in Severity])),
        level=_level(entry, defaults),
        min_patients=read_count(entry, "min_patients"),
        min_events=read_count(entry, "min_events"),
        min_grade=_grade(entry, defaults),
        max_age=read_age(entry, "max_age") or defaults.max_age,
    )
    check_fit(entry, criterion.bound, criterion.threshold)
    check_direction(entry, metric, criterion.threshold)
    if criterion.max_age is None:
        raise entry.wrong("how old may the evidence be?", "add 'max_age: P180D', here or under 'defaults'")
    if (
        defaults.tier == HIGH_STAKES
        and criterion.severity is Severity.SAFETY
        and criterion.min_grade > Grade.B
    ):
        raise entry.wrong(
            f"at tier 3, safety cannot rest on evidence of grade {criterion.min_grade}",
            "write 'min_grade: A' or B",
        )
    return criterion


def _name(entry: Section) -> str:
    name = entry.text("id")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise entry.wrong(f"'id' cannot be '{name}'", "use letters, digits, hyphens and underscores")
    return name


def _metric(entry: Section) -> str:
    metric = _known(entry, entry.text("metric"))
    kind = metric.split(".")[0]
    if entry.text("evidence") != kind:
        raise entry.wrong(f"'{metric}' is evidence of the kind '{kind}'", f"write 'evidence: {kind}'")
    return metric


def _known(entry: Section, metric: str) -> str:
    if metric not in METRICS:
        alike = [name for name in METRICS if name.split(".")[0] == metric.split(".")[0]]
        raise MetricUnknown(
            f"nobody measures '{metric}'{nearest(metric, METRICS)}",
            where=f"{entry.file}, {entry.place}",
            fix=f"use one of: {', '.join(alike or METRICS)}",
        )
    return metric


def _level(content: Section, defaults: _Defaults) -> float:
    level = content.number("level")
    if level is None:
        return defaults.level
    if not 0.5 <= level < 1:
        raise content.wrong("'level' must lie between 0.5 and 1", "write 'level: 0.95'")
    return level


def _grade(content: Section, defaults: _Defaults) -> Grade:
    return Grade(content.one_of("min_grade", [grade.value for grade in Grade], defaults.min_grade.value))


def _stop_rule(content: Section) -> StopRule:
    metric = content.text("metric")
    if "." in metric:
        metric = _known(content, metric)
    rule = StopRule(
        metric=metric,
        bound=Bound(content.one_of("bound", [bound.value for bound in Bound])),
        threshold=read_threshold(content, content.text("threshold")),
        action=content.one_of("action", ACTIONS),
    )
    content.done()
    check_fit(content, rule.bound, rule.threshold)
    return rule


def _sign_off(content: Section) -> SignOff:
    sign_off = SignOff(
        quorum=read_count(content, "quorum"),
        roles=content.words("roles"),
        author_excluded=content.flag("author_excluded"),
    )
    content.done()
    if not 1 <= sign_off.quorum <= len(sign_off.roles):
        raise content.wrong("the quorum must be between 1 and the number of roles", "write 'quorum: 2'")
    return sign_off

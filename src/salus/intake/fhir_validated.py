"""Validation while FHIR is read: what breaks R4 is counted by rule and element, or turned away; never its values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from typing import Any

import numpy as np

from salus.formats.fhir_validation.issues import ERROR, Issue
from salus.formats.fhir_validation.quick import QuickWay
from salus.formats.fhir_validation.validating import validate_frame
from salus.intake.fhir_groups import Group, kind_of
from salus.intake.parts import Counted, PartRead, rejection_frame

INVALID = "not as FHIR R4 says"
MOST_PLACES = 20
"""Places that are told of one rule at one element, a part of the source."""


class Validation(StrEnum):
    """What to do with resources that break R4: nothing, count them, or turn them away as well."""

    OFF = "off"
    COUNT = "count"
    REJECT = "reject"


@dataclass(slots=True)
class Validating:
    """Validates what is read of one part of a source."""

    mode: Validation
    told: Counter[tuple[str, str]] = field(default_factory=Counter)

    def group(self, group: Group) -> tuple[Group, PartRead | None]:
        """Look at resources of one type: those that may go on, and what was found."""
        if self.mode is Validation.OFF:
            return group, None
        tally = _Tally()
        way, unjudged = _way(), list[str]()
        for number in range(len(group.resources)):
            issues = way.issues(group.raw(number), unjudged)
            if issues:
                tally.add(issues, number)
        tally.unchecked.update(unjudged)
        found = self._read(group.kind, tally, group)
        if self.mode is Validation.COUNT or not tally.wrong:
            return group, found
        rows = [
            (group.file(number), int(group.lines[number]), issue.where, f"{INVALID}: {issue.rule}")
            for number, issue in tally.wrong.items()
        ]
        count = len(rows)
        counted = {group.kind: Counted(count, 0, count)}
        return _without(group, tally.wrong), replace(found, rejected=rejection_frame(rows), counted=counted)

    def document(self, raw: bytes, name: str) -> Iterator[PartRead]:
        """Look at a Bundle itself; its resources are looked at one by one. It is counted only, whatever the mode."""
        if self.mode is not Validation.OFF and kind_of(raw) == "Bundle":
            tally = _Tally()
            tally.add(validate_frame(raw).issues, 0)
            if tally.every:
                yield self._read("Bundle", tally, _Whole(name))

    def _read(self, kind: str, tally: _Tally, group: Group | _Whole) -> PartRead:
        noted = Counter(f"{issue.severity}s: {issue.rule} at {issue.path}" for _, issue in tally.every)
        noted.update({f"not judged: {what}": count for what, count in tally.unchecked.items()})
        noted[f"{INVALID} (errors)"] = len(tally.wrong)
        places = []
        for number, issue in tally.every:
            self.told[issue.rule, issue.path] += 1
            if self.told[issue.rule, issue.path] <= MOST_PLACES:
                line = int(group.lines[number])
                places.append((group.file(number), line, issue.where, f"{issue.rule}: {issue.words}"))
        return PartRead(
            noted={kind: +noted},
            issues=rejection_frame(places),
        )


@dataclass(slots=True)
class _Tally:
    """What was found in a group: ``wrong``: of each resource with errors the first."""

    every: list[tuple[int, Issue]] = field(default_factory=list)
    wrong: dict[int, Issue] = field(default_factory=dict)
    unchecked: Counter[str] = field(default_factory=Counter)

    def add(self, issues: Sequence[Issue], number: int) -> None:
        """Take what was found in one resource."""
        self.every += [(number, issue) for issue in issues]
        first = next((issue for issue in issues if issue.severity == ERROR), None)
        if first is not None:
            self.wrong[number] = first


@dataclass(frozen=True, slots=True)
class _Whole:
    """A file as the one thing that is looked at."""

    name: str
    lines: tuple[int, ...] = (1,)

    def file(self, _: int) -> str:
        """Its name."""
        return self.name


def _without(group: Group, wrong: dict[int, Issue]) -> Group:
    """The same group without some of its resources."""
    kept = [number for number in range(len(group.resources)) if number not in wrong]
    files: Any = group.files if isinstance(group.files, str) else [group.files[number] for number in kept]
    return replace(
        group,
        resources=[group.resources[number] for number in kept],
        lines=group.lines[np.array(kept, dtype=np.int64)],
        content=group.content[np.array(kept, dtype=np.int64)],
        raw=lambda number: group.raw(kept[number]),
        files=files,
    )


@cache
def _way() -> QuickWay:
    """One a process: it remembers the codes that it has met."""
    return QuickWay()

"""A protocol: what must be shown before a use case may go on, fixed before anyone looks at the test patients."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from salus.findings import Grade

MOST_DECIMALS = 9


class Bound(StrEnum):
    """Which end of the interval must clear the threshold; ``point`` looks at the value and forgives all doubt."""

    LOWER = "lower"
    UPPER = "upper"
    BOTH = "both"
    POINT = "point"


class Severity(StrEnum):
    """What is at stake. All three close the gate; the word says who must care."""

    SAFETY = "safety"  # a patient may come to harm
    RELEASE = "release"  # something leaves that must not, or is not what it is taken for
    VALUE = "value"  # it may not be worth its cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """What is asked, as written and as numbers; ``strict``: the limit itself does not clear."""

    text: str
    low: float | None = None
    high: float | None = None
    strict: bool = False

    def cleared_by(self, value: float) -> bool:
        """Whether a value is on the right side.

        >>> Threshold(text=">= 0.8", low=0.8).cleared_by(0.8)
        True
        """
        above = self.low is None or value > self.low or (value == self.low and not self.strict)
        below = self.high is None or value < self.high or (value == self.high and not self.strict)
        return above and below

    def figure(self, value: float) -> str:
        """Write a value with three decimals, or as many as tell it from the limits.

        >>> Threshold(text=">= 0.95", low=0.95).figure(0.94996)
        '0.94996'
        """
        limits = [limit for limit in (self.low, self.high) if limit is not None and limit != value]
        for decimals in range(3, MOST_DECIMALS):
            if all(round(value, decimals) != round(limit, decimals) for limit in limits):
                return f"{value:.{decimals}f}"
        return f"{value:.{MOST_DECIMALS}f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Age:
    """How old a finding may be, in calendar months and days; ``text`` as written (ISO 8601)."""

    text: str
    months: int = 0
    days: int = 0

    def after(self, moment: datetime) -> datetime:
        """When something of ``moment`` expires.

        >>> Age(text="P1M", months=1).after(datetime(2026, 1, 31)).date().isoformat()
        '2026-02-28'
        """
        year, month = divmod(moment.year * 12 + moment.month - 1 + self.months, 12)
        day = min(moment.day, calendar.monthrange(year, month + 1)[1])
        return moment.replace(year=year, month=month + 1, day=day) + timedelta(days=self.days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One thing that must be shown: which finding, which of its bounds, which threshold.

    ``population`` and ``comparison`` may be empty where only one finding can be meant.
    """

    id: str
    evidence: str
    metric: str
    bound: Bound
    threshold: Threshold
    severity: Severity
    population: str = ""
    comparison: str = ""
    level: float = 0.95
    min_patients: int = 0
    min_events: int = 0
    min_grade: Grade = Grade.D
    max_age: Age | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule:
    """When a use case that already runs must stop, and what then happens. Nobody watches these in this version."""

    metric: str
    bound: Bound
    threshold: Threshold
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOff:
    """Who must sign once the gate passes. This version has no signatures: people read it."""

    quorum: int
    roles: tuple[str, ...]
    author_excluded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """Criteria with what they belong to. ``digest``: SHA-256 of the file; ``frozen_at``: None until it is frozen.

    ``exploratory`` says why evidence can open nothing, and is empty where it can. ``not_judged`` says what no
    criterion asks for, so that nobody takes silence for a pass.
    """

    gate: str
    version: int
    tier: int
    test_set: str
    criteria: tuple[Criterion, ...]
    exploratory: str = ""
    stop_rules: tuple[StopRule, ...] = ()
    sign_off: SignOff | None = None
    not_judged: tuple[str, ...] = ()
    digest: str = ""
    frozen_at: datetime | None = None

    @property
    def frozen(self) -> bool:
        """Whether it was frozen as it stands."""
        return self.frozen_at is not None

"""A use case as its usecase.yaml tells it: what it is for, for whom, not for what, and how far it is.

Every key is explained in docs/reference/protocol.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise


class State(StrEnum):
    """How far a use case is on the road, or why it left it."""

    IDEA = "idea"
    READINESS = "readiness"
    DATA = "data"
    MODEL = "model"
    SILENT = "silent"
    SUPERVISED = "supervised"
    PRODUCTION = "production"
    PAUSED = "paused"
    RETIRED = "retired"
    REVIEW_DUE = "review-due"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What people must know before they use it."""

    purpose: str
    users: tuple[str, ...]
    patients: str
    not_for: tuple[str, ...]
    limits: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Codes a record must have, and codes that are looked at; ``used`` is empty where everything known is."""

    required: tuple[str, ...]
    used: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Ages from ``low`` up to, but without, ``high``; None: open at that end."""

    name: str
    low: int | None
    high: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRule:
    """How patients are cut into groups: by the ``code`` each group has, or by age at the index, cut at ``cuts``.

    ``codes`` holds pairs of group and code. A group's name in a finding is label and group: "sex F", "age 50 to 64".
    """

    label: str
    codes: tuple[tuple[str, str], ...] = ()
    cuts: tuple[int, ...] = ()

    @property
    def bands(self) -> tuple[Band, ...]:
        """The age bands between the cuts, youngest first.

        >>> [band.name for band in GroupRule(label="age", cuts=(50, 65)).bands]
        ['under 50', '50 to 64', '65 or over']
        """
        if not self.cuts:
            return ()
        first, last = self.cuts[0], self.cuts[-1]
        return (
            Band(name=f"under {first}", low=None, high=first),
            *(Band(name=f"{low} to {high - 1}", low=low, high=high) for low, high in pairwise(self.cuts)),
            Band(name=f"{last} or over", low=last, high=None),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCase:
    """What a use case says of itself. ``tier``: 1 administrative, 2 decision support, 3 high stakes."""

    name: str
    title: str
    kind: str
    state: State
    tier: int
    owner: str | None
    card: Card
    inputs: Inputs
    groups: tuple[GroupRule, ...]
    baseline: str

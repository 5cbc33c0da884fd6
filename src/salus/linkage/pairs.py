"""Records, pairs of them, and how a pair stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from salus.linkage.comparing import Agreement


class Record(NamedTuple):
    """One patient of one system, by the pseudonym of that system's timeline."""

    system: str
    subject: int

    def __str__(self) -> str:
        return f"{self.system}/{self.subject}"


class Pair(NamedTuple):
    """Two records, the first by name to the left."""

    left: Record
    right: Record

    def __str__(self) -> str:
        return f"{self.left} = {self.right}"


def pair_of(one: Record, other: Record) -> Pair:
    """The pair of two records, whichever is named first.

    >>> str(pair_of(Record("lab", 7), Record("clinic", 9)))
    'clinic/9 = lab/7'
    """
    return Pair(*sorted((one, other)))


class Standing(StrEnum):
    """What is held of a pair."""

    ACCEPTED = "accepted"
    DOUBTFUL = "doubtful"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A pair with its weight in bits, and how far each field agrees."""

    pair: Pair
    weight: float
    fields: Mapping[str, Agreement]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the comparison alone makes of a pair, and why."""

    compared: Compared
    standing: Standing
    reason: str

"""The contract: every use case, clinical or not, answers the same eight questions.

``card`` what it is for, and not for · ``needs`` what it must know · ``baseline`` what the simplest honest rule says ·
``propose`` candidates, within a budget · ``check`` what blocks and what warns · ``explain`` where a number comes from ·
``write`` back to the record, and undone exactly · ``score`` how good it is, beside the baseline, group by group.

A kind of use case is a folder beside this file (:mod:`salus.usecases.kinds` finds it); docs/explanation/use-cases.md
shows how to add one.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import polars as pl

from salus.findings import Finding
from salus.outlet.fhir_transaction import Transaction
from salus.programme.usecase import Card, State
from salus.usecases.citing import Sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class CardOfUse:
    """What it is for, for whom and not for what; how far it is; what is at stake (tier 1 to 3)."""

    title: str
    card: Card
    state: State
    tier: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One input that is there. ``patients``: of how many it is known; None: it is not about patients."""

    name: str
    meaning: str
    patients: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """One input that is not there: unknown, which is not the same as negative.

    ``patients``: of how many it is unknown; None: it is missing altogether.
    """

    name: str
    meaning: str
    reason: str
    patients: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a use case must know, as far as it does."""

    given: tuple[Need, ...]
    missing: tuple[Missing, ...]

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What the simplest honest rule says, in sentences; ``risks``: by patient and outcome, where it says that."""

    name: str
    sentences: tuple[Sentence, ...]
    risks: pl.DataFrame | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How long a proposal may take. The ``clock`` is seconds that only go forward."""

    seconds: float
    clock: Callable[[], float] = time.monotonic

    def pieces(self, count: int) -> Iterator[int]:
        """Count from 0 to ``count`` - 1, ending early where one more piece like the longest so far would not fit.

        >>> ticks = iter([0.0, 0.0, 4.0, 8.0])
        >>> list(Budget(seconds=10, clock=lambda: next(ticks)).pieces(5))
        [0, 1]
        """
        began = before = self.clock()
        longest = 0.0
        for number in range(count):
            now = self.clock()
            longest = max(longest, now - before)
            if now - began + longest > self.seconds or self.seconds <= 0:
                return
            before = now
            yield number


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Candidates, numbered from 1 in the column ``candidate`` of ``rows``; the same for the same seed and ``digests``.

    ``stopped`` says why fewer were made than asked for; empty where all were. ``missing``: what was not known, so that
    some candidates say nothing.
    """

    kind: str
    asked: int
    made: int
    seed: int
    rows: pl.DataFrame
    digests: Mapping[str, str]
    stopped: str = ""
    missing: tuple[Missing, ...] = ()

    def as_bytes(self) -> bytes:
        """Everything that was proposed; equal proposals are equal byte by byte."""
        head = {
            "kind": self.kind,
            "made": self.made,
            "seed": self.seed,
            "digests": dict(sorted(self.digests.items())),
        }
        return json.dumps(head, sort_keys=True).encode() + b"\n" + self.rows.write_csv().encode()

    @property
    def digest(self) -> str:
        """The name of what was proposed: SHA-256 of :meth:`as_bytes`."""
        return hashlib.sha256(self.as_bytes()).hexdigest()


class Weight(StrEnum):
    """What a concern does: a block cannot be passed; a warning can be overridden, with a reason."""

    BLOCK = "block"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Concern:
    """Something against using a proposal. ``id`` is by which a warning is overridden."""

    id: str
    weight: Weight
    sentence: Sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What may be shown, in order: first the baseline, then why something is withheld, then what was proposed."""

    baseline: Baseline
    withheld: tuple[Sentence, ...]
    sentences: tuple[Sentence, ...]

    @property
    def all_sentences(self) -> tuple[Sentence, ...]:
        """Every sentence in the order of showing."""
        return (*self.baseline.sentences, *self.withheld, *self.sentences)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How to write. ``overrides``: warning -> reason; ``asked_by``: who is answerable, as the audit trail names them.

    ``patients``: where the receiving system keeps each subject ("Patient/12"). ``earlier``: resources it holds that
    this writing corrects, by what they are about (each kind says how). ``form``: the kind's own word for another shape;
    empty: the best that the receiving system takes. ``server``: what that system says of itself, its
    CapabilityStatement; empty: nobody asked it.
    """

    asked_by: str = "salus"
    overrides: Mapping[str, str] = field(default_factory=dict)
    patients: Mapping[int, str] = field(default_factory=dict)
    earlier: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    form: str = ""
    server: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What is sent, and what has no place in the form it is sent in: how many rows of which code.

    ``transaction.undo(answer)`` gives the exact compensating transaction, from the server's answer.
    """

    transaction: Transaction
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One finding about the use case, and the same of the baseline where it was measured."""

    finding: Finding
    baseline: Finding | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """What was measured in one group ("sex", "F"); what could not be has no value, and a reason."""

    label: str
    group: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How good it is: findings with intervals, the baseline beside, and group by group."""

    entries: tuple[Scored, ...]
    slices: tuple[Slice, ...]


class UseCaseKind(Protocol):
    """A use case, opened: it answers eight questions."""

    @property
    def card(self) -> CardOfUse:
        """What is it for, for whom, and not for what?"""
        ...

    def needs(self) -> Needs:
        """What must it know, and what of that is unknown?"""
        ...

    def baseline(self) -> Baseline:
        """What does current practice or the simplest honest rule say? Always answers."""
        ...

    def propose(self, n: int, *, seed: int, budget: Budget) -> Proposal:
        """Which ``n`` candidates are there? Stops cleanly at the budget with those so far, and says so."""
        ...

    def check(self, proposal: Proposal) -> tuple[Concern, ...]:
        """What speaks against using it?"""
        ...

    def explain(self, proposal: Proposal) -> Explanation:
        """What may be said of it, and where does every number come from?"""
        ...

    def write(self, proposal: Proposal, order: Order) -> Written:
        """How does it go back to the record?

        Raises ProposalBlocked (SAL-654) and ReasonMissing (SAL-655).
        """
        ...

    def score(self) -> Score:
        """How good is it, compared with the baseline, and in every group? May measure, and so take a minute."""
        ...

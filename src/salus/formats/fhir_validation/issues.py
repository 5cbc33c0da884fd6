"""What is wrong with a resource: which rule, where, how grave; never a value of it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

ERROR, WARNING = "error", "warning"
INDEX = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class Issue:
    """One rule that a resource breaks. ``where``: the element, with numbers from 0 where there are several."""

    rule: str
    severity: str
    where: str
    words: str

    @property
    def path(self) -> str:
        """The element without its numbers: by it issues are counted.

        >>> Issue("obs-3", "error", "Observation.component[1].referenceRange[0]", "").path
        'Observation.component.referenceRange'
        """
        return INDEX.sub("", self.where)


@dataclass(slots=True)
class Noted:
    """What is found while a resource is looked at; ``unchecked`` counts what nothing here can judge."""

    issues: list[Issue] = field(default_factory=list)
    unchecked: Counter[str] = field(default_factory=Counter)

    def error(self, rule: str, where: str, words: str) -> None:
        """Note what the specification forbids."""
        self.issues.append(Issue(rule, ERROR, where, words))

    def warning(self, rule: str, where: str, words: str) -> None:
        """Note what the specification advises against."""
        self.issues.append(Issue(rule, WARNING, where, words))

"""What every error says, and the nearest valid name."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from functools import partial


class SalusError(Exception):
    """What went wrong, where, and how to fix it."""

    code = "SAL-000"

    def __init__(self, what: str, *, where: str, fix: str) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __reduce__(self) -> tuple[object, tuple[str]]:
        """Survive the way from one process to another."""
        return partial(type(self), where=self.where, fix=self.fix), (self.what,)

    def __str__(self) -> str:
        return f"[{self.code}] {self.what}\n  where: {self.where}\n  fix:   {self.fix}"


def nearest(name: str, known: Iterable[str]) -> str:
    """Suggest the closest valid name: `` (did you mean 'x'?)`` or the empty string.

    >>> nearest("subjct", ["subject", "time"])
    " (did you mean 'subject'?)"
    """
    found = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean '{found[0]}'?)" if found else ""

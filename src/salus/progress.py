"""How long work says how far it is. The command line shows it; tests and libraries stay quiet."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Step(Protocol):
    """One stage of work under way."""

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        """Count ``amount`` more units as done; ``note`` replaces the short text beside the bar."""
        ...


class Progress(Protocol):
    """Where stages of work are announced."""

    def step(self, name: str, total: float | None = None, unit: str = "") -> AbstractContextManager[Step]:
        """Begin a stage of ``total`` units (None: not known beforehand)."""
        ...


class _QuietStep:
    def advance(self, amount: float = 1.0, note: str = "") -> None:
        """Say nothing."""


class _Quiet:
    def step(self, name: str, total: float | None = None, unit: str = "") -> AbstractContextManager[Step]:
        """Begin a stage that nobody watches."""
        return nullcontext(_QuietStep())


QUIET: Progress = _Quiet()

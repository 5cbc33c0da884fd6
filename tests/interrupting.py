"""Stops a run in the middle, as a person with Ctrl-C would."""

from __future__ import annotations

from contextlib import nullcontext


class Interruption(Exception):
    """What a test throws to stop a run in the middle."""


class StopAfter:
    """Progress that interrupts training after so many steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def step(self, name: str, total: float | None = None, unit: str = "") -> nullcontext:
        return nullcontext(self)

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        self.left -= 1
        if self.left < 0:
            raise Interruption

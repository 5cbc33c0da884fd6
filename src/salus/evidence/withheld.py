"""Counts of one to four patients are not told: who is among them could be guessed."""

from __future__ import annotations

SMALLEST = 5


def told(count: int) -> str:
    """A count in words.

    >>> told(0), told(3), told(1200)
    ('0', 'fewer than 5', '1,200')
    """
    return f"fewer than {SMALLEST}" if 0 < count < SMALLEST else f"{count:,}"


def shown(count: int) -> int:
    """A count as a number: 0 where it is withheld; the reason beside it says so."""
    return 0 if count < SMALLEST else count

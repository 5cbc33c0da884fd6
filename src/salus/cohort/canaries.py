"""Canaries: training patients each of whom is learnt from or left out by a fair coin, so that a model can be audited.

They are real patients of the timeline and nothing sets them apart from the others. Coins hang on a secret and on the
patient alone: not on the order of patients, on how many there are, or on who else is a canary.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from salus.errors import AuditRefused

FEWEST_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Canaries:
    """Who is learnt from and who is left out, each in ascending order of the subject's id."""

    included: tuple[int, ...]
    left_out: tuple[int, ...]

    def __len__(self) -> int:
        """How many canaries."""
        return len(self.included) + len(self.left_out)


def toss(patients: Iterable[int], *, canaries: int, secret: bytes) -> Canaries:
    """Draw ``canaries`` of ``patients`` by lot and toss a coin for each.

    Raises AuditRefused (SAL-470) where there are fewer patients than that.

    >>> found = toss(range(1000), canaries=400, secret=bytes(16))
    >>> len(found), toss(reversed(range(1000)), canaries=400, secret=bytes(16)) == found
    (400, True)
    """
    if len(secret) < FEWEST_BYTES:
        raise ValueError(f"a secret has {FEWEST_BYTES} bytes or more")
    people = set(patients)
    if len(people) < canaries:
        raise AuditRefused(
            f"{len(people):,} training patients with something recorded cannot give {canaries:,} canaries",
            where="--audit",
            fix=f"ask for {len(people):,} at most, or ingest more patients",
        )
    drawn = sorted(people, key=lambda one: (_digest(secret, "lot", one), one))[:canaries]
    heads = {one: bool(_digest(secret, "coin", one)[0] & 1) for one in drawn}
    return Canaries(
        included=tuple(sorted(one for one, coin in heads.items() if coin)),
        left_out=tuple(sorted(one for one, coin in heads.items() if not coin)),
    )


def _digest(secret: bytes, purpose: str, patient: int) -> bytes:
    return hmac.new(secret, f"{purpose}/{patient}".encode(), hashlib.sha256).digest()

"""The key that pseudonyms and date shifts hang on: who has it can make them again, who has not cannot turn them back.

Everything is HMAC-SHA256 (RFC 2104) of a purpose and a text, so that the same id under two purposes has two pseudonyms
that cannot be joined. The key lies outside the data; no data set, log or error holds it, only its ``name``.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b32encode
from dataclasses import dataclass, field
from datetime import timedelta

FEWEST_BYTES = 16
SIGNED_BITS = 63
UUID_ROOT = "2.25."
"""Below it every 128-bit number is a valid DICOM UID without asking anybody (PS3.5 B.2)."""


@dataclass(frozen=True, slots=True)
class Key:
    """A secret of 16 bytes or more; it shows in no representation of the object."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) < FEWEST_BYTES:
            raise ValueError(f"a key has {FEWEST_BYTES} bytes or more")

    @property
    def name(self) -> str:
        """What may be written down of the key: which one it was, and nothing from which it could be made.

        >>> Key(bytes(16)).name == Key(bytes(16)).name, Key(bytes(16)).name == Key(b"another sixteen ").name
        (True, False)
        """
        return self.digest("name of the key", "").hex()[:12]

    def digest(self, purpose: str, text: str) -> bytes:
        """Thirty-two bytes for a text under a purpose; the length says where the purpose ends."""
        message = len(purpose.encode()).to_bytes(4, "big") + purpose.encode() + text.encode()
        return hmac.new(self.secret, message, hashlib.sha256).digest()

    def pseudonym(self, kind: str, text: str) -> str:
        """A name of 26 lower-case letters and digits in place of an id of that kind: fit for a FHIR id, 128 bits.

        >>> key = Key(b"0123456789abcdef")
        >>> key.pseudonym("Patient", "7") == key.pseudonym("Patient", "7")
        True
        >>> key.pseudonym("Patient", "7") == key.pseudonym("Encounter", "7")
        False
        """
        return b32encode(self.digest(kind, text)[:16]).decode().rstrip("=").lower()

    def number(self, kind: str, text: str) -> int:
        """A whole number from 0 to 2⁶³ - 1 in place of an id of that kind, where a format knows only numbers."""
        return int.from_bytes(self.digest(kind, text)[:8], "big") >> (64 - SIGNED_BITS)

    def uid(self, uid: str) -> str:
        """A DICOM UID in place of another: the same one wherever the other stood, in any file."""
        return UUID_ROOT + str(int.from_bytes(self.digest("uid", uid)[:16], "big"))

    def date_shift(self, patient: str, *, most_days: int, keep_weekday: bool = False) -> timedelta:
        """By how much all dates of one patient move: whole days, up to ``most_days`` either way and never none.

        All of a patient's dates move alike, so intervals and times of day stay. ``keep_weekday``: whole weeks.

        >>> shift = Key(bytes(16)).date_shift("7", most_days=30, keep_weekday=True)
        >>> shift.days % 7, 0 < abs(shift.days) <= 30
        (0, True)
        """
        step = 7 if keep_weekday else 1
        either_way = most_days // step
        if either_way < 1:
            raise ValueError(f"dates cannot move by {most_days} days at most in steps of {step}")
        drawn = int.from_bytes(self.digest("date shift", patient)[:16], "big") % (2 * either_way)
        steps = drawn - either_way if drawn < either_way else drawn - either_way + 1
        return timedelta(days=step * steps)

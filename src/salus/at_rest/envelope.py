"""One sealed file: AES-256-GCM under a key of its own, which a key of the ring wraps.

The file is a head and pieces. The head names the ring's key and holds the file's own key, wrapped (RFC 3394). Each
piece is sealed by itself, with its number and whether it is the last in its nonce (the STREAM construction of Hoang,
Reyhanitabar, Rogaway and Vizár 2015, "Online authenticated-encryption and its nonce-reuse misuse-resistance"): a
piece that is changed, left out, doubled, moved or cut off is noticed. The ring's key can be changed by writing the head
anew, without touching the pieces.

    8 bytes   "SALUSEV1"
    4 bytes   length of the head, big-endian
    head      JSON: {"key": name, "wrapped": base64, "prefix": base64 of 7 bytes, "piece": bytes a piece}
    pieces    ciphertext and 16 bytes of tag each
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from salus.errors import SealBroken

MAGIC = b"SALUSEV1"
PIECE = 1 << 20
TAG, PREFIX, KEY_BYTES = 16, 7, 32
LONGEST_HEAD = 1 << 16
MEND = "restore the file from a backup: it was changed or cut short after it was written"


class Wrapping(Protocol):
    """Who wraps a file's own key, and unwraps it by the name of the key that did."""

    def wrap(self, key: bytes) -> tuple[str, bytes]:
        """Give the name of the key that wraps now, and ``key`` wrapped."""

    def unwrap(self, name: str, wrapped: bytes) -> bytes:
        """Give what was wrapped. Raises KeyRingTrouble (SAL-231) where that key is not there or does not fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What stands before the pieces."""

    key: str
    wrapped: bytes
    prefix: bytes
    piece: int

    def written(self) -> bytes:
        """As it lies on the disk, with the magic bytes and its length."""
        told = {
            "key": self.key,
            "wrapped": b64encode(self.wrapped).decode(),
            "prefix": b64encode(self.prefix).decode(),
            "piece": self.piece,
        }
        text = json.dumps(told, sort_keys=True).encode()
        return MAGIC + len(text).to_bytes(4, "big") + text

    @property
    def bound(self) -> bytes:
        """What every piece vouches for; not the wrapped key, which may be wrapped anew."""
        return MAGIC + self.prefix + self.piece.to_bytes(4, "big")


def is_sealed(content: bytes) -> bool:
    """Whether it begins like a sealed file."""
    return content.startswith(MAGIC)


def seal(content: bytes, ring: Wrapping, *, piece: int = PIECE) -> bytes:
    """Seal a whole content under a new key of its own."""
    own = AESGCM.generate_key(8 * KEY_BYTES)
    name, wrapped = ring.wrap(own)
    head = Head(key=name, wrapped=wrapped, prefix=os.urandom(PREFIX), piece=piece)
    cipher, number = AESGCM(own), max(1, -(-len(content) // piece))
    parts = [head.written()]
    for place in range(number):
        clear = content[place * piece : (place + 1) * piece]
        parts.append(cipher.encrypt(_nonce(head, place, last=place == number - 1), clear, head.bound))
    return b"".join(parts)


def unseal(content: bytes, ring: Wrapping, *, where: str) -> bytes:
    """The content of a sealed file. Raises SealBroken (SAL-230) for any change, and KeyRingTrouble (SAL-231)."""
    head, begins = read_head(content, where=where)
    cipher = AESGCM(ring.unwrap(head.key, head.wrapped))
    body, whole = content[begins:], head.piece + TAG
    number = max(1, -(-len(body) // whole))
    try:
        return b"".join(
            cipher.decrypt(
                _nonce(head, place, last=place == number - 1),
                body[place * whole : (place + 1) * whole],
                head.bound,
            )
            for place in range(number)
        )
    except (InvalidTag, ValueError) as error:
        raise SealBroken("a sealed file is not what was written", where=where, fix=MEND) from error


def wrap_again(content: bytes, ring: Wrapping, *, where: str) -> bytes:
    """The same sealed file under the ring's present key; its pieces stay as they are."""
    head, begins = read_head(content, where=where)
    name, wrapped = ring.wrap(ring.unwrap(head.key, head.wrapped))
    anew = Head(key=name, wrapped=wrapped, prefix=head.prefix, piece=head.piece)
    return anew.written() + content[begins:]


def read_head(content: bytes, *, where: str) -> tuple[Head, int]:
    """The head, and where the pieces begin. Raises SealBroken (SAL-230)."""
    size = int.from_bytes(content[len(MAGIC) : len(MAGIC) + 4], "big")
    begins = len(MAGIC) + 4 + size
    try:
        if not is_sealed(content) or size > LONGEST_HEAD or len(content) < begins:
            raise ValueError
        told = json.loads(content[len(MAGIC) + 4 : begins])
        head = Head(
            key=str(told["key"]),
            wrapped=b64decode(told["wrapped"], validate=True),
            prefix=b64decode(told["prefix"], validate=True),
            piece=int(told["piece"]),
        )
        if len(head.prefix) != PREFIX or not 0 < head.piece <= 1 << 30:
            raise ValueError
    except (ValueError, KeyError, TypeError) as error:
        raise SealBroken("the head of a sealed file cannot be read", where=where, fix=MEND) from error
    return head, begins


def _nonce(head: Head, place: int, *, last: bool) -> bytes:
    return head.prefix + place.to_bytes(4, "big") + bytes([last])

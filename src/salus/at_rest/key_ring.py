"""The ring of keys that wrap the keys of sealed files: a new one by rotation, the old ones to read with.

The ring is a file for its owner alone. Its keys lie in it wrapped by a **master**, which is never stored: it comes from
a passphrase (scrypt, RFC 7914), from an environment variable of 64 hexadecimal digits, or from a program of the user's
(an HSM's client by PKCS#11, a cloud's key service) that wraps and unwraps on its own side.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from salus.errors import KeyRingTrouble

FORM, KEY_BYTES, OTHERS, OWNER = 1, 32, 0o077, 0o600
SCRYPT_COST, SCRYPT_BLOCK, SCRYPT_LANES = 1 << 16, 8, 1
FEWEST_LETTERS = 12
PROGRAM_SECONDS = 60.0


class Master(Protocol):
    """What wraps the ring's own keys."""

    def wrap(self, key: bytes) -> bytes:
        """Wrap a key of 32 bytes."""

    def unwrap(self, wrapped: bytes) -> bytes:
        """Unwrap it. Raises KeyRingTrouble (SAL-231) where this is another master."""

    def about(self) -> dict[str, object]:
        """What the ring's file says of it: how to find it again, never what it is."""


@dataclass(frozen=True, slots=True)
class RawMaster:
    """Thirty-two bytes, from wherever they came; ``said`` goes into the ring's file."""

    secret: bytes = field(repr=False)
    said: Mapping[str, object] = field(default_factory=dict)

    def wrap(self, key: bytes) -> bytes:
        """By AES key wrap (RFC 3394)."""
        return aes_key_wrap(self.secret, key)

    def unwrap(self, wrapped: bytes) -> bytes:
        """Raises KeyRingTrouble (SAL-231)."""
        try:
            return aes_key_unwrap(self.secret, wrapped)
        except (InvalidUnwrap, ValueError) as error:
            raise KeyRingTrouble(
                "the passphrase or master key is not the one that the key ring was made with",
                where="the key ring",
                fix="give the right one; without it nothing sealed can be read again",
            ) from error

    def about(self) -> dict[str, object]:
        """How it was made."""
        return dict(self.said)


def passphrase_master(passphrase: str, *, salt: bytes | None = None, cost: int = SCRYPT_COST) -> RawMaster:
    """A master from a passphrase: scrypt with 64 MiB, so that guessing is dear."""
    if len(passphrase) < FEWEST_LETTERS:
        raise KeyRingTrouble(
            f"the passphrase has fewer than {FEWEST_LETTERS} letters",
            where="the key ring",
            fix="take four or more words that nobody would put together",
        )
    salt = salt or os.urandom(16)
    derived = Scrypt(salt=salt, length=KEY_BYTES, n=cost, r=SCRYPT_BLOCK, p=SCRYPT_LANES).derive(
        passphrase.encode()
    )
    return RawMaster(derived, {"by": "passphrase", "salt": b64encode(salt).decode(), "cost": cost})


def hexadecimal_master(digits: str) -> RawMaster:
    """A master from 64 hexadecimal digits (32 bytes)."""
    try:
        secret = bytes.fromhex(digits.strip())
    except ValueError:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise KeyRingTrouble(
            "the master key is not 64 hexadecimal digits",
            where="the environment",
            fix="make one with: openssl rand -hex 32",
        )
    return RawMaster(secret, {"by": "environment"})


@dataclass(frozen=True, slots=True)
class ProgramMaster:
    """A program that holds the master: ``PROGRAM … wrap`` and ``unwrap`` read and write base64, a line each."""

    words: tuple[str, ...]

    def wrap(self, key: bytes) -> bytes:
        """Ask the program."""
        return self._asked("wrap", key)

    def unwrap(self, wrapped: bytes) -> bytes:
        """Ask the program. Raises KeyRingTrouble (SAL-231)."""
        return self._asked("unwrap", wrapped)

    def about(self) -> dict[str, object]:
        """The command line, which holds no secret."""
        return {"by": "program", "words": list(self.words)}

    def _asked(self, verb: str, content: bytes) -> bytes:
        try:
            done = subprocess.run(
                [*self.words, verb],
                input=b64encode(content) + b"\n",
                capture_output=True,
                check=True,
                timeout=PROGRAM_SECONDS,
            )
            return b64decode(done.stdout.strip(), validate=True)
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            raise KeyRingTrouble(
                f"the program that holds the master key could not {verb}",
                where=self.words[0],
                fix="run it by hand: it reads base64 on standard input and writes base64",
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """The keys by name, open; ``current`` wraps what is new. None of them shows in a representation."""

    current: str
    keys: Mapping[str, bytes] = field(repr=False)

    def wrap(self, key: bytes) -> tuple[str, bytes]:
        """With the current key (RFC 3394)."""
        return self.current, aes_key_wrap(self.keys[self.current], key)

    def unwrap(self, name: str, wrapped: bytes) -> bytes:
        """With the key of that name. Raises KeyRingTrouble (SAL-231)."""
        if name not in self.keys:
            raise KeyRingTrouble(
                f"the key '{name}' is not on the key ring: it was taken off, or this is another ring",
                where="the key ring",
                fix="give the ring that the file was sealed with; what a removed key sealed is gone for good",
            )
        try:
            return aes_key_unwrap(self.keys[name], wrapped)
        except (InvalidUnwrap, ValueError) as error:
            raise KeyRingTrouble(
                f"the key '{name}' does not open this file", where="the key ring", fix="give the right ring"
            ) from error


def new_ring(*, now: datetime | None = None) -> KeyRing:
    """A ring of one new key."""
    name = _new_name(now)
    return KeyRing(current=name, keys={name: secrets.token_bytes(KEY_BYTES)})


def rotated(ring: KeyRing, *, now: datetime | None = None) -> KeyRing:
    """The ring with one new key, which is current; the others stay to read with."""
    name = _new_name(now)
    return KeyRing(current=name, keys={**ring.keys, name: secrets.token_bytes(KEY_BYTES)})


def without(ring: KeyRing, names: Sequence[str]) -> KeyRing:
    """The ring without some keys: what they sealed cannot be read by anybody any more. Never the current one."""
    if ring.current in names:
        raise KeyRingTrouble(
            "the current key cannot be taken off", where="the key ring", fix="rotate first, then re-wrap"
        )
    return KeyRing(
        current=ring.current, keys={name: key for name, key in ring.keys.items() if name not in names}
    )


def _new_name(now: datetime | None) -> str:
    return f"{(now or datetime.now(UTC)).date().isoformat()}-{secrets.token_hex(4)}"


def write_ring(ring: KeyRing, path: Path, master: Master) -> None:
    """Write the ring, wrapped by its master, for its owner alone; whole or not at all."""
    told = {
        "form": FORM,
        "current": ring.current,
        "master": master.about(),
        "keys": {name: b64encode(master.wrap(key)).decode() for name, key in ring.keys.items()},
    }
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER), "w") as file:
        file.write(json.dumps(told, indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)


def about_ring(path: Path) -> dict[str, object]:
    """What the ring's file says, keys still wrapped. Raises KeyRingTrouble (SAL-231)."""
    try:
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & OTHERS:
            raise KeyRingTrouble(
                f"'{path.name}' can be read by others than its owner",
                where=str(path),
                fix=f"chmod go-rwx '{path}'",
            )
        told = json.loads(path.read_text(encoding="utf-8"))
        if (
            told["form"] != FORM
            or told["current"] not in told["keys"]
            or not isinstance(told["master"], dict)
        ):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KeyRingTrouble(
            f"'{path.name}' is missing or no key ring",
            where=str(path),
            fix="name the file that `salus seal --new-ring` wrote, or restore it from a backup",
        ) from error
    return dict(told)


def open_ring(path: Path, master: Master) -> KeyRing:
    """The ring's keys. Raises KeyRingTrouble (SAL-231)."""
    told = about_ring(path)
    wrapped = told["keys"]
    assert isinstance(wrapped, dict)
    return KeyRing(
        current=str(told["current"]),
        keys={str(name): master.unwrap(b64decode(key)) for name, key in wrapped.items()},
    )

"""Private files: written for their owner alone, sealed where a key ring is configured, read whichever they are.

The ring is named by the environment, as a disk is: ``SALUS_KEY_RING`` is its file; its master comes from
``SALUS_PASSPHRASE_FILE``, ``SALUS_PASSPHRASE`` or ``SALUS_MASTER_KEY`` (64 hexadecimal digits), or from the program
that the ring itself names. Processes that this one starts find the same ring. Without it files are written plain, and
sealed ones are refused.
"""

from __future__ import annotations

import io
import os
from base64 import b64decode
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import polars as pl

from salus.at_rest.envelope import is_sealed, seal, unseal
from salus.at_rest.key_ring import (
    KeyRing,
    Master,
    ProgramMaster,
    about_ring,
    hexadecimal_master,
    open_ring,
    passphrase_master,
)
from salus.errors import KeyRingTrouble

RING, PASSPHRASE, PASSPHRASE_FILE = "SALUS_KEY_RING", "SALUS_PASSPHRASE", "SALUS_PASSPHRASE_FILE"
MASTER_KEY = "SALUS_MASTER_KEY"
OWNER_FILE = 0o600
MAGIC_BYTES = 8


def configured_ring() -> KeyRing | None:
    """The ring that the environment names; None where it names none. Raises KeyRingTrouble (SAL-231)."""
    named = os.environ.get(RING, "")
    if not named:
        return None
    path = Path(named)
    changed = path.stat().st_mtime_ns if path.exists() else 0
    told = tuple(os.environ.get(name, "") for name in (PASSPHRASE, PASSPHRASE_FILE, MASTER_KEY))
    return _opened(path, changed, told)


@lru_cache(maxsize=4)
def _opened(path: Path, changed: int, told: tuple[str, ...]) -> KeyRing:
    return open_ring(path, master_of(path))


def master_of(path: Path, environment: Mapping[str, str] | None = None) -> Master:
    """The master of a ring, found as its file says. Raises KeyRingTrouble (SAL-231)."""
    told = about_ring(path)["master"]
    assert isinstance(told, dict)
    given = os.environ if environment is None else environment
    if told.get("by") == "program":
        return ProgramMaster(tuple(map(str, told["words"])))
    if told.get("by") == "environment":
        return hexadecimal_master(_told(given, MASTER_KEY, path))
    return passphrase_master(passphrase_of(given, path), salt=b64decode(told["salt"]), cost=int(told["cost"]))


def passphrase_of(given: Mapping[str, str], path: Path) -> str:
    """The passphrase that the environment tells, by a file or itself."""
    if file := given.get(PASSPHRASE_FILE, ""):
        try:
            return Path(file).read_text(encoding="utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise KeyRingTrouble(
                "the file of the passphrase cannot be read", where=PASSPHRASE_FILE, fix="name a text file"
            ) from error
    return _told(given, PASSPHRASE, path)


def _told(given: Mapping[str, str], name: str, path: Path) -> str:
    if not given.get(name):
        raise KeyRingTrouble(
            f"the key ring '{path.name}' is configured, and nothing opens it",
            where=str(path),
            fix=f"set {name}" + (f" or {PASSPHRASE_FILE}" if name == PASSPHRASE else ""),
        )
    return given[name]


def write_private(path: Path, content: bytes | memoryview) -> None:
    """Write a file for its owner alone, sealed where a ring is configured. What stood there is replaced."""
    ring = configured_ring()
    content = seal(bytes(content), ring) if ring else content
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_FILE), "wb") as file:
        file.write(content)


def read_private(path: Path) -> bytes:
    """What was written, sealed or not. Raises SealBroken, KeyRingTrouble and OSError."""
    content = path.read_bytes()
    if not is_sealed(content):
        return content
    return unseal(content, _needed(path), where=str(path))


def _needed(path: Path) -> KeyRing:
    ring = configured_ring()
    if ring is None:
        raise KeyRingTrouble(
            f"'{path.name}' is sealed, and no key ring is configured",
            where=str(path),
            fix=f"set {RING} to the file of the key ring",
        )
    return ring


def sealed(path: Path) -> bool:
    """Whether a file is sealed."""
    with path.open("rb") as file:
        return is_sealed(file.read(MAGIC_BYTES))


def plain_or_clear(path: Path) -> Path | io.BytesIO:
    """What to hand to a reader of files: the path itself, or the clear content of a sealed file in memory."""
    return io.BytesIO(read_private(path)) if sealed(path) else path


def read_private_parquet(path: Path) -> pl.DataFrame:
    """A table, sealed or not."""
    return pl.read_parquet(plain_or_clear(path))


def write_private_parquet(
    frame: pl.DataFrame, path: Path, *, scratch: bool = False, metadata: dict[str, str] | None = None
) -> None:
    """Write a table for its owner alone, sealed where a ring is configured.

    ``scratch``: it is read once and then gone, so that speed counts for more than size.
    """
    held = io.BytesIO()
    frame.write_parquet(
        held, compression="lz4" if scratch else "zstd", statistics=not scratch, metadata=metadata
    )
    write_private(path, held.getbuffer())


def replace_parquet(frame: pl.DataFrame, to: Path, *, metadata: dict[str, str] | None = None) -> None:
    """Write a private table beside its place, then put it there: it is whole or as before."""
    to.parent.mkdir(parents=True, exist_ok=True)
    fresh = to.with_name(f".{to.name}.partial")
    try:
        write_private_parquet(frame, fresh, metadata=metadata)
        fresh.replace(to)
    finally:
        fresh.unlink(missing_ok=True)

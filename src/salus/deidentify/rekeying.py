"""From an old key to a new one: for who holds both, which pseudonym became which."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from salus.deidentify.key import Key

HEADS = ("kind", "old", "new")


class Rekeying:
    """Writes a line for each pseudonym that is made under the new key; one may be written more than once."""

    def __init__(self, old: Key, stream: IO[str]) -> None:
        self._old = old
        self._writer = csv.writer(stream, lineterminator="\n")
        self._writer.writerow(HEADS)

    def name(self, kind: str, text: str, new: str) -> str:
        """Note what a pseudonym was under the old key; gives the new one."""
        self._writer.writerow((kind, self._old.pseudonym(kind, text), new))
        return new

    def number(self, kind: str, text: str, new: int) -> int:
        """The same for a number."""
        self._writer.writerow((kind, self._old.number(kind, text), new))
        return new


@contextmanager
def rekeying(old: Key | None, mapping: Path | None) -> Iterator[Rekeying | None]:
    """Write the mapping, for its owner's eyes only, whole or not at all; nothing where none is asked for."""
    if old is None or mapping is None:
        yield None
        return
    partial = mapping.with_name(f".{mapping.name}.partial-{os.getpid()}")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
            yield Rekeying(old, stream)
        partial.replace(mapping)
    finally:
        partial.unlink(missing_ok=True)

"""The files of an HL7 v2 source: one file, a folder of them, or the journal of a listener; plain, .gz or .zst."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from salus.errors import InputEmpty, InputMissing, InputUnreadable

NAMES = (".hl7", ".hl7v2", ".mllp", ".txt", ".dat", ".msg", ".er7")
DEAD = "dead"
"""Folder of a listener's dead letters: messages that could not be read, and are not read again."""


@dataclass(frozen=True, slots=True)
class Hl7v2File:
    """One file, by its path and by its name in the books."""

    path: Path
    name: str

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Its bytes, decompressed."""
        try:
            with self._stream() as stream:
                yield stream
        except (EOFError, gzip.BadGzipFile, OSError, pa.ArrowException) as error:
            raise InputUnreadable(
                f"'{self.name}' is cut short or not compressed as its name says",
                where=str(self.path),
                fix="fetch or copy the file again",
            ) from error

    def _stream(self) -> BinaryIO:
        if self.path.suffix == ".gz":
            return cast(BinaryIO, gzip.open(self.path))
        if self.path.suffix == ".zst":
            return cast(BinaryIO, pa.input_stream(str(self.path), compression="zstd"))
        return self.path.open("rb")


def files_of(source: Path) -> list[Hl7v2File]:
    """The files to read, in order of their names."""
    if source.is_file():
        return [Hl7v2File(source, source.name)]
    if not source.is_dir():
        raise InputMissing(
            f"there is no file or folder '{source.name}'",
            where=str(source),
            fix="name a file of messages, a folder of such files, or the folder of `salus listen`",
        )
    found = [path for path in sorted(source.rglob("*")) if path.is_file() and _holds_messages(path, source)]
    if not found:
        raise InputEmpty(
            f"'{source.name}' holds no file of messages",
            where=str(source),
            fix=f"files end with {', '.join(NAMES)}, each also with .gz or .zst",
        )
    return [Hl7v2File(path, path.relative_to(source).as_posix()) for path in found]


def _holds_messages(path: Path, source: Path) -> bool:
    parts = path.relative_to(source).parts
    plain = path.with_suffix("") if path.suffix in (".gz", ".zst") else path
    hidden = any(part.startswith(".") for part in parts)
    return plain.suffix.lower() in NAMES and not hidden and DEAD not in parts[:-1]

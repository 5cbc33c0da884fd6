"""Files of FHIR resources: found in a folder, cut into parts, read in blocks of whole lines, however long or broken."""

from __future__ import annotations

import os
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import pyarrow as pa
from isal import igzip_lib

from salus.errors import InputMissing
from salus.intake.gzip_stream import GzipStream
from salus.intake.parts import Part, file_parts, packed

LINES, WHOLE = (".ndjson", ".jsonl"), (".json",)
PACKED = {".gz": "gzip", ".zst": "zstd"}
PART_BYTES, LARGEST_PART = 64 << 20, 256 << 20
PARTS, MOST_PARTS = 48, 512
"""Enough parts to share out and to go on from; a part writes a file for each range of patients, so no more of them."""
USUAL_RATIO = 12
"""How much larger a compressed export is when it is unpacked, about: to cut patients into ranges."""
PACKERS: tuple[Any, ...] = (zlib.error, igzip_lib.IsalError, pa.ArrowException)
BROKEN: tuple[type[Exception], ...] = (EOFError, OSError, *PACKERS)
"""What reading raises where a compressed file is not whole."""
NOTHING_OF_IT = "the file is cut short or damaged: nothing of it can be read"
CUT_SHORT = "the file is cut short: what came before is kept"
DAMAGED = "the file is damaged, or not compressed as its name says: what came before is kept, and may be damaged too"


NEWLINE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is refused so that one bad file cannot take all memory or time. Lines are read by blocks of ``block`` bytes.

    A line counts as too long once more than ``line`` bytes of it are held. A packed file that gives more than
    ``ratio`` times its size, beyond ``ratio_from`` bytes, is no export of resources.
    """

    block: int = 4 << 20
    line: int = 64 << 20
    document: int = 256 << 20
    ratio: int = 250
    ratio_from: int = 256 << 20

    @property
    def too_long(self) -> str:
        """The reason for a line."""
        return f"a line longer than {_size(self.line)}"

    @property
    def too_large(self) -> str:
        """The reason for a document."""
        return f"a document larger than {_size(self.document)}: export it as NDJSON"

    @property
    def too_dense(self) -> str:
        """The reason for the rest of a packed file."""
        return f"the file unpacks to more than {self.ratio} times its size: the rest is not read"

    def unpacked(self, path: Path) -> int | None:
        """How many bytes a packed file may give; None: the file is not packed."""
        if path.suffix.lower() not in PACKED:
            return None
        return max(self.ratio_from, self.ratio * path.stat().st_size)


LIMITS = Limits()


def broken(error: Exception, *, whole: bool = False) -> str:
    """Why a packed file could not be read to its end; ``whole``: it is one document, of which then nothing is read."""
    if whole:
        return NOTHING_OF_IT
    return CUT_SHORT if isinstance(error, EOFError) or "truncated" in str(error).lower() else DAMAGED


def _size(count: int) -> str:
    """A number of bytes as people say it.

    >>> _size(64 << 20), _size(4096)
    ('64 MB', '4096 bytes')
    """
    return f"{count >> 20} MB" if count >= 1 << 20 else f"{count} bytes"


Raw = bytes | bytearray


@dataclass(frozen=True, slots=True)
class LineBlock:
    """Whole lines: ``ends`` are the places of their last bytes. ``trouble``: why there is nothing in their place."""

    raw: Raw
    first_line: int
    ends: np.ndarray
    trouble: str = ""

    @property
    def lines(self) -> int:
        """How many lines it is."""
        return len(self.ends) if not self.trouble else 1


def block_of(raw: Raw, first_line: int) -> LineBlock:
    """Find where the lines of some bytes end: once, for all who ask."""
    return LineBlock(raw, first_line, np.flatnonzero(np.frombuffer(raw, np.uint8) == NEWLINE))


def no_block(first_line: int, trouble: str) -> LineBlock:
    """A place where nothing can be read."""
    return LineBlock(b"", first_line, np.empty(0, np.int64), trouble)


def find_files(source: Path) -> tuple[list[tuple[str, Path]], Counter[str]]:
    """The files of a source by their names below it, in order; how many others there are, by how their names end.

    Links that lead out of the folder are not followed: they count as others.
    """
    if source.is_file():
        return [(readable(source.name), source)], Counter()
    if not source.is_dir():
        raise InputMissing(
            f"there is no file or folder '{source.name}'",
            where=str(source),
            fix="name a folder of NDJSON files or Bundles, or one such file",
        )
    found, others, inside = [], Counter[str](), source.resolve()
    for path in sorted(source.rglob("*")):
        if not path.is_file():
            continue
        hidden = any(part.startswith(".") for part in path.relative_to(source).parts)
        if not hidden and form_of(path) and path.resolve().is_relative_to(inside):
            found.append((readable(path.relative_to(source).as_posix()), path))
        else:
            others["hidden" if hidden else ending_of(path)] += 1
    return found, others


def ending_of(path: Path) -> str:
    """How a file's name ends, as far as it says of which kind the file is: no part of a name that says more.

    >>> ending_of(Path("Patient.xml")), ending_of(Path("smith.1980-01-01")), ending_of(Path("README"))
    ('.xml', 'no known ending', 'no known ending')
    """
    ending = path.suffix.lower()
    return ending if re.fullmatch(r"\.[a-z]{1,5}\d?", ending) else "no known ending"


def readable(name: str) -> str:
    """A file's name as text: bytes of it that are no UTF-8 (an older system's, say) show as such.

    >>> readable("m\\udcfcnster.ndjson") == "m\ufffdnster.ndjson"
    True
    """
    return os.fsencode(name).decode(errors="replace")


def form_of(path: Path) -> str:
    """``lines`` or ``document`` by the name, with or without .gz and .zst; empty: neither."""
    name = path.name.lower()
    for suffix in PACKED:
        name = name.removesuffix(suffix)
    return "lines" if name.endswith(LINES) else "document" if name.endswith(WHOLE) else ""


def cut(files: list[tuple[str, Path]]) -> list[Part]:
    """Parts of about the same size: large NDJSON by ranges of bytes, small files together, compressed ones whole."""
    total = sum(path.stat().st_size for _, path in files)
    most = max(PART_BYTES, min(total // PARTS, LARGEST_PART), total // MOST_PARTS)
    parts: list[Part] = []
    for name, path in files:
        unpacked = USUAL_RATIO if path.suffix.lower() in PACKED else 1
        whole = (
            frozenset({path.suffix.lower()})
            if unpacked > 1 or form_of(path) == "document"
            else frozenset[str]()
        )
        for part in file_parts([(name, path)], most_bytes=most, whole=whole):
            parts.append(replace(part, size=part.size * unpacked))
    return packed(parts, most_bytes=most)


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked."""
    kind = PACKED.get(path.suffix.lower())
    if kind == "zstd":
        with pa.input_stream(str(path), compression="zstd") as stream:
            yield stream
    elif kind == "gzip":
        with GzipStream(path) as stream:
            yield cast(IO[bytes], stream)
    else:
        with path.open("rb", buffering=0) as stream:
            yield stream


class _Feed:
    """Bytes of a stream with their place; ``trouble`` says why no more come, where that is not the end."""

    def __init__(self, path: Path, stream: IO[bytes], at: int, limits: Limits) -> None:
        self.stream, self.trouble, self.got = stream, "", 0
        self.held, self.at = bytearray(), at
        self.limits, self.most = limits, limits.unpacked(path)

    def more(self) -> bool:
        """Add a chunk to what is held; whether there was one. It is read where it stays: nothing is copied after."""
        have = len(self.held)
        whole = bytearray(have + self.limits.block)
        whole[:have] = self.held
        try:
            with memoryview(whole) as view, view[have:] as empty:
                got: int = self.stream.readinto(empty)  # type: ignore[attr-defined]
        except BROKEN as error:
            self.trouble = broken(error)
            return False
        self.got += got
        if self.most is not None and self.got > self.most:
            self.trouble = self.limits.too_dense
            return False
        del whole[have + got :]
        self.held = whole
        return bool(got)

    def take(self, size: int) -> bytearray:
        """Take so many of the bytes held."""
        taken, self.held = self.held, self.held[size:]
        del taken[size:]
        self.at += size
        return taken

    def skip_line(self) -> bool:
        """Pass over bytes up to the end of the line; whether there was an end."""
        while True:
            end = self.held.find(b"\n") + 1
            self.take(end or len(self.held))
            if end:
                return True
            if not self.more():
                return False


def line_blocks(part: Part, limits: Limits = LIMITS) -> Iterator[LineBlock]:
    """The lines that begin inside a part, block by block; numbers count from the beginning of the part."""
    path = Path(part.where)
    ranged = path.suffix.lower() not in PACKED
    stop = part.stop if ranged else None
    with open_bytes(path) as stream:
        feed = _Feed(path, stream, part.start, limits)
        if ranged and part.start:
            stream.seek(part.start - 1)
            feed.at = part.start - 1
            if not feed.skip_line():
                return
        line = 1
        while stop is None or feed.at < stop:
            going = feed.more()
            size = _whole_lines(feed, stop)
            raw = feed.take(size)
            if not going and not size:
                raw = feed.take(len(feed.held))
                raw = (
                    raw + b"\n" if raw.strip() and not feed.trouble else bytearray()
                )  # half a line is no line
            if raw:
                block = block_of(raw, line)
                yield block
                line += block.lines
            elif len(feed.held) > limits.line:
                yield no_block(line, limits.too_long)
                line += 1
                going = feed.skip_line()
            if not going and not feed.held:
                break
        if feed.trouble:
            yield no_block(line, feed.trouble)


def _whole_lines(feed: _Feed, stop: int | None) -> int:
    """How many of the bytes held are whole lines that begin before ``stop``."""
    if stop is not None and feed.at + len(feed.held) >= stop:
        return feed.held.find(b"\n", max(stop - feed.at - 1, 0)) + 1
    return feed.held.rfind(b"\n") + 1

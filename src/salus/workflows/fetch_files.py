"""Files of fetched records: whole or not at all, the same bytes each time."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write_whole(path: Path, parts: Iterable[bytes]) -> None:
    """Write a file, gzipped where its name says so, that appears whole or not at all."""
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        with partial.open("wb") as file, _maybe_gzip(file, path) as out:
            for part in parts:
                out.write(part)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _maybe_gzip(file: BinaryIO, path: Path) -> Iterator[BinaryIO | gzip.GzipFile]:
    """The same bytes for the same records: no name and no time inside."""
    if path.suffix != ".gz":
        yield file
        return
    with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0, compresslevel=6) as packed:
        yield packed

"""Write a whole folder or nothing: what is half-written is never seen under its final name."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from salus.errors import TimelineNotWritten

OURS = (
    "data",
    "metadata",
    "fhir",
    "evidence",
    "futures",
    "model",
    "timeline",
    "synthetic",
    "journal",
    "dead",
)
"""Folders that jobs of Salus write."""
OUR_ENDINGS = (
    ".parquet",
    ".json",
    ".jsonl",
    ".html",
    ".txt",
    ".csv",
    ".gz",
    ".zst",
    ".ndjson",
    ".safetensors",
    ".svg",
    ".md",
)
"""How the files end that jobs of Salus write: where one of before is not written again, it is out of date."""


def check_replaceable(folder: Path, *, mark: str) -> None:
    """Refuse a place that holds anything but nothing or an older folder of the same kind (one with ``mark``)."""
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / mark).exists())):
        raise TimelineNotWritten(
            f"'{folder.name}' holds something else already",
            where=str(folder),
            fix="choose a new folder, or empty this one",
        )


@contextmanager
def whole_folder(folder: Path, *, mark: str) -> Iterator[Path]:
    """Give a fresh folder beside ``folder`` that takes its place when the block ends well.

    ``mark`` is a file inside that shows what may be replaced: a folder of other content is refused. What else lies in
    the folder, and is none of :data:`OURS`, somebody put there: it goes along.
    """
    check_replaceable(folder, mark=mark)
    partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        _take_place(partial, folder)
    except OSError as error:
        raise TimelineNotWritten(
            f"the disk refused: {error.strerror or 'write failed'}",
            where=str(folder),
            fix="see that the folder can be written and the disk has space, or choose another",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _take_place(partial: Path, folder: Path) -> None:
    old = folder.with_name(f".{folder.name}.old-{os.getpid()}")
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    for path in old.iterdir() if old.exists() else ():
        if not (path.name in OURS or path.name.endswith(OUR_ENDINGS) or (folder / path.name).exists()):
            path.rename(folder / path.name)
    shutil.rmtree(old, ignore_errors=True)

"""The label "synthetic": what says so beside files and in rows, and one rule by which every way in reads it.

A timeline says it in its settings. Where a form has a place for it each resource or row says it too; beside every
exported folder lies a mark. Whoever can write the files can take the marks away: they show slips, not fraud.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from salus.errors import LabelsMixed
from salus.timeline.suspension import check_in_use

SYNTHETIC_MARK, REAL_MARK, EXPORT_BOOKS = "SYNTHETIC.txt", "ABOUT.txt", "export.json"
DRAWN = "synthetic"
"""What the column ``source`` says of a row that a model drew."""
COMPLETED = "completed"
"""What it says of a row that a model drew into a real record; after it may come a slash and a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What lies beside files: whether they are said to be synthetic, of which timeline, and the digest of each file."""

    synthetic: bool
    timeline: str = ""
    files: Mapping[str, str] = field(default_factory=dict)


def read_beside(source: Path) -> Beside | None:
    """Read the mark of an exported folder, of the folder ``fhir`` in it or of one file of it; None: there is none.

    Raises Suspended (SAL-478) where a patient is to be erased from it.
    """
    folders = [source] if source.is_dir() else [source.parent]
    if source.name == "fhir":
        folders.append(source.parent)
    for folder in folders:
        check_in_use(folder)
        if (folder / SYNTHETIC_MARK).exists() or (folder / EXPORT_BOOKS).exists():
            return _beside(folder)
    return None


def _beside(folder: Path) -> Beside:
    marked = (folder / SYNTHETIC_MARK).exists()
    try:
        said = json.loads((folder / EXPORT_BOOKS).read_bytes())
        books = said if isinstance(said, dict) else {}
    except (FileNotFoundError, ValueError):
        books = {}
    if bool(books.get("synthetic", marked)) != marked:
        raise _mixed(f"'{SYNTHETIC_MARK}' and '{EXPORT_BOOKS}' contradict each other", str(folder))
    files = books.get("digests")
    return Beside(
        synthetic=marked,
        timeline=str(books.get("timeline_digest") or ""),
        files=files if isinstance(files, dict) else {},
    )


def is_synthetic(said: bool | None, *, marked: int = 0, of: int = 0, where: str) -> bool:
    """Whether all that is read is synthetic. ``said``: by what lies beside it; None: nothing does.

    ``marked``: how many rows or resources carry the label, ``of`` those that could. Raises LabelsMixed (SAL-476).

    >>> is_synthetic(None, marked=3, of=3, where="."), is_synthetic(True, where=".")
    (True, True)
    """
    if 0 < marked < of:
        raise _mixed(f"{marked:,} of {of:,} carry the label synthetic and the others do not", where)
    by_rows = marked > 0
    if said is not None and of and said is not by_rows:
        words = "synthetic and none of the rows" if said else "real and all of the rows"
        raise _mixed(f"what lies beside the files says that they are {words} does", where)
    return by_rows or bool(said)


def check_files(beside: Beside, files: Mapping[str, Path], *, where: str) -> None:
    """Refuse a file beside a mark that is not the one that was exported with it: nobody can tell whose it is."""
    for name, path in files.items():
        if beside.files and path.exists() and beside.files.get(name) != digest_of(path):
            raise _mixed(f"'{name}' is not the file that was exported with this mark", where)


def digest_of(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_completed(source: pl.Expr) -> pl.Expr:
    """Whether a row was drawn into a real record."""
    return ((source == COMPLETED) | source.str.starts_with(f"{COMPLETED}/")).fill_null(False)


def _mixed(what: str, where: str) -> LabelsMixed:
    return LabelsMixed(
        what,
        where=where,
        fix="read synthetic and real records apart; where files were changed or put together, export them anew",
    )

"""Where identities and the ledger lie: a folder that its owner alone can read, away from timelines and from git."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from salus.at_rest.files import read_private_parquet, write_private_parquet
from salus.errors import IdentitiesExposed, IdentitiesMissing
from salus.linkage.identity import IDENTITY_COLUMNS
from salus.timeline.store import SETTINGS_FILE

PEOPLE_FILE, LEDGER_FILE = "identities.parquet", "ledger.jsonl"
SCRATCH = ".scratch"
OTHERS = 0o077
OWNER_FOLDER = 0o700


def open_vault(folder: Path) -> Path:
    """Make the folder, or see that it is private. Raises IdentitiesExposed (SAL-161)."""
    for above in (folder, *folder.resolve().parents):
        if (above / SETTINGS_FILE).exists():
            raise IdentitiesExposed(
                "identities would lie inside a timeline, which is passed on",
                where=str(folder),
                fix="name another 'folder' in the LINK.yaml",
            )
    if not folder.exists():
        folder.mkdir(parents=True, mode=OWNER_FOLDER)
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    check_private(folder)
    return folder


def check_private(path: Path) -> None:
    """Refuse what others than the owner may read, list or change."""
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & OTHERS:
        raise IdentitiesExposed(
            f"'{path.name}' can be read by others than its owner",
            where=str(path),
            fix=f"chmod go-rwx '{path}'",
        )


@contextmanager
def private_scratch(folder: Path) -> Iterator[Path]:
    """A folder in the vault for what does not fit into memory; it is gone at the end, however it ends."""
    scratch = folder / SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=OWNER_FOLDER)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_identities(folder: Path, people: pl.DataFrame) -> None:
    """Write the table of identities, whole or not at all, for its owner alone."""
    partial = folder / f".{PEOPLE_FILE}.partial"
    write_private_parquet(people, partial)
    partial.rename(folder / PEOPLE_FILE)


def read_identities(folder: Path) -> pl.DataFrame:
    """Read the table of identities. Raises IdentitiesMissing and IdentitiesExposed (SAL-161, SAL-162)."""
    path = folder / PEOPLE_FILE
    if not path.exists():
        raise IdentitiesMissing(
            "no identities have been read yet", where=str(folder), fix="run `salus link LINK.yaml` first"
        )
    check_private(folder)
    check_private(path)
    try:
        people = read_private_parquet(path)
        return people.select(pl.col(name).cast(kind) for name, kind in IDENTITY_COLUMNS.items())
    except (pl.exceptions.PolarsError, OSError):
        raise IdentitiesMissing(
            f"'{PEOPLE_FILE}' cannot be read: it is cut short or of another version",
            where=str(folder),
            fix="remove it and run `salus link LINK.yaml` again; the ledger stays",
        ) from None

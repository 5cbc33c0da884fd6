"""Seal: what is private below a folder is encrypted where it lies, or made clear again; key rings made and rotated."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from salus.at_rest.envelope import is_sealed, read_head, seal, unseal, wrap_again
from salus.at_rest.files import RING, configured_ring, master_of
from salus.at_rest.key_ring import KeyRing, Master, new_ring, open_ring, rotated, without, write_ring
from salus.errors import KeyRingTrouble, NothingToSeal
from salus.progress import QUIET, Progress
from salus.timeline.label import EXPORT_BOOKS

ENDINGS = (".parquet", ".safetensors")
NAMES = ("vocabulary.json",)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealBooks:
    """Files met = changed + as they were; ``left``: files of other kinds, which are not looked at."""

    met: int
    changed: int
    left: int
    key: str


def seal_folder(folder: Path, *, progress: Progress = QUIET) -> SealBooks:
    """Seal what is clear, and wrap anew what an older key sealed: afterwards all is under the ring's current key.

    Raises NothingToSeal (SAL-232), KeyRingTrouble (SAL-231) and SealBroken (SAL-230), each before that file is changed.
    """
    ring = _ring(folder)

    def sealed_now(content: bytes, where: str) -> bytes:
        if not is_sealed(content):
            return seal(content, ring)
        under = read_head(content, where=where)[0].key
        return content if under == ring.current else wrap_again(content, ring, where=where)

    return _through(folder, sealed_now, ring, progress=progress)


def open_folder(folder: Path, *, progress: Progress = QUIET) -> SealBooks:
    """Make clear again what is sealed below a folder."""
    ring = _ring(folder)
    return _through(
        folder,
        lambda content, where: unseal(content, ring, where=where) if is_sealed(content) else content,
        ring,
        progress=progress,
    )


def make_ring(path: Path, master: Master) -> KeyRing:
    """Write a new ring of one key. Raises KeyRingTrouble (SAL-231) where there is a file already."""
    if path.exists():
        raise KeyRingTrouble(
            f"'{path.name}' is there already; a ring that is lost takes what it sealed with it",
            where=str(path),
            fix="choose another file",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    ring = new_ring()
    write_ring(ring, path, master)
    return ring


def rotate_ring(path: Path, *, remove: tuple[str, ...] = ()) -> KeyRing:
    """Add a new current key, or take off old ones: what those sealed and nobody wrapped anew is gone for good."""
    master = master_of(path)
    ring = open_ring(path, master)
    unknown = [name for name in remove if name not in ring.keys]
    if unknown:
        raise KeyRingTrouble(
            f"there is no key '{unknown[0]}' on the ring",
            where=str(path),
            fix=f"it has: {', '.join(ring.keys)}",
        )
    ring = without(ring, remove) if remove else rotated(ring)
    write_ring(ring, path, master)
    return ring


def _ring(folder: Path) -> KeyRing:
    ring = configured_ring()
    if ring is None:
        raise KeyRingTrouble(
            "no key ring is configured",
            where=str(folder),
            fix=f"set {RING}; make one with salus seal --new-ring FILE",
        )
    return ring


def _through(
    folder: Path, turned: Callable[[bytes, str], bytes], ring: KeyRing, *, progress: Progress
) -> SealBooks:
    if not folder.exists():
        raise NothingToSeal(f"there is no '{folder.name}'", where=str(folder), fix="name a folder of Salus")
    mine, left = _files(folder)
    if not mine:
        raise NothingToSeal(
            f"'{folder.name}' holds no timeline, model or table of Salus",
            where=str(folder),
            fix="name a folder that salus ingest, train, generate or demo wrote",
        )
    changed = 0
    with progress.step("Sealing", total=len(mine), unit="files") as step:
        for path in mine:
            before = path.read_bytes()
            after = turned(before, str(path))
            if after is not before:
                _replace(path, after)
                changed += 1
            step.advance()
    return SealBooks(met=len(mine), changed=changed, left=left, key=ring.current)


def _files(folder: Path) -> tuple[list[Path], int]:
    """What Salus reads sealed, in order, and how many other files there are; exports are for others to read."""
    if folder.is_file():
        return [folder], 0
    mine, left = [], 0
    for path in _below(folder):
        if path.suffix in ENDINGS or path.name in NAMES:
            mine.append(path)
        else:
            left += 1
    return mine, left


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        if EXPORT_BOOKS in names:
            folders.clear()
            continue
        folders.sort()
        yield from (Path(place) / name for name in sorted(names) if not (Path(place) / name).is_symlink())


def _replace(path: Path, content: bytes) -> None:
    """Put the new content in the old one's place, whole, with the same rights or fewer."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)

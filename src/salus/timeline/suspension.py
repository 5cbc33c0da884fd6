"""A mark that takes a folder out of use: a patient is to be erased from what it holds, and it is not done yet."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from salus.errors import Suspended

SUSPENDED = "SUSPENDED.json"
REASON = "suspended: erasure pending"


def suspend(folder: Path, *, with_patient: Sequence[str]) -> None:
    """Mark a folder. ``with_patient``: digests of the timelines that held the patient: not to be learnt from again."""
    said = {"reason": REASON, "with_patient": sorted({*with_patient, *timelines_with_patient(folder)})}
    fresh = folder / f".{SUSPENDED}.partial-{os.getpid()}"
    fresh.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    fresh.replace(folder / SUSPENDED)


def is_suspended(folder: Path) -> bool:
    """Whether a folder carries the mark."""
    return (folder / SUSPENDED).exists()


def timelines_with_patient(folder: Path) -> tuple[str, ...]:
    """Digests of the timelines that held a patient who is to be erased; none where there is no mark."""
    try:
        return tuple(map(str, json.loads((folder / SUSPENDED).read_bytes())["with_patient"]))
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return ()


def check_in_use(folder: Path) -> None:
    """Refuse a folder that carries the mark. Raises Suspended (SAL-478)."""
    if is_suspended(folder):
        raise Suspended(
            f"'{folder.name}' is {REASON}",
            where=str(folder),
            fix="train it again without the patient, draw again what was drawn from it, or delete it; `salus erase` "
            "wrote what it found into its record",
        )

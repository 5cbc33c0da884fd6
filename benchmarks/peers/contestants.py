"""Who takes part: each a folder with requirements.txt and run.py, the kinds of table it can make, its seeds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.blocks import ROOT

PEERS = ROOT / "benchmarks" / "peers"
THREE = (1, 2, 3)
STAYS_BUDGET = 550.0
"""Processor seconds for whoever learns from the ICU stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """A generator: ``folder`` below benchmarks/peers; no ``package`` means the repository's own environment."""

    name: str
    folder: str
    package: str | None
    kinds: tuple[str, ...]
    seeds: tuple[int, ...] = (1,)
    method: str = "default"
    budget_seconds: float | None = None
    """Where its comparison is at a time of its own, not at that of all."""

    @property
    def version(self) -> str | None:
        """The version that its requirements pin."""
        if self.package is None:
            return None
        lines = (PEERS / self.folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
        return next(line.partition("==")[2] for line in lines if line.startswith(f"{self.package}=="))

    def digest(self) -> str:
        """Changes when what runs changes: its own folder, and for Salus what learns and draws."""
        folders = [PEERS / self.folder]
        if self.package is None:
            folders.append(ROOT / "src" / "salus" / "trajectory")
        return digest_of(path for folder in folders for path in sorted(folder.rglob("*")))


def digest_of(paths: Iterator[Path]) -> str:
    """One sha256 over the names and bytes of code files, shortened."""
    whole = hashlib.sha256()
    for path in paths:
        if path.suffix in (".py", ".txt", ".yaml") and path.is_file():
            whole.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return whole.hexdigest()[:16]


CONTESTANTS = (
    Contestant(name="salus", folder="salus", package=None, kinds=("flat", "sequences"), seeds=THREE),
    Contestant(
        name="salus-stays",
        folder="salus",
        package=None,
        kinds=("icu",),
        seeds=THREE,
        budget_seconds=STAYS_BUDGET,
    ),
    Contestant(
        name="salus-unchecked",
        folder="salus",
        package=None,
        kinds=("sequences",),
        seeds=THREE,
        method="unchecked",
    ),
    Contestant(
        name="salus-private",
        folder="salus",
        package=None,
        kinds=("flat",),
        seeds=THREE,
        method="private",
    ),
    Contestant(
        name="mostlyai-engine",
        folder="mostlyai_engine",
        package="mostlyai-engine",
        kinds=("flat", "sequences"),
        seeds=THREE,
    ),
    Contestant(name="sdv-copula", folder="sdv", package="sdv", kinds=("flat",), method="copula"),
    Contestant(name="sdv-ctgan", folder="sdv", package="sdv", kinds=("flat",), method="ctgan"),
    Contestant(name="sdv-tvae", folder="sdv", package="sdv", kinds=("flat",), method="tvae"),
    Contestant(name="sdv-par", folder="sdv", package="sdv", kinds=("sequences",), method="par"),
    Contestant(
        name="meds-eic-ar",
        folder="meds_eic_ar",
        package="MEDS_EIC_AR",
        kinds=("icu",),
        budget_seconds=STAYS_BUDGET,
    ),
)

"""Facts of training patients on disk, a folder a shard, for what goes through them several times."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from salus.at_rest.files import read_private_parquet, write_private_parquet
from salus.trajectory.encoding import Spans

PARTS = ("facts", "moments", "patients")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpansOnDisk:
    """Gives shard after shard, as often as it is gone through; rows after death of each are remembered."""

    folders: tuple[Path, ...]
    after_death: dict[Path, int] = field(default_factory=dict)

    @classmethod
    def of(cls, spans: Iterable[Spans], folder: Path) -> SpansOnDisk:
        """Write each shard's frames below ``folder``, which is emptied first."""
        shutil.rmtree(folder, ignore_errors=True)
        folders, late = list[Path](), dict[Path, int]()
        for number, one in enumerate(spans):
            place = folder / f"{number:05d}"
            place.mkdir(parents=True, mode=0o700)
            for name in PARTS:
                write_private_parquet(getattr(one, name), place / f"{name}.parquet", scratch=True)
            folders.append(place)
            late[place] = one.after_death
        return cls(folders=tuple(folders), after_death=late)

    def __iter__(self) -> Iterator[Spans]:
        for place in self.folders:
            frames = {name: read_private_parquet(place / f"{name}.parquet") for name in PARTS}
            yield Spans(**frames, after_death=self.after_death[place])

    @property
    def facts(self) -> _FactsOnDisk:
        """The facts alone."""
        return _FactsOnDisk(tuple(place / "facts.parquet" for place in self.folders))


@dataclass(frozen=True, slots=True)
class _FactsOnDisk:
    paths: tuple[Path, ...]

    def __iter__(self) -> Iterator[pl.DataFrame]:
        return map(read_private_parquet, self.paths)

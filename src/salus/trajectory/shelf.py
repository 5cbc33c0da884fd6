"""Training records a window at a time: what lies in memory is bounded by the window, however many patients there are.

Each shard is encoded once into a file of its own. Every pass takes the files in another order; a window is as many of
them as are held together, and patients are shuffled within it. Few enough records are one window that stays in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

from salus.trajectory.bins import IntArray
from salus.trajectory.encoding import Records, joined
from salus.trajectory.keyed import STEP, mixed

WINDOW_FACTS = 8_000_000
"""Facts held together where nobody says otherwise: about 200 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Training patients: ``books`` are files of records or records; ``sizes`` (books,) facts of each.

    ``sample``: patients taken by lot, to look at beside tuning patients.
    """

    books: tuple[Path | Records, ...]
    sizes: tuple[int, ...]
    patients: int
    sample: Records
    window_facts: int = WINDOW_FACTS

    @classmethod
    def of(cls, records: Records) -> Shelf:
        """All patients in one window."""
        return cls(
            books=(records,),
            sizes=(records.facts,),
            patients=records.patients,
            sample=records,
            window_facts=max(records.facts, 1),
        )

    @property
    def facts(self) -> int:
        """Number of facts."""
        return sum(self.sizes)

    @property
    def windows(self) -> int:
        """How many windows a pass has."""
        return max(min(-(-self.facts // self.window_facts), len(self.books)), 1)

    def window(self, number: int, *, seed: int) -> Records:
        """The patients of one window of the pass that ``seed`` stands for; each is in exactly one."""
        order = (
            np.arange(1) if len(self.books) == 1 else np.random.default_rng(seed).permutation(len(self.books))
        )
        sizes = np.asarray(self.sizes)[order]
        middle = np.cumsum(sizes) - sizes / 2
        mine = order[np.minimum(middle * self.windows // max(self.facts, 1), self.windows - 1) == number]
        opened = [_opened(self.books[book]) for book in mine]
        if not opened:  # a book larger than a window has left this one nothing
            return self.sample.of(np.zeros(0, dtype=np.int64))
        return opened[0] if len(opened) == 1 else joined(opened)

    def each(self) -> Iterator[Records]:
        """Book after book."""
        return map(_opened, self.books)


def _opened(book: Path | Records) -> Records:
    return load_records(book) if isinstance(book, Path) else book


def save_records(records: Records, path: Path) -> None:
    """Write records into a file: numbers only."""
    save_file({one.name: np.ascontiguousarray(getattr(records, one.name)) for one in fields(Records)}, path)


def load_records(path: Path) -> Records:
    """Read what :func:`save_records` wrote."""
    return Records(**load_file(path))


def by_lot(subjects: IntArray, share: float) -> npt.NDArray[np.bool_]:
    """Take about this share of patients, by a hash of their numbers: always the same ones, wherever they lie."""
    taken: npt.NDArray[np.bool_] = (
        mixed(subjects.astype(np.uint64) + STEP).astype(np.float64) < share * 2.0**64
    )
    return taken


def shelved(parts: Iterable[Records], folder: Path, *, share: float, window_facts: int) -> Shelf:
    """Write each part into a file of ``folder``; ``share`` of the patients are kept at hand as the sample."""
    folder.mkdir(parents=True, mode=0o700)
    books, sizes, patients, sample = list[Path](), list[int](), 0, list[Records]()
    for number, part in enumerate(parts):
        path = folder / f"{number:05d}.safetensors"
        save_records(part, path)
        books.append(path)
        sizes.append(part.facts)
        patients += part.patients
        sample.append(part.of(np.flatnonzero(by_lot(part.subject, share))))
    return Shelf(
        books=tuple(books),
        sizes=tuple(sizes),
        patients=patients,
        sample=joined(sample),
        window_facts=window_facts,
    )

"""What became of a folder of images: files read = written + refused, and the fate of every attribute."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from salus.deidentify.field_books import FieldBooks
from salus.errors import BooksUnbalanced

PLACES = 1_000


@dataclass(slots=True)
class ImageBooks:
    """What became of all files. ``places``: which file, counted from 1 in the order of their names, and why not."""

    read: int = 0
    written: int = 0
    blanked: int = 0
    fields: FieldBooks = field(default_factory=FieldBooks)
    refused: Counter[str] = field(default_factory=Counter)
    places: list[tuple[int, str]] = field(default_factory=list)
    patients: set[str] = field(default_factory=set, repr=False)

    def refuse(self, number: int, reason: str) -> None:
        """Count a file that does not pass."""
        self.refused[reason] += 1
        if len(self.places) < PLACES:
            self.places.append((number, reason))

    def check(self) -> None:
        """Raise BooksUnbalanced (SAL-108) where a file has vanished."""
        if self.read != self.written + self.refused.total():
            raise BooksUnbalanced(
                f"{self.read} files were read and {self.written + self.refused.total()} accounted for",
                where="deidentify images",
                fix="report this: it is a bug",
            )

    def as_json(self) -> dict[str, object]:
        """The books as they are stored and printed."""
        return {
            "read": self.read,
            "written": self.written,
            "refused": self.refused.total(),
            "patients": len(self.patients),
            "with_pixels_blanked": self.blanked,
            "refused_by_reason": dict(sorted(self.refused.items())),
            "refused_files": [list(place) for place in self.places],
            "fields": self.fields.as_json(),
        }

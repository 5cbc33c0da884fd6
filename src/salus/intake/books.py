"""The books of an intake: every row read was kept or rejected, and what else was met on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from salus.errors import BooksUnbalanced

Counts = dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableBooks:
    """The books of one table; the counts of cells are by column (wide) or variable (long)."""

    name: str
    read: int
    kept: int
    rejected: int
    events: int
    not_recorded: Counts = field(default_factory=dict)
    moved_times: Counts = field(default_factory=dict)
    assumed_times: Counts = field(default_factory=dict)
    converted: Counts = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """The books of a whole intake. ``noted``: what else was counted, such as how well a table was mapped."""

    tables: tuple[TableBooks, ...]
    reasons: Counts
    patients: Counts
    assumed_known_time: int
    noted: Mapping[str, Counts] = field(default_factory=dict)

    @property
    def read(self) -> int:
        """Rows met in all files."""
        return sum(table.read for table in self.tables)

    @property
    def kept(self) -> int:
        """Rows that gave at least one event."""
        return sum(table.kept for table in self.tables)

    @property
    def rejected(self) -> int:
        """Rows that gave none, each with its reason in ``rejected.parquet``."""
        return sum(table.rejected for table in self.tables)

    @property
    def events(self) -> int:
        """Events written."""
        return sum(table.events for table in self.tables)

    def as_json(self) -> dict[str, object]:
        """The books as they are stored and printed."""
        return {
            "read": self.read,
            "kept": self.kept,
            "rejected": self.rejected,
            "events": self.events,
            "patients": self.patients,
            "assumed_known_time": self.assumed_known_time,
            "rejected_by_reason": self.reasons,
            **({"noted": {name: dict(counts) for name, counts in self.noted.items()}} if self.noted else {}),
            "tables": {
                table.name: {
                    "read": table.read,
                    "kept": table.kept,
                    "rejected": table.rejected,
                    "events": table.events,
                    "cells_not_recorded": table.not_recorded,
                    "times_moved": table.moved_times,
                    "times_assumed": table.assumed_times,
                    "units_converted": table.converted,
                }
                for table in self.tables
            },
        }


def check_books(books: Books, rejected: pl.DataFrame) -> None:
    """Refuse books that do not balance: read = kept + rejected, in each table and in what is listed."""
    for table in books.tables:
        if table.read != table.kept + table.rejected:
            raise BooksUnbalanced(
                f"table '{table.name}': {table.read} rows read, {table.kept} kept, {table.rejected} rejected",
                where="salus.intake.books",
                fix="this is a defect of Salus: report it with these three numbers",
            )
    if rejected.height != books.rejected:
        raise BooksUnbalanced(
            f"{books.rejected} rows are rejected but {rejected.height} are listed",
            where="rejected.parquet",
            fix="this is a defect of Salus: report it with these two numbers",
        )

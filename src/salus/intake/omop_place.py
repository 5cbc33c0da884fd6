"""An OMOP source that is open: which tables it has, how SQL reads them, and what in it is no row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import duckdb
import polars as pl

from salus.at_rest.files import configured_ring
from salus.errors import ColumnMissing, nearest
from salus.formats.omop import CLINICAL, PERSON, PERSON_COLUMNS, PERSON_REQUIRED, SAME_IN_5_3
from salus.intake.sql_cells import Columns, columns_of

MEMORY = "512MB"
MEMORY_ALONE = "70%"
"""What DuckDB may hold; what is beyond goes to the scratch folder."""
COLUMNS_READ = {table.name: table.columns for table in CLINICAL} | {PERSON: PERSON_COLUMNS}
COLUMNS_NEEDED = {table.name: table.required for table in CLINICAL} | {PERSON: PERSON_REQUIRED}


@dataclass(frozen=True, slots=True, kw_only=True)
class OmopPlace:
    """Where a source is, and what it does not say of itself: the zone of its clocks, the schema of its tables.

    ``rows_a_range``: about how many rows are asked of a database at once. ``key``: of pseudonyms for patients and rows.
    """

    where: str
    zone: str = "UTC"
    schema: str = ""
    rows_a_range: int = 500_000
    key: bytes = field(default=b"", repr=False)
    processes: int = 1


@dataclass(frozen=True, slots=True)
class Relation:
    """One table as SQL can read it."""

    sql: str
    columns: Columns


@dataclass(frozen=True, slots=True, kw_only=True)
class OmopSource:
    """Relations by the table's name, lines that are no rows by the same, and names of what is no table of OMOP."""

    db: duckdb.DuckDBPyConnection
    relations: Mapping[str, Relation]
    broken: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    strange: tuple[str, ...] = ()


def scratch_database(scratch: Path, *, processes: int = 1) -> duckdb.DuckDBPyConnection:
    """A database in the folder ``scratch`` that keeps to its memory and fetches nothing from anywhere.

    ``processes``: how many of the machine's processors it may use at a time. Where a key ring is configured it is held
    in memory alone: DuckDB cannot encrypt what it lays on the disk without an extension that is not in its package.
    """
    in_memory = configured_ring() is not None
    db = duckdb.connect(
        ":memory:" if in_memory else str(scratch / "scratch.duckdb"),
        config={
            "memory_limit": MEMORY_ALONE if in_memory else MEMORY,
            "temp_directory": "" if in_memory else str(scratch),
            "threads": processes,
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    db.execute("SET TimeZone = 'UTC'")
    return db


def relation(db: duckdb.DuckDBPyConnection, sql: str, *, name: str, where: str) -> Relation:
    """A relation with its columns by their names in 5.4; refuse one that lacks a column it cannot do without."""
    types = as_in_5_4(columns_of(db, sql).types)
    check_columns(name, types, where=where)
    return Relation(sql, Columns(types))


Told = TypeVar("Told")


def as_in_5_4(present: Mapping[str, Told]) -> dict[str, Told]:
    """Columns by their names in 5.3 and by those in 5.4."""
    older = {
        now: present[before]
        for now, before in SAME_IN_5_3.items()
        if now not in present and before in present
    }
    return {**present, **older}


def check_columns(name: str, present: Mapping[str, object], *, where: str) -> None:
    """Refuse a table that lacks a column without which its rows mean nothing."""
    missing = [column for column in COLUMNS_NEEDED.get(name, ()) if column not in present]
    if missing:
        raise ColumnMissing(
            f"table '{name}' has no column '{missing[0]}'{nearest(missing[0], present)}",
            where=where,
            fix=f"export the table as OMOP CDM 5.3 or 5.4 defines it; it has: {', '.join(sorted(present))}",
        )


def wanted_columns(name: str, present: Mapping[str, object]) -> list[str]:
    """Those of a table's columns that are read, as the source has them; of a table we do not read, all."""
    if name not in COLUMNS_READ:
        return list(present)
    older = {now: before for now, before in SAME_IN_5_3.items() if now not in present and before in present}
    return [
        older.get(column, column) for column in COLUMNS_READ[name] if older.get(column, column) in present
    ]

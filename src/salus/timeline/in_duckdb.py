"""A timeline's events for DuckDB: its shards as they lie, or, where they are sealed, their clear rows from memory."""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl
from meds import data_subdirectory  # type: ignore[attr-defined]

from salus.at_rest.files import read_private_parquet, sealed


def events_in(db: duckdb.DuckDBPyConnection, folder: Path, name: str) -> str:
    """What to write after FROM for all events of ``folder``.

    Sealed shards are held in memory as the table ``name``: no clear copy of them is ever on the disk.
    """
    shards = sorted((folder / data_subdirectory).rglob("*.parquet"))
    if not any(map(sealed, shards)):
        files = ", ".join("'" + str(path).replace("'", "''") + "'" for path in shards)
        return f"read_parquet([{files}], union_by_name = true)"
    db.register(name, pl.concat(map(read_private_parquet, shards), how="diagonal").to_arrow())
    return f'"{name}"'

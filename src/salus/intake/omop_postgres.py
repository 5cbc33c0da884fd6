"""OMOP tables in PostgreSQL: read by ranges of their keys in one snapshot, into the scratch database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa

from salus.errors import DriverMissing, InputUnreadable
from salus.formats.omop import ALL_TABLES, CLINICAL, PERSON, PERSON_KEY, VOCABULARY
from salus.intake.omop_csv import Scratch
from salus.intake.omop_files import chosen_schema
from salus.intake.omop_place import OmopPlace, OmopSource, Relation, check_columns, relation, wanted_columns
from salus.intake.sql_cells import quote

URL = re.compile(r"^postgres(ql)?://")
ROWS_A_RANGE = 500_000
KEYS = {table.name: table.key for table in CLINICAL} | {PERSON: PERSON_KEY}
WHOLE = ("smallint", "integer", "bigint")
AS = {"numeric": "float8", "character": "text"}
"""Types that cross as another, the same in meaning."""


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of the server: its name as SQL writes it, and its columns with their types."""

    sql: str
    types: dict[str, str]


def is_postgres(where: str) -> bool:
    """Whether a source is the URL of a PostgreSQL database."""
    return bool(URL.match(where))


def shown(where: str) -> str:
    """A URL without its user and password; a path as it is."""
    if not is_postgres(where):
        return where
    parts = urlsplit(where)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def open_postgres(place: OmopPlace, scratch: Scratch) -> OmopSource:
    """Copy what is read of each table; nothing is written to the server."""
    with _snapshot(place) as cursor:
        tables = _tables(cursor, place)
        relations: dict[str, Relation] = {}
        for name, table in tables.items():
            if name in KEYS or name in VOCABULARY:
                check_columns(name, table.types, where=shown(place.where))
                _copy(name, table, cursor, scratch)
            else:
                (rows,) = _rows(cursor, f"SELECT count(*) FROM {table.sql}")
                scratch.db.execute(
                    f"CREATE VIEW {quote(f'pg_{name}')} AS SELECT * FROM range({int(rows[0])})"
                )
            relations[name] = relation(scratch.db, quote(f"pg_{name}"), name=name, where=shown(place.where))
    return OmopSource(db=scratch.db, relations=relations)


@contextmanager
def _snapshot(place: OmopPlace) -> Iterator[Any]:
    """A cursor on one unchanging state of the database, for reading only."""
    try:
        driver = import_module("adbc_driver_postgresql.dbapi")
    except ImportError as error:
        raise DriverMissing(
            "PostgreSQL needs the driver adbc-driver-postgresql",
            where="salus.intake.omop_postgres",
            fix="pip install 'salus[postgresql]'",
        ) from error
    try:
        with driver.connect(place.where) as connection, connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield cursor
    except driver.Error as error:
        raise InputUnreadable(
            f"the database cannot be read ({type(error).__name__}, state {_state(error)})",
            where=shown(place.where),
            fix="check the URL, that this user may read the tables, and that the server stays up; then run it again",
        ) from error


def _state(error: Any) -> str:
    """SQLSTATE of an error: says what was wrong, and no more."""
    told = getattr(error, "sqlstate", None)
    return str(told) if told else "unknown"


def _rows(cursor: Any, sql: str) -> list[tuple[Any, ...]]:
    cursor.execute(sql)
    return list(cursor.fetchall())


def _tables(cursor: Any, place: OmopPlace) -> dict[str, _Table]:
    rows = _rows(
        cursor,
        "SELECT table_schema::text, table_name::text, column_name::text, data_type::text"
        " FROM information_schema.columns"
        " WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2, ordinal_position",
    )
    present = {(schema, table) for schema, table, _, _ in rows}
    schema = chosen_schema(sorted(present), place, where=shown(place.where))
    home = _homes(present, schema)
    tables: dict[str, _Table] = {}
    for told, table, column, kind in rows:
        name = table.lower()
        if home.get(name) == (told, table):
            found = tables.setdefault(name, _Table(f"{quote(told)}.{quote(table)}", {}))
            found.types[column.lower()] = kind
    return tables


def _homes(present: set[tuple[str, str]], schema: str) -> dict[str, tuple[str, str]]:
    """Where each table is: in the schema of ``person``; a vocabulary may have a schema of its own."""
    homes: dict[str, tuple[str, str]] = {}
    for told, table in sorted(present, key=lambda found: found[0] != schema):
        name = table.lower()
        if name in ALL_TABLES and (told == schema or name in VOCABULARY):
            homes.setdefault(name, (told, table))
    return homes


def _copy(name: str, table: _Table, cursor: Any, scratch: Scratch) -> None:
    columns = ", ".join(
        _crossing(column, table.types[column]) for column in wanted_columns(name, table.types)
    )
    select = f"SELECT {columns} FROM {table.sql}"
    into = quote(f"pg_{name}")
    _fill(f"CREATE TABLE {into} AS SELECT * FROM part", f"{select} WHERE false", cursor, scratch)
    for limits in _ranges(KEYS.get(name, ""), table, cursor):
        _fill(f"INSERT INTO {into} SELECT * FROM part", f"{select} WHERE {limits}", cursor, scratch)


def _crossing(column: str, kind: str) -> str:
    wanted = AS.get(kind)
    return f"{quote(column)}::{wanted} AS {quote(column)}" if wanted else quote(column)


def _ranges(key: str, table: _Table, cursor: Any) -> Iterator[str]:
    """Conditions that cut a table into about ``ROWS_A_RANGE`` rows each, every row in one of them."""
    if table.types.get(key) not in WHOLE:
        yield "true"
        return
    ((low, high, rows, keyed),) = _rows(
        cursor, f"SELECT min({quote(key)}), max({quote(key)}), count(*), count({quote(key)}) FROM {table.sql}"
    )
    if rows > keyed:
        yield f"{quote(key)} IS NULL"
    if not keyed:
        return
    low, high = int(low), int(high)
    width = max(1, -(-(high - low + 1) * ROWS_A_RANGE // int(keyed)))
    for start in range(low, high + 1, width):
        yield f"{quote(key)} >= {start} AND {quote(key)} < {start + width}"


def _fill(into: str, select: str, cursor: Any, scratch: Scratch) -> None:
    cursor.execute(select)
    part: pa.RecordBatchReader = cursor.fetch_record_batch()
    scratch.db.register("part", part)
    scratch.db.execute(into)
    scratch.db.unregister("part")

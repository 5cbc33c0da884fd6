"""OMOP tables in PostgreSQL: read by ranges of their keys in one snapshot, into the scratch database."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
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
from salus.intake.omop_place import OmopPlace, OmopSource, check_columns, relation, wanted_columns
from salus.intake.omop_vocabulary import UPWARDS
from salus.intake.sql_cells import quote

URL = re.compile(r"^postgres(ql)?://")
IDS_A_QUESTION = 5_000
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
        for name, table in tables.items():
            if name in KEYS:
                check_columns(name, table.types, where=shown(place.where))
                _copy(name, table, _Server(cursor, scratch), place.rows_a_range)
            elif name not in VOCABULARY:
                (rows,) = _rows(cursor, f"SELECT count(*) FROM {table.sql}")
                scratch.db.execute(f"CREATE VIEW {_copied(name)} AS SELECT * FROM range({int(rows[0])})")
        met = _concepts_met(scratch, [name for name in tables if name in KEYS])
        _copy_vocabulary(
            _Server(cursor, scratch), {name: tables[name] for name in VOCABULARY if name in tables}, met
        )
    where = shown(place.where)
    return OmopSource(
        db=scratch.db,
        relations={name: relation(scratch.db, _copied(name), name=name, where=where) for name in tables},
    )


def _copied(name: str) -> str:
    """What a table's copy is called in the scratch database."""
    return quote(f"pg_{name}")


def _concepts_met(scratch: Scratch, names: Iterable[str]) -> set[int]:
    """The ids of all concepts in the tables that were copied."""
    met: set[int] = set()
    for name in names:
        columns = relation(scratch.db, _copied(name), name=name, where=name).columns.types
        for column in (column for column in columns if column.endswith("concept_id")):
            rows = scratch.db.execute(
                f"SELECT DISTINCT {quote(column)}::BIGINT FROM {_copied(name)}"
            ).fetchall()
            met |= {int(row[0]) for row in rows if row[0]}
    return met


@dataclass(frozen=True, slots=True)
class _Server:
    """Where rows come from and go to."""

    cursor: Any
    scratch: Scratch


def _copy_vocabulary(server: _Server, tables: Mapping[str, _Table], met: set[int]) -> None:
    """Copy what the vocabulary says of the concepts that were met and of all above them: it is far larger than that."""
    known = set(met)
    for name, table in tables.items():
        _fill(f"CREATE TABLE {_copied(name)} AS SELECT * FROM part", _select(name, table, "false"), server)
    if "concept_relationship" in tables:
        upwards = f"concept_id_1 IN ({{}}) AND relationship_id IN {UPWARDS}"
        _copy_where("concept_relationship", tables["concept_relationship"], upwards, server, known)
        known |= _told(server, "concept_relationship", "concept_id_2")
    if "concept_ancestor" in tables:
        ancestor = tables["concept_ancestor"]
        _copy_where("concept_ancestor", ancestor, "descendant_concept_id IN ({})", server, known)
        above = _told(server, "concept_ancestor", "ancestor_concept_id") - known
        one_up = "descendant_concept_id IN ({}) AND min_levels_of_separation = 1"
        _copy_where("concept_ancestor", ancestor, one_up, server, above)
        known |= above
    if "concept" in tables:
        _copy_where("concept", tables["concept"], "concept_id IN ({})", server, known)


def _told(server: _Server, name: str, column: str) -> set[int]:
    rows = server.scratch.db.execute(f"SELECT DISTINCT {column}::BIGINT FROM {_copied(name)}").fetchall()
    return {int(row[0]) for row in rows if row[0] is not None}


def _copy_where(name: str, table: _Table, condition: str, server: _Server, ids: set[int]) -> None:
    """Copy the rows of some ids, so many at a time."""
    wanted = sorted(ids)
    for start in range(0, len(wanted), IDS_A_QUESTION):
        some = ", ".join(map(str, wanted[start : start + IDS_A_QUESTION]))
        _fill(
            f"INSERT INTO {_copied(name)} SELECT * FROM part",
            _select(name, table, condition.format(some)),
            server,
        )


def _select(name: str, table: _Table, condition: str) -> str:
    columns = ", ".join(
        _crossing(column, table.types[column]) for column in wanted_columns(name, table.types)
    )
    return f"SELECT {columns} FROM {table.sql} WHERE {condition}"


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


def _copy(name: str, table: _Table, server: _Server, rows_a_range: int) -> None:
    _fill(f"CREATE TABLE {_copied(name)} AS SELECT * FROM part", _select(name, table, "false"), server)
    for limits in _ranges(KEYS[name], table, server.cursor, rows_a_range):
        _fill(f"INSERT INTO {_copied(name)} SELECT * FROM part", _select(name, table, limits), server)


def _crossing(column: str, kind: str) -> str:
    wanted = AS.get(kind)
    return f"{quote(column)}::{wanted} AS {quote(column)}" if wanted else quote(column)


def _ranges(key: str, table: _Table, cursor: Any, rows_a_range: int) -> Iterator[str]:
    """Conditions that cut a table into about ``rows_a_range`` rows each, every row in one of them."""
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
    width = max(1, -(-(high - low + 1) * rows_a_range // int(keyed)))
    for start in range(low, high + 1, width):
        yield f"{quote(key)} >= {start} AND {quote(key)} < {start + width}"


def _fill(into: str, select: str, server: _Server) -> None:
    server.cursor.execute(select)
    part: pa.RecordBatchReader = server.cursor.fetch_record_batch()
    db = server.scratch.db
    db.register("part", part)
    db.execute(into)
    db.unregister("part")

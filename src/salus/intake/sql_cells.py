"""SQL that reads one cell of a table: a number, an id, a moment, or null where it cannot be told; never a guess."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from salus.formats.source_times import YEARS
from salus.intake.cells import LARGEST

TEXT = "VARCHAR"
WHOLE = (
    "BIGINT",
    "INTEGER",
    "SMALLINT",
    "TINYINT",
    "UBIGINT",
    "UINTEGER",
    "USMALLINT",
    "UTINYINT",
    "HUGEINT",
)
BROKEN = ("FLOAT", "DOUBLE", "DECIMAL")
ZONED = "TIMESTAMP WITH TIME ZONE"
UTC = "UTC"
MOST_DECIMALS = 6
OFFSET = r":\d\d(\.\d+)?\s*(Z|[+-]\d\d(:?\d\d)?)\s*$"


@dataclass(frozen=True, slots=True)
class Columns:
    """A table's columns by their names in small letters: how each is called and typed where it lies."""

    types: Mapping[str, tuple[str, str]]

    def has(self, name: str) -> bool:
        """Whether there is such a column."""
        return name in self.types

    def quoted(self, name: str) -> str:
        """The column's name as SQL writes it."""
        return quote(self.types[name][0])

    def kind(self, name: str) -> str:
        """The column's type, without its precision."""
        return self.types[name][1].partition("(")[0].upper()

    def is_text(self, name: str) -> bool:
        """Whether the column holds texts, so that cells may be unreadable."""
        return self.kind(name) not in (*WHOLE, *BROKEN, "DATE", ZONED) and "TIMESTAMP" not in self.kind(name)


def quote(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def filled(columns: Columns, name: str) -> str:
    """The cell as text, null where it is blank: ask only whether there is one."""
    cell = columns.quoted(name)
    return f"nullif(trim({cell}), '')" if columns.is_text(name) else cell


def as_text(columns: Columns, name: str) -> str:
    """The cell as written; null where there is none."""
    if not columns.has(name):
        return f"NULL::{TEXT}"
    cell = columns.quoted(name)
    return f"nullif({cell}, '')" if columns.is_text(name) else f"{cell}::{TEXT}"


def as_whole(columns: Columns, name: str) -> str:
    """A whole number; ``3.0`` is one, ``3.6`` is not."""
    if not columns.has(name):
        return "NULL::BIGINT"
    cell = columns.quoted(name)
    kind = columns.kind(name)
    if kind in WHOLE:
        return f"TRY_CAST({cell} AS BIGINT)"
    if kind in BROKEN:
        return f"CASE WHEN {cell} = floor({cell}) THEN TRY_CAST({cell} AS BIGINT) END"
    whole = rf"regexp_full_match({cell}, '\s*-?\d+\.0*\s*')"
    return f"CASE WHEN NOT contains({cell}, '.') OR {whole} THEN TRY_CAST({cell} AS BIGINT) END"


def as_concept(columns: Columns, name: str) -> str:
    """A concept's number; 0 where none is given."""
    return f"coalesce({as_whole(columns, name)}, 0)" if columns.has(name) else "0::BIGINT"


def as_number(columns: Columns, name: str) -> str:
    """A finite number that a 32-bit float can hold, or null."""
    if not columns.has(name):
        return "NULL::DOUBLE"
    number = f"TRY_CAST({columns.quoted(name)} AS DOUBLE)"
    if columns.kind(name) in WHOLE:
        return number
    return f"CASE WHEN abs({number}) < {LARGEST!r}::DOUBLE THEN {number} END"


def as_date(columns: Columns, name: str, zone: str) -> str:
    """Midnight of a day, by the source's clocks."""
    if not columns.has(name):
        return "NULL::TIMESTAMP"
    return f"TRY_CAST(TRY_CAST({_by_its_clocks(columns, name, zone)} AS DATE) AS TIMESTAMP)"


def as_moment(columns: Columns, name: str, zone: str) -> str:
    """A day with its time, by the source's clocks; an offset that a text tells is followed."""
    if not columns.has(name):
        return "NULL::TIMESTAMP"
    return f"TRY_CAST({_by_its_clocks(columns, name, zone)} AS TIMESTAMP)"


def _by_its_clocks(columns: Columns, name: str, zone: str) -> str:
    cell = columns.quoted(name)
    if columns.kind(name) == ZONED:
        return f"timezone({literal(zone)}, {cell})"
    if not columns.is_text(name):
        return cell
    shifted = f"timezone({literal(zone)}, TRY_CAST({cell} AS TIMESTAMPTZ))"
    has_offset = f"length({cell}) > 16 AND regexp_matches({cell}, '{OFFSET}')"
    return f"CASE WHEN {has_offset} THEN {shifted}::{TEXT} ELSE trim({cell}) END"


def in_utc(moment: str, zone: str) -> str:
    """A moment by the source's clocks as UTC; one that the clocks showed twice or never cannot be told, and is null."""
    if zone == UTC:
        return moment
    there = f"timezone({literal(zone)}, {moment})"
    back = f"timezone({literal(zone)}, {there}"
    hour = "INTERVAL 1 HOUR"
    told = f"{back}) = {moment} AND {back} - {hour}) <> {moment} AND {back} + {hour}) <> {moment}"
    return f"CASE WHEN {told} THEN timezone('{UTC}', {there}) END"


def is_sane(moment: str) -> str:
    """Whether a moment can be one of a patient's life: not 0001 and not 9999."""
    return f"{moment} BETWEEN TIMESTAMP '{YEARS[0]}-01-01' AND TIMESTAMP '{YEARS[1]}-12-31 23:59:59.999999'"


def decimals_needed(number: str) -> str:
    """The fewest decimals, at most six, that write a number as exactly as a 32-bit float does."""
    near = " ".join(
        f"WHEN abs(round({number}, {places}) - {number}) <= abs({number}) * 1e-6 THEN {places}"
        for places in range(1, MOST_DECIMALS)
    )
    return f"CASE WHEN {number} IS NULL OR {number} = round({number}) THEN 0 {near} ELSE {MOST_DECIMALS} END"


def file_list(paths: Iterable[Path]) -> str:
    """Paths as SQL writes a list of them."""
    return "[" + ", ".join(literal(str(path)) for path in paths) + "]"


def columns_of(db: duckdb.DuckDBPyConnection, sql: str) -> Columns:
    """The columns of a relation as DuckDB sees them."""
    described = db.execute(f"DESCRIBE SELECT * FROM {sql}").fetchall()
    return Columns({str(row[0]).lower(): (str(row[0]), str(row[1])) for row in described})

"""OMOP tables as CSV: copied once into the scratch database as texts, with the lines that are no rows set aside."""

from __future__ import annotations

import csv
import gzip
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import duckdb
import polars as pl
import pyarrow as pa

from salus.errors import InputEmpty, InputUnreadable
from salus.intake.omop_place import Relation, as_in_5_4, check_columns, relation, wanted_columns
from salus.intake.sql_cells import file_list, literal, quote
from salus.timeline.columns import REJECTED_COLUMNS

LONGEST_LINE = 16_000_000
MOST_OPEN_QUOTES = 100
OPEN_QUOTE = "UNQUOTED VALUE"
WHY = {
    "MISSING COLUMNS": "the line has not as many cells as the header",
    "TOO MANY COLUMNS": "the line has not as many cells as the header",
    OPEN_QUOTE: "a quote in the line has no partner, or stands where none can",
    "LINE SIZE OVER MAXIMUM": f"the line is longer than {LONGEST_LINE:,} bytes",
    "INVALID ENCODING": "the line is not UTF-8",
}
OTHERWISE = "the line cannot be told into cells"
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Scratch:
    """Where copies go: the scratch database, and the folder it lies in."""

    db: duckdb.DuckDBPyConnection
    folder: Path


@dataclass(frozen=True, slots=True)
class CsvHeader:
    """The first line of a CSV file."""

    names: tuple[str, ...]
    comma: str


def csv_header(path: Path) -> CsvHeader:
    """Read the first line: names in small letters, and what stands between cells."""
    try:
        with _opened(path) as file:
            line = file.readline(LONGEST_LINE).removeprefix(BOM).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise _unreadable(path) from error
    if not line.strip():
        raise InputEmpty(f"'{path.name}' is empty", where=str(path), fix="put a header line into it")
    comma = max(",\t;|", key=line.count)
    names = tuple(name.strip().lower() for name in next(csv.reader([line], delimiter=comma)))
    if len(set(names)) < len(names):
        raise InputUnreadable(
            f"two columns of '{path.name}' have the same name", where=str(path), fix="rename one of them"
        )
    return CsvHeader(names, comma)


def _opened(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return cast(IO[bytes], gzip.open(path, "rb"))
    if path.suffix == ".zst":
        return cast(IO[bytes], pa.CompressedInputStream(pa.OSFile(str(path)), "zstd"))
    return path.open("rb")


def _unreadable(path: Path) -> InputUnreadable:
    return InputUnreadable(
        f"'{path.name}' is cut short, or is no UTF-8 table with one kind of line ends",
        where=str(path),
        fix="copy or export the file again",
    )


def csv_scan(
    paths: list[Path], header: CsvHeader, *, more: str = "ignore_errors = true", quotes: bool = False
) -> str:
    """SQL that reads CSV as texts. Vocabularies in tabs, as OHDSI gives them, use quotes as letters."""
    mark = "''" if header.comma == "\t" and not quotes else "'\"'"
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in header.names)
    return (
        f"read_csv({file_list(paths)}, columns = {{{columns}}}, delim = {literal(header.comma)}, header = true, "
        f"quote = {mark}, escape = {mark}, auto_detect = false, max_line_size = {LONGEST_LINE}, {more})"
    )


def staged(name: str, paths: list[Path], scratch: Scratch) -> tuple[Relation, pl.DataFrame]:
    """Copy the columns that are read into the scratch database; list the lines that are no rows."""
    table = quote(f"csv_{name}")
    rejected: list[pl.DataFrame] = []
    for path in paths:
        header = csv_header(path)
        check_columns(name, as_in_5_4(dict.fromkeys(header.names)), where=str(path))
        columns = wanted_columns(name, dict.fromkeys(header.names))
        if not rejected:
            scratch.db.execute(
                f"CREATE TABLE {table} ({', '.join(f'{quote(column)} VARCHAR' for column in columns)})"
            )
        into = f"INSERT INTO {table} BY NAME SELECT {', '.join(map(quote, columns))} FROM"
        rejected.append(_copied(path, header, into=into, scratch=scratch))
    return relation(scratch.db, table, name=name, where=str(paths[0])), pl.concat(rejected)


def _copied(path: Path, header: CsvHeader, *, into: str, scratch: Scratch) -> pl.DataFrame:
    """Copy one file; where a quote is never closed, the line it stands in is refused and the next is read."""
    rejected: list[tuple[str, int, str, str]] = []
    rest, before = path, 0
    for turn in range(MOST_OPEN_QUOTES):
        scratch.db.execute("BEGIN TRANSACTION")
        broken = _copied_part(rest, header, into=into, scratch=scratch)
        swallows = next((found for found in broken if found.swallows), None)
        scratch.db.execute("COMMIT" if swallows is None else "ROLLBACK")
        if swallows is not None:
            head, rest = _cut(rest, swallows.place, scratch.folder, turn)
            broken = [*_copied_part(head, header, into=into, scratch=scratch), swallows]
        rejected += [(path.name, before + found.line, "", WHY.get(found.kind, OTHERWISE)) for found in broken]
        if swallows is None:
            return pl.DataFrame(rejected, schema=REJECTED_COLUMNS, orient="row")
        before += swallows.line - 1
    raise _unreadable(path)


@dataclass(frozen=True, slots=True)
class _Broken:
    """A line that is no row: its number, what is wrong, where it begins (the first byte is 1), if it took others in."""

    line: int
    kind: str
    place: int
    swallows: bool


def _copied_part(path: Path, header: CsvHeader, *, into: str, scratch: Scratch) -> list[_Broken]:
    """Copy what can be read; give the lines that cannot, in order."""
    keep = "store_rejects = true, rejects_limit = 0, rejects_table = 'broken_lines', rejects_scan = 'broken_scan'"
    try:
        scratch.db.execute("DROP TABLE IF EXISTS broken_lines; DROP TABLE IF EXISTS broken_scan")
        scratch.db.execute(f"{into} {csv_scan([path], header, more=keep, quotes=True)}")
        rows = scratch.db.execute(
            "SELECT line, error_type, line_byte_position,"
            f" error_type = '{OPEN_QUOTE}' AND contains(rtrim(csv_line, chr(13) || chr(10)), chr(10))"
            " FROM broken_lines"
            " QUALIFY row_number() OVER (PARTITION BY line ORDER BY byte_position) = 1 ORDER BY line"
        ).fetchall()
    except duckdb.Error as error:
        raise _unreadable(path) from error
    return [_Broken(*row) for row in rows]


def _cut(path: Path, place: int, folder: Path, turn: int) -> tuple[Path, Path]:
    """What stands before the line that begins with byte ``place``, and the header with what follows that line."""
    head, rest = folder / "head.csv", folder / f"rest-{turn % 2}.csv"
    with _opened(path) as file, head.open("wb") as before, rest.open("wb") as behind:
        header = file.readline(LONGEST_LINE)
        before.write(header)
        behind.write(header)
        left = place - 1 - len(header)
        while left > 0:
            piece = file.read(min(left, 1 << 20))
            before.write(piece)
            left -= len(piece) or left
        file.readline()
        shutil.copyfileobj(file, behind, 1 << 20)
    return head, rest

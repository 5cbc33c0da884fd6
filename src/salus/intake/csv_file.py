"""A table's files (CSV plain, .gz or .zst; Parquet) as texts with line numbers; broken lines become rejections."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from salus.errors import ColumnMissing, InputEmpty, InputMissing, InputUnreadable, nearest
from salus.formats.csv_source import Join, SourceFile, Table
from salus.intake.parquet_cells import PARQUET, read_parquet_cells
from salus.timeline.columns import REJECTED_COLUMNS

LINE = "\x1fline"  # cannot be the name of a source's column
FILE = "\x1ffile"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
"""How a file of UTF-16 begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawTable:
    """All rows of one table as texts, with ``FILE`` and ``LINE``; and the lines that are no rows."""

    rows: pl.DataFrame
    rejected: pl.DataFrame

    @property
    def read(self) -> int:
        """Rows met, whole or broken."""
        return self.rows.height + self.rejected.height


def read_table(folder: Path, table: Table, *, fetch: str = "") -> RawTable:
    """Read all files of a table, checking that each has every declared column and no other."""
    frames, rejected = [], []
    for file in table.files:
        rows, broken = _read_file(folder / file.name, table, file, fetch=fetch)
        _check_columns(rows, table, path=folder / file.name)
        own = (column.name for column in table.columns if column.name not in table.joined)
        frames.append(rows.select([*own, LINE, FILE]))
        rejected.append(broken)
    return RawTable(rows=pl.concat(frames), rejected=pl.concat(rejected))


def read_brought(folder: Path, table: Table, join: Join, *, fetch: str = "") -> pl.DataFrame:
    """The columns that a join brings, and its key; a line of that file that is no row is nobody's."""
    path = folder / join.file
    rows, _ = _read_file(path, table, SourceFile(join.file), fetch=fetch)
    present = [name for name in rows.columns if name not in (LINE, FILE)]
    for name in (join.key, *join.columns):
        if name not in present:
            raise ColumnMissing(
                f"'{path.name}' has no column '{name}'{nearest(name, present)}",
                where=str(path),
                fix=f"correct tables.{table.name}.join; the file has: {', '.join(present)}",
            )
    return rows.select(join.key, *(name for name in join.columns if name != join.key))


def _check_columns(rows: pl.DataFrame, table: Table, *, path: Path) -> None:
    present = [name for name in rows.columns if name not in (LINE, FILE)]
    declared = [column.name for column in table.columns if column.name not in table.joined]
    for name in declared:
        if name not in present:
            raise ColumnMissing(
                f"'{path.name}' has no column '{name}'{nearest(name, present)}",
                where=str(path),
                fix=f"correct tables.{table.name}.columns; the file has: {', '.join(present)}",
            )
    for name in present:
        if name in table.joined:
            raise ColumnMissing(
                f"'{path.name}' has a column '{name}' itself, which a join brings too",
                where=str(path),
                fix=f"leave it out of tables.{table.name}.join",
            )
        if name not in declared:
            raise ColumnMissing(
                f"'{path.name}' has a column '{name}' that is not declared{nearest(name, declared)}",
                where=str(path),
                fix=f"declare it in tables.{table.name}.columns, with 'ignore: why' if it is not to be read",
            )


def _read_file(
    path: Path, table: Table, file: SourceFile, *, fetch: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    if path.suffix == PARQUET:
        rows = read_parquet_cells(_bytes_of(path, fetch=fetch), table, path=path)
        numbered = rows.with_columns(
            pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias(LINE), pl.lit(file.name).alias(FILE)
        )
        return numbered, pl.DataFrame(schema=REJECTED_COLUMNS)
    content = _decompress(path, fetch=fetch).removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    if not content.strip():
        raise InputEmpty(f"'{path.name}' is empty", where=str(path), fix="put a header line and rows into it")
    try:
        return _parse(content, path, file)
    except (UnicodeDecodeError, pl.exceptions.PolarsError, csv.Error) as error:
        what, fix = "is not a UTF-8 table with commas", "save it as UTF-8 CSV"
        if content[:2] in UTF_16:
            what, fix = "is written in UTF-16", "iconv -f UTF-16 -t UTF-8 FILE > NEW, or save it as UTF-8 CSV"
        elif isinstance(error, UnicodeDecodeError):
            fix = "if it comes from Windows: iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW; else save it as UTF-8 CSV"
        raise InputUnreadable(f"'{path.name}' {what}", where=str(path), fix=fix) from error


def _bytes_of(path: Path, *, fetch: str) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise InputMissing(
            f"there is no file '{path.name}'", where=str(path.parent), fix=_where_from(fetch)
        ) from error


def _decompress(path: Path, *, fetch: str) -> bytes:
    raw = _bytes_of(path, fetch=fetch)
    try:
        if path.suffix == ".gz":
            return gzip.decompress(raw)
        if path.suffix == ".zst":
            return bytes(pa.input_stream(pa.BufferReader(raw), compression="zstd").read())
        return raw
    except (EOFError, zlib.error, OSError) as error:
        raise InputUnreadable(
            f"'{path.name}' is cut short or not compressed as its name says",
            where=str(path),
            fix="fetch or copy the file again",
        ) from error


def _where_from(fetch: str) -> str:
    return (
        f"run `salus fetch {fetch} --to DIR`, then give --input DIR"
        if fetch
        else "give its folder with --input"
    )


def _parse(content: bytes, path: Path, file: SourceFile) -> tuple[pl.DataFrame, pl.DataFrame]:
    header = next(csv.reader([content.split(b"\n", 1)[0].decode()]))
    if len(set(header)) < len(header):
        raise InputUnreadable(
            f"two columns of '{path.name}' have the same name", where=str(path), fix="rename one of them"
        )
    content.decode() if not content.isascii() else None
    whole, lines, broken = _quoted_lines(content) if b'"' in content else _plain_lines(content)
    rows = pl.read_csv(whole, infer_schema=False, raise_if_empty=False).fill_null("")
    if rows.height != len(lines):
        raise InputUnreadable(
            f"the lines of '{path.name}' cannot be told apart", where=str(path), fix="save it as UTF-8 CSV"
        )
    rejected = pl.DataFrame(
        {
            "file": [file.name] * len(broken),
            "line": broken,
            "column": [""] * len(broken),
            "reason": ["the line has not as many cells as the header"] * len(broken),
        },
        schema=REJECTED_COLUMNS,
    )
    return rows.with_columns(pl.Series(LINE, lines, dtype=pl.Int64), pl.lit(file.name).alias(FILE)), rejected


def _plain_lines(content: bytes) -> tuple[bytes, np.ndarray, np.ndarray]:
    """Without quotes a line is a row: count its commas. Gives whole rows, their lines, the broken lines."""
    if not content.endswith(b"\n"):
        content += b"\n"
    letters = np.frombuffer(content, dtype=np.uint8)
    ends = np.flatnonzero(letters == ord("\n"))
    commas = np.flatnonzero(letters == ord(","))
    cells = np.diff(np.searchsorted(commas, ends), prepend=0)
    lengths = np.diff(ends, prepend=-1) - 1
    numbers = np.arange(1, len(ends) + 1)
    good, blank = cells == cells[0], lengths == 0
    blank &= cells[0] > 0
    if good.all() and not blank.any():
        return content, numbers[1:], numbers[:0]
    starts = np.concatenate([[0], ends[:-1] + 1])
    keep = np.flatnonzero(good & ~blank)
    whole = b"".join(content[starts[row] : ends[row] + 1] for row in keep)
    return whole, numbers[keep][1:], numbers[~good & ~blank]


def _quoted_lines(content: bytes) -> tuple[bytes, np.ndarray, np.ndarray]:
    """With quotes a row may span lines: let the csv module find where each begins."""
    reader = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    good: list[int] = []
    broken: list[int] = []
    begins, width = 1, 0
    for cells in reader:
        width = width or len(cells)
        if len(cells) == width:
            good.append(begins)
            writer.writerow(cells)
        elif cells:
            broken.append(begins)
        begins = reader.line_num + 1
    return out.getvalue().encode(), np.array(good[1:], dtype=np.int64), np.array(broken, dtype=np.int64)

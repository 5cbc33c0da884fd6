"""Tables in files, batch by batch: CSV as texts, Parquet as it is; what is no row is told with its line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from salus.errors import InputEmpty, InputUnreadable
from salus.intake.fhir_files import BROKEN, open_bytes

ROWS = 50_000
LONGEST_CELL = 16_000_000
OTHER_WIDTH = "the line has not as many cells as the header"
NOT_UTF8 = "not UTF-8"
NO_CELLS = "the line cannot be told into cells"
DAMAGED = "the file is cut short, or not packed as its name says: what came before is kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some rows of a table, and the places (line, reason) of what is no row."""

    rows: pl.DataFrame
    broken: Sequence[tuple[int, str]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFile:
    """One file of a table. ``told``: how people are told of it, which may not be its name."""

    path: Path
    told: str
    delimiter: str = ""

    @property
    def is_parquet(self) -> bool:
        """Whether it is Parquet; else it is CSV."""
        return self.path.suffix.lower() == ".parquet"

    @contextmanager
    def batches(self) -> Iterator[tuple[tuple[str, ...], str, Iterator[Batch]]]:
        """The names of the columns, what stands between cells, and the rows."""
        if self.is_parquet:
            yield self._names_parquet(), "", self._parquet()
            return
        with open_bytes(self.path) as stream:
            text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
            try:
                head = text.readline(LONGEST_CELL)
            except BROKEN as error:
                raise self._unreadable() from error
            if not head.strip():
                raise InputEmpty(
                    f"the file of {self.told} is empty", where=self.told, fix="put a header line into it"
                )
            mark = self.delimiter or max(",\t;|", key=head.count)
            names = tuple(name.strip() for name in next(csv.reader([head], delimiter=mark)))
            if len(set(names)) < len(names):
                raise InputUnreadable(
                    f"two columns of {self.told} have the same name",
                    where=self.told,
                    fix="rename one of them",
                )
            yield names, mark, _csv_batches(text, names, mark)

    def _unreadable(self) -> InputUnreadable:
        return InputUnreadable(
            f"the file of {self.told} is cut short or not of the form that its name says",
            where=self.told,
            fix="export or copy the file again",
        )

    def _names_parquet(self) -> tuple[str, ...]:
        try:
            return tuple(pq.read_schema(self.path).names)
        except (OSError, pa.ArrowException) as error:
            raise self._unreadable() from error

    def _parquet(self) -> Iterator[Batch]:
        try:
            with pq.ParquetFile(self.path) as file:
                if not file.metadata.num_rows:
                    yield Batch(rows=cast(pl.DataFrame, pl.from_arrow(file.schema_arrow.empty_table())))
                for batch in file.iter_batches(ROWS):
                    yield Batch(rows=cast(pl.DataFrame, pl.from_arrow(batch)))
        except (OSError, pa.ArrowException) as error:
            raise self._unreadable() from error


def _csv_batches(text: IO[str], names: tuple[str, ...], mark: str) -> Iterator[Batch]:
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(text, delimiter=mark)
    rows: list[list[str]] = []
    broken: list[tuple[int, str]] = []
    while True:
        line = reader.line_num + 2
        try:
            cells = next(reader, None)
        except csv.Error:
            broken.append((line, NO_CELLS))
            continue
        except BROKEN:
            broken.append((line, DAMAGED))
            cells = None
        if cells is None:
            break
        if len(cells) != len(names):
            broken += [(line, OTHER_WIDTH)] if cells else []
        elif not _is_text(cells):
            broken.append((line, NOT_UTF8))
        else:
            rows.append(cells)
        if len(rows) >= ROWS:
            yield _batch(rows, names, broken)
            rows, broken = [], []
    yield _batch(rows, names, broken)


def _is_text(cells: list[str]) -> bool:
    joined = "".join(cells)
    return joined.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in joined)


def _batch(rows: list[list[str]], names: tuple[str, ...], broken: list[tuple[int, str]]) -> Batch:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    frame = pl.DataFrame(
        [pl.Series(name, column, dtype=pl.String) for name, column in zip(names, columns, strict=True)]
    )
    return Batch(
        rows=frame.with_columns(pl.all().replace("", None)) if frame.width else frame, broken=tuple(broken)
    )


class CsvSink:
    """Writes rows as CSV, quoted where they must be."""

    def __init__(self, stream: IO[bytes], names: Sequence[str], mark: str) -> None:
        self._text = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
        self._writer = csv.writer(self._text, delimiter=mark, lineterminator="\n")
        self._writer.writerow(names)

    def write(self, rows: pl.DataFrame) -> None:
        """Write some rows."""
        self._writer.writerows(rows.iter_rows())

    def close(self) -> None:
        """Let go of the stream, which its owner closes."""
        self._text.flush()
        self._text.detach()


class ParquetSink:
    """Writes rows as Parquet; the first batch says of which types."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None

    def write(self, rows: pl.DataFrame) -> None:
        """Write some rows."""
        table = rows.to_arrow()
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        self._writer.write_table(table.cast(self._writer.schema))

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()

"""Write tables of text as files: CSV plain, .gz or .zst, or Parquet, by their name; the same bytes each time."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pyarrow as pa

from salus.outlet.csv_tables import CsvFile


def write_csv_file(folder: Path, file: CsvFile) -> Path:
    """Write one file into ``folder`` under the name the source gives it."""
    path = folder / Path(file.name).name
    if path.suffix == ".parquet":
        file.rows.write_parquet(path)
        return path
    path.write_bytes(_packed(_csv(file.rows), path.suffix))
    return path


def _csv(rows: pl.DataFrame) -> bytes:
    unquoted = rows.with_columns(pl.when(pl.col(pl.String) != "").then(pl.col(pl.String)).name.keep())
    return unquoted.write_csv(quote_style="necessary", line_terminator="\n").encode()


def _packed(content: bytes, ending: str) -> bytes:
    if ending == ".gz":
        return gzip.compress(content, compresslevel=6, mtime=0)
    if ending == ".zst":
        return bytes(pa.Codec("zstd").compress(content, asbytes=True))
    return content

"""A timeline as the tables of a source, with books: events = written + not expressible."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from salus.errors import ExportUnbalanced
from salus.formats.categories import with_codes
from salus.formats.csv_source import ORDER, Source, SourceFile, Table, Use, Written
from salus.outlet.csv_cells import NO_PLACE
from salus.outlet.csv_long import long_rows
from salus.outlet.csv_wide import rounded_moments, wide_rows


@dataclass(frozen=True, slots=True)
class CsvFile:
    """One file to write: its name and its rows, every cell as text."""

    name: str
    rows: pl.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """All files of a source, and the books of what could be said in them.

    ``not_expressible``: code, reason, events. ``rounded``: facts and moments written less exactly than the
    timeline has them. ``guarded``: texts that begin like a formula and were given an apostrophe.
    """

    files: tuple[CsvFile, ...]
    events: int
    written: int
    not_expressible: pl.DataFrame
    rounded: int
    guarded: int
    without_known_time: int


def export_tables(events: pl.DataFrame, source: Source) -> Export:
    """Invert ``source``: write each event where its code belongs, once, and account for every one."""
    source = with_codes(source, events["code"].unique().to_list())
    left = events.drop("split", strict=False).with_row_index("event")
    split_of = _splits(events)
    files: list[CsvFile] = []
    fates: list[pl.DataFrame] = []
    moments = 0
    for table in source.tables:
        written = (long_rows if table.is_long else wide_rows)(left, table, source)
        moments += 0 if table.is_long else rounded_moments(left, table, source)
        files += _files(written.rows, table, split_of)
        fates.append(written.fate)
        done = written.fate.filter(pl.col("reason").is_null())
        left = left.join(done, on="event", how="anti")
    fate = pl.concat(fates)
    done = fate.filter(pl.col("reason").is_null())
    refused = _not_expressible(left, fate)
    _check(events.height, done, int(refused["events"].sum()))
    return Export(
        files=tuple(files),
        events=events.height,
        written=done.height,
        not_expressible=refused,
        rounded=int(done["rounded"].sum()) + moments,
        guarded=int(done["guarded"].sum()),
        without_known_time=_unsaid_known_times(events, source),
    )


def _check(events: int, done: pl.DataFrame, refused: int) -> None:
    if done["event"].n_unique() != done.height or done.height + refused != events:
        raise ExportUnbalanced(
            f"{events} events, but {done.height} written and {refused} not expressible",
            where="salus.outlet.csv_tables",
            fix="this is a fault of Salus: please report it with the source.yaml",
        )


def _not_expressible(left: pl.DataFrame, fate: pl.DataFrame) -> pl.DataFrame:
    """Count what no table took, by code and the reason of the first table that tried."""
    tried = fate.filter(pl.col("reason").is_not_null()).unique("event", keep="first", maintain_order=True)
    return (
        left.join(tried.select("event", "reason"), on="event", how="left")
        .with_columns(pl.col("reason").fill_null(NO_PLACE))
        .group_by("code", "reason")
        .agg(pl.len().alias("events"), pl.col("subject_id").n_unique().alias("patients"))
        .sort("code", "reason")
    )


def _splits(events: pl.DataFrame) -> pl.DataFrame:
    named = events if "split" in events.columns else events.with_columns(split=pl.lit("train"))
    return named.select("subject_id", "split").unique("subject_id").sort("subject_id")


def _files(rows: pl.DataFrame, table: Table, split_of: pl.DataFrame) -> list[CsvFile]:
    """Divide a table's rows among its files by split; a split no file claims goes to the first file."""
    placed = rows.join(split_of, on="subject_id", how="left", maintain_order="left")
    files = []
    for number, file in enumerate(table.files):
        mine = placed.filter(pl.col("split").is_in(_splits_of(file, number, table)))
        files.append(CsvFile(file.name, _numbered(mine, table)))
    return files


def _splits_of(file: SourceFile, number: int, table: Table) -> list[str]:
    claimed: set[str] = set()
    for earlier in table.files[:number]:
        claimed |= set(earlier.splits)
    mine = set(file.splits) - claimed
    everyone = {split for other in table.files for split in other.splits}
    if number == 0:
        mine |= {"train", "tuning", "held_out"} - everyone
    return sorted(mine)


def _numbered(rows: pl.DataFrame, table: Table) -> pl.DataFrame:
    count = pl.int_range(1, pl.len() + 1).cast(pl.String)
    numbered = [
        column.name
        for column in table.columns
        if column.use is Use.ROW_NUMBER or column.write is Written.ROW_NUMBER or column.form == ORDER
    ]
    with_numbers = rows.with_columns(count.alias(name) for name in numbered)
    return with_numbers.select(column.name for column in table.columns)


def _unsaid_known_times(events: pl.DataFrame, source: Source) -> int:
    """Events known at another time than they happened, where no table of the source can say so."""
    if any(table.column(Use.KNOWN_TIME) for table in source.tables):
        return 0
    return events.filter(
        pl.col("time").is_not_null() & pl.col("known_time").ne_missing(pl.col("time"))
    ).height

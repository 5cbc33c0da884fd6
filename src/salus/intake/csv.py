"""Read a folder of CSV files as its ``source.yaml`` says: events, rejections and the books."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from salus.errors import InputEmpty
from salus.formats.csv_source import CodeEntry, Source, Table, Use
from salus.intake.books import Books, check_books
from salus.intake.csv_file import FILE, LINE, RawTable
from salus.intake.found import only_met, with_found_categories
from salus.intake.joined import read_whole
from salus.intake.long_table import long_events
from salus.intake.splits import describe_splits, split_subjects
from salus.intake.verdicts import TableEvents, count_by
from salus.intake.wide_table import wide_events
from salus.progress import Progress
from salus.timeline.columns import CODE_COLUMNS
from salus.timeline.settings import TimelineSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """All that came of a source."""

    events: pl.DataFrame
    codes: pl.DataFrame
    rejected: pl.DataFrame
    books: Books
    settings: TimelineSettings


def read_csv_source(source: Source, folder: Path, *, progress: Progress) -> Intake:
    """Read every table, the one that lists the patients first, and balance the books."""
    done: dict[str, TableEvents] = {}
    entries = {entry.code: entry for entry in source.codes}
    patients: pl.Series | None = None
    for table in sorted(source.tables, key=lambda table: table.name != source.patients):
        with progress.step(f"Reading {table.name}", unit="rows") as step:
            raw = read_whole(folder, table, fetch=source.fetch)
            filled = with_found_categories(source, table, raw.rows)
            entries |= {entry.code: entry for entry in filled.codes}
            done[table.name] = _events_of(raw, filled.table(table.name), filled, patients)
            step.advance(done[table.name].books.read)
        if table.name == source.patients:
            patients = done[table.name].subjects
    with progress.step("Sorting events"):
        return _join(source, [done[table.name] for table in source.tables], tuple(entries.values()))


def _events_of(raw: RawTable, table: Table, source: Source, patients: pl.Series | None) -> TableEvents:
    read = long_events if table.is_long else wide_events
    return read(raw, table, source, patients=patients)


def _join(source: Source, parts: list[TableEvents], entries: tuple[CodeEntry, ...]) -> Intake:
    kind = pl.Enum([entry.code for entry in entries])
    events = pl.concat([part.events.with_columns(pl.col("code").cast(kind)) for part in parts])
    rejected = pl.concat([part.rejected for part in parts]).sort("file", "line")
    if events.is_empty():
        first = f"; most often: {rejected['reason'].mode().sort()[0]}" if rejected.height else ""
        raise InputEmpty(
            f"no row was kept of {sum(part.books.read for part in parts)}{first}",
            where=source.path.name,
            fix="check that the files hold rows and that the source.yaml describes them",
        )
    splits = split_subjects(events, source)
    assumed = _assumed_known_time(source, parts)
    events = events.sort("subject_id", "time", "code", nulls_last=False, maintain_order=True)
    books = Books(
        tables=tuple(part.books for part in parts),
        reasons=count_by(rejected["reason"].str.replace(r" \d+ of .*$", "")),
        patients=count_by(splits["split"]),
        assumed_known_time=assumed,
    )
    check_books(books, rejected)
    settings = TimelineSettings(
        name=source.name,
        licence=source.licence,
        time_zero=source.zero,
        grain=source.grain.value,
        order_only=source.order_only,
        zone=source.zone,
        anchor=source.anchor or None,
        assumed_known_time=assumed,
        source_digest=source.digest,
        splits=describe_splits(source),
    )
    met = only_met(entries, source, events["code"].unique().cast(pl.String).to_list())
    return Intake(
        events=_finish(events, splits, source),
        codes=code_frame(met, events),
        rejected=rejected,
        books=books,
        settings=settings,
    )


def _assumed_known_time(source: Source, parts: list[TableEvents]) -> int:
    """Events with a time whose table does not say when staff could see them."""
    silent = [
        part for table, part in zip(source.tables, parts, strict=True) if not table.column(Use.KNOWN_TIME)
    ]
    return sum(int(part.events["time"].is_not_null().sum()) for part in silent)


def _finish(events: pl.DataFrame, splits: pl.DataFrame, source: Source) -> pl.DataFrame:
    stems = {file.name: file.stem for table in source.tables for file in table.files}
    units = {entry.code: entry.unit or None for entry in source.codes}
    unit = pl.col("code").replace_strict(list(units), list(units.values()), return_dtype=pl.String)
    stem = pl.col(FILE).replace_strict(list(stems), list(stems.values()), return_dtype=pl.String)
    return events.join(splits, on="subject_id", how="left", maintain_order="left").select(
        "subject_id",
        "time",
        pl.col("code").cast(pl.String),
        "numeric_value",
        pl.lit(None, dtype=pl.String).alias("text_value"),
        pl.when(pl.col("numeric_value").is_not_null()).then(unit).alias("unit"),
        "known_time",
        (stem + ":" + pl.col(LINE).cast(pl.String)).alias("source"),
        "split",
    )


def code_frame(entries: tuple[CodeEntry, ...], events: pl.DataFrame) -> pl.DataFrame:
    """The table of codes; where the source does not say how many decimals are recorded, the values do."""
    valued = events.filter(pl.col("numeric_value").is_not_null())
    have_values = set(valued["code"].unique().cast(pl.String).to_list())
    unsaid = [entry.code for entry in entries if entry.decimals is None and entry.code in have_values]
    decimals = {entry.code: entry.decimals for entry in entries} | _decimals(valued, unsaid)
    rows = [
        (
            entry.code,
            entry.description,
            list(entry.parents),
            entry.role,
            entry.unit or None,
            entry.low,
            entry.high,
            entry.range_source or None,
            decimals[entry.code],
        )
        for entry in entries
    ]
    return pl.DataFrame(rows, schema=CODE_COLUMNS, orient="row")


def _decimals(valued: pl.DataFrame, codes: list[str]) -> dict[str, int]:
    """The fewest decimals, at most 6, that write every value of a code as exactly as a 32-bit float."""
    found: dict[str, int] = {}
    number = pl.col("numeric_value").cast(pl.Float64)
    for code in codes:
        values = valued.filter(pl.col("code") == code).select(number.alias("value"))
        for decimals in range(7):
            error = (pl.col("value").round(decimals) - pl.col("value")).abs() > pl.col("value").abs() * 1e-6
            if decimals == 6 or not values.select(error.any()).item():
                found[code] = decimals
                break
    return found

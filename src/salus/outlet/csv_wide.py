"""Wide tables: one patient (and, with a time column, one moment) a row, a column for each fact."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from salus.formats.csv_source import ORDER, ROWS_APART, Column, Fact, Moment, Source, Table, Use
from salus.outlet.csv_cells import (
    OTHER_TIME,
    SECOND,
    UNITS,
    WrittenTable,
    fact_cell,
    fact_trouble,
    is_guarded,
    is_rounded,
    missing_cell,
    time_rounded,
    time_text,
)

TIME, TIME_APART = pl.Datetime("us"), pl.Duration("us")
FATE = {"event": pl.UInt32, "reason": pl.String, "rounded": pl.Boolean, "guarded": pl.Boolean}


@dataclass(frozen=True, slots=True)
class _Work:
    """What all columns of one table are written from."""

    events: pl.DataFrame
    table: Table
    source: Source
    keys: pl.DataFrame  # one a row: subject_id, row_time, inexact (the file will tell its time less exactly)
    moments: dict[str, pl.DataFrame]  # name -> subject_id, moment

    @property
    def zero(self) -> datetime | None:
        return self.source.zero


def wide_rows(events: pl.DataFrame, table: Table, source: Source) -> WrittenTable:
    """Write every event (with its number ``event``) that has a cell in the table."""
    moments = {moment.name: _moment_times(events, table, moment) for _, moment in table.moments}
    work = _Work(events, table, source, _keys(events, table, source), moments)
    rows, fates = work.keys, [_row_events(work)]
    for fact in table.column_facts:
        cells, fate = _fact_cells(work, fact)
        rows = rows.join(
            cells.rename({"cell": fact.name}), on=["subject_id", "row_time"], how="left", nulls_equal=True
        )
        rows = rows.with_columns(pl.col(fact.name).fill_null(missing_cell(fact.missing, source)))
        fates.append(fate)
    for name, moment in table.moments:
        rows = rows.join(_moment_cells(work, name, moment), on="subject_id", how="left")
        rows = rows.with_columns(pl.col(name).fill_null(missing_cell(moment.missing, source)))
    done = pl.concat(fates)
    taken = done.filter(pl.col("reason").is_null())["event"].to_list()
    for _, moment in table.moments:
        fates.append(_moment_events(work, rows, moment, taken))
    rows = rows.join(_known(events, table), on=["subject_id", "row_time"], how="left", nulls_equal=True)
    ordered = rows.sort("subject_id", "row_time")
    plain = ordered.select("subject_id", *(_column(column, source) for column in table.columns))
    return WrittenTable(plain, pl.concat(fates))


def _keys(events: pl.DataFrame, table: Table, source: Source) -> pl.DataFrame:
    """The rows to write: those with the row's own event; everyone in the table that lists the patients."""
    codes = [code for fact in table.column_facts for code in fact.codes] + list(table.row_codes)
    codes += [moment.code for _, moment in table.moments]
    time = table.column(Use.TIME)
    mine = events if table.name == source.patients else events.filter(pl.col("code").is_in(codes))
    if table.row_codes and table.name != source.patients:
        mine = mine.filter(pl.col("code").is_in(table.row_codes))
    if not time:
        at_zero = mine.select("subject_id", pl.lit(source.zero, dtype=TIME).alias("row_time")).unique()
        return at_zero.with_columns(inexact=pl.lit(False))
    mine = mine.filter(pl.col("code").is_in(codes) & pl.col("time").is_not_null())
    keys = mine.select("subject_id", _row_time(table, source).alias("row_time")).unique()
    return keys.with_columns(inexact=_inexact(time, source))


def _row_time(table: Table, source: Source) -> pl.Expr:
    """The time of the row that an event of the table belongs to."""
    later = {code: fact.later for fact in table.column_facts if fact.later for code in fact.codes}
    if not later:
        return pl.col("time")
    grains = pl.col("code").replace_strict(later, default=0, return_dtype=pl.Int64)
    return pl.col("time") - grains * pl.lit(source.grain.step, dtype=TIME_APART)


def _inexact(time: Column, source: Source) -> pl.Expr:
    """Whether reading the file again puts the row at another time."""
    if time.form != ORDER:
        return time_rounded(pl.col("row_time"), time.form, source)
    place = pl.col("row_time").rank("ordinal").over("subject_id").cast(pl.Int64) - 1
    again = pl.lit(source.zero, dtype=TIME) + place * pl.lit(ROWS_APART * source.grain.step, TIME_APART)
    return pl.col("row_time") != again


def _known(events: pl.DataFrame, table: Table) -> pl.DataFrame:
    """When the latest fact of each row became known: nothing may be told earlier than it was seen."""
    codes = [code for fact in table.column_facts for code in fact.codes] + list(table.row_codes)
    mine = events.filter(pl.col("code").is_in(codes) & pl.col("time").is_not_null())
    return mine.group_by("subject_id", pl.col("time").alias("row_time")).agg(
        pl.col("known_time").max().alias("row_known")
    )


def _moment_times(events: pl.DataFrame, table: Table, moment: Moment) -> pl.DataFrame:
    """When the moment was: at its own event, else at a category that happens then, else at a number."""
    then = [fact for fact in table.column_facts if fact.at == moment.name]
    ranks = {code: 2 for fact in then if not fact.is_category for code in fact.codes}
    ranks |= {code: 1 for fact in then if fact.is_category for code in fact.codes}
    ranks |= {moment.code: 0} if moment.code else {}
    rank = pl.col("code").replace_strict(ranks, default=None, return_dtype=pl.Int8)
    return (
        events.filter(pl.col("code").is_in(list(ranks)) & pl.col("time").is_not_null())
        .with_columns(rank.alias("rank"))
        .sort("subject_id", "rank", "time")
        .unique("subject_id", keep="first", maintain_order=True)
        .select("subject_id", pl.col("time").alias("moment"))
    )


def _row_events(work: _Work) -> pl.DataFrame:
    table = work.table
    if not table.row_codes:
        return pl.DataFrame(schema=FATE)
    placed = _in_rows(work.events.filter(pl.col("code").is_in(table.row_codes)), work, pl.col("time"))
    if table.first_row_code:
        starts = work.keys.group_by("subject_id").agg(start=pl.col("row_time").min())
        placed = placed.join(starts, on="subject_id", how="left", maintain_order="left")
        is_first = pl.col("row_time") == pl.col("start")
        right = is_first == (pl.col("code") == table.first_row_code)
        placed = placed.with_columns(fits=pl.col("fits") & right)
    return _fate(placed.with_columns(rounded=pl.col("inexact"), trouble=pl.lit(None, pl.String)))


def _in_rows(mine: pl.DataFrame, work: _Work, time: pl.Expr) -> pl.DataFrame:
    """Find each event's row and whether it is the first to claim its cell."""
    timed = work.table.column(Use.TIME) is not None
    row_time = time if timed else pl.lit(work.zero, dtype=TIME)
    placed = mine.with_columns(row_time.alias("row_time"))
    fits = placed.join(
        work.keys.with_columns(fits=pl.lit(True)), on=["subject_id", "row_time"], how="left", nulls_equal=True
    )
    return fits.with_columns(
        pl.col("fits").fill_null(False) & time.eq_missing(pl.col("row_time")),
        pl.col("inexact").fill_null(False),
    )


def _fact_cells(work: _Work, fact: Fact) -> tuple[pl.DataFrame, pl.DataFrame]:
    mine = work.events.filter(pl.col("code").is_in(fact.codes))
    right = pl.col("time") - pl.lit(fact.later * work.source.grain.step, dtype=TIME_APART)
    if fact.at:
        mine = mine.join(work.moments[fact.at], on="subject_id", how="left")
        then = pl.col("time") == pl.col("moment")
        right = pl.when(then).then(pl.lit(work.zero, dtype=TIME)).otherwise(None)
    elif fact.static or fact.age:
        known, told_in = pl.col("time").is_null() != fact.age, pl.lit(work.zero, dtype=TIME)
        if fact.static and work.table.column(Use.TIME):
            mine, told_in = _spread_over_rows(mine, work.keys), pl.col("row")
        right = pl.when(known).then(told_in).otherwise(None)
    has_unit = work.table.column(Use.UNIT) is not None
    placed = _in_rows(mine.with_columns(right.alias("right")), work, pl.col("right")).with_columns(
        fact_cell(fact, work.source).alias("cell"),
        fact_trouble(fact, work.source, has_value=True, has_unit=has_unit).alias("trouble"),
        (is_rounded(fact, work.zero).fill_null(False) | pl.col("inexact")).alias("rounded"),
    )
    fate = _fate(placed, fact)
    written = placed.join(fate.filter(pl.col("reason").is_null()), on="event", how="semi")
    return written.select("subject_id", "row_time", "cell"), fate


def _spread_over_rows(mine: pl.DataFrame, keys: pl.DataFrame) -> pl.DataFrame:
    """Rows have times of their own: what a patient's rows said for good, each says once, the first row first."""
    place = pl.int_range(pl.len()).over("subject_id").alias("place")
    rows = keys.sort("subject_id", "row_time").select("subject_id", place, pl.col("row_time").alias("row"))
    return mine.with_columns(place).join(rows, on=["subject_id", "place"], how="left", maintain_order="left")


def _fate(placed: pl.DataFrame, fact: Fact | None = None) -> pl.DataFrame:
    """Decide for each event: in trouble, out of place, second in its cell, or written."""
    fit = pl.col("fits") & pl.col("trouble").is_null()
    first = pl.col("event").filter(fit).min().over("subject_id", "row_time")
    reason = (
        pl.when(pl.col("trouble").is_not_null())
        .then(pl.col("trouble"))
        .when(~pl.col("fits"))
        .then(pl.lit(OTHER_TIME))
        .when(pl.col("event") != first)
        .then(pl.lit(SECOND))
    )
    return placed.select("event", reason.alias("reason"), "rounded", is_guarded(fact).alias("guarded"))


def _moment_cells(work: _Work, name: str, moment: Moment) -> pl.DataFrame:
    times = work.moments[moment.name]
    if moment.otherwise is not None and work.zero is not None:
        times = times.filter(pl.col("moment") != work.zero + moment.otherwise)
    return times.select("subject_id", time_text(pl.col("moment"), moment.unit, work.source).alias(name))


def _moment_events(work: _Work, rows: pl.DataFrame, moment: Moment, taken: list[int]) -> pl.DataFrame:
    """The moment's own event and whether reading its cell again gives the same time."""
    mine = work.events.filter((pl.col("code") == moment.code) & ~pl.col("event").is_in(taken))
    told = pl.lit(False)
    if moment.unless:
        told = (pl.col(moment.unless[0]) == moment.unless[1]).fill_null(False)
    rows = rows.select("subject_id", told.alias("untold")).unique("subject_id")
    otherwise = work.zero + moment.otherwise if moment.otherwise is not None and work.zero else None
    unsaid = pl.col("time").eq_missing(pl.lit(otherwise, dtype=TIME)) & pl.lit(otherwise is not None)
    joined = mine.join(work.moments[moment.name], on="subject_id", how="left").join(
        rows, on="subject_id", how="left"
    )
    fits = (pl.col("time") == pl.col("moment")) & ~pl.col("untold").fill_null(True) & ~unsaid
    placed = joined.with_columns(
        fits.fill_null(False).alias("fits"),
        pl.lit(work.zero, dtype=TIME).alias("row_time"),
        pl.lit(None, pl.String).alias("trouble"),
        pl.lit(False).alias("rounded"),
    )
    return _fate(placed)


def _column(column: Column, source: Source) -> pl.Expr:
    blank = pl.lit((source.missing or ("",))[0])
    written = pl.lit(None, dtype=pl.String)
    if column.use in (Use.FACT, Use.MOMENT):
        written = pl.col(column.name)
    if column.use is Use.SUBJECT or (column.use is Use.IGNORE and column.write == "subject"):
        written = pl.col("subject_id").cast(pl.String)
    if column.use is Use.TIME and column.form != ORDER:  # those are numbered file by file
        written = time_text(pl.col("row_time"), column.form, source)
    if column.use is Use.KNOWN_TIME:
        written = time_text(pl.col("row_known"), column.form, source)
    return pl.coalesce(written, blank).alias(column.name)


def rounded_moments(events: pl.DataFrame, table: Table, source: Source) -> int:
    """Count moments that would not be read back at the very time the timeline has."""
    if source.zero is None:
        return 0
    total, times = 0, pl.DataFrame(schema={"subject_id": pl.Int64})
    for _, moment in table.moments:
        found = _moment_times(events, table, moment).rename({"moment": moment.name})
        times = times.join(found, on="subject_id", how="full", coalesce=True)
        gone = (pl.col(moment.name) - source.zero).dt.total_microseconds()
        unit = UNITS[moment.unit] // timedelta(microseconds=1)
        bounds = [source.zero + (gone // unit * unit).cast(pl.Duration("us"))]
        if moment.earliest is not None:
            bounds.append(pl.lit(source.zero + moment.earliest, dtype=TIME))
        if moment.after:
            bounds.append(pl.col(moment.after) + source.grain.step)
        read = pl.max_horizontal(bounds) != pl.col(moment.name)
        if moment.unless and moment.after:  # at that very moment it is another column's to tell
            read = read & (pl.col(moment.name) > pl.col(moment.after)).fill_null(True)
        if moment.otherwise is not None:
            read = read & (pl.col(moment.name) != source.zero + moment.otherwise)
        total += times.filter(read).height
    return total

"""Wide tables: one patient (or visit) a row; each column says one thing, at the row's time or at a moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from salus.formats.csv_source import Fact, Moment, NotRecorded, Source, Table, Use
from salus.formats.source_units import SAME, to_code_unit
from salus.intake.books import TableBooks
from salus.intake.cells import as_number, birth_time, is_missing, parse_times, relative_time, value_codes
from salus.intake.csv_file import FILE, LINE, RawTable
from salus.intake.row_order import ORDER_NUMBER, in_order, not_ordered, order_number, same_number
from salus.intake.verdicts import (
    EVENT_FRAME,
    NO_CATEGORY,
    SUBJECT,
    TIME,
    VERDICT,
    Check,
    TableEvents,
    judge,
    rejections,
    set_aside_repeats,
    subject_checks,
)

KNOWN = "\x1fknown"


@dataclass(frozen=True, slots=True)
class _Happening:
    """One kind of event a row can give: when it is there, its code, time and number."""

    present: pl.Expr
    code: pl.Expr
    time: pl.Expr
    number: pl.Expr


def wide_events(raw: RawTable, table: Table, source: Source, *, patients: pl.Series | None) -> TableEvents:
    """Turn each row into its events, or one rejection."""
    rows, repeats = _set_repeats_aside(raw.rows, table)
    rows = _with_times(rows, table, source)
    checks = _checks(table, source, patients)
    judged = judge(rows, checks)
    kept = judged.filter(pl.col(VERDICT).is_null())
    if table.order:
        kept = kept.with_columns(in_order(source).alias(TIME))
    happenings = _happenings(table, source)
    events = pl.concat([_events(kept, happening) for happening in happenings])
    rejected = pl.concat([raw.rejected, repeats, rejections(judged, checks)])
    counts = _Counts(kept, table, source)
    books = TableBooks(
        name=table.name,
        read=raw.read,
        kept=kept.height,
        rejected=rejected.height,
        events=events.height,
        not_recorded=counts.not_recorded(),
        moved_times=counts.moved(),
        assumed_times=counts.assumed(),
        converted=counts.converted(),
    )
    return TableEvents(events=events, rejected=rejected, books=books, subjects=kept[SUBJECT].unique().sort())


def _set_repeats_aside(rows: pl.DataFrame, table: Table) -> tuple[pl.DataFrame, pl.DataFrame]:
    if table.column(Use.TIME):
        everything = [column.name for column in table.columns]
        rows, repeats = set_aside_repeats(
            rows, everything, column="", reason="the same in every cell as line"
        )
        if table.order:
            rows, again = same_number(rows, table)
            repeats = pl.concat([repeats, again])
        return rows, repeats
    return set_aside_repeats(
        rows, [table.subject], column=table.subject, reason="the patient is already on line"
    )


def _at(name: str) -> str:
    return f"\x1fat:{name}"


def _with_times(rows: pl.DataFrame, table: Table, source: Source) -> pl.DataFrame:
    rows = rows.with_columns(pl.col(table.subject).cast(pl.Int64, strict=False).alias(SUBJECT))
    time, known = table.column(Use.TIME), table.column(Use.KNOWN_TIME)
    at_zero = pl.lit(source.zero, dtype=pl.Datetime("us")).alias(TIME)
    if table.order:
        rows = rows.with_columns(order_number(table).alias(ORDER_NUMBER), at_zero)
    else:
        rows = rows.with_columns(
            parse_times(rows[time.name], time.form, source).alias(TIME) if time else at_zero
        )
    if known:
        rows = rows.with_columns(parse_times(rows[known.name], known.form, source).alias(KNOWN))
    for column, moment in table.moments:
        rows = rows.with_columns(_moment_time(column, moment, source).alias(_at(moment.name)))
    return rows


def _recorded_time(column: str, moment: Moment, source: Source) -> pl.Expr:
    """The time as written; null where not recorded or not wanted."""
    cell = pl.col(column)
    wanted = ~is_missing(cell, moment.missing, source.missing)
    if moment.unless:
        wanted = wanted & (pl.col(moment.unless[0]) != moment.unless[1])
    return pl.when(wanted).then(relative_time(as_number(cell), moment.unit, source.zero))


def _moment_time(column: str, moment: Moment, source: Source) -> pl.Expr:
    time = _recorded_time(column, moment, source)
    zero = source.zero or datetime.min
    if moment.earliest is not None:
        time = pl.when(time.is_not_null()).then(pl.max_horizontal(time, pl.lit(zero + moment.earliest)))
    if moment.otherwise is not None:
        time = pl.coalesce(time, pl.lit(zero + moment.otherwise))
    if moment.after:
        after = pl.col(_at(moment.after)) + source.grain.step
        time = pl.when(time.is_not_null()).then(pl.max_horizontal(time, after))
    return time.cast(pl.Datetime("us"))


def _is_recorded(fact: Fact, source: Source) -> pl.Expr:
    return ~is_missing(pl.col(fact.name), fact.missing, source.missing)


def _checks(table: Table, source: Source, patients: pl.Series | None) -> list[Check]:
    checks = subject_checks(table, patients, source.patients)
    time, known = table.column(Use.TIME), table.column(Use.KNOWN_TIME)
    if table.order:
        checks.append(not_ordered(table))
    elif time:
        checks.append(Check(time.name, "the time cannot be read or is impossible", pl.col(TIME).is_null()))
    if known:
        checks.append(
            Check(known.name, "the known time cannot be read or is impossible", pl.col(KNOWN).is_null())
        )
    for column, moment in table.moments:
        said = ~is_missing(pl.col(column), moment.missing, source.missing)
        checks.append(Check(column, "not a number", said & as_number(pl.col(column)).is_null()))
    for fact in table.column_facts:
        checks += _fact_checks(fact, table, source)
    if not table.row_code:
        nothing = pl.all_horizontal([~happening.present for happening in _happenings(table, source)])
        checks.append(Check("", "nothing is recorded in this row", nothing))
    return checks


def _fact_checks(fact: Fact, table: Table, source: Source) -> list[Check]:
    recorded, number = _is_recorded(fact, source), as_number(pl.col(fact.name))
    checks = []
    if fact.is_category:
        known = pl.col(fact.name).is_in(list(value_codes(fact)))
        reason = NO_CATEGORY if fact.each else "not one of the values declared for this column"
        checks.append(Check(fact.name, reason, recorded & ~known))
    else:
        checks.append(Check(fact.name, "not a number", recorded & number.is_null()))
    if fact.age:
        checks.append(
            Check(fact.name, "an age must be from 0 to 150 years", recorded & ~number.is_between(0, 150))
        )
    if fact.at:
        column = next(column for column, moment in table.moments if moment.name == fact.at)
        checks.append(
            Check(column, f"no usable time for '{fact.name}'", recorded & pl.col(_at(fact.at)).is_null())
        )
    return checks


def _happenings(table: Table, source: Source) -> list[_Happening]:
    kind = pl.Enum([entry.code for entry in source.codes])
    nothing = pl.lit(None, dtype=pl.Float32)
    found = [_fact_happening(fact, source, kind) for fact in table.column_facts]
    if table.row_code:
        found.insert(0, _Happening(pl.lit(True), _row_code(table, source, kind), pl.col(TIME), nothing))
    for _, moment in table.moments:
        if moment.code:
            time = pl.col(_at(moment.name))
            found.append(_Happening(time.is_not_null(), pl.lit(moment.code, dtype=kind), time, nothing))
    return found


def _row_code(table: Table, source: Source, kind: pl.Enum) -> pl.Expr:
    """The row's own event: a patient's first row, the one at time zero, may have a code of its own."""
    row = pl.lit(table.row_code, dtype=kind)
    if not table.first_row_code:
        return row
    first = pl.col(TIME) == pl.lit(source.zero, dtype=pl.Datetime("us"))
    return pl.when(first).then(pl.lit(table.first_row_code, dtype=kind)).otherwise(row)


def _fact_happening(fact: Fact, source: Source, kind: pl.Enum) -> _Happening:
    cell, number = pl.col(fact.name), as_number(pl.col(fact.name))
    time = pl.col(_at(fact.at)) if fact.at else pl.col(TIME)
    if fact.static:
        time = pl.lit(None, dtype=pl.Datetime("us"))
    if fact.later:
        time = time + fact.later * source.grain.step
    recorded = _is_recorded(fact, source)
    if fact.is_category:
        codes = value_codes(fact)
        code = cell.replace_strict(
            list(codes), list(codes.values()), default=None, return_dtype=pl.String
        ).cast(kind)
        return _Happening(recorded, code, time, pl.lit(None, dtype=pl.Float32))
    code = pl.lit(fact.code, dtype=kind)
    if fact.age:
        return _Happening(recorded, code, birth_time(number, source.zero), pl.lit(None, dtype=pl.Float32))
    factor, offset = to_code_unit(fact, source)
    return _Happening(recorded, code, time, (number * factor + offset).cast(pl.Float32))


def _events(kept: pl.DataFrame, happening: _Happening) -> pl.DataFrame:
    known = pl.col(KNOWN) if KNOWN in kept.columns else happening.time
    return (
        kept.filter(happening.present)
        .select(
            pl.col(SUBJECT).alias("subject_id"),
            happening.time.alias("time"),
            pl.when(happening.time.is_not_null()).then(known).alias("known_time"),
            happening.code.alias("code"),
            happening.number.alias("numeric_value"),
            FILE,
            LINE,
        )
        .select(EVENT_FRAME)
    )


class _Counts:
    """Counts what was not recorded, moved and assumed among the kept rows."""

    def __init__(self, kept: pl.DataFrame, table: Table, source: Source) -> None:
        self._kept, self._table, self._source = kept, table, source

    def _count(self, tests: dict[str, pl.Expr]) -> dict[str, int]:
        if not tests:
            return {}
        row = self._kept.select(test.sum().alias(name) for name, test in tests.items()).row(0, named=True)
        return {name: int(count) for name, count in row.items() if count}

    def not_recorded(self) -> dict[str, int]:
        """Cells that say "not recorded", by column."""
        rules: dict[str, NotRecorded] = {fact.name: fact.missing for fact in self._table.column_facts}
        rules |= {column: moment.missing for column, moment in self._table.moments}
        return self._count(
            {name: is_missing(pl.col(name), rule, self._source.missing) for name, rule in rules.items()}
        )

    def converted(self) -> dict[str, int]:
        """Numbers that were written in another unit than their code's, by column."""
        source = self._source
        facts = [
            fact for fact in self._table.column_facts if fact.code and to_code_unit(fact, source) != SAME
        ]
        return self._count({fact.name: _is_recorded(fact, source) for fact in facts})

    def moved(self) -> dict[str, int]:
        """Times that were recorded but not possible where they were written."""
        tests = {}
        for column, moment in self._table.moments:
            written = _recorded_time(column, moment, self._source)
            tests[column] = (written != pl.col(_at(moment.name))).fill_null(False)
        return self._count(tests)

    def assumed(self) -> dict[str, int]:
        """Times that were not recorded and were set to the declared one."""
        tests = {}
        for column, moment in self._table.moments:
            if moment.otherwise is not None:
                tests[column] = _recorded_time(column, moment, self._source).is_null()
        return self._count(tests)

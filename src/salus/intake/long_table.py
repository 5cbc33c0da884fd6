"""Long tables: one fact a row; the variable column says which."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from salus.errors import UnitUnknown
from salus.formats.csv_source import Fact, Source, Table, Use
from salus.formats.source_units import to_code_unit
from salus.intake.books import TableBooks
from salus.intake.cells import as_number, birth_time, is_missing, parse_times, value_codes
from salus.intake.csv_file import FILE, LINE, RawTable
from salus.intake.verdicts import (
    EVENT_FRAME,
    NO_CATEGORY,
    NOT_RECORDED,
    SUBJECT,
    TIME,
    VERDICT,
    Check,
    TableEvents,
    count_by,
    judge,
    rejections,
    set_aside_repeats,
    subject_checks,
)
from salus.units import conversion, read_unit

FACT, CODE, NUMBER, MISSING, KNOWN = "\x1ffact", "\x1fcode", "\x1fnumber", "\x1fmissing", "\x1fknown"
FACTOR, OFFSET = "\x1ffactor", "\x1foffset"


def long_events(raw: RawTable, table: Table, source: Source, *, patients: pl.Series | None) -> TableEvents:
    """Turn each row into one event, or a rejection."""
    everything = [column.name for column in table.columns]
    rows, repeats = set_aside_repeats(
        raw.rows, everything, column="", reason="the same in every cell as line"
    )
    rows = _with_units(_with_facts(_with_times(rows, table, source), table, source), table, source)
    checks = _checks(table, source, patients)
    judged = judge(rows, checks)
    kept = judged.filter(pl.col(VERDICT).is_null())
    events = _events(kept, table, source)
    rejected = pl.concat([raw.rejected, repeats, rejections(judged, checks)])
    unrecorded = [number for number, check in enumerate(checks) if check.reason == NOT_RECORDED]
    names = judged.filter(pl.col(VERDICT).is_in(unrecorded))[_name(table, Use.VARIABLE)]
    books = TableBooks(
        name=table.name,
        read=raw.read,
        kept=kept.height,
        rejected=rejected.height,
        events=events.height,
        not_recorded=count_by(names),
        converted=_converted(kept, table, source),
    )
    return TableEvents(events=events, rejected=rejected, books=books, subjects=kept[SUBJECT].unique().sort())


def _name(table: Table, use: Use) -> str:
    column = table.column(use)
    return column.name if column else ""


def _with_times(rows: pl.DataFrame, table: Table, source: Source) -> pl.DataFrame:
    rows = rows.with_columns(pl.col(table.subject).cast(pl.Int64, strict=False).alias(SUBJECT))
    time, known = table.column(Use.TIME), table.column(Use.KNOWN_TIME)
    if time:
        rows = rows.with_columns(parse_times(rows[time.name], time.form, source).alias(TIME))
    else:
        rows = rows.with_columns(pl.lit(source.zero, dtype=pl.Datetime("us")).alias(TIME))
    if known:
        rows = rows.with_columns(parse_times(rows[known.name], known.form, source).alias(KNOWN))
    return rows


def _with_facts(rows: pl.DataFrame, table: Table, source: Source) -> pl.DataFrame:
    """Add which fact a row is, its code, its number and whether it is recorded at all."""
    variable, value = _name(table, Use.VARIABLE), _name(table, Use.VALUE)
    names = [fact.name for fact in table.facts]
    kind = pl.Enum([entry.code for entry in source.codes])
    codes = pl.Series([fact.code or None for fact in table.facts], dtype=kind)
    numbers = list(range(len(names)))
    fact = pl.col(variable).replace_strict(names, numbers, default=None, return_dtype=pl.Int16)
    rows = rows.with_columns(fact.alias(FACT))
    rows = rows.with_columns(
        pl.col(FACT).replace_strict(numbers, codes, default=None, return_dtype=kind).alias(CODE)
    )
    if not value:
        return rows.with_columns(pl.lit(None, dtype=pl.Float64).alias(NUMBER), pl.lit(False).alias(MISSING))
    rows = rows.with_columns(
        as_number(pl.col(value)).alias(NUMBER), _missing(table, source, value).alias(MISSING)
    )
    return rows.with_columns(_chosen_code(table, value, kind).alias(CODE))


def _missing(table: Table, source: Source, value: str) -> pl.Expr:
    missing = pl.col(value).is_in(list(source.missing))
    for number, fact in enumerate(table.facts):
        if fact.missing.cells or fact.missing.below is not None:
            missing = missing | (
                (pl.col(FACT) == number) & is_missing(pl.col(value), fact.missing, ())
            ).fill_null(False)
    return missing


def _chosen_code(table: Table, value: str, kind: pl.Enum) -> pl.Expr:
    """The code, where the value chooses it."""
    code = pl.col(CODE)
    for number, fact in enumerate(table.facts):
        if codes := value_codes(fact):
            chosen = pl.Series(list(codes.values()), dtype=kind)
            told = pl.col(value).replace_strict(list(codes), chosen, default=None, return_dtype=kind)
            code = pl.when(pl.col(FACT) == number).then(told).otherwise(code)
    return code


def _with_units(rows: pl.DataFrame, table: Table, source: Source) -> pl.DataFrame:
    """Add factor and offset to the code's unit; null factor: the unit is not known or does not convert."""
    column = _name(table, Use.UNIT)
    if not column:
        return rows.with_columns(_own_units(table, source))
    wanted = {entry.code: entry.unit for entry in source.codes}
    pairs = rows.select(CODE, column).unique().drop_nulls()
    found = [_conversion(str(unit), wanted[str(code)], str(code)) for code, unit in pairs.iter_rows()]
    table_of_pairs = pairs.with_columns(
        pl.Series(FACTOR, [factor for factor, _ in found], dtype=pl.Float64),
        pl.Series(OFFSET, [offset for _, offset in found], dtype=pl.Float64),
    )
    return rows.join(table_of_pairs, on=[CODE, column], how="left", maintain_order="left")


def _own_units(table: Table, source: Source) -> list[pl.Expr]:
    """Factor and offset of each fact, as the source declares its unit."""
    told = [to_code_unit(fact, source) for fact in table.facts]
    numbers = list(range(len(told)))
    return [
        pl.col(FACT).replace_strict(numbers, each, default=1.0 - place, return_dtype=pl.Float64).alias(name)
        for place, (name, each) in enumerate(
            zip((FACTOR, OFFSET), map(list, zip(*told, strict=True)), strict=True)
        )
    ]


def _conversion(unit: str, wanted: str, code: str) -> tuple[float | None, float | None]:
    if not wanted:
        return (None, None) if unit.strip() else (1.0, 0.0)
    try:
        return conversion(read_unit(unit), wanted, code=code)
    except UnitUnknown:
        return None, None


def _numbers_of(table: Table, wanted: bool) -> list[int]:
    """Facts whose value must be a number, or whose value chooses the code."""
    return [number for number, fact in enumerate(table.facts) if fact.is_category == wanted]


def _checks(table: Table, source: Source, patients: pl.Series | None) -> list[Check]:
    checks = subject_checks(table, patients, source.patients)
    time, known, value = table.column(Use.TIME), table.column(Use.KNOWN_TIME), _name(table, Use.VALUE)
    if time:
        checks.append(Check(time.name, "the time cannot be read or is impossible", pl.col(TIME).is_null()))
    if known:
        checks.append(
            Check(known.name, "the known time cannot be read or is impossible", pl.col(KNOWN).is_null())
        )
    checks.append(
        Check(
            _name(table, Use.VARIABLE),
            "no fact is declared for this variable in the source.yaml",
            pl.col(FACT).is_null(),
        )
    )
    if value:
        checks += _value_checks(table, value)
    if unit := _name(table, Use.UNIT):
        numeric = pl.col(FACT).is_in(_numbers_of(table, False))
        checks.append(
            Check(
                unit,
                "the unit is not known or does not convert to the code's",
                numeric & pl.col(FACTOR).is_null(),
            )
        )
    return checks


def _value_checks(table: Table, value: str) -> list[Check]:
    numeric = pl.col(FACT).is_in(_numbers_of(table, False))
    chosen = pl.col(FACT).is_in(_numbers_of(table, True))
    any_cell = pl.col(FACT).is_in(_facts(table, lambda fact: bool(fact.each)))
    ids = pl.col(FACT).is_in([number for number, fact in enumerate(table.facts) if fact.is_subject])
    ages = pl.col(FACT).is_in([number for number, fact in enumerate(table.facts) if fact.age])
    return [
        Check(value, NOT_RECORDED, pl.col(MISSING)),
        Check(value, "not a number", numeric & pl.col(NUMBER).is_null()),
        Check(value, NO_CATEGORY, any_cell & pl.col(CODE).is_null()),
        Check(value, "not one of the values declared for this variable", chosen & pl.col(CODE).is_null()),
        Check(value, "not the id of the row's patient", ids & (pl.col(NUMBER) != pl.col(SUBJECT))),
        Check(value, "an age must be from 0 to 150 years", ages & ~pl.col(NUMBER).is_between(0, 150)),
    ]


def _events(kept: pl.DataFrame, table: Table, source: Source) -> pl.DataFrame:
    ages = pl.col(FACT).is_in(_facts(table, lambda fact: fact.age))
    static = pl.col(FACT).is_in(_facts(table, lambda fact: fact.static))
    valued = pl.col(FACT).is_in(
        _facts(table, lambda fact: not (fact.is_category or fact.is_subject or fact.age))
    )
    born = pl.when(ages).then(birth_time(pl.col(NUMBER), source.zero)).otherwise(pl.col(TIME))
    time = pl.when(~static).then(born).cast(pl.Datetime("us"))
    known = pl.col(KNOWN) if table.column(Use.KNOWN_TIME) else time
    return kept.select(
        pl.col(SUBJECT).alias("subject_id"),
        time.alias("time"),
        pl.when(time.is_not_null()).then(known).alias("known_time"),
        pl.col(CODE).alias("code"),
        pl.when(valued)
        .then(pl.col(NUMBER) * pl.col(FACTOR) + pl.col(OFFSET))
        .cast(pl.Float32)
        .alias("numeric_value"),
        FILE,
        LINE,
    ).select(EVENT_FRAME)


def _facts(table: Table, is_wanted: Callable[[Fact], bool]) -> list[int]:
    return [number for number, fact in enumerate(table.facts) if is_wanted(fact)]


def _converted(kept: pl.DataFrame, table: Table, source: Source) -> dict[str, int]:
    changed = kept.filter((pl.col(FACTOR) != 1.0) | (pl.col(OFFSET) != 0.0))
    return count_by(changed[_name(table, Use.VARIABLE)])

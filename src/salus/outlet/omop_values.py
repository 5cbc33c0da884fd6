"""A row of OMOP from its events: concept, times, number, unit, bound, range, answer and words."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from salus.formats.omop import OmopTable
from salus.formats.omop_codes import OPERATORS
from salus.formats.omop_columns import COLUMNS_5_4, must_be_filled, sql_type
from salus.formats.omop_words import Beside, read_beside
from salus.outlet.omop_places import Part

KEY, PART = "\x1fkey", "\x1fpart"
KINDS: dict[str, pl.DataType] = {
    "BIGINT": pl.Int64(),
    "DOUBLE": pl.Float64(),
    "VARCHAR": pl.String(),
    "DATE": pl.Date(),
    "TIMESTAMP": pl.Datetime("us"),
}
OPERATOR_NUMBERS = {sign: number for number, sign in OPERATORS.items()}


def whole_rows(name: str, rows: pl.DataFrame) -> pl.DataFrame:
    """All columns of a table in 5.4's order and types; what is not known is empty, or 0 where 5.4 wants a concept."""
    columns = []
    for column in COLUMNS_5_4[name]:
        kind = KINDS[sql_type(column)]
        cell = pl.col(column).cast(kind) if column in rows.columns else pl.lit(None, dtype=kind)
        columns.append((cell.fill_null(0) if must_be_filled(column) else cell).alias(column))
    return rows.select(columns)


def clinical_rows(frame: pl.DataFrame, table: OmopTable, units: Mapping[str, int]) -> pl.DataFrame:
    """One row for each id; each of its events gives what it knows."""
    said = frame.filter(pl.col(PART) == Part.ROW)
    answered = frame.filter(pl.col(PART) == Part.ANSWER)
    plain = ["subject_id", "time", "concept", "word", "numeric_value", "text_value", "unit"]
    rows = said.select(KEY, *plain, said=pl.lit(True)).join(
        answered.select(KEY, "answer", *plain), on=KEY, how="full", coalesce=True, suffix="_answer"
    )
    rows = rows.with_columns(pl.coalesce(name, f"{name}_answer").alias(name) for name in plain).sort(KEY)
    for part, names in (
        (Part.END, {"ended": "time"}),
        (Part.ADMITTED, {"from": "concept", "from_word": "word"}),
        (Part.DISCHARGED, {"to": "concept", "to_word": "word"}),
    ):
        more = frame.filter(pl.col(PART) == part).select(KEY, **names)
        rows = rows.join(more, on=KEY, how="left", maintain_order="left")
    rows, named = _beside(rows, table), _named(table)
    return (
        rows.with_columns(_values(rows, table, units))
        .select(pl.col(column).alias(name) for name, column in named.items())
        .with_columns(_dates(table, named))
    )


def _named(table: OmopTable) -> dict[str, str]:
    """OMOP's columns by those of the joined frame."""
    named = {table.key: KEY, "person_id": "subject_id", table.what.concept: "concept"}
    named |= {table.starts[1]: "time", table.what.source_value: "word"}
    if table.ends[0]:
        named[table.ends[1]] = "ended"
    if table.at_start and table.at_end:
        named |= {table.at_start.concept: "from", table.at_start.source_value: "from_word"}
        named |= {table.at_end.concept: "to", table.at_end.source_value: "to_word"}
    return named | {name: name for name in table.value.columns}


def _dates(table: OmopTable, named: Mapping[str, str]) -> list[pl.Expr]:
    return [
        pl.col(moment).dt.date().alias(day) for day, moment in (table.starts, table.ends) if moment in named
    ]


def _values(rows: pl.DataFrame, table: OmopTable, units: Mapping[str, int]) -> list[pl.Series | pl.Expr]:
    """The columns of the value, by their names in OMOP."""
    value = table.value
    beside = {text: read_beside(text) for text in rows["beside"].drop_nulls().unique()}
    number = pl.col("numeric_value").cast(pl.String).cast(pl.Float64)
    columns: dict[str, pl.Expr] = {}
    if value.number:
        columns[value.number] = pl.coalesce(_looked_up(beside, "bound", pl.Float64()), number)
        if value.fixed_unit:
            columns[value.number] = pl.when(number == number.round()).then(number).cast(pl.Int64)
    if value.operator:
        sign = _looked_up(beside, "operator", pl.String())
        columns[value.operator] = sign.replace_strict(OPERATOR_NUMBERS, default=None, return_dtype=pl.Int64)
        columns[value.low] = _looked_up(beside, "low", pl.Float64())
        columns[value.high] = _looked_up(beside, "high", pl.Float64())
    words = _looked_up(beside, "words", pl.String())
    words = pl.when(pl.col("beside").is_null()).then("text_value").otherwise(words)
    if name := value.text or value.source_text:
        columns[name] = words
    if value.text and value.source_text:
        columns[value.source_text] = pl.lit(None, dtype=pl.String)
    if value.answer:
        columns[value.answer] = pl.col("answer")
    if value.unit:
        columns[value.unit] = pl.col("unit").replace_strict(dict(units), default=None, return_dtype=pl.Int64)
        columns[value.unit_source] = pl.col("unit")
    return [column.alias(name) for name, column in columns.items()]


def _beside(rows: pl.DataFrame, table: OmopTable) -> pl.DataFrame:
    """Add the text that stands beside a number: a text alone is one only where it is a bound, an answer's never."""
    text = pl.col("text_value")
    bounds = [
        told for told in rows["text_value"].drop_nulls().unique() if read_beside(told).bound is not None
    ]
    numbered = pl.col("numeric_value").is_not_null() | text.is_in(bounds)
    here = pl.col("said").is_not_null() & numbered & pl.lit(bool(table.value.operator))
    return rows.with_columns(beside=pl.when(here).then(text))


def _looked_up(beside: Mapping[str, Beside], part: str, kind: pl.DataType) -> pl.Expr:
    """One part of what stands beside numbers, by the text it was read from."""
    found = {text: getattr(told, part) for text, told in beside.items()}
    if not found:
        return pl.lit(None, dtype=kind)
    return pl.col("beside").replace_strict(
        list(found), pl.Series(list(found.values()), dtype=kind), default=None, return_dtype=kind
    )

"""SQL over one OMOP table: each row with what it says, and the first reason why it cannot be kept."""

from __future__ import annotations

from dataclasses import dataclass

from salus.formats.omop import BIRTH_COLUMNS, PERSON, PERSON_KEY, TRAITS, Coded, OmopTable, Value
from salus.formats.omop_codes import OPERATORS
from salus.intake.sql_cells import (
    TEXT,
    Columns,
    as_concept,
    as_date,
    as_moment,
    as_number,
    as_text,
    as_whole,
    filled,
    in_utc,
    is_sane,
)

UNSAYABLE = "neither a concept nor a word of the source that can be part of a code"
REPEATED = "the id is that of another row"
NO_PERSON = "the patient is not in table person, or that row was rejected"
ACCEPTED = "accepted_persons"
"""Table of the scratch database: the patients whose rows are kept."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a row is rejected: where, what, and SQL that is true of such rows."""

    column: str
    reason: str
    fails: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """SQL of a table's rows.

    ``sql`` gives person, key, starts, ends, number, bound, low, high, words, said (a hash of ``parts``), the parts,
    and ``verdict``: the place in ``reasons``, or null. ``parts``: what makes the codes, the same for many rows.
    """

    name: str
    sql: str
    parts: tuple[str, ...]
    reasons: tuple[Reason, ...]


def judged_rows(table: OmopTable, columns: Columns, source: str, *, zone: str) -> Judged:
    """The rows of a clinical table, read from the SQL relation ``source``."""
    parts = _parts(table, columns)
    cells = {
        "person": as_whole(columns, PERSON_KEY),
        "key": as_whole(columns, table.key),
        "started": _when(columns, table.starts, zone),
        "starts": in_utc("started", zone),
        "end_day": as_date(columns, table.ends[0], zone),
        "ended": _end(columns, table, zone),
        "ends": in_utc("ended", zone),
        **_value_cells(table.value, columns),
        **parts,
    }
    return _judged(table.name, source, cells, tuple(parts), tuple(_reasons(table, columns)))


def judged_persons(columns: Columns, source: str, *, zone: str) -> Judged:
    """The rows of ``person``: birth, and what is said for good."""
    parts: dict[str, str] = {}
    for name, coded in TRAITS.items():
        parts |= _coded_parts(coded, columns, name.lower())
    year, month, day, moment = (_birth_part(columns, name, zone) for name in BIRTH_COLUMNS)
    told_month = f"coalesce({month}, 6)"
    told_day = f"CASE WHEN {month} IS NULL THEN 15 ELSE coalesce({day}, 1) END"
    told = f"printf('%04d-%02d-%02d', {year}, {told_month}, {told_day})"
    born = f"coalesce({moment}, TRY_CAST(TRY_CAST({told} AS DATE) AS TIMESTAMP))"
    cells = {
        "person": as_whole(columns, PERSON_KEY),
        "key": as_whole(columns, PERSON_KEY),
        "started": born,
        "starts": in_utc("started", zone),
        "ends": f"CASE WHEN {moment} IS NULL AND {day} IS NULL THEN started END",
        **_value_cells(Value(), columns),
        **parts,
    }
    reasons = (
        Reason(PERSON_KEY, "the patient's id is not a whole number", "person IS NULL"),
        Reason(
            "year_of_birth",
            "birth cannot be read or is impossible",
            f"NOT coalesce({is_sane('starts')}, false)",
        ),
    )
    return _judged(PERSON, source, cells, tuple(parts), reasons)


def _birth_part(columns: Columns, name: str, zone: str) -> str:
    return as_moment(columns, name, zone) if name.endswith("datetime") else as_whole(columns, name)


def _judged(
    name: str, source: str, cells: dict[str, str], parts: tuple[str, ...], reasons: tuple[Reason, ...]
) -> Judged:
    verdict = " ".join(f"WHEN {reason.fails} THEN {place}" for place, reason in enumerate(reasons))
    read = ", ".join(f"{sql} AS {alias}" for alias, sql in cells.items())
    sql = f"SELECT {read}, hash({', '.join(parts)}) AS said, (CASE {verdict} END)::UTINYINT AS verdict FROM {source}"
    return Judged(name=name, sql=sql, parts=parts, reasons=reasons)


def _when(columns: Columns, names: tuple[str, str], zone: str) -> str:
    """The moment where it is told, else the day."""
    return f"coalesce({as_moment(columns, names[1], zone)}, {as_date(columns, names[0], zone)})"


def _end(columns: Columns, table: OmopTable, zone: str) -> str:
    """As :func:`_when`; a mere day that holds the start ends no earlier than it."""
    day, moment = as_date(columns, table.ends[0], zone), as_moment(columns, table.ends[1], zone)
    same = f"CASE WHEN {day} = date_trunc('day', started) THEN started ELSE {day} END"
    return f"coalesce({moment}, {same})"


def _parts(table: OmopTable, columns: Columns) -> dict[str, str]:
    parts = _coded_parts(table.what, columns, "what")
    for alias, coded in (("at_start", table.at_start), ("at_end", table.at_end)):
        if coded:
            parts |= _coded_parts(coded, columns, alias)
    if table.value.answer:
        parts["answer"] = as_concept(columns, table.value.answer)
    if table.value.unit:
        parts["unit"] = as_concept(columns, table.value.unit)
        parts["unit_word"] = as_text(columns, table.value.unit_source)
    return parts


def _coded_parts(coded: Coded, columns: Columns, alias: str) -> dict[str, str]:
    """Concept, the source's concept, and the source's word where neither is given."""
    parts = {f"{alias}_concept": as_concept(columns, coded.concept)}
    none = f"{alias}_concept = 0"
    if coded.source_concept:
        source_concept = as_concept(columns, coded.source_concept)
        parts[f"{alias}_source_concept"] = f"CASE WHEN {none} THEN {source_concept} ELSE 0 END"
        none += f" AND {alias}_source_concept = 0"
    parts[f"{alias}_word"] = f"CASE WHEN {none} THEN {as_text(columns, coded.source_value)} END"
    return parts


def _value_cells(value: Value, columns: Columns) -> dict[str, str]:
    operators = " ".join(f"WHEN {number} THEN '{sign}'" for number, sign in OPERATORS.items())
    operator = as_concept(columns, value.operator)
    return {
        "number": as_number(columns, value.number),
        "bound": f"CASE {operator} {operators} END" if columns.has(value.operator) else f"NULL::{TEXT}",
        "low": as_number(columns, value.low),
        "high": as_number(columns, value.high),
        "words": f"coalesce({as_text(columns, value.text)}, CASE WHEN number IS NULL THEN "
        f"{as_text(columns, value.source_text)} END)",
    }


def _reasons(table: OmopTable, columns: Columns) -> list[Reason]:
    reasons = [
        Reason(PERSON_KEY, "the patient's id is not a whole number", "person IS NULL"),
        Reason(table.key, "the row's id is not a whole number", "key IS NULL"),
        Reason(PERSON_KEY, NO_PERSON, f"person NOT IN (SELECT person FROM {ACCEPTED})"),
        Reason(
            table.starts[0],
            "the time cannot be read or is impossible",
            f"starts IS NULL OR NOT {is_sane('starts')}{_unread(columns, table.starts[1], 'moment')}",
        ),
    ]
    if columns.has(table.ends[0]):
        unread = " OR ".join(
            f"{filled(columns, name)} IS NOT NULL" for name in table.ends if columns.has(name)
        )
        reasons += [
            Reason(
                table.ends[0],
                "the end cannot be read or is impossible",
                f"(ends IS NULL AND ({unread})) OR NOT {is_sane('ends')}",
            ),
            Reason(table.ends[0], "the end is before the start", "ends < starts"),
        ]
    return reasons + _value_reasons(table.value, columns)


def _unread(columns: Columns, name: str, what: str) -> str:
    """More SQL for where a text is there and cannot be read."""
    if not columns.has(name) or not columns.is_text(name) or what != "moment":
        return ""
    return f" OR ({filled(columns, name)} IS NOT NULL AND TRY_CAST(trim({columns.quoted(name)}) AS TIMESTAMP) IS NULL)"


def _value_reasons(value: Value, columns: Columns) -> list[Reason]:
    if not columns.has(value.number):
        return []
    unread = f"number IS NULL AND {filled(columns, value.number)} IS NOT NULL"
    return [Reason(value.number, "not a number that a 32-bit float can hold", unread)]

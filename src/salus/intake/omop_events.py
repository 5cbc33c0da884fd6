"""The second pass: the events of all OMOP tables, in order of patient, time and code, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb
import polars as pl
import pyarrow as pa

from salus.formats.omop_words import AND_WORDS, RANGE, UP_TO
from salus.intake.omop_rows import Judged
from salus.intake.omop_sayings import At, Carries, Meanings
from salus.intake.pseudonym_table import PERSON, PSEUDONYMS, SUBJECT, hidden_names
from salus.intake.whole_patients import whole_patients

ROWS_A_BATCH = 1 << 18
MEANT = "meanings"


@dataclass(frozen=True, slots=True)
class Dictionary:
    """Codes and units by their numbers in the scratch database's table of meanings."""

    codes: pl.Series
    units: pl.Series


def dictionary(meant: Mapping[str, Meanings], db: duckdb.DuckDBPyConnection) -> Dictionary:
    """Number the codes in their order and bring all meanings to the database."""
    rows = [(name, meaning) for name, made in meant.items() for meaning in made.found]
    codes = sorted({meaning.code for _, meaning in rows})
    units = sorted({meaning.unit for _, meaning in rows if meaning.unit})
    code_of, unit_of = {code: n for n, code in enumerate(codes)}, {unit: n for n, unit in enumerate(units)}
    frame = pl.DataFrame(
        {
            "tab": [name for name, _ in rows],
            "said": pl.Series([meaning.said for _, meaning in rows], dtype=pl.UInt64),
            "code": pl.Series([code_of[meaning.code] for _, meaning in rows], dtype=pl.UInt32),
            "at": pl.Series([int(meaning.at) for _, meaning in rows], dtype=pl.UInt8),
            "carries": pl.Series([int(meaning.carries) for _, meaning in rows], dtype=pl.UInt8),
            "unit": pl.Series([unit_of.get(meaning.unit or "") for _, meaning in rows], dtype=pl.UInt32),
            "unit_text": pl.Series([meaning.unit for _, meaning in rows], dtype=pl.String),
        }
    )
    db.register("meanings_met", frame)
    db.execute(f"CREATE OR REPLACE TEMP TABLE {MEANT} AS SELECT * FROM meanings_met")
    db.unregister("meanings_met")
    return Dictionary(pl.Series("code", codes, dtype=pl.String), pl.Series("unit", units, dtype=pl.String))


def ordered_events(
    tables: Sequence[Judged], words: Dictionary, db: duckdb.DuckDBPyConnection, *, key: bytes = b""
) -> Iterator[pl.DataFrame]:
    """Give events sorted by subject, time, code and source; no subject is in two frames.

    With ``key`` subjects are those of the table of pseudonyms, and rows have numbers that hide theirs.
    """
    selects = [_events_sql(number, table, hidden=bool(key)) for number, table in enumerate(tables)]
    sql = " UNION ALL ".join(selects) + " ORDER BY subject_id, time NULLS FIRST, code, tab, key"
    sources = _Sources(pl.Series([f"{table.name}:" for table in tables], dtype=pl.String), key)
    return whole_patients(_frames(sql, words, sources, db))


@dataclass(frozen=True, slots=True)
class _Sources:
    """What rows are called in the column ``source``: by table and id, or with a key by a number in its place."""

    tables: pl.Series
    key: bytes

    def of(self, tab: pl.Series, row: pl.Series) -> pl.Series:
        """The names of rows by the numbers of their tables and their ids."""
        named, ids = self.tables.gather(tab), row.cast(pl.String)
        return named + (hidden_names(named + ids, self.key, kind="row") if self.key else ids)


def _frames(
    sql: str, words: Dictionary, sources: _Sources, db: duckdb.DuckDBPyConnection
) -> Iterator[pl.DataFrame]:
    """Begin the query when the first frame is asked for: a connection answers one question at a time."""
    for batch in db.sql(sql).to_arrow_reader(ROWS_A_BATCH):
        yield _frame(batch, words, sources)


def _events_sql(number: int, table: Judged, *, hidden: bool) -> str:
    """Each row that was not refused, once for every event that it means."""
    end, never, only_numbered = int(At.END), int(At.NEVER), int(Carries.NUMBER)
    valued = f"m.carries IN ({int(Carries.ALL)}, {only_numbered})"
    time = f"CASE m.at WHEN {end} THEN r.ends WHEN {never} THEN NULL ELSE r.starts END"
    subject = f"s.{SUBJECT}" if hidden else "r.person"
    pseudonyms = f" JOIN {PSEUDONYMS} s ON s.{PERSON} = r.person" if hidden else ""
    return (
        f"SELECT {subject} AS subject_id, {time} AS time, m.code AS code,"
        f" CASE WHEN {valued} AND r.bound IS NULL THEN r.number END::FLOAT AS number, {_words(valued)} AS words,"
        f" CASE WHEN {valued} AND r.number IS NOT NULL THEN m.unit END AS unit,"
        f" {number}::UTINYINT AS tab, r.key AS key"
        f" FROM ({table.sql}) r JOIN {MEANT} m ON m.said = r.said AND m.tab = '{table.name}'{pseudonyms}"
        f" WHERE r.verdict IS NULL AND (m.at <> {end} OR r.ends IS NOT NULL)"
        f" AND (m.carries <> {only_numbered} OR r.number IS NOT NULL)"
    )


def _words(valued: str) -> str:
    """SQL of an event's text: a bound and a reference range beside a number (see :mod:`salus.formats.omop_words`)."""
    low, high = "coalesce(r.low::VARCHAR, '')", "coalesce(r.high::VARCHAR, '')"
    span = f"'{RANGE}' || {low} || '{UP_TO}' || {high} || coalesce(' ' || m.unit_text, '')"
    told = f"CASE WHEN r.low IS NOT NULL OR r.high IS NOT NULL THEN {span} END"
    plain = "r.bound IS NULL AND r.low IS NULL AND r.high IS NULL"
    bound = "CASE WHEN r.bound IS NOT NULL THEN r.bound || r.number::VARCHAR END"
    joined = f"concat_ws('{AND_WORDS}', {bound}, {told}, r.words)"
    only_span = "r.bound IS NULL AND r.words IS NULL"
    beside = f"CASE WHEN {plain} THEN r.words WHEN {only_span} THEN {span} ELSE {joined} END"
    alone = f"m.carries <> {int(Carries.NOTHING)} AND r.number IS NULL"
    return f"CASE WHEN {valued} AND r.number IS NOT NULL THEN {beside} WHEN {alone} THEN r.words END"


def _frame(batch: pa.RecordBatch, words: Dictionary, sources: _Sources) -> pl.DataFrame:
    rows = pl.DataFrame(batch)
    return rows.select(
        "subject_id",
        pl.col("time").cast(pl.Datetime("us")),
        words.codes.gather(rows["code"]).alias("code"),
        pl.col("number").alias("numeric_value"),
        pl.col("words").cast(pl.String).alias("text_value"),
        words.units.gather(rows["unit"]).alias("unit"),
        pl.col("time").cast(pl.Datetime("us")).alias("known_time"),
        sources.of(rows["tab"], rows["key"]).alias("source"),
    )

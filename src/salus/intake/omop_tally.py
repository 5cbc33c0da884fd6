"""The first pass over one OMOP table: how many rows say what, how many are refused, and which ids come twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import duckdb
import polars as pl

from salus.intake.omop_rows import REPEATED, UNSAYABLE, Judged, Reason
from salus.intake.omop_sayings import At, Carries, Meaning, Saying
from salus.intake.sql_cells import decimals_needed
from salus.timeline.columns import REJECTED_COLUMNS


@dataclass(frozen=True, slots=True)
class Counted:
    """Rows of one saying: all, those with an end, those with a number, and the decimals that the numbers need."""

    rows: int
    ends: int
    numbers: int
    decimals: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """One table counted: its rows, and by saying those that were not refused."""

    rows: int
    ends: int
    sayings: tuple[Saying, ...]
    counted: Mapping[int, Counted]

    def events_of(self, meaning: Meaning) -> int:
        """How many events a meaning gives."""
        found = self.counted[meaning.said]
        if meaning.at is At.END:
            return found.ends
        return found.numbers if meaning.carries is Carries.NUMBER else found.rows

    def values_of(self, meaning: Meaning) -> tuple[int, int]:
        """The decimals that the values of a meaning need, and how many values there are."""
        found = self.counted[meaning.said]
        return (found.decimals, found.numbers) if meaning.carries in (Carries.ALL, Carries.NUMBER) else (0, 0)


def without_repeats(judged: Judged, db: duckdb.DuckDBPyConnection) -> Judged:
    """Refuse rows whose id another row has: of each id the first stays, in the order of what the rows say."""
    if not _repeats(judged, db):
        return judged
    key = "person" if judged.name in ("person", "death") else judged.name
    order = ", ".join(("person", "starts", "ends", "number", "words", *judged.parts))
    place = len(judged.reasons)
    first = f"row_number() OVER (PARTITION BY key, verdict IS NULL ORDER BY {order})"
    verdict = f"CASE WHEN verdict IS NULL AND {first} > 1 THEN {place}::UTINYINT ELSE verdict END"
    sql = f"SELECT * REPLACE ({verdict} AS verdict) FROM ({judged.sql})"
    return replace(judged, sql=sql, reasons=(*judged.reasons, Reason(f"{key}_id", REPEATED, "")))


def _repeats(judged: Judged, db: duckdb.DuckDBPyConnection) -> bool:
    """Whether any id comes twice. Where ids only grow, as they mostly do, that is seen without remembering them."""
    grows = f"SELECT count(*) FROM (SELECT key <= lag(key) OVER () AS falls FROM ({judged.sql})) WHERE falls"
    if db.execute(grows).fetchall()[0][0] == 0:
        return False
    told = db.execute(f"SELECT count(key) - count(DISTINCT key) FROM ({judged.sql})").fetchall()
    return bool(told[0][0])


def tally(judged: Judged, db: duckdb.DuckDBPyConnection) -> Tally:
    """Count a table's rows by what they say."""
    parts = ", ".join(f"any_value({part}) AS {part}" for part in judged.parts)
    found = db.execute(
        f"SELECT verdict IS NULL AS kept, said, {parts}, count(*) AS n, count(ends), count(number),"
        f" coalesce(max({decimals_needed('number')}), 0) FROM ({judged.sql}) GROUP BY kept, said ORDER BY kept, said"
    ).fetchall()
    sayings, counted = [], {}
    for kept, said, *rest in found:
        values, (rows, ends, numbers, decimals) = rest[:-4], rest[-4:]
        if kept:
            told = dict(zip(judged.parts, values, strict=True))
            sayings.append(Saying(said=said, parts=told, rows=rows))
            counted[said] = Counted(rows, ends, numbers, decimals)
    return Tally(
        rows=sum(row[-4] for row in found),
        ends=sum(count.ends for count in counted.values()),
        sayings=tuple(sayings),
        counted=counted,
    )


def rejections(judged: Judged, nothing: Iterable[int], db: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """The refused rows as file, line (the row's id), column and reason: never a value."""
    db.register("nothing_said", pl.DataFrame({"said": list(nothing)}, schema={"said": pl.UInt64}))
    found: pl.DataFrame = db.sql(
        f"SELECT key, verdict FROM ({judged.sql}) WHERE verdict IS NOT NULL"
        " OR said IN (SELECT said FROM nothing_said) ORDER BY ALL"
    ).pl()
    db.unregister("nothing_said")
    reasons = [*judged.reasons, Reason("", UNSAYABLE, "")]
    place = pl.col("verdict").cast(pl.Int64).fill_null(len(reasons) - 1)
    texts = pl.DataFrame(
        {
            "place": range(len(reasons)),
            "column": [r.column for r in reasons],
            "reason": [r.reason for r in reasons],
        },
        schema={"place": pl.Int64, "column": pl.String, "reason": pl.String},
    )
    listed = (
        found.with_columns(place=place)
        .join(texts, on="place", how="left", maintain_order="left")
        .select(pl.lit(judged.name).alias("file"), pl.col("key").alias("line"), "column", "reason")
    )
    return listed.cast(pl.Schema(REJECTED_COLUMNS))

"""Each row gets one verdict: kept, or the first reason why not."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from salus.formats.csv_source import Table
from salus.intake.books import TableBooks
from salus.intake.csv_file import FILE, LINE
from salus.timeline.columns import REJECTED_COLUMNS

VERDICT = "\x1fverdict"
SUBJECT = "\x1fsubject"
TIME = "\x1ftime"
NOT_RECORDED = "not recorded"
NO_CATEGORY = (
    "no category: it is over 64 characters, or has //, a control character, or a space or / at an end"
)
EVENT_FRAME = ("subject_id", "time", "known_time", "code", "numeric_value", FILE, LINE)


@dataclass(frozen=True, slots=True)
class Check:
    """One way in which a row can be unusable."""

    column: str
    reason: str
    fails: pl.Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class TableEvents:
    """What came of one table."""

    events: pl.DataFrame
    rejected: pl.DataFrame
    books: TableBooks
    subjects: pl.Series


def judge(rows: pl.DataFrame, checks: list[Check]) -> pl.DataFrame:
    """Add the number of the first check each row fails (null: none)."""
    tested = [
        pl.when(check.fails).then(pl.lit(number, dtype=pl.Int16)) for number, check in enumerate(checks)
    ]
    return rows.with_columns(pl.coalesce(tested).alias(VERDICT))


def rejections(judged: pl.DataFrame, checks: list[Check]) -> pl.DataFrame:
    """The failing rows as file, line, column, reason: never a value."""
    numbers = list(range(len(checks)))
    failing = judged.filter(pl.col(VERDICT).is_not_null())
    return failing.select(
        pl.col(FILE).alias("file"),
        pl.col(LINE).alias("line"),
        pl.col(VERDICT)
        .replace_strict(numbers, [check.column for check in checks], return_dtype=pl.String)
        .alias("column"),
        pl.col(VERDICT)
        .replace_strict(numbers, [check.reason for check in checks], return_dtype=pl.String)
        .alias("reason"),
    ).cast(pl.Schema(REJECTED_COLUMNS))


def set_aside_repeats(
    rows: pl.DataFrame, keys: list[str], *, column: str, reason: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Keep the first row of each key; reject the others, naming the line they repeat."""
    numbered = rows.with_row_index("\x1forder")
    alike = numbered.filter(
        rows.select(keys).hash_rows().is_duplicated()
    )  # a quick sieve; what follows is exact
    firsts = (
        alike.group_by(keys)
        .agg(pl.len().alias("\x1fcount"), pl.col("\x1forder").min().alias("\x1ffirst"))
        .filter(pl.col("\x1fcount") > 1)
    )
    if firsts.is_empty():
        return rows, pl.DataFrame(schema=REJECTED_COLUMNS)
    numbered = numbered.join(firsts, on=keys, how="left", nulls_equal=True, maintain_order="left")
    repeats = numbered.filter(pl.col("\x1forder") > pl.col("\x1ffirst"))
    original = rows[repeats["\x1ffirst"].to_list()]
    told = pl.format("{} {} of {}", pl.lit(reason), original[LINE], original[FILE])
    rejected = repeats.select(
        pl.col(FILE).alias("file"),
        pl.col(LINE).alias("line"),
        pl.lit(column).alias("column"),
        told.alias("reason"),
    )
    kept = numbered.filter(pl.col("\x1ffirst").is_null() | (pl.col("\x1forder") == pl.col("\x1ffirst")))
    return kept.select(rows.columns), rejected.cast(pl.Schema(REJECTED_COLUMNS))


def subject_checks(table: Table, patients: pl.Series | None, patients_table: str) -> list[Check]:
    """Every row needs a patient, and one who is listed."""
    checks = [Check(table.subject, "the patient's id is not a whole number", pl.col(SUBJECT).is_null())]
    if patients is not None:
        strange = ~pl.col(SUBJECT).is_in(patients.implode())
        checks.append(
            Check(
                table.subject,
                f"the patient is not in table {patients_table}, or that row was rejected",
                strange,
            )
        )
    return checks


def count_by(names: pl.Series) -> dict[str, int]:
    """How often each name occurs, in order of name."""
    counted = names.drop_nulls().value_counts().sort(names.name)
    return dict(counted.iter_rows())

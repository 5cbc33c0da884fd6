"""What came of one kind of segment: facts of patients, or the reason why a segment gave none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from salus.formats.hl7v2_codes import read_coded
from salus.intake.hl7v2_segments import LINE, distinct

FACT_COLUMNS: dict[str, pl.DataType] = {
    "subject": pl.Int64(),  # stands for authority and number of the patient
    "time": pl.Datetime("us"),
    "code": pl.String(),
    "numeric_value": pl.Float32(),
    "text_value": pl.String(),
    "unit": pl.String(),
    "known_time": pl.Datetime("us"),
    "source": pl.String(),
    "same": pl.UInt64(),  # facts alike in this, patient, code and time tell of one thing, perhaps again
    "status": pl.String(),
    "told": pl.Boolean(),  # whether the time was told, or is that of the message
}
NO_PATIENT = "its message names no patient"
NO_TIME = "the time cannot be read, is told only to the month, or is impossible"
NO_CODE = "it has no code"
VERDICT = "verdict"
REJECTED = {"line": pl.Int64(), "column": pl.String(), "reason": pl.String()}


@dataclass(frozen=True, slots=True)
class Check:
    """One way in which a segment can be unusable."""

    column: str
    reason: str
    fails: pl.Series


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Facts of one kind of segment, its rejected rows (line, column, reason), and how many were read."""

    kind: str
    read: int
    facts: pl.DataFrame
    rejected: pl.DataFrame
    words: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


def nothing(kind: str) -> Facts:
    """Facts of a kind of which there is no segment."""
    return Facts(
        kind=kind, read=0, facts=pl.DataFrame(schema=FACT_COLUMNS), rejected=pl.DataFrame(schema=REJECTED)
    )


def judged(rows: pl.DataFrame, checks: Sequence[Check]) -> tuple[pl.Series, pl.DataFrame]:
    """Which rows pass every check, and for the others the first that they fail."""
    verdict = pl.Series(VERDICT, [None], dtype=pl.Int16).new_from_index(0, rows.height)
    for number in range(len(checks) - 1, -1, -1):
        if checks[number].fails.any():
            verdict = verdict.set(checks[number].fails.fill_null(False), number)
    failing = rows.select(LINE).with_columns(verdict).filter(verdict.is_not_null())
    columns = pl.Series([check.column for check in checks], dtype=pl.String)
    reasons = pl.Series([check.reason for check in checks], dtype=pl.String)
    rejected = pl.DataFrame(
        {
            "line": failing[LINE],
            "column": columns.gather(failing[VERDICT]),
            "reason": reasons.gather(failing[VERDICT]),
        },
        schema=REJECTED,
    )
    return verdict.is_null(), rejected


def fit(facts: pl.DataFrame) -> pl.DataFrame:
    """The columns of facts in order and type; those that are absent are null, ``told`` is true."""
    absent = {"told": True, "status": "", "same": 0}
    filled = [pl.lit(absent.get(name)).alias(name) for name in FACT_COLUMNS if name not in facts.columns]
    return facts.with_columns(filled).select(pl.col(name).cast(kind) for name, kind in FACT_COLUMNS.items())


def named(cells: pl.Series) -> tuple[pl.Series, dict[str, str]]:
    """The code of each coded element, null where it has none; and the words of each code."""
    met = distinct(cells)
    found = [read_coded(cell) for cell in met.texts]
    names = pl.Series([coding.name if coding else None for coding in found], dtype=pl.String)
    words = {coding.name: coding.words for coding in found if coding and coding.words}
    return met.mapped(names), words


def prefixed(words: dict[str, str], prefix: str, title: str) -> dict[str, str]:
    """The words of codes that have a prefix before them."""
    return {f"{prefix}//{code}": f"{title}: {text}" for code, text in words.items()}

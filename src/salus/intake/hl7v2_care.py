"""Diagnoses, procedures, allergies and vaccines (DG1, PR1, AL1, IAM, RXA): each a coded segment with a time."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from salus.formats.hl7v2 import DELETED
from salus.formats.hl7v2_codes import ALLERGY, CANCELLED
from salus.formats.hl7v2_values import as_number
from salus.intake.hl7v2_facts import (
    NO_CODE,
    NO_PATIENT,
    NO_TIME,
    Check,
    Facts,
    fit,
    judged,
    named,
    nothing,
    prefixed,
)
from salus.intake.hl7v2_headers import Setting
from salus.intake.hl7v2_segments import component, distinct, readable

REMOVED = "D"
NOT_GIVEN = "its status says that it was not given"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Where a kind of segment has its code, its time, and the mark that takes it back; 0: it has none."""

    name: str
    code: int
    time: int
    action: int = 0
    amount: int = 0
    unit: int = 0
    status: int = 0
    prefix: str = ""

    @property
    def fields(self) -> tuple[int, ...]:
        """The fields to read."""
        all_ = (self.code, self.time, self.action, self.amount, self.unit, self.status)
        return tuple(sorted({number for number in all_ if number}))


KINDS = (
    Kind(name="DG1", code=3, time=5, action=21),
    Kind(name="PR1", code=3, time=5, action=20),
    Kind(name="AL1", code=3, time=6, prefix=ALLERGY),
    Kind(name="IAM", code=3, time=11, action=6, prefix=ALLERGY),
    Kind(name="RXA", code=5, time=3, action=21, amount=6, unit=7, status=20),
)
REFUSED = ("RE", "NA")
UNTOLD_AMOUNT = 999.0
"""RXA-6 of a vaccine whose amount nobody wrote down."""


def care_of(setting: Setting, kind: Kind) -> Facts:
    """Every segment of one kind."""
    rows = setting.segments.of(kind.name, kind.fields)
    if rows.is_empty():
        return nothing(kind.name)
    column = {name: f"{kind.name}-{getattr(kind, name)}" for name in ("code", "time", "action", "status")}
    codes, words = named(rows[column["code"]])
    stamp = rows[column["time"]]
    told = ~stamp.is_in(["", DELETED])
    time = setting.utc(rows, column["time"])
    time = time.zip_with(told, setting.of_message(rows, "happened"))
    said = setting.of_message(rows, "said")
    rows = rows.with_columns(
        setting.patient_of_message(rows),
        codes.alias("code"),
        time.alias("time"),
        said.fill_null(time).alias("known_time"),
        told.alias("told"),
        setting.source(rows).alias("source"),
        setting.visit(rows).set(told, 0).alias("same"),
    )
    checks = [
        Check("PID-3", NO_PATIENT, rows["subject"].is_null()),
        Check(column["code"], NO_CODE, rows["code"].is_null()),
        Check(column["time"], NO_TIME, rows["time"].is_null()),
    ]
    if kind.status:
        checks.append(Check(column["status"], NOT_GIVEN, rows[column["status"]].is_in(list(REFUSED))))
    passes, rejected = judged(rows, checks)
    if kind.prefix:
        rows = rows.with_columns(code=kind.prefix + "//" + pl.col("code"))
        words = prefixed(words, kind.prefix, kind.prefix.capitalize())
    if kind.amount:
        rows = _with_amount(rows, kind)
    if kind.action and (rows[column["action"]] == REMOVED).any():
        rows = rows.with_columns(
            code=pl.when(pl.col(column["action"]) == REMOVED)
            .then(CANCELLED + "//" + pl.col("code"))
            .otherwise("code")
        )
        words |= prefixed(words, CANCELLED, "Taken back")
    return Facts(
        kind=kind.name, read=rows.height, facts=fit(rows.filter(passes)), rejected=rejected, words=words
    )


def _with_amount(rows: pl.DataFrame, kind: Kind) -> pl.DataFrame:
    amount, unit = distinct(rows[f"{kind.name}-{kind.amount}"]), rows[f"{kind.name}-{kind.unit}"]
    numbers = [as_number(text) for text in amount.texts]
    told = pl.Series([None if number == UNTOLD_AMOUNT else number for number in numbers], dtype=pl.Float32)
    value = amount.mapped(told)
    return rows.with_columns(
        value.alias("numeric_value"),
        readable(component(unit, 1)).replace("", None).set(value.is_null(), None).alias("unit"),
    )

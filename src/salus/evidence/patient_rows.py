"""One row a patient, as an attacker would lay out what is known: static facts, age, and a summary of the record.

A column is a number or a word (a static fact's code among those of its prefix); columns of one code make a **field**,
which an attacker knows or does not know as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from salus.evidence.discrimination import Floats
from salus.evidence.summary_features import BIRTH, SummaryColumns, learn_columns, whole_record

MOST_CODES = 30
"""Codes that become columns, those that most patients have: more make a row nobody knows."""
WHOLE = ("age", "recorded_hours", "moments", "rows")
OF_MEASURED, OF_STATED = ("last", "mean", "count"), ("count", "hours")
OTHER = -1.0
"""A word that no real patient has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowForm:
    """Which columns a row has; learnt from real patients. ``words``: codes of each static field, by number."""

    words: tuple[tuple[str, tuple[str, ...]], ...]
    codes: SummaryColumns

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """Field and column, in order."""
        measured = [(code, f"{code} {name}") for code in self.codes.measured for name in OF_MEASURED]
        stated = [(code, f"{code} {name}") for code in self.codes.stated for name in OF_STATED]
        whole = [(name, name) for name in WHOLE]
        return (*((name, name) for name, _ in self.words), *whole, *measured, *stated)

    @property
    def fields(self) -> tuple[str, ...]:
        """What an attacker may know, each once."""
        return tuple(dict.fromkeys(field for field, _ in self.columns))


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientRows:
    """Rows of some patients; nan: not recorded. ``words``: which columns hold the numbers of words."""

    fields: tuple[str, ...]  # of each column
    words: NDArray[np.bool_]
    table: Floats
    subject: NDArray[np.int64]

    def __len__(self) -> int:
        """How many patients."""
        return len(self.table)

    def of(self, chosen: np.ndarray) -> PatientRows:
        """Take some patients, by number or by yes and no."""
        return replace(self, table=self.table[chosen], subject=self.subject[chosen])

    def whose(self, patients: Sequence[int]) -> PatientRows:
        """Take patients by their ids, in the order of the rows."""
        return self.of(np.isin(self.subject, np.asarray(patients, dtype=np.int64)))

    def columns_of(self, fields: Sequence[str]) -> NDArray[np.int64]:
        """Numbers of the columns of ``fields``."""
        return np.flatnonzero(np.isin(np.asarray(self.fields), list(fields)))


def learn_rows(events: pl.DataFrame) -> RowForm:
    """Choose columns from the records of real patients, members and others alike."""
    static = _static(events).get_column("code").unique().sort().to_list()
    prefixes = sorted({prefix_of(code) for code in static})
    words = tuple((name, tuple(code for code in static if prefix_of(code) == name)) for name in prefixes)
    dated = events.filter(pl.col("time").is_not_null() & (pl.col("code") != BIRTH))
    common = (
        dated.group_by("code")
        .agg(patients=pl.col("subject_id").n_unique())
        .sort("patients", "code", descending=[True, False])
        .head(MOST_CODES)
    )
    codes = learn_columns(dated.filter(pl.col("code").is_in(common["code"].to_list())))
    return RowForm(words=words, codes=codes)


def patient_rows(events: pl.DataFrame, form: RowForm) -> PatientRows:
    """Lay out each patient to whom something happened at a known time."""
    dated = events.filter(pl.col("time").is_not_null())
    wide = whole_record(dated, form.codes)
    for name, codes in form.words:
        wide = wide.join(_word(events, name, codes), on="subject_id", how="left", maintain_order="left")
    wide = wide.sort("subject_id")
    words = {name for name, _ in form.words}
    columns = form.columns
    return PatientRows(
        fields=tuple(field for field, _ in columns),
        words=np.array([name in words for name, _ in columns]),
        table=np.asfortranarray(
            wide.select(
                pl.col(name).cast(pl.Float64).fill_null(float("nan")) for _, name in columns
            ).to_numpy()
        ),
        subject=wide["subject_id"].to_numpy(),
    )


def prefix_of(code: str) -> str:
    """What a static code says something about.

    >>> prefix_of("SEX//F"), prefix_of("FRAIL")
    ('SEX', 'FRAIL')
    """
    return code.rsplit("//", 1)[0]


def _static(events: pl.DataFrame) -> pl.DataFrame:
    return events.filter(pl.col("time").is_null() & pl.col("numeric_value").is_null())


def _word(events: pl.DataFrame, name: str, codes: tuple[str, ...]) -> pl.DataFrame:
    """The number of the word each patient has in this field; the first where several are said."""
    numbers = {code: float(number) for number, code in enumerate(codes)}
    return (
        _static(events)
        .filter(pl.col("code").map_elements(prefix_of, return_dtype=pl.String) == name)
        .with_columns(pl.col("code").replace_strict(numbers, default=OTHER, return_dtype=pl.Float64))
        .group_by("subject_id")
        .agg(pl.col("code").min().alias(name))
    )

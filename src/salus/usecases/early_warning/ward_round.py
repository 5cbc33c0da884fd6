"""Who is asked about, and what was known of each at the index moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import polars as pl

from salus.cohort.moments import index_moments, known_at_index
from salus.cohort.task import Outcome, Task, read_task
from salus.timeline.columns import BIRTH
from salus.timeline.store import read_timeline
from salus.trajectory.artefact import Model
from salus.usecases.contract import Missing, Need, Needs
from salus.usecases.opened import Opened

YEAR_SECONDS = 365.25 * 86_400
ROW_ORDER = ("time", "code", "numeric_value", "text_value", "source")
"""Rows of one moment have no order of their own; they are read in this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One patient at the index moment: the rows known by then, the age in years, and how strange the record is.

    ``strange``: codes of the record that the model has never seen, of all its ``codes``. ``lacking``: required codes
    that are not known.
    """

    subject_id: int
    moment: datetime
    rows: pl.DataFrame
    age: float | None
    codes: int
    strange: int
    lacking: tuple[str, ...]

    def had(self, outcome: Outcome) -> bool:
        """Whether the patient cannot get it any more: what the task says must not have been before."""
        return bool(set(outcome.unless_before) & set(self.rows["code"]))


class WardRound:
    """The patients of an opened use case, in order of their numbers."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        self.required = opened.usecase.inputs.required

    @cached_property
    def task(self) -> Task:
        """What is forecast, and from when."""
        return read_task(self.opened.folder.task)

    @cached_property
    def patients(self) -> tuple[Known, ...]:
        """Everybody with an index moment."""
        moments = index_moments(self.opened.events, self.task)
        known = known_at_index(self.opened.events, moments)
        by_patient = known.partition_by("subject_id", as_dict=True)
        return tuple(
            self._of(int(subject), moment, by_patient.get((subject,), known.clear()))
            for subject, moment in moments.sort("subject_id").iter_rows()
        )

    @cached_property
    def words(self) -> frozenset[str]:
        """Every code that the model can read."""
        model = self.opened.model
        if model is None:
            return frozenset()
        clock = model.vocabulary.clock
        framing = {code for code in (clock.anchor, clock.birth, clock.follow_up_end) if code}
        return frozenset({entry.code for entry in model.vocabulary.entries} | framing)

    @cached_property
    def trained_ages(self) -> tuple[float, float] | None:
        """The youngest and the oldest at the index among those trained on."""
        train = read_timeline(self.opened.folder.timeline, "train")
        known = known_at_index(train, index_moments(train, self.task))
        since = (pl.col("prediction_time") - pl.col("time")).dt.total_seconds() / YEAR_SECONDS
        ages = known.filter(pl.col("code") == BIRTH).select(since)["prediction_time"]
        youngest, oldest = ages.min(), ages.max()
        if not isinstance(youngest, float) or not isinstance(oldest, float):
            return None
        return youngest, oldest

    def needs(self) -> Needs:
        """The model, the index moment, and every required code: known of how many, unknown of how many."""
        model, everyone = self.opened.model, self.opened.events["subject_id"].n_unique()
        given, missing = [], []
        if model is None:
            missing.append(no_model())
        else:
            given.append(Need(name="model", meaning=f"trained on {model.lineage.data_set}"))
        index, late = self.task.index.code, everyone - len(self.patients)
        given.append(Need(name=index, meaning="the index moment", patients=len(self.patients)))
        if late:
            unknown = "no index moment"
            missing.append(Missing(name=index, meaning="the index moment", reason=unknown, patients=late))
        for code in self.required:
            lack = sum(code in patient.lacking for patient in self.patients)
            meaning = self.opened.describe(code)
            given.append(Need(name=code, meaning=meaning, patients=len(self.patients) - lack))
            if lack:
                reason = "not known at the index moment"
                missing.append(Missing(name=code, meaning=meaning, reason=reason, patients=lack))
        return Needs(given=tuple(given), missing=tuple(missing))

    def _of(self, subject: int, moment: datetime, rows: pl.DataFrame) -> Known:
        codes = set(rows["code"])
        born = rows.filter(pl.col("code") == BIRTH)["time"].drop_nulls().to_list()
        return Known(
            subject_id=subject,
            moment=moment,
            rows=rows.sort(ROW_ORDER, nulls_last=False, maintain_order=True),
            age=(moment - born[0]).total_seconds() / YEAR_SECONDS if born else None,
            codes=len(codes),
            strange=len(codes - self.words),
            lacking=tuple(code for code in self.required if code not in codes),
        )


def no_model() -> Missing:
    """What is said where there is no whole model."""
    why = "there is none, or a file of it is missing, cut short or changed: train it with `salus train`"
    return Missing(name="model", meaning="a trained model", reason=why)


def index_grain(model: Model, moment: datetime) -> int:
    """A moment in the model's grains since its time zero."""
    clock = model.vocabulary.clock
    return int((moment - clock.zero).total_seconds() // clock.grain_seconds)

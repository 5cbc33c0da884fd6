"""How often an outcome happened to the patients that the model learnt from: what anybody can say without a model."""

from __future__ import annotations

import polars as pl

from salus.cohort.labels import label
from salus.cohort.task import read_task
from salus.timeline.store import read_timeline
from salus.usecases.opened import Opened


def answers_of_trained(opened: Opened, outcome: str) -> tuple[int, int]:
    """How many had the outcome, and how many have an answer."""
    train = read_timeline(opened.folder.timeline, "train")
    answers = label(train, read_task(opened.folder.task), opened.codes)
    answered = answers.filter(pl.col("task") == outcome)["label"].drop_nulls()
    return int(answered.sum()), len(answered)

"""Which held-out patients get a page of futures: by a stated rule, from what was known at the index."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from salus.at_rest.files import read_private_parquet
from salus.cohort.labels import DEATH_ROLE, END_ROLE
from salus.cohort.moments import index_moments, known_at_index
from salus.cohort.task import Task, check_codes
from salus.errors import FindingsFileError, TaskCodeUnknown, TooFewPatients, nearest
from salus.programme.usecase_folder import UseCaseFolder
from salus.timeline.store import read_codes, read_timeline
from salus.trajectory.artefact import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The held-out patients: rows, rows known at the index, index moments, codes, and their forecast risks."""

    events: pl.DataFrame
    known: pl.DataFrame
    moments: pl.DataFrame
    codes: pl.DataFrame
    risks: pl.DataFrame


def choose(risks: pl.DataFrame, patients: int) -> list[int]:
    """The middle patient of each of ``patients`` equal groups by ``risk`` (ties by id), lowest risk first.

    >>> choose(pl.DataFrame({"subject_id": range(10), "risk": range(10)}), 2)
    [2, 7]
    """
    order = risks.sort("risk", "subject_id")["subject_id"].to_list()
    groups = min(patients, len(order))
    return [order[(2 * group + 1) * len(order) // (2 * groups)] for group in range(groups)]


def read_held_out(folder: UseCaseFolder, task: Task) -> Held:
    """Read the held-out patients who have a forecast and the index; there must be one."""
    codes = read_codes(folder.timeline)
    check_codes(task, codes["code"].to_list(), where=str(folder.task))
    risks = _read_risks(folder.risks, task)
    events = read_timeline(folder.timeline, "held_out")
    moments = index_moments(events, task).join(
        risks.select("subject_id").unique(), on="subject_id", how="semi"
    )
    if moments.is_empty():
        raise TooFewPatients(
            f"no held-out patient has both a forecast and the index {task.index.code}",
            where=str(folder.risks),
            fix="hold patients out in source.yaml, and run `salus forecast` on this timeline again",
        )
    return Held(
        events=events, known=known_at_index(events, moments), moments=moments, codes=codes, risks=risks
    )


def _read_risks(path: Path, task: Task) -> pl.DataFrame:
    again = "forecast the held-out patients again with `salus forecast`"
    try:
        risks = read_private_parquet(path).select("subject_id", "task", "risk", "lower", "upper")
    except FileNotFoundError as error:
        raise FindingsFileError("there are no forecasts yet", where=str(path), fix=again) from error
    except (pl.exceptions.PolarsError, OSError) as error:
        raise FindingsFileError(
            f"'{path.name}' is cut short or not a table of risks", where=str(path), fix=again
        ) from error
    present = risks["task"].unique().to_list()
    for outcome in task.outcomes:
        if outcome.name not in present:
            raise FindingsFileError(
                f"the forecasts hold no risk of '{outcome.name}', an outcome of the task",
                where=str(path),
                fix=again,
            )
    return risks


def check_model(task: Task, model: Model, where: str) -> None:
    """Refuse an outcome that the model cannot draw: its risk would silently be nothing."""
    known = [entry.code for entry in model.vocabulary.entries]
    for outcome in task.outcomes:
        if not set(outcome.any_of) & set(known):
            raise TaskCodeUnknown(
                f"the model knows no code of '{outcome.name}' ({outcome.any_of[0]}{nearest(outcome.any_of[0], known)}),"
                " so it would never happen",
                where=where,
                fix="train on data in which it happens to at least five patients, or leave this outcome out",
            )


def open_at_index(held: Held, task: Task) -> pl.DataFrame:
    """Risks of the first outcome of those who, as far as was known then, had neither had it nor died or left."""
    first = task.outcomes[0]
    gone = held.codes.filter(pl.col("role").is_in([DEATH_ROLE, END_ROLE]))["code"].to_list()
    shut = held.known.filter(pl.col("code").is_in([*gone, *first.until, *first.unless_before]))
    risks = held.risks.filter(pl.col("task") == first.name).join(held.known, on="subject_id", how="semi")
    still = risks.join(shut, on="subject_id", how="anti")
    if still.is_empty():
        raise TooFewPatients(
            f"no held-out patient can still have '{first.name}' at the index",
            where="task.yaml",
            fix="choose another index or first outcome",
        )
    return still

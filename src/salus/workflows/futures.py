"""Futures: a dozen held-out patients, what the model expects to follow, and a page for each."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from salus.at_rest.files import read_private_parquet, write_private_parquet
from salus.cohort.labels import label
from salus.cohort.moments import known_at_index
from salus.cohort.task import Task, read_task
from salus.errors import SettingsRefused
from salus.findings import MANIFEST, read_bundle
from salus.programme.lock import Leave, check_lock
from salus.programme.usecase_folder import UseCaseFolder
from salus.progress import Progress
from salus.timeline.folder import check_replaceable, whole_folder
from salus.timeline.store import read_settings, timeline_digest
from salus.trajectory.artefact import Model, load_model
from salus.trajectory.forecasting import Asked, Histories
from salus.trajectory.futures import Futures, draw_futures, incidence
from salus.trajectory.reading import read_histories
from salus.trajectory.spreading import spread
from salus.trajectory.vocabulary import GRAIN_SECONDS
from salus.workflows.forecast import grains_of, questions_of, used_on
from salus.workflows.futures_choice import Held, check_model, choose, open_at_index, read_held_out
from salus.workflows.pages.futures_sheet import (
    APART,
    Patient,
    Scene,
    had_already,
    patient_sheet,
    patient_title,
)
from salus.workflows.pages.sheet import write_sheet

LIST_FILE, ROWS_FILE = "futures.json", "futures.parquet"
HOUR_US, GRID = 3_600_000_000, 60
SHOWN = 0.95
"""Where futures have no limit, curves reach to where this share of them has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FuturesSettings:
    """How many patients, and how many futures of each."""

    patients: int = 12
    samples: int = 64
    seed: int = 20260101


def futures(
    folder: UseCaseFolder, *, patients: int = 12, samples: int = 64, seed: int, progress: Progress
) -> Path:
    """Draw futures of a dozen held-out patients and write a page for each; see :func:`write_futures`."""
    settings = FuturesSettings(patients=patients, samples=samples, seed=seed)
    return write_futures(folder, settings=settings, made=datetime.now(UTC), progress=progress)


def write_futures(
    folder: UseCaseFolder, *, settings: FuturesSettings, made: datetime, progress: Progress
) -> Path:
    """Write futures/futures.json, futures.parquet (number, future, hours_since_index, code, value) and NN/sheet.json.

    Raises SyntheticLocked (SAL-477), SettingsRefused (SAL-308), TooFewPatients (SAL-305), TaskCodeUnknown (SAL-403),
    FindingsFileError (SAL-451: no forecasts, or of another task), and the errors of models, tasks, timelines and
    bundles.
    """
    if settings.patients < 1 or settings.samples < 1:
        raise SettingsRefused(
            f"{settings.samples} futures of {settings.patients} patients cannot be drawn",
            where="workflows.futures",
            fix="give 1 or more of each",
        )
    check_replaceable(folder.futures, mark=LIST_FILE)
    model, task = load_model(folder.model), read_task(folder.task)
    leave = Leave(usecase=folder.root)
    check_lock(used_on("futures", model, folder.timeline), leave, now=made)
    with progress.step("Choosing patients"):
        held = read_held_out(folder, task)
        check_model(task, model, str(folder.task))
        chosen = choose(open_at_index(held, task), settings.patients)
    with progress.step("Drawing futures", total=len(chosen), unit="patients") as step:
        drawn = _draw(model, folder, held=held, chosen=chosen, settings=settings)
        step.advance(len(chosen))
    scene = _scene(folder, held, drawn=drawn, settings=settings, made=made)
    with (
        progress.step("Writing pages", total=len(chosen), unit="patients") as step,
        whole_folder(folder.futures, mark=LIST_FILE) as place,
    ):
        people = _people(folder, held, chosen=chosen, drawn=drawn, scene=scene)
        _write_list(people, scene, place)
        for person in people:
            sheet, pictures = patient_sheet(person, scene)
            write_sheet(sheet, place / f"{person.number:02d}", pictures=pictures)
            step.advance()
    return folder.futures


def _draw(
    model: Model, place: UseCaseFolder, *, held: Held, chosen: list[int], settings: FuturesSettings
) -> Futures:
    """Draw futures of the chosen in their order: patient 0 is the first of them."""
    vocabulary, task = model.vocabulary, read_task(place.task)
    known = held.known.filter(pl.col("subject_id").is_in(chosen))
    records = read_histories(known, held.codes, read_settings(place.timeline), vocabulary)
    order = np.asarray([records.subject.tolist().index(subject) for subject in chosen])
    moments = pl.DataFrame({"subject_id": chosen}).join(held.moments, on="subject_id", maintain_order="left")
    histories = Histories(
        records=records.of(order), known_until=grains_of(moments["prediction_time"], vocabulary.clock)
    )
    asked = Asked(questions=questions_of(task, vocabulary.clock), samples=settings.samples)

    def work(known: Histories) -> Futures:
        return draw_futures(model.network, vocabulary, histories=known, asked=asked, seed=settings.seed)

    return next(iter(list(spread(work, [histories]))))


def _scene(
    folder: UseCaseFolder, held: Held, *, drawn: Futures, settings: FuturesSettings, made: datetime
) -> Scene:
    task, grain = read_task(folder.task), read_settings(folder.timeline).grain
    hour = GRAIN_SECONDS.get(grain, 1) / 3600
    horizon = _horizon(task)
    lasts = _last_hours(drawn, hour)
    shown = horizon or float(lasts.quantile(SHOWN, interpolation="higher") or 1.0)
    main = _usual_codes(held)
    after = held.events.join(held.moments, on="subject_id").filter(pl.col("time") > pl.col("prediction_time"))
    return Scene(
        task=task,
        codes=held.codes,
        main=main,
        again=frozenset(after.drop_nulls("numeric_value")["code"]) & frozenset(main),
        horizon=horizon,
        shown=shown,
        beyond=_share_beyond(lasts, shown) if horizon is None else 0.0,
        patients=int(drawn.facts["patient"].n_unique()),
        samples=settings.samples,
        seed=settings.seed,
        made=made,
        digest=timeline_digest(folder.timeline),
    )


def _horizon(task: Task) -> float | None:
    """Hours of the longest horizon; None where an outcome has no limit."""
    within = [outcome.within for outcome in task.outcomes]
    lengths = [length.total_seconds() / 3600 for length in within if length is not None]
    return max(lengths) if len(lengths) == len(within) else None


def _last_hours(drawn: Futures, hour: float) -> pl.Series:
    """Hours after the index of the last moment of each future."""
    chances = drawn.chances
    lasts = pl.DataFrame({"p": chances.patient, "f": chances.future, "after": chances.after})
    return lasts.group_by("p", "f").agg(pl.col("after").max())["after"] * hour


def _share_beyond(lasts: pl.Series, shown: float) -> float:
    return lasts.filter(lasts > shown).len() / max(lasts.len(), 1)


def _usual_codes(held: Held) -> tuple[str, ...]:
    """Measured codes by how many patients have a value known at the index."""
    plain = held.codes.filter(~pl.col("role").is_in(APART))["code"].to_list()
    valued = held.known.drop_nulls("numeric_value").filter(pl.col("code").is_in(plain))
    usual = valued.group_by("code").agg(pl.col("subject_id").n_unique().alias("patients"), pl.len())
    return tuple(usual.sort("patients", "len", "code", descending=[True, True, False])["code"])


def _people(
    folder: UseCaseFolder, held: Held, *, chosen: list[int], drawn: Futures, scene: Scene
) -> list[Patient]:
    """What each page shows of its patient; the id stays here."""
    task = scene.task
    hour = GRAIN_SECONDS.get(read_settings(folder.timeline).grain, 1) / 3600
    own = held.events.filter(pl.col("subject_id").is_in(chosen))
    answers = label(own, task, held.codes)
    baseline = _baseline(folder)
    grid = _grid(drawn, scene, hour)
    rows = _from_index(own, held.moments)
    births = held.codes.filter(pl.col("role") == "birth")["code"].to_list()
    people = []
    for place, subject in enumerate(chosen):
        mine = rows.filter(pl.col("subject_id") == subject).drop("subject_id")
        birth = mine.filter(pl.col("code").is_in(births))["hours"].to_list()
        people.append(
            Patient(
                number=place + 1,
                birth_hours=birth[0] if birth else None,
                known=mine.filter("is_known"),
                later=mine.filter(~pl.col("is_known")),
                drawn=_in_hours(drawn.facts.filter(pl.col("patient") == place), hour),
                curves=_curves(drawn, place, task=task, grid=grid, hour=hour),
                risks=_in_order(held.risks.filter(pl.col("subject_id") == subject), task),
                baseline=_of_subject(baseline, subject),
                answers=_answers(answers.filter(pl.col("subject_id") == subject)),
            )
        )
    return people


def _from_index(events: pl.DataFrame, moments: pl.DataFrame) -> pl.DataFrame:
    """Rows with ``hours`` and ``known_hours`` since the index, and whether they were known then."""
    known = known_at_index(events.with_row_index("row"), moments)["row"]
    since = {
        name: (pl.col(column) - pl.col("prediction_time")).dt.total_microseconds() / HOUR_US
        for name, column in (("hours", "time"), ("known_hours", "known_time"))
    }
    return (
        events.with_row_index("row")
        .join(moments, on="subject_id", maintain_order="left")
        .with_columns(**since, is_known=pl.col("row").is_in(known.to_list()))
        .select("subject_id", "hours", "known_hours", "code", "numeric_value", "unit", "is_known")
    )


def _in_hours(facts: pl.DataFrame, hour: float) -> pl.DataFrame:
    return facts.select("future", (pl.col("after") * hour).alias("hours"), "code", "value")


def _grid(drawn: Futures, scene: Scene, hour: float) -> list[float]:
    """Grains at which curves are drawn, and the last moment drawn of all."""
    steps = [scene.shown / hour * step / GRID for step in range(GRID + 1)]
    ends = [outcome.within.total_seconds() / 3600 / hour for outcome in scene.task.outcomes if outcome.within]
    last = [float(drawn.chances.after.max(initial=1))] if scene.horizon is None else []
    return sorted({*steps, *ends, *last})


def _curves(drawn: Futures, place: int, *, task: Task, grid: Sequence[float], hour: float) -> pl.DataFrame:
    """Cumulative incidence of each outcome, up to its own horizon."""
    curves = incidence(drawn.chances, patient=place, samples=drawn.samples, grid=grid)
    names = [outcome.name for outcome in task.outcomes]
    ends = [
        math.inf if outcome.within is None else outcome.within.total_seconds() / 3600
        for outcome in task.outcomes
    ]
    about = pl.DataFrame({"question": range(len(names)), "task": names, "end": ends})
    return (
        curves.join(about, on="question", maintain_order="left")
        .with_columns(hours=pl.col("after") * hour)
        .filter(pl.col("hours") <= pl.col("end") + 1e-6)
        .select("task", "hours", "risk", "lower", "upper")
    )


def _in_order(risks: pl.DataFrame, task: Task) -> pl.DataFrame:
    names = pl.DataFrame({"task": [outcome.name for outcome in task.outcomes]})
    return names.join(risks, on="task", maintain_order="left").select("task", "risk", "lower", "upper")


def _baseline(folder: UseCaseFolder) -> pl.DataFrame | None:
    """The baseline's risks out of the evidence, where there is a bundle."""
    if not (folder.evidence / MANIFEST).exists():
        return None
    bundle = read_bundle(folder.evidence)
    path = bundle.folder / "risks.parquet"
    return read_private_parquet(path).select("subject_id", "task", "real_risk") if path.exists() else None


def _of_subject(baseline: pl.DataFrame | None, subject: int) -> Mapping[str, float] | None:
    if baseline is None:
        return None
    own = baseline.filter(pl.col("subject_id") == subject).drop_nulls()
    return dict(own.select("task", "real_risk").iter_rows())


def _answers(labels: pl.DataFrame) -> dict[str, tuple[bool | None, str | None]]:
    return {row["task"]: (row["label"], row["reason"]) for row in labels.to_dicts()}


def _write_list(people: Sequence[Patient], scene: Scene, place: Path) -> None:
    """Write the list of patients with their risks, and all futures as rows."""
    listed = [
        {
            "number": one.number,
            "title": patient_title(one, scene),
            "risks": one.risks.filter(~pl.col("task").is_in(had_already(one, scene)))
            .select("task", pl.col("risk", "lower", "upper").cast(pl.Float64).round(6))
            .to_dicts(),
        }
        for one in people
    ]
    (place / LIST_FILE).write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
    drawn = pl.concat(one.drawn.with_columns(number=pl.lit(one.number)) for one in people)
    rows = drawn.select(
        pl.col("number", "future").cast(pl.Int32),
        pl.col("hours").alias("hours_since_index"),
        "code",
        "value",
    )
    write_private_parquet(rows, place / ROWS_FILE)

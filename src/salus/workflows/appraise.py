"""Measure a use case against held-out real patients: alike, useful, private, right; write the bundle of evidence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import polars as pl

from salus.at_rest.files import read_private_parquet
from salus.cohort.labels import label
from salus.cohort.moments import index_moments, known_at_index
from salus.cohort.task import Task, check_codes, read_task
from salus.errors import FindingsFileError, nearest
from salus.evidence.fidelity import Fidelity, fidelity
from salus.evidence.forecast_accuracy import Accuracy, forecast_accuracy
from salus.evidence.groups import Group, slices_of
from salus.evidence.likeness import PARTS
from salus.evidence.membership import Membership
from salus.evidence.outcome_model import Population
from salus.evidence.utility import Utility, utility
from salus.findings import ABOUT_WHAT, Finding, file_digest, write_bundle
from salus.programme.read_usecase import read_usecase
from salus.programme.usecase_folder import UseCaseFolder
from salus.progress import QUIET, Progress
from salus.timeline.store import read_codes, read_settings, read_timeline, timeline_digest
from salus.trajectory.artefact import ABOUT
from salus.workflows.membership import Attacked, measure_membership
from salus.workflows.stages import Json

EVIDENCE_COLUMNS = ("subject_id", "time", "code", "numeric_value", "known_time")
FORECAST_COLUMNS = ("subject_id", "task", "risk", "samples")


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What is appraised: the real and the synthetic timeline and the task; forecasts, model and use case if any.

    Without a model there is no attack on it; the use case says in which groups forecasts are measured again.
    """

    timeline: Path
    synthetic: Path
    task: Path
    forecast: Path | None = None
    model: Path | None = None
    usecase: Path | None = None

    @classmethod
    def of(cls, folder: UseCaseFolder) -> Material:
        """Everything that lies in a use case's folder."""
        return cls(
            timeline=folder.timeline,
            synthetic=folder.synthetic,
            task=folder.task,
            forecast=folder.risks if folder.risks.exists() else None,
            model=folder.model if folder.model.exists() else None,
            usecase=folder.description if folder.description.exists() else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Appraisal:
    """The findings, the frames behind the pages' pictures, and where the bundle was written."""

    folder: Path
    findings: tuple[Finding, ...]
    fidelity: Fidelity
    utility: Utility
    privacy: Membership
    accuracy: Accuracy | None
    labels: pl.DataFrame

    def as_json(self) -> dict[str, Json]:
        """The parts ``fidelity``, ``utility``, ``forecast`` and ``privacy`` of summary.json."""
        return {
            "fidelity": _fidelity_part(self.fidelity.scores),
            "utility": _task_part(self.findings, UTILITY_KEYS),
            "forecast": _task_part(self.findings, FORECAST_KEYS),
            "privacy": _privacy_part(self.privacy),
        }


def appraise(
    material: Material, to: Path, *, seed: int, made: datetime, progress: Progress = QUIET
) -> Appraisal:
    """Measure fidelity, utility, privacy and, where given, forecasts; write the bundle ``to``, whole or not at all.

    Forecasts and outcome models are tested on the split ``held_out`` only. The outcome model on real patients learns
    from train and tuning: all that the generator could use. ``made``: now; every finding carries it.
    """
    appraisal = _measure(material, to, seed=seed, progress=progress)
    subjects = _subjects(material)
    site = read_settings(material.timeline).name
    found = tuple(
        replace(
            one,
            digests={role: subjects[role] for role in ABOUT_WHAT[one.kind] if role in subjects},
            created=made.isoformat(),
            site=site,
        )
        for one in appraisal.findings
    )
    write_bundle(to, found, tables=_tables(appraisal), subjects=subjects, created=made.isoformat())
    return replace(appraisal, findings=found)


def _measure(material: Material, to: Path, *, seed: int, progress: Progress) -> Appraisal:
    """Read everything and measure part by part."""
    with progress.step("Measuring evidence", total=5, unit="parts") as step:
        task, codes = read_task(material.task), read_codes(material.timeline)
        check_codes(task, codes["code"], where=str(material.task))
        groups = _groups(material.usecase)
        risks = None if material.forecast is None else read_forecast(material.forecast)
        events = read_timeline(material.timeline).select(*EVIDENCE_COLUMNS, "split")
        synthetic = read_timeline(material.synthetic).select(EVIDENCE_COLUMNS)
        train, held_out = (_of_split(events, name) for name in ("train", "held_out"))
        learnt = events.filter(pl.col("split") != "held_out").drop("split")
        step.advance(note="read")
        anchor = read_settings(material.timeline).anchor
        alike = fidelity(train, synthetic, real_held_out=held_out, anchor=anchor, seed=seed)
        step.advance(note="fidelity")
        tested = _population("held-out real", held_out, task=task, codes=codes)
        useful = utility(
            _population("real", learnt, task=task, codes=codes),
            _population("synthetic", synthetic, task=task, codes=codes),
            held_out=tested,
            seed=seed,
        )
        step.advance(note="utility")
        attacked = Attacked(timeline=material.timeline, synthetic=material.synthetic, model=material.model)
        private = measure_membership(attacked, seed=seed)
        step.advance(note="privacy")
        right = None
        if risks is not None:
            slices = slices_of(tested.known, groups)
            right = forecast_accuracy(risks, tested.labels, baseline=useful.risks, seed=seed, slices=slices)
        step.advance(note="forecast")
    return Appraisal(
        folder=to,
        findings=(
            *alike.findings,
            *useful.findings,
            *private.findings,
            *(right.findings if right else ()),
        ),
        fidelity=alike,
        utility=useful,
        privacy=private,
        accuracy=right,
        labels=tested.labels,
    )


def read_forecast(path: Path) -> pl.DataFrame:
    """Read a file that `salus forecast` wrote."""
    try:
        forecast = read_private_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise FindingsFileError(
            f"'{path.name}' is not there or cannot be read", where=str(path), fix="run `salus forecast` again"
        ) from error
    for name in FORECAST_COLUMNS:
        if name not in forecast.columns:
            raise FindingsFileError(
                f"'{path.name}' lacks the column '{name}'{nearest(name, forecast.columns)}",
                where=str(path),
                fix="name the file that `salus forecast` wrote",
            )
    return forecast


def _groups(usecase: Path | None) -> tuple[Group, ...]:
    """The groups a use case names, in evidence's own words; none without a use case."""
    rules = () if usecase is None else read_usecase(usecase).groups
    by_code = [Group(label=rule.label, name=name, code=code) for rule in rules for name, code in rule.codes]
    by_age = [
        Group(label=rule.label, name=band.name, low=band.low, high=band.high)
        for rule in rules
        for band in rule.bands
    ]
    return (*by_code, *by_age)


def _of_split(events: pl.DataFrame, split: str) -> pl.DataFrame:
    return events.filter(pl.col("split") == split).drop("split")


def _population(name: str, events: pl.DataFrame, *, task: Task, codes: pl.DataFrame) -> Population:
    moments = index_moments(events, task)
    return Population(
        name=name,
        known=known_at_index(events, moments),
        moments=moments,
        labels=label(events, task, codes),
    )


def _subjects(material: Material) -> dict[str, str]:
    """What the evidence is about: a digest by role."""
    subjects = {
        "timeline": timeline_digest(material.timeline),
        "synthetic": timeline_digest(material.synthetic),
        "task": file_digest(material.task),
    }
    if material.model is not None:
        subjects["model"] = file_digest(material.model / ABOUT)
    if material.forecast is not None:
        subjects["forecast"] = file_digest(material.forecast)
    return subjects


def _tables(appraisal: Appraisal) -> dict[str, pl.DataFrame]:
    """The frames behind the findings, by the name of their file."""
    tables = {
        "fidelity": appraisal.fidelity.scores,
        "codes": appraisal.fidelity.by_code,
        "risks": appraisal.utility.risks,
        "labels": appraisal.labels,
        "membership": appraisal.privacy.scores,
    }
    if appraisal.accuracy is not None:
        tables["reliability"] = appraisal.accuracy.reliability
        tables["net_benefit"] = appraisal.accuracy.net_benefit
    return tables


UTILITY_KEYS = {
    "utility.real_auroc": "real_auroc",
    "utility.synthetic_auroc": "synthetic_auroc",
    "utility.auroc_ratio": "ratio",
}
FORECAST_KEYS = {
    "forecast.auroc": "auroc",
    "forecast.auprc": "auprc",
    "forecast.brier": "brier",
    "forecast.slope": "slope",
    "forecast.intercept": "intercept",
    "forecast.baseline_auroc": "baseline_auroc",
    "forecast.auroc_difference": "auroc_minus_baseline",
}


def _task_part(findings: Iterable[Finding], keys: dict[str, str]) -> list[Json]:
    """One entry a task with an interval a metric, and the reasons why numbers are missing; groups are left out."""
    tasks: dict[str, dict[str, Json]] = {}
    for one in (each for each in findings if each.metric in keys and "; " not in each.population):
        name = one.population.removeprefix("held_out: ")
        entry = tasks.setdefault(name, {"task": name, "patients": one.patients, "events": one.events})
        entry[keys[one.metric]] = dict(one.interval.as_json())
        if one.reason:
            entry["reason"] = one.reason
    return list(tasks.values())


def _privacy_part(privacy: Membership) -> dict[str, Json]:
    """The strongest attack with its control and baseline, and each attack with its own."""
    found = {(one.metric, one.comparison): one for one in privacy.findings}
    names = [one.metric for one in privacy.findings if one.comparison == "attack"]

    def numbers(metric: str, comparison: str) -> dict[str, Json]:
        return dict(found[metric, comparison].interval.as_json())

    strongest, *attacks = names
    about: dict[str, Json] = {"members": privacy.members, "others": privacy.others}
    return {
        "membership_auc": numbers(strongest, "attack") | about,
        "control": numbers(strongest, "control"),
        "baseline": numbers(strongest, "baseline"),
        "reason": found[strongest, "attack"].reason,
        "attacks": [
            {"name": metric.removeprefix("privacy.").removesuffix("_auc"), **numbers(metric, "attack")}
            | {"control": numbers(metric, "control"), "baseline": numbers(metric, "baseline")}
            for metric in attacks
        ],
    }


def _fidelity_part(scores: pl.DataFrame) -> dict[str, Json]:
    """The parts and the overall score as plain numbers; bounds, ceiling and floor of each beside them."""
    rows = {str(row["measure"]): row for row in scores.to_dicts()}
    overall = rows["overall"]
    part: dict[str, Json] = {name: rows[name]["synthetic"] for name in PARTS}
    part |= {name: overall[name] for name in ("lower", "upper", "ceiling", "floor")}
    part["overall"] = overall["synthetic"]
    part["measures"] = [dict(row) for row in scores.to_dicts()]
    return part

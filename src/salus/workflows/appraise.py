"""Measure a synthetic population and forecasts against held-out real patients; write the findings down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from salus.cohort.labels import label
from salus.cohort.moments import index_moments, known_at_index
from salus.cohort.task import Task, check_codes, read_task
from salus.errors import FindingsFileError, nearest
from salus.evidence.fidelity import Fidelity, fidelity
from salus.evidence.forecast_accuracy import Accuracy, forecast_accuracy
from salus.evidence.likeness import PARTS
from salus.evidence.outcome_model import Population
from salus.evidence.utility import Utility, utility
from salus.findings import Finding, write_findings
from salus.progress import QUIET, Progress
from salus.timeline.store import read_codes, read_settings, read_timeline, timeline_digest
from salus.workflows.stages import Json

FINDINGS_FILE, TABLES = "findings.json", "evidence"
SCORES_FILE, CODES_FILE = "fidelity.parquet", "codes.parquet"
RISKS_FILE, RELIABILITY_FILE, LABELS_FILE = "risks.parquet", "reliability.parquet", "labels.parquet"
EVIDENCE_COLUMNS = ("subject_id", "time", "code", "numeric_value", "known_time")
FORECAST_COLUMNS = ("subject_id", "task", "risk", "samples")


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What is appraised: folders of the real and the synthetic timeline, the task, forecasts where there are any."""

    timeline: Path
    synthetic: Path
    task: Path
    forecast: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Appraisal:
    """The findings, the frames behind the report's pictures, and where everything was written."""

    folder: Path
    findings: tuple[Finding, ...]
    fidelity: Fidelity
    utility: Utility
    accuracy: Accuracy | None

    def as_json(self) -> dict[str, Json]:
        """The parts ``fidelity``, ``utility`` and ``forecast`` of summary.json."""
        return {
            "fidelity": _fidelity_part(self.fidelity.scores),
            "utility": _task_part(self.findings, UTILITY_KEYS),
            "forecast": _task_part(self.findings, FORECAST_KEYS),
        }


def appraise(material: Material, to: Path, *, seed: int, progress: Progress = QUIET) -> Appraisal:
    """Measure fidelity, utility and forecasts (where given); write ``to``/findings.json and ``to``/evidence/.

    Forecasts and outcome models are tested on the split ``held_out`` only. The outcome model on real patients learns
    from train and tuning: all that the generator could use.
    """
    with progress.step("Measuring evidence", total=4, unit="parts") as step:
        task, codes = read_task(material.task), read_codes(material.timeline)
        check_codes(task, codes["code"], where=str(material.task))
        events = read_timeline(material.timeline).select(*EVIDENCE_COLUMNS, "split")
        synthetic = read_timeline(material.synthetic).select(EVIDENCE_COLUMNS)
        train, held_out = (_of_split(events, name) for name in ("train", "held_out"))
        learnt = events.filter(pl.col("split") != "held_out").drop("split")
        step.advance(note="read")
        alike = fidelity(
            train,
            synthetic,
            real_held_out=held_out,
            anchor=read_settings(material.timeline).anchor,
            seed=seed,
        )
        step.advance(note="fidelity")
        tested = _population("held-out real", held_out, task=task, codes=codes)
        useful = utility(
            _population("real", learnt, task=task, codes=codes),
            _population("synthetic", synthetic, task=task, codes=codes),
            held_out=tested,
            seed=seed,
        )
        step.advance(note="utility")
        accuracy = None
        if material.forecast is not None:
            accuracy = forecast_accuracy(
                read_forecast(material.forecast), tested.labels, baseline=useful.risks, seed=seed
            )
        step.advance(note="forecast")
    found = [*alike.findings, *useful.findings, *(accuracy.findings if accuracy else [])]
    digests = {
        "timeline": timeline_digest(material.timeline),
        "synthetic": timeline_digest(material.synthetic),
    }
    appraisal = Appraisal(
        folder=to,
        findings=tuple(replace(one, digests=digests) for one in found),
        fidelity=alike,
        utility=useful,
        accuracy=accuracy,
    )
    _write(appraisal, tested.labels)
    return appraisal


def read_forecast(path: Path) -> pl.DataFrame:
    """Read a file that `salus forecast` wrote."""
    try:
        forecast = pl.read_parquet(path)
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


def _write(appraisal: Appraisal, labels: pl.DataFrame) -> None:
    folder = appraisal.folder / TABLES
    folder.mkdir(parents=True, exist_ok=True)
    appraisal.fidelity.scores.write_parquet(folder / SCORES_FILE)
    appraisal.fidelity.by_code.write_parquet(folder / CODES_FILE)
    appraisal.utility.risks.write_parquet(folder / RISKS_FILE)
    labels.write_parquet(folder / LABELS_FILE)
    if appraisal.accuracy is not None:
        appraisal.accuracy.reliability.write_parquet(folder / RELIABILITY_FILE)
    write_findings(appraisal.folder / FINDINGS_FILE, appraisal.findings)


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
    """One entry a task with an interval a metric, and the reasons why numbers are missing."""
    tasks: dict[str, dict[str, Json]] = {}
    for one in (each for each in findings if each.metric in keys):
        name = one.population.removeprefix("held_out: ")
        entry = tasks.setdefault(name, {"task": name, "patients": one.patients, "events": one.events})
        entry[keys[one.metric]] = dict(one.interval.as_json())
        if one.reason:
            entry["reason"] = one.reason
    return list(tasks.values())


def _fidelity_part(scores: pl.DataFrame) -> dict[str, Json]:
    """The parts and the overall score as plain numbers; bounds, ceiling and floor of each beside them."""
    rows = {str(row["measure"]): row for row in scores.to_dicts()}
    overall = rows["overall"]
    part: dict[str, Json] = {name: rows[name]["synthetic"] for name in PARTS}
    part |= {name: overall[name] for name in ("lower", "upper", "ceiling", "floor")}
    part["overall"] = overall["synthetic"]
    part["measures"] = [dict(row) for row in scores.to_dicts()]
    return part

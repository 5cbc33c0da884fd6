"""Put a run's numbers, pictures and caveats on one page: report.html."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from salus.cohort.labels import label
from salus.cohort.task import read_task
from salus.errors import NothingToReport
from salus.evidence.calibration import reliability_bins
from salus.progress import QUIET, Progress
from salus.timeline.store import read_codes, read_settings, read_timeline, timeline_digest
from salus.workflows.pages.render import Page
from salus.workflows.pages.report_page import Run, report_page
from salus.workflows.pages.report_tables import at, figure
from salus.workflows.stages import Json

PAGE_FILE, SUMMARY_FILE = "report.html", "summary.json"
SCORES_FILE, CODES_FILE = "fidelity.parquet", "codes.parquet"
RISKS_FILE = Path("forecasts") / "held_out.parquet"


def report(
    folder: Path,
    *,
    summary: Json = None,
    task: Path | None = None,
    made: datetime | None = None,
    progress: Progress = QUIET,
) -> Path:
    """Write ``folder/report.html`` from what the run left in ``folder``; what is not there is said to be missing.

    Read: timeline/, synthetic/, model/, forecasts/held_out.parquet, the evidence by code, and summary.json unless
    ``summary`` is given. ``task`` adds the calibration pictures.
    """
    if not (folder / "timeline").is_dir():
        raise NothingToReport(
            f"'{folder.name}' holds no run: it has no folder 'timeline'",
            where=str(folder),
            fix="name the folder that `salus demo --to` wrote",
        )
    with progress.step("Writing the report", total=2, unit="parts") as step:
        told = summary if summary is not None else _read_json(folder / SUMMARY_FILE)
        run = _gather(folder, told, task)
        step.advance()
        page = _page(folder, told, made or datetime.now(UTC))
        target = folder / PAGE_FILE
        target.write_text(report_page(run, page), encoding="utf-8")
        step.advance()
    return target


def _gather(folder: Path, summary: Json, task: Path | None) -> Run:
    settings, codes = read_settings(folder / "timeline"), read_codes(folder / "timeline")
    made = folder / "synthetic"
    curve, across = _curve(folder / "model")
    return Run(
        summary=summary,
        by_code=_by_code(folder),
        real=read_timeline(folder / "timeline", "train"),
        synthetic=read_timeline(made).drop("split") if made.is_dir() else None,
        codes=codes,
        time_zero=settings.time_zero,
        curve=curve,
        curve_across=across,
        reliability=_reliability(folder, codes, task),
    )


def _page(folder: Path, summary: Json, made: datetime) -> Page:
    settings = read_settings(folder / "timeline")
    seed = figure(summary, "seed")
    name = settings.name or str(at(summary, "example") or folder.name)
    return Page(
        title=f"Synthetic patients and forecasts: {name}",
        lead="One run from real records to a synthetic population and forecasts, with what was measured on the way.",
        made=made,
        digest=timeline_digest(folder / "timeline"),
        seed=None if seed is None else int(seed),
    )


def _by_code(folder: Path) -> pl.DataFrame | None:
    """Shares and values code by code, where the evidence lies beside its scores."""
    beside = [place for place in (folder / "evidence", folder) if (place / SCORES_FILE).exists()]
    return pl.read_parquet(beside[0] / CODES_FILE) if beside and (beside[0] / CODES_FILE).exists() else None


def _read_json(path: Path) -> Json:
    if not path.exists():
        return None
    try:
        content: Json = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise NothingToReport(
            f"'{path.name}' is cut short or not JSON", where=str(path), fix="run the job again that wrote it"
        ) from error
    return content


def _curve(model: Path) -> tuple[pl.DataFrame | None, str]:
    """The losses that training noted, in any of the model's JSON files: a list ``curve`` of points."""
    for path in sorted(model.glob("*.json")):
        found = _find_curve(_read_json(path))
        if found:
            return _points(found)
    return None, ""


def _find_curve(tree: Json) -> list[dict[str, Json]]:
    if not isinstance(tree, dict):
        return []
    points = tree.get("curve")
    if isinstance(points, list):
        return [point for point in points if isinstance(point, dict)]
    return next((found for part in tree.values() if (found := _find_curve(part))), [])


def _points(points: Sequence[dict[str, Json]]) -> tuple[pl.DataFrame | None, str]:
    across = "epoch" if all("epoch" in point for point in points) else "step"
    rows = [
        {"x": figure(point, across), "loss": figure(point, column), "who": who}
        for column, who in (("train", "trained on"), ("tuning", "used to stop"))
        for point in points
    ]
    frame = pl.DataFrame(rows, schema={"x": pl.Float64, "loss": pl.Float64, "who": pl.String}).drop_nulls()
    return (frame if frame.height else None), f"{across}s of training"


def _reliability(folder: Path, codes: pl.DataFrame, task: Path | None) -> dict[str, pl.DataFrame]:
    if task is None or not (folder / RISKS_FILE).exists():
        return {}
    labels = label(read_timeline(folder / "timeline", "held_out"), read_task(task), codes)
    risks = pl.read_parquet(folder / RISKS_FILE).select("subject_id", "task", "risk")
    known = risks.join(labels.drop_nulls("label"), on=["subject_id", "task"]).sort("task", "subject_id")
    groups = {}
    for (name,), mine in known.group_by("task", maintain_order=True):
        outcome = mine["label"].cast(pl.Float64).to_numpy()
        groups[str(name)] = reliability_bins(outcome, mine["risk"].cast(pl.Float64).to_numpy())
    return groups

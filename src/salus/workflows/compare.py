"""Lay synthetic beside real patients: comparison/sheet.json with its pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from salus.at_rest.files import read_private_parquet
from salus.errors import NothingToReport
from salus.findings import MANIFEST, Finding, read_bundle
from salus.programme.usecase_folder import UseCaseFolder
from salus.progress import QUIET, Progress
from salus.timeline.store import read_codes, read_settings, read_timeline, timeline_digest
from salus.workflows.pages.comparison_sheet import Compared, comparison_sheet
from salus.workflows.pages.sheet import Sheet, write_sheet
from salus.workflows.stages import Json

SHOWN_TABLES = ("fidelity", "codes", "reliability", "net_benefit")


def compare(folder: UseCaseFolder, *, made: datetime | None = None, progress: Progress = QUIET) -> Path:
    """Write the sheet of synthetic beside real patients and give its path.

    Groups are drawn from the patients trained on; single real patients are of those held out. Without evidence the
    pictures are drawn and the tables say that nothing was measured.
    """
    for place, what, job in (
        (folder.timeline, "timeline", "ingest"),
        (folder.synthetic, "synthetic", "generate"),
    ):
        if not place.is_dir():
            raise NothingToReport(
                f"'{folder.name}' has no folder '{what}' to compare",
                where=str(folder.root),
                fix=f"run `salus {job}` first, or name the folder that `salus demo --to` wrote",
            )
    with progress.step("Comparing synthetic with real", total=2, unit="parts") as step:
        compared = _gather(folder)
        step.advance()
        sheet, pictures = comparison_sheet(compared, _head(folder, compared, made or datetime.now(UTC)))
        path = write_sheet(sheet, folder.comparison, pictures=pictures)
        step.advance()
    return path


def _gather(folder: UseCaseFolder) -> Compared:
    findings, tables = _evidence(folder.evidence)
    curve, across = _curve(folder.model)
    return Compared(
        real=read_timeline(folder.timeline, "train"),
        held_out=read_timeline(folder.timeline, "held_out"),
        synthetic=read_timeline(folder.synthetic),
        codes=read_codes(folder.timeline),
        time_zero=read_settings(folder.timeline).time_zero,
        findings=findings,
        tables=tables,
        curve=curve,
        curve_across=across,
    )


def _head(folder: UseCaseFolder, compared: Compared, made: datetime) -> Sheet:
    real, synthetic = (part["subject_id"].n_unique() for part in (compared.real, compared.synthetic))
    name = read_settings(folder.timeline).name or folder.name
    return Sheet(
        title=f"Synthetic and real patients: {name}",
        lead=f"{synthetic:,} SYNTHETIC patients, made by a model, beside the {real:,} REAL ones it was trained on.",
        made=made.isoformat(),
        digest=timeline_digest(folder.synthetic),
        seed=None,
        sections=(),
    )


def _evidence(folder: Path) -> tuple[tuple[Finding, ...], dict[str, pl.DataFrame]]:
    """The findings and the frames behind them; nothing where none were measured, an error where they are broken."""
    if not (folder / MANIFEST).exists():
        return (), {}
    bundle = read_bundle(folder)
    places = {name: folder / f"{name}.parquet" for name in SHOWN_TABLES}
    return bundle.findings, {
        name: read_private_parquet(path) for name, path in places.items() if path.exists()
    }


def _curve(model: Path) -> tuple[pl.DataFrame | None, str]:
    """The losses that training noted, in any of the model's JSON files: a list ``curve`` of points."""
    for path in sorted(model.glob("*.json")):
        try:
            found = _find_curve(json.loads(path.read_text(encoding="utf-8")))
        except ValueError as error:
            raise NothingToReport(
                f"'{path.name}' is cut short or not JSON", where=str(path), fix="run `salus train` again"
            ) from error
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
        {"x": _number(point.get(across)), "loss": _number(point.get(column)), "who": who}
        for column, who in (("train", "trained on"), ("tuning", "used to stop"))
        for point in points
    ]
    frame = pl.DataFrame(rows, schema={"x": pl.Float64, "loss": pl.Float64, "who": pl.String}).drop_nulls()
    return (frame if frame.height else None), f"{across}s of training"


def _number(value: Json) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

"""Put a run's sheets, headed by the gate's judgement, into one file to send: report.html."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from salus.errors import NothingToReport
from salus.programme.usecase_folder import UseCaseFolder
from salus.progress import QUIET, Progress
from salus.timeline.store import read_settings, timeline_digest
from salus.workflows.pages.render import one_file
from salus.workflows.pages.report_sheet import figure, quality_file, report_sheet
from salus.workflows.pages.sheet import SHEET_FILE, Sheet, figures_of, read_pictures, read_sheet
from salus.workflows.stages import Json

PAGE_FILE = "report.html"


def report(folder: UseCaseFolder, *, summary: Json, made: datetime, progress: Progress = QUIET) -> Path:
    """Write report.html from the sheets in ``folder`` and give its path; what was not made is said to be missing.

    ``summary``: the run's numbers as in summary.json. Parts that show single real patients are left out.
    """
    if not folder.timeline.is_dir():
        raise NothingToReport(
            f"'{folder.name}' holds no run: it has no folder 'timeline'",
            where=str(folder.root),
            fix="name the folder that `salus demo --to` wrote",
        )
    with progress.step("Writing the report", total=1, unit="parts") as step:
        comparison, drawn = _sheet(folder.comparison)
        quality, also = _sheet(folder.quality)
        sheet = report_sheet(_head(folder, summary, made), summary, comparison=comparison, quality=quality)
        pictures = drawn | {quality_file(name): svg for name, svg in also.items()}
        shown = {one.file: pictures[one.file] for one in figures_of(sheet)}
        target = folder.root / PAGE_FILE
        target.write_text(one_file(sheet, shown), encoding="utf-8")
        step.advance()
    return target


def _sheet(folder: Path) -> tuple[Sheet | None, dict[str, str]]:
    """A sheet and its pictures; None where it has not been made, an error where it is broken."""
    if not (folder / SHEET_FILE).exists():
        return None, {}
    sheet = read_sheet(folder)
    return sheet, read_pictures(sheet, folder)


def _head(folder: UseCaseFolder, summary: Json, made: datetime) -> Sheet:
    seed = figure(summary, "seed")
    name = read_settings(folder.timeline).name or folder.name
    return Sheet(
        title=f"Synthetic patients and forecasts: {name}",
        lead="One run from real records to synthetic patients and forecasts: the gate, and what was measured.",
        made=made.isoformat(),
        digest=timeline_digest(folder.timeline),
        seed=None if seed is None else int(seed),
        sections=(),
    )

"""Measure a timeline's quality and write it down: quality.json for programs, a sheet and quality.html for people."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from salus.progress import QUIET, Progress
from salus.timeline.quality import SMALLEST_GROUP, Quality, measure_quality
from salus.timeline.settings import TimelineSettings
from salus.timeline.store import read_codes, read_settings, read_timeline, timeline_digest
from salus.workflows.pages.quality_sheet import TIMES_ARE_ORDER, checks, quality_sheet
from salus.workflows.pages.render import one_file
from salus.workflows.pages.sheet import Sheet, write_sheet

JSON_FILE, PAGE_FILE = "quality.json", "quality.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityReport:
    """Where the report lies, and its sentences that ask a person to look."""

    json: Path
    page: Path
    patients: int
    rows: int
    to_look_at: tuple[str, ...]


def quality(
    timeline: Path, to: Path | None = None, *, made: datetime | None = None, progress: Progress = QUIET
) -> QualityReport:
    """Write quality.json, sheet.json and quality.html for ``timeline`` into ``to`` (or the timeline's folder)."""
    folder = to or timeline
    with progress.step("Checking quality", total=3, unit="parts") as step:
        settings, digest = read_settings(timeline), timeline_digest(timeline)
        events, codes = read_timeline(timeline), read_codes(timeline)
        step.advance()
        measured = measure_quality(
            events, codes, time_zero=settings.time_zero, order_only=settings.order_only
        )
        step.advance()
        head = _head(measured, settings, digest, made or datetime.now(UTC))
        folder.mkdir(parents=True, exist_ok=True)
        content = json.dumps(as_json(measured, settings, head), indent=1, ensure_ascii=False)
        (folder / JSON_FILE).write_text(content + "\n", encoding="utf-8")
        sheet, pictures = quality_sheet(measured, head, assumed_known_time=settings.assumed_known_time)
        write_sheet(sheet, folder, pictures=pictures)
        (folder / PAGE_FILE).write_text(one_file(sheet, pictures), encoding="utf-8")
        step.advance()
    found = tuple(check.text for check in checks(measured, settings.assumed_known_time) if check.look)
    return QualityReport(
        json=folder / JSON_FILE,
        page=folder / PAGE_FILE,
        patients=measured.patients,
        rows=measured.rows,
        to_look_at=found,
    )


def _head(measured: Quality, settings: TimelineSettings, digest: str, made: datetime) -> Sheet:
    mark = "SYNTHETIC patients, made by a model. " if settings.synthetic else ""
    name = f" of {settings.name}" if settings.name else ""
    order = f" {TIMES_ARE_ORDER}" if settings.order_only else ""
    lead = f"{mark}{measured.rows:,} rows of {measured.patients:,} patients in {measured.codes.height} codes.{order}"
    title = f"Quality{name}"
    return Sheet(title=title, lead=lead, made=made.isoformat(), digest=digest, seed=None, sections=())


def as_json(measured: Quality, settings: TimelineSettings, head: Sheet) -> dict[str, object]:
    """The measures as plain JSON values; withheld counts are null, their rows marked."""
    about: dict[str, object] = {
        "made": head.made,
        "digest": head.digest,
        "seed": None,
        "synthetic": settings.synthetic,
        "withheld_below_patients": SMALLEST_GROUP,
        "assumed_known_time": settings.assumed_known_time,
        "checks": [
            {"look": check.look, "text": check.text}
            for check in checks(measured, settings.assumed_known_time)
        ],
    }
    return about | {field.name: _plain(getattr(measured, field.name)) for field in fields(measured)}


def _plain(part: object) -> object:
    if isinstance(part, pl.DataFrame):
        return [{name: _plain(value) for name, value in row.items()} for row in part.to_dicts()]
    if isinstance(part, float):
        return round(part, 6) if math.isfinite(part) else None
    return part

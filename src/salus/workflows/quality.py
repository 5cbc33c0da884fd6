"""Measure a timeline's quality and write it down: facts and verdicts for programs, a sheet and a page for people."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from salus.progress import QUIET, Progress
from salus.timeline.quality import SMALLEST_GROUP, Quality, measure_quality
from salus.timeline.quality_drift import Drift, measure_drift
from salus.timeline.quality_facts import FACT, Facts, measure_facts
from salus.timeline.quality_judging import gate, judge, overview, withheld, work_list
from salus.timeline.quality_kinds import OHDSI
from salus.timeline.settings import TimelineSettings
from salus.timeline.store import read_codes, read_settings, timeline_digest
from salus.workflows.pages.drawing import Drawn
from salus.workflows.pages.quality_drift_sheet import drift_section
from salus.workflows.pages.quality_months import month_section
from salus.workflows.pages.quality_sheet import TIMES_ARE_ORDER, checks, quality_sheet
from salus.workflows.pages.quality_worklist import Judged, gaps_of, work_sections
from salus.workflows.pages.render import one_file
from salus.workflows.pages.sheet import Section, Sheet, write_sheet
from salus.workflows.quality_knowledge import Asked, Held, held_against
from salus.workflows.quality_sample import look_at

JSON_FILE, PAGE_FILE, FACTS_FILE = "quality.json", "quality.html", "facts.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityReport:
    """Where the report lies, its verdict, and its sentences that ask a person to look."""

    json: Path
    page: Path
    facts: Path
    patients: int
    rows: int
    verdict: str
    to_look_at: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """All that was measured and judged."""

    settings: TimelineSettings
    quality: Quality
    held: Held
    facts: Facts
    judged: Judged
    drift: Drift | None
    seen_in_part: bool


def quality(
    timeline: Path,
    to: Path | None = None,
    *,
    asked: Asked | None = None,
    made: datetime | None = None,
    progress: Progress = QUIET,
) -> QualityReport:
    """Write facts.json, quality.json, sheet.json and quality.html for ``timeline`` into ``to`` (or its own folder)."""
    folder, made = to or timeline, made or datetime.now(UTC)
    asked = asked or Asked()
    with progress.step("Checking quality", total=4, unit="parts") as step:
        settings, digest = read_settings(timeline), timeline_digest(timeline)
        held = held_against(timeline, settings, asked, made.astimezone(UTC).replace(tzinfo=None))
        facts = measure_facts(timeline, held.knowledge)
        step.advance()
        events, in_part = look_at(timeline, facts.rows)
        measured = measure_quality(
            events, held.knowledge.codes, time_zero=settings.time_zero, order_only=settings.order_only
        )
        del events
        step.advance()
        drift = _drift(timeline, facts, held, asked)
        step.advance()
        judged = _judged(facts, held)
        found = _Found(
            settings=settings,
            quality=measured,
            held=held,
            facts=facts,
            judged=judged,
            drift=drift,
            seen_in_part=in_part,
        )
        _write(found, folder, _head(found, digest, made), asked)
        step.advance()
    looked = tuple(check.text for check in checks(measured, settings.assumed_known_time) if check.look)
    return QualityReport(
        json=folder / JSON_FILE,
        page=folder / PAGE_FILE,
        facts=folder / FACTS_FILE,
        patients=facts.patients,
        rows=facts.rows,
        verdict=str(judged.gate["verdict"]),
        to_look_at=looked,
    )


def _drift(timeline: Path, facts: Facts, held: Held, asked: Asked) -> Drift | None:
    """Hold the timeline against an earlier extract, on whose facts the same checks are counted."""
    if asked.against is None:
        return None
    settings = read_settings(asked.against)
    knowledge = replace(
        held.knowledge,
        codes=read_codes(asked.against),
        time_zero=settings.time_zero,
        order_only=settings.order_only,
    )
    before = measure_facts(asked.against, knowledge)
    return measure_drift((timeline, facts), (asked.against, before), held.written.drift)


def _judged(facts: Facts, held: Held) -> Judged:
    thresholds = held.written.thresholds
    judged = judge(facts.facts, thresholds)
    names = {
        code: description
        for code, description in held.knowledge.codes.select("code", "description").iter_rows()
        if description and description != code
    }
    return Judged(
        facts=judged,
        examples=facts.examples,
        names=names,
        gaps=gaps_of(held.knowledge.earliest.year),
        gate=gate(judged, thresholds),
        ohdsi=held.ohdsi.met if held.ohdsi else None,
    )


def _write(found: _Found, folder: Path, head: Sheet, asked: Asked) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / FACTS_FILE, facts_as_json(found.facts, head))
    _write_json(folder / JSON_FILE, as_json(found.quality, found.settings, head) | _verdicts(found, asked))
    sheet, pictures = quality_sheet(found.quality, head, assumed_known_time=found.settings.assumed_known_time)
    first, drawn = _sections(found, asked)
    sheet = replace(sheet, sections=(*first, *sheet.sections))
    pictures |= {figure.file: svg for figure, svg in drawn}
    write_sheet(sheet, folder, pictures=pictures)
    (folder / PAGE_FILE).write_text(one_file(sheet, pictures), encoding="utf-8")


def _sections(found: _Found, asked: Asked) -> tuple[tuple[Section, ...], list[Drawn]]:
    work, *rest = work_sections(found.judged)
    months, drawn = month_section(found.judged)
    drift = (
        drift_section(found.drift, found.judged, asked.against.name)
        if found.drift and asked.against
        else None
    )
    return (work, *((drift,) if drift else ()), *rest, *months), drawn


def _head(found: _Found, digest: str, made: datetime) -> Sheet:
    settings, facts = found.settings, found.facts
    mark = "SYNTHETIC patients, made by a model. " if settings.synthetic else ""
    name = f" of {settings.name}" if settings.name else ""
    order = f" {TIMES_ARE_ORDER}" if settings.order_only else ""
    part = (
        f" Below the checks by code, only the first {found.quality.rows:,} rows are shown."
        if found.seen_in_part
        else ""
    )
    lead = f"{mark}{facts.rows:,} rows of {facts.patients:,} patients in {facts.codes.height} codes.{order}{part}"
    title = f"Quality{name}"
    return Sheet(title=title, lead=lead, made=made.isoformat(), digest=digest, seed=None, sections=())


def facts_as_json(facts: Facts, head: Sheet) -> dict[str, object]:
    """Numerators and denominators, without thresholds; what counts one to four patients is null."""
    told = withheld(facts.facts)
    return {
        "made": head.made,
        "digest": head.digest,
        "withheld_below_patients": SMALLEST_GROUP,
        "patients": facts.patients,
        "rows": facts.rows,
        "facts": {"columns": told.columns, "rows": [list(row) for row in told.iter_rows()]},
    }


def _verdicts(found: _Found, asked: Asked) -> dict[str, object]:
    """What a gate reads: the verdict, what fails and where, what OHDSI's check types became, and drift."""
    judged = found.judged
    verdicts: dict[str, object] = {
        "gate": dict(judged.gate),
        "overview": _plain(overview(judged.facts)),
        "work_list": _plain(withheld(work_list(judged.facts)).drop("case")),
        "examples": _plain(_fair_examples(judged)),
        "ohdsi": [{"check": name, "here": said.value, "how": why} for name, (said, why) in OHDSI.items()],
        "ohdsi_rules_met": dict(found.held.rules_met),
        "measured_on_first_rows": found.quality.rows if found.seen_in_part else None,
    }
    return verdicts | ({"drift": _drift_json(found.drift)} if found.drift and asked.against else {})


def _fair_examples(judged: Judged) -> pl.DataFrame:
    """One position where one to four patients fail, so that their number is not told; else up to three."""
    few = withheld(judged.facts).filter("withheld").select(FACT)
    single = judged.examples.join(few, on=FACT, how="semi").unique(FACT, keep="first", maintain_order=True)
    return pl.concat([judged.examples.join(few, on=FACT, how="anti"), single]).sort(FACT, maintain_order=True)


def _drift_json(drift: Drift) -> dict[str, object]:
    shown = ("code", "share", "share_before", "difference", "half_width", "stability", "moved")
    few = pl.any_horizontal(
        pl.col(name).is_between(1, SMALLEST_GROUP - 1) for name in ("patients", "patients_before")
    )
    counts = [name for name in shown if name not in ("code", "moved")]
    codes = drift.codes.with_columns(few.alias("withheld"))
    codes = codes.with_columns(pl.when(~pl.col("withheld")).then(pl.col(name)).alias(name) for name in counts)
    worse = drift.checks.filter(pl.col("moved").is_not_null())
    return {
        "patients": drift.patients,
        "patients_before": drift.patients_before,
        "rows": drift.rows,
        "rows_before": drift.rows_before,
        "moved": codes.filter(pl.col("moved").is_not_null()).height,
        "fails_more": _plain(worse.select("check", "about", "by", "group")),
        "codes": _plain(codes.select(*shown, "withheld")),
    }


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


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

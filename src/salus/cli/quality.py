"""``salus quality``: report what is odd in a timeline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from salus.cli import console
from salus.workflows.quality import quality as write_quality
from salus.workflows.quality_knowledge import Asked


def quality(
    folder: Annotated[Path, typer.Argument(help="The timeline's folder.", metavar="DIR")],
    to: Annotated[
        Path | None, typer.Option(help="Where to write; the timeline's folder if not given.")
    ] = None,
    checks: Annotated[
        Path | None, typer.Option(help="Folder of OHDSI's check definitions and thresholds (CSV).")
    ] = None,
    vocabulary: Annotated[
        Path | None, typer.Option(help="Folder with CONCEPT.csv: what --checks says of concepts and units.")
    ] = None,
    thresholds: Annotated[
        Path | None, typer.Option(help="YAML of your own thresholds; else those of Salus.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="An earlier extract's timeline: what moved since.", metavar="DIR")
    ] = None,
    site: Annotated[
        str | None,
        typer.Option(help="What codes of a patient's site begin with: SITE (else) for SITE//north."),
    ] = None,
    as_json: console.JSON_OPTION = False,
) -> None:
    """Report what is odd in a timeline: ranges, order, twins, units."""
    with console.session(as_json) as progress:
        asked = Asked(checks=checks, vocabulary=vocabulary, thresholds=thresholds, against=against, site=site)
        report = write_quality(folder, to, asked=asked, progress=progress)
    lines = [f"{report.verdict}: {report.rows:,} rows of {report.patients:,} patients"]
    lines += [f"  ! {text}" for text in report.to_look_at] or ["  nothing to look at"]
    lines += [f"page: {report.page}", f"data: {report.json}", f"facts: {report.facts}"]
    console.result(json.loads(report.json.read_text(encoding="utf-8")) if as_json else {}, as_json, lines)

"""``salus quality``: report what is odd in a timeline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from salus.cli import console
from salus.workflows.quality import quality as write_quality


def quality(
    folder: Annotated[Path, typer.Argument(help="The timeline's folder.", metavar="DIR")],
    to: Annotated[
        Path | None, typer.Option(help="Where to write; the timeline's folder if not given.")
    ] = None,
    as_json: console.JSON_OPTION = False,
) -> None:
    """Report what is odd in a timeline: ranges, order, twins, units."""
    with console.session(as_json) as progress:
        report = write_quality(folder, to, progress=progress)
    lines = [f"{report.rows:,} rows of {report.patients:,} patients"]
    lines += [f"  ! {text}" for text in report.to_look_at] or ["  nothing to look at"]
    lines += [f"page: {report.page}", f"data: {report.json}"]
    console.result(json.loads(report.json.read_text(encoding="utf-8")) if as_json else {}, as_json, lines)

"""``salus fetch``: get the real records of an example."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from salus.cli import console
from salus.workflows.fetch import fetch as run_fetch


def fetch(
    name: Annotated[str, typer.Argument(help="cohort, icu2012 or diabetes130.", metavar="NAME")],
    to: Annotated[Path, typer.Option(help="Folder to write the files to.")],
    url: Annotated[
        str | None, typer.Option(help="Another address of the publisher's files (icu2012, diabetes130).")
    ] = None,
    as_json: console.JSON_OPTION = False,
) -> None:
    """Get the real records of an example (cohort, icu2012, diabetes130)."""
    with console.session(as_json) as progress:
        fetched = run_fetch(name, to, url=url, progress=progress)
    console.result(fetched, as_json, [f"{fetched.name}: {fetched.note}", f"folder: {fetched.folder}"])

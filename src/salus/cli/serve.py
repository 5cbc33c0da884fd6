"""``salus serve``: the workspace, on this machine only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from salus.cli import console
from salus.web.serving import PORT, open_workspace


def serve(
    folder: Annotated[
        Path, typer.Argument(help="A use case's folder, or a folder of such folders.", metavar="DIR")
    ] = Path("build/demo"),
    port: Annotated[
        int,
        typer.Option(
            help="Port on 127.0.0.1: only this machine can open it, because there is no sign-in yet. 0: any free one.",
            min=0,
            max=65535,
        ),
    ] = PORT,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False,
    as_json: console.JSON_OPTION = False,
) -> None:
    """Open the workspace and answer until Ctrl-C."""
    opened = open_workspace(folder, port=port)
    told = {"url": opened.url, "usecases": opened.usecases}
    opened.run(
        announce=lambda: console.result(told, as_json, opened.lines()),
        open_browser=not (no_browser or as_json),
    )

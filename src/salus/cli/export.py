"""``salus export``: write a timeline as the CSV files a source came in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from salus.cli import console
from salus.workflows.export import export as write_export


def export(
    folder: Annotated[Path, typer.Argument(help="The timeline's folder.", metavar="DIR")],
    like: Annotated[Path, typer.Option(help="The source.yaml whose files to write.")],
    to: Annotated[Path, typer.Option(help="The folder to write them to.")],
    as_json: console.JSON_OPTION = False,
) -> None:
    """Write a timeline as the CSV files a source came in."""
    with console.session(as_json) as progress:
        books = write_export(folder, to, like=like, progress=progress)
    lines = [f"{name}: {rows:,} rows" for name, rows in books.files.items()]
    lines.append(
        f"{books.events:,} events = {books.written:,} written"
        f" + {books.events - books.written:,} not expressible"
    )
    lines += [f"  {row['code']}: {row['events']:,} ({row['reason']})" for row in books.not_expressible[:12]]
    lines.append(f"folder: {to}")
    console.result(books, as_json, lines)

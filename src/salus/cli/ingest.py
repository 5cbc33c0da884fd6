"""``salus ingest``: read a source's files into a timeline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from salus.cli import console
from salus.intake.books import Books
from salus.workflows.ingest import ingest as run_ingest


def ingest(
    source: Annotated[
        Path, typer.Argument(help="The source.yaml that describes the files.", metavar="SOURCE")
    ],
    to: Annotated[Path, typer.Option(help="Folder to write the timeline to.")],
    inputs: Annotated[
        Path | None, typer.Option("--input", help="Folder of the files; else where SOURCE says.")
    ] = None,
    as_json: console.JSON_OPTION = False,
) -> None:
    """Read a source's files into a timeline, with balanced books."""
    with console.session(as_json) as progress:
        books = run_ingest(source, to, inputs=inputs, progress=progress)
    console.result(books.as_json() | {"timeline": str(to)}, as_json, _lines(books, to))


def _lines(books: Books, to: Path) -> list[str]:
    rows = [
        [table.name, f"{table.read:,}", f"{table.kept:,}", f"{table.rejected:,}", f"{table.events:,}"]
        for table in books.tables
    ]
    rows.append(["all", f"{books.read:,}", f"{books.kept:,}", f"{books.rejected:,}", f"{books.events:,}"])
    lines = console.table(["table", "rows read", "kept", "rejected", "events"], rows)
    lines += [f"! {table.name}: a header and no rows" for table in books.tables if not table.read]
    lines += [f"rejected: {count:,} rows: {reason}" for reason, count in books.reasons.items()]
    people = ", ".join(f"{count:,} {split}" for split, count in books.patients.items())
    return [*lines, f"patients: {people}", f"timeline: {to}"]

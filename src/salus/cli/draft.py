"""``salus draft``: look at CSV files and draft the source.yaml that describes them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from salus.cli import console
from salus.workflows.draft import LOOK
from salus.workflows.draft import draft as run_draft


def draft(
    folder: Annotated[
        Path, typer.Argument(help="Folder of CSV files (.csv, .csv.gz, .csv.zst).", metavar="DIR")
    ],
    to: Annotated[Path, typer.Option(help="File to write; it must not be there yet.")] = Path("source.yaml"),
    as_json: console.JSON_OPTION = False,
) -> None:
    """Guess what each column of some CSV files is, for a person to finish."""
    with console.session(as_json) as progress:
        found = run_draft(folder, to, progress=progress)
    rows = [[table, column, use, why] for table, column, use, why in found.columns]
    lines = console.table(["table", "column", "guess", "why"], rows)
    if found.passed_over:
        lines.append("passed over:")
        lines += [f"  {name}: {why}" for name, why in found.passed_over.items()]
    lines.append(f"written: {to}; {found.open_guesses} of {len(rows)} guesses say {LOOK.strip(': ')}")
    lines.append(f"when you have looked: salus ingest {to} --to build/timeline")
    console.result(found, as_json, lines)

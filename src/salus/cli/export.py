"""``salus export``: write a timeline in the form that other systems read."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from salus.cli import console
from salus.errors import UsageProblem
from salus.workflows.export import export as write_export
from salus.workflows.export_tables import export_meds, export_omop


class As(StrEnum):
    """The forms besides those of a source.yaml."""

    OMOP = "omop"
    MEDS = "meds"


class Files(StrEnum):
    """What OMOP tables are written as."""

    CSV = "csv"
    PARQUET = "parquet"
    DUCKDB = "duckdb"


def export(
    folder: Annotated[Path, typer.Argument(help="The timeline's folder.", metavar="DIR")],
    to: Annotated[Path, typer.Option(help="The folder to write to.")],
    like: Annotated[Path | None, typer.Option(help="The source.yaml whose CSV files to write.")] = None,
    form: Annotated[As | None, typer.Option("--as", help="The form to write instead.")] = None,
    files: Annotated[Files, typer.Option(help="What OMOP tables are written as.")] = Files.CSV,
    vocabulary: Annotated[
        Path | None,
        typer.Option(help="OMOP: folder with CONCEPT.csv, for the ids of codes that did not come from OMOP."),
    ] = None,
    as_json: console.JSON_OPTION = False,
) -> None:
    """Write a timeline as the CSV files a source came in, as OMOP or as MEDS."""
    if (like is None) == (form is None):
        raise UsageProblem(
            "the form to write is not clear",
            where="salus export",
            fix="give --like SOURCE.yaml, or --as omop|meds",
        )
    with console.session(as_json) as progress:
        if like is not None:
            books = write_export(folder, to, like=like, progress=progress)
        elif form is As.MEDS:
            books = export_meds(folder, to, progress=progress)
        else:
            books = export_omop(folder, to, form=files.value, vocabulary=vocabulary, progress=progress)
    lines = [f"{name}: {rows:,} rows" for name, rows in books.files.items()]
    lines.append(
        f"{books.events:,} events = {books.written:,} written"
        f" + {books.events - books.written:,} not expressible"
    )
    lines += [f"  {row['code']}: {row['events']:,} ({row['reason']})" for row in books.not_expressible[:12]]
    lines.append(f"folder: {to}")
    console.result(books, as_json, lines)

"""``salus export``: write a timeline in the form that other systems read."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from salus.cli import console
from salus.errors import UsageProblem
from salus.workflows.export import export as write_export
from salus.workflows.export_fhir import export_fhir
from salus.workflows.export_tables import export_meds, export_omop


class As(StrEnum):
    """The forms besides those of a source.yaml."""

    FHIR = "fhir"
    OMOP = "omop"
    MEDS = "meds"


class Files(StrEnum):
    """What OMOP tables (the first three) and FHIR resources (the last two) are written as."""

    CSV = "csv"
    PARQUET = "parquet"
    DUCKDB = "duckdb"
    NDJSON = "ndjson"
    BUNDLES = "bundles"


WRITTEN_AS = {
    As.FHIR: (Files.NDJSON, Files.BUNDLES),
    As.OMOP: (Files.CSV, Files.PARQUET, Files.DUCKDB),
}
"""The first is taken where none is named."""


def export(
    folder: Annotated[Path, typer.Argument(help="The timeline's folder.", metavar="DIR")],
    to: Annotated[Path, typer.Option(help="The folder to write to.")],
    like: Annotated[Path | None, typer.Option(help="The source.yaml whose CSV files to write.")] = None,
    form: Annotated[As | None, typer.Option("--as", help="The form to write instead.")] = None,
    files: Annotated[
        Files | None,
        typer.Option(help="OMOP: csv (else), parquet, duckdb. FHIR: ndjson (else), bundles."),
    ] = None,
    vocabulary: Annotated[
        Path | None,
        typer.Option(help="OMOP: folder with CONCEPT.csv, for the ids of codes that did not come from OMOP."),
    ] = None,
    as_json: console.JSON_OPTION = False,
) -> None:
    """Write a timeline as the CSV files a source came in, as FHIR R4, as OMOP or as MEDS."""
    if (like is None) == (form is None):
        raise UsageProblem(
            "the form to write is not clear",
            where="salus export",
            fix="give --like SOURCE.yaml, or --as fhir|omop|meds",
        )
    chosen = _files(form, files)
    with console.session(as_json) as progress:
        if like is not None:
            books = write_export(folder, to, like=like, progress=progress)
        elif form is As.MEDS:
            books = export_meds(folder, to, progress=progress)
        elif form is As.FHIR:
            books = export_fhir(folder, to, form=chosen, progress=progress)
        else:
            books = export_omop(folder, to, form=chosen, vocabulary=vocabulary, progress=progress)
    lines = [f"{name}: {rows:,} rows" for name, rows in books.files.items()]
    lines.append(
        f"{books.events:,} events = {books.written:,} written"
        f" + {books.events - books.written:,} not expressible"
    )
    lines += [f"  {row['code']}: {row['events']:,} ({row['reason']})" for row in books.not_expressible[:12]]
    lines.append(f"folder: {to}")
    console.result(books, as_json, lines)


def _files(form: As | None, files: Files | None) -> str:
    """What to write as; only what the form can be written as."""
    possible = WRITTEN_AS.get(form, ()) if form is not None else ()
    if files is not None and files not in possible:
        names = ", ".join(possible) or "it has one form only"
        raise UsageProblem(
            f"--files {files.value} is not for {f'--as {form.value}' if form else '--like'}",
            where="salus export",
            fix=f"use: {names}" if possible else f"leave --files out: {names}",
        )
    return (files or possible[0]).value if possible else ""

"""``salus ingest``: read a source's files into a timeline."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from zoneinfo import available_timezones

import typer

from salus.cli import console
from salus.errors import UsageProblem, nearest
from salus.intake.books import Books
from salus.intake.fhir_validated import Validation
from salus.intake.hl7v2 import How
from salus.intake.omop_place import OmopPlace
from salus.progress import Progress
from salus.workflows.ingest import ingest as run_ingest
from salus.workflows.ingest_fhir import FhirHow
from salus.workflows.ingest_fhir_server import ingest_fhir_source
from salus.workflows.ingest_hl7v2 import ingest_hl7v2
from salus.workflows.ingest_parts import read_key
from salus.workflows.ingest_tables import ingest_meds, ingest_omop
from salus.workflows.source_form import Form, form_seen


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked for, whatever the source is. ``processes``: None on a cluster."""

    source: str
    to: Path
    inputs: Path | None
    zone: str
    schema: str
    views: Path | None
    key: Path | None
    processes: int | None
    validation: Validation


def _yaml(asked: _Asked, progress: Progress) -> Books:
    return run_ingest(Path(asked.source), asked.to, inputs=asked.inputs, progress=progress)


def _fhir(asked: _Asked, progress: Progress) -> Books:
    how = FhirHow(
        zone=asked.zone,
        views=asked.views,
        key=asked.key,
        processes=asked.processes,
        validation=asked.validation,
    )
    return ingest_fhir_source(asked.source, asked.to, how, progress=progress)


def _hl7v2(asked: _Asked, progress: Progress) -> Books:
    how = How(zone=asked.zone, key=read_key(asked.key))
    return ingest_hl7v2(Path(asked.source), asked.to, how, progress=progress)


def _omop(asked: _Asked, progress: Progress) -> Books:
    place = OmopPlace(
        where=asked.source,
        zone=asked.zone,
        schema=asked.schema,
        key=read_key(asked.key),
        processes=asked.processes or 1,
    )
    return ingest_omop(place, asked.to, progress=progress)


def _meds(asked: _Asked, progress: Progress) -> Books:
    key, processes = read_key(asked.key), asked.processes or 1
    return ingest_meds(Path(asked.source), asked.to, key=key, processes=processes, progress=progress)


_READERS = {Form.YAML: _yaml, Form.FHIR: _fhir, Form.HL7V2: _hl7v2, Form.OMOP: _omop, Form.MEDS: _meds}


def ingest(
    source: Annotated[
        str,
        typer.Argument(help="The source.yaml that describes the files; or what --as says.", metavar="SOURCE"),
    ],
    to: Annotated[Path, typer.Option(help="Folder to write the timeline to.")],
    inputs: Annotated[
        Path | None, typer.Option("--input", help="Folder of the files; else where SOURCE says.")
    ] = None,
    form: Annotated[
        Form | None,
        typer.Option(
            "--as",
            help="yaml: a source.yaml. fhir: NDJSON and Bundles, or a server: https://… or a YAML file with address "
            "and key. hl7v2: messages, or what `salus listen` took. omop: a folder of CSV or Parquet, a DuckDB file or "
            "postgresql://… meds: a data set's folder. Not given: what SOURCE plainly is.",
        ),
    ] = None,
    zone: Annotated[
        str, typer.Option(help="Zone of times that name none (with --as fhir, hl7v2 or omop).")
    ] = "UTC",
    schema: Annotated[str, typer.Option(help="Schema of the tables (with --as omop, in a database).")] = "",
    views: Annotated[
        Path | None,
        typer.Option(help="Folder of what to take (with --as fhir); an empty one gets ours, to be edited."),
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="File with the key of pseudonyms (for all but a source.yaml).")
    ] = None,
    processes: Annotated[
        int, typer.Option(help="How many processors read (with --as fhir, omop or meds).", min=1)
    ] = 1,
    validation: Annotated[
        Validation,
        typer.Option(
            "--validate",
            help="What breaks FHIR R4 (with --as fhir): count it by rule and place, or reject it too.",
        ),
    ] = Validation.OFF,
    ray: console.RAY_OPTION = None,
    as_json: console.JSON_OPTION = False,
) -> None:
    """Read a source's files into a timeline, with balanced books."""
    _check_zone(zone)
    form = form or form_seen(source)
    asked = _Asked(source, to, inputs, zone, schema, views, key, None if ray else processes, validation)
    _check_options(form, asked, ray=ray)
    with console.session(as_json) as progress, console.on_cluster(ray):
        books = _READERS[form](asked, progress)
    console.result(books.as_json() | {"timeline": str(to)}, as_json, _lines(books, to))


def _check_zone(zone: str) -> None:
    if zone not in available_timezones():
        raise UsageProblem(
            f"there is no zone '{zone}'{nearest(zone, available_timezones())}",
            where="--zone",
            fix="write it as Europe/Berlin",
        )


def _check_options(form: Form, asked: _Asked, *, ray: str | None) -> None:
    """Refuse what a way in would pass over in silence."""
    if asked.validation is not Validation.OFF and form is not Form.FHIR:
        raise UsageProblem(
            f"there are no rules to validate {form.value} by",
            where="--validate",
            fix="leave --validate out; salus quality says how good the timeline is",
        )
    if asked.key is not None and form is Form.YAML:
        raise UsageProblem(
            "a source.yaml says itself who the patients are: --key is not used",
            where="--key",
            fix="leave --key out, and give the files numbers that stand for patients",
        )
    if ray and form is not Form.FHIR:
        raise UsageProblem(
            f"{form.value} is read on one machine",
            where="--ray",
            fix="leave --ray out; omop and meds use --processes N processors of this one",
        )
    if (asked.processes or 1) > 1 and form in (Form.YAML, Form.HL7V2):
        raise UsageProblem(
            f"{form.value} is read by one process", where="--processes", fix="leave --processes out"
        )


def _lines(books: Books, to: Path) -> list[str]:
    rows = [
        [table.name, f"{table.read:,}", f"{table.kept:,}", f"{table.rejected:,}", f"{table.events:,}"]
        for table in books.tables
    ]
    rows.append(["all", f"{books.read:,}", f"{books.kept:,}", f"{books.rejected:,}", f"{books.events:,}"])
    lines = console.table(["table", "rows read", "kept", "rejected", "events"], rows)
    lines += [f"! {table.name}: a header and no rows" for table in books.tables if not table.read]
    lines += [f"rejected: {count:,} rows: {reason}" for reason, count in books.reasons.items()]
    noted = [(name, what, count) for name, counts in books.noted.items() for what, count in counts.items()]
    lines += [f"{name}: {count:,} {what}" for name, what, count in noted if count]
    people = ", ".join(f"{count:,} {split}" for split, count in books.patients.items())
    return [*lines, f"patients: {people}", f"timeline: {to}"]

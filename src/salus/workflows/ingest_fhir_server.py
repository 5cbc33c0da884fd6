"""Ingest from a FHIR server: take what is there, or what is new since the last time, then read all of it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

from salus.formats.fhir_server import FhirServer, is_address, is_server_file, read_server
from salus.intake.books import Books
from salus.intake.fhir import shipped_views
from salus.intake.fhir_access import access_of
from salus.intake.fhir_export import NoExport, take_export
from salus.intake.fhir_pages import take_pages
from salus.intake.fhir_rounds import Round, Rounds
from salus.intake.fhir_talk import Open, Patience, Talk, talking, trouble
from salus.progress import Progress
from salus.timeline.folder import check_replaceable
from salus.timeline.store import SETTINGS_FILE
from salus.workflows.ingest_fhir import FhirHow, ingest_fhir

OVERLAP = timedelta(minutes=1)
"""How much earlier than the last round a search begins: clocks differ, and what comes twice counts once."""


def ingest_fhir_source(source: str, to: Path, how: FhirHow, *, progress: Progress) -> Books:
    """Ingest FHIR wherever it is: files, or a server."""
    if is_address(source) or is_server_file(Path(source)):
        return ingest_fhir_server(source, to, how, progress=progress)
    return ingest_fhir(Path(source), to, how, progress=progress)


def ingest_fhir_server(
    source: str, to: Path, how: FhirHow, *, patience: Patience | None = None, progress: Progress
) -> Books:
    """Take from the server at ``source`` (an address, or a YAML file) into ``to``.taken, then ingest that folder.

    The folder stays: the next time only what is new is asked for, and a stopped run goes on where it stopped.
    Raises ServerTrouble (SAL-117), KeyUnfit (SAL-118) or OtherServer (SAL-119), else as ingest_fhir.
    """
    check_replaceable(to, mark=SETTINGS_FILE)
    book = take(read_server(source), taken_folder(to), patience=patience or Patience(), progress=progress)
    return ingest_fhir(book.files, to, how, progress=progress)


def taken_folder(to: Path) -> Path:
    """Where what was taken for a timeline lies."""
    return to.with_name(f"{to.name}.taken")


def take(server: FhirServer, folder: Path, *, patience: Patience, progress: Progress) -> Rounds:
    """Do one round, or finish the one that was stopped."""
    book = Rounds(folder, server.base)
    with talking(server.base, Open(), patience) as unsigned:
        talk = Talk(server.base, access_of(server, unsigned), unsigned.client, patience)
        this = book.open_round() or _begin(book, server)
        if this.how == "export":
            try:
                take_export(talk, book, this, group=server.group, progress=progress)
            except NoExport as error:
                if server.take == "export" or server.group:
                    fix = (
                        "write 'take: pages' to search page by page" if not server.group else "ask its staff"
                    )
                    raise trouble("the server has no bulk export", server.base, fix) from error
                this.how = "pages"
                this.since = _earlier(this.since)
                book.write()
        if this.how == "pages":
            take_pages(talk, book, this, progress=progress)
    return book


def _begin(book: Rounds, server: FhirServer) -> Round:
    since = book.last_until() or server.since
    pages = server.take == "pages"
    types = list(server.types) or read_types()
    return book.begin("pages" if pages else "export", since=_earlier(since) if pages else since, types=types)


def _earlier(since: str) -> str:
    return (datetime.fromisoformat(since) - OVERLAP).isoformat() if since else ""


def read_types() -> list[str]:
    """The types that the views read, and those they refer to."""
    views = [json.loads(text) for text in shipped_views().values()]
    return sorted({str(view["resource"]) for view in views} | {"Medication"})

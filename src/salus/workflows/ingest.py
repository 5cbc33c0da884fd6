"""Ingest: a folder of source files becomes a timeline with balanced books."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from salus.errors import InputMissing
from salus.formats.csv_source import Source
from salus.formats.read_source import read_source
from salus.intake.books import Books
from salus.intake.csv import read_csv_source
from salus.progress import Progress
from salus.timeline.folder import check_replaceable, whole_folder
from salus.timeline.label import check_files, read_beside
from salus.timeline.settings import TimelineSettings
from salus.timeline.store import SETTINGS_FILE, write_books, write_into
from salus.workflows.ingest_tables import check_same_source


def ingest(source: Path, to: Path, *, inputs: Path | None = None, progress: Progress) -> Books:
    """Read the files that ``source`` describes into the timeline folder ``to``."""
    declared = read_source(source)
    check_replaceable(to, mark=SETTINGS_FILE)
    check_same_source(to, declared.name)
    folder = input_folder(declared, inputs)
    intake = read_csv_source(declared, folder, progress=progress)
    settings = _labelled(intake.settings, declared, folder)
    with progress.step("Writing the timeline"), whole_folder(to, mark=SETTINGS_FILE) as partial:
        write_into(partial, intake.events, codes=intake.codes, settings=settings, rejected=intake.rejected)
        write_books(partial, intake.books.as_json())
    return intake.books


def _labelled(settings: TimelineSettings, source: Source, folder: Path) -> TimelineSettings:
    """Columns of a source have no place for the label: what lies beside says it. Raises LabelsMixed (SAL-476)."""
    beside = read_beside(folder)
    if beside is None:
        return settings
    names = [file.name for table in source.tables for file in table.files]
    names += [join.file for table in source.tables for join in table.joins]
    check_files(beside, {Path(name).name: folder / name for name in names}, where=str(folder))
    origins = (beside.timeline,) if beside.timeline else ()
    return replace(settings, synthetic=beside.synthetic, origins=origins)


def input_folder(source: Source, inputs: Path | None) -> Path:
    """Where the files are: as told, else where the ``source.yaml`` says, relative to itself."""
    if inputs is not None:
        folder = inputs
    else:
        written = Path(os.path.expandvars(source.input))
        folder = written if written.is_absolute() else source.path.parent / written
    if folder.is_dir():
        return folder
    fetch = (
        f"run `salus fetch {source.fetch} --to DIR`, then give --input DIR"
        if source.fetch
        else "give --input DIR"
    )
    raise InputMissing(
        f"there is no folder '{folder.name}' with the source's files",
        where=str(folder),
        fix=fix_hint(fetch, source),
    )


def fix_hint(fetch: str, source: Source) -> str:
    """What to do, and which variable of the path is not set."""
    unset = "$" in os.path.expandvars(source.input)
    return f"{fetch}; or set the variable in '{source.input}'" if unset else fetch

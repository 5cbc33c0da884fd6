"""Ingest: HL7 v2 messages, from files or from a listener's journal, become a timeline with balanced books."""

from __future__ import annotations

import hashlib
from pathlib import Path

from salus.intake.books import Books
from salus.intake.hl7v2 import Hl7v2Read, How, read_hl7v2
from salus.intake.hl7v2_files import files_of
from salus.progress import Progress
from salus.timeline.folder import check_replaceable, whole_folder
from salus.timeline.label import read_beside
from salus.timeline.settings import TimelineSettings
from salus.timeline.store import SETTINGS_FILE
from salus.workflows.ingest_parts import codes_frame
from salus.workflows.ingest_tables import TimelineRead, check_same_source, scratch_in, write_read


def ingest_hl7v2(source: Path, to: Path, how: How, *, progress: Progress) -> Books:
    """Read a file, a folder of files or the folder of ``salus listen`` into the timeline folder ``to``."""
    check_replaceable(to, mark=SETTINGS_FILE)
    check_same_source(to, source.name)
    files = files_of(source)
    with whole_folder(to, mark=SETTINGS_FILE) as partial, scratch_in(partial) as scratch:
        read = read_hl7v2(files, scratch, how, progress=progress)
        beside = read_beside(source)
        told = TimelineRead(
            events=read.events,
            codes=codes_frame(read.codes, read.units),
            rejected=read.rejected,
            tables=read.tables,
            settings=TimelineSettings(
                synthetic=beside is not None and beside.synthetic,
                name=source.name,
                zone=how.zone,
                assumed_known_time=read.assumed_known_time,
                source_digest=_digest(read, how.zone),
            ),
            noted=read.noted,
        )
        return write_read(partial, told, where=str(source), progress=progress)


def _digest(read: Hl7v2Read, zone: str) -> str:
    """What the source is: how many messages of which kinds, and how many segments."""
    counts = [f"{kind} {count}" for kind, count in read.noted.get("messages", {}).items()]
    counts += [f"{table.name} {table.read}" for table in read.tables]
    return hashlib.sha256("\n".join(["hl7v2", zone, *counts]).encode()).hexdigest()

"""HL7 v2 files through a policy, message by message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO

from salus.deidentify.fhir_passage import FILE, packed
from salus.deidentify.hl7v2_records import Hl7v2Records, kind_of
from salus.deidentify.passing import NO_PATIENT, Passing
from salus.errors import InputUnreadable
from salus.intake.hl7v2_files import Hl7v2File, files_of
from salus.intake.hl7v2_messages import NoMessage, messages_of

DAMAGED = "the file is cut short, or not packed as its name says: what came before is kept"


def pass_hl7v2(source: Path, to: Path, passing: Passing, advance: Callable[[float], None]) -> None:
    """Write every file of ``source`` into the folder ``to`` as it may pass, in UTF-8 and standard delimiters."""
    records = Hl7v2Records(passing)
    for file in files_of(source):
        ends = ".hl7.gz" if file.path.suffix == ".gz" else ".hl7"
        target = to / (passing.pseudonym("file", file.name) + ends)
        with packed(target) as stream:
            _pass_file(file, target.name, stream, records)
        passing.tally.files.append(target.name)
        advance(float(file.path.stat().st_size))


def _pass_file(file: Hl7v2File, name: str, stream: IO[bytes], records: Hl7v2Records) -> None:
    tally = records.passing.tally
    try:
        with file.open() as given:
            for found in messages_of(given):
                if isinstance(found, NoMessage):
                    tally.read[FILE] += 1
                    tally.reject(FILE, f"{found.column}: {found.reason}", (name, found.line))
                    continue
                kind = kind_of(found.text)
                tally.read[kind] += 1
                told = records.passed(found.text)
                if told is None:
                    tally.reject(kind, NO_PATIENT, (name, found.line))
                    continue
                stream.write(told.encode())
                tally.written[kind] += 1
                tally.show(kind, told.replace("\r", "\n"))
    except InputUnreadable:
        tally.read[FILE] += 1
        tally.reject(FILE, DAMAGED, (name, 0))

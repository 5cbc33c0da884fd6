"""Read who the patients of each system are: FHIR Patients, HL7 v2 PID segments, rows of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from salus.errors import InputEmpty
from salus.formats.hl7v2 import field_of
from salus.formats.hl7v2_patient import all_keys
from salus.intake.fhir import lines_of, whole_document
from salus.intake.fhir_files import LIMITS, cut, find_files, form_of, line_blocks
from salus.intake.fhir_groups import BOM, TOO_DEEP
from salus.intake.hl7v2_files import files_of
from salus.intake.hl7v2_messages import Message, messages_of
from salus.intake.hl7v2_people import MERGES, survivors
from salus.intake.parts import Part
from salus.intake.pseudonym_table import number_of
from salus.linkage.declaration import Numbered, System, Way
from salus.linkage.fhir_patient import Numbering, Told, bundle_resources, is_patient, read_patient
from salus.linkage.hl7v2_pid import read_pid
from salus.linkage.identity import Identity
from salus.linkage.pairs import Record
from salus.linkage.people_table import read_people
from salus.progress import Progress
from salus.timeline.subjects import subject_number
from salus.workflows.ingest_parts import read_key

NO_JSON = "no JSON"
NO_ID = "a patient without a number"
Found = Iterator[Told | str]
"""Who a record is, or why there is nobody."""
Merge = tuple[str, str, int, int]
"""When and in which message it was said; who was merged, and into whom."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Who is in one system. ``kept``: records that say who somebody is; of several of one patient the last counts."""

    system: str
    people: tuple[Identity, ...]
    kept: int
    rejected: dict[str, int] = field(default_factory=dict)

    @property
    def read(self) -> int:
        """Records met."""
        return self.kept + sum(self.rejected.values())


def read_system(system: System, *, progress: Progress) -> Read:
    """Read all identities of a system. Raises InputEmpty where there is none, and what readers raise."""
    number = numbering(system, read_key(system.key))
    merges: list[Merge] = []
    if system.way == Way.HL7V2:
        found = _hl7v2(system, number, merges)
    else:
        found = _fhir(system, number) if system.way == Way.FHIR else _table(system, number)
    latest: dict[Record, tuple[str, str, Identity]] = {}
    rejected: Counter[str] = Counter()
    kept = 0
    with progress.step(f"Reading who is in {system.name}", unit="records") as step:
        for one in found:
            step.advance()
            if isinstance(one, str):
                rejected[one] += 1
                continue
            kept += 1
            when, identity = one
            record, told = Record(identity.system, identity.subject), (when, repr(identity), identity)
            latest[record] = max(latest.get(record, told), told, key=lambda told: told[:2])
    became = survivors((old, new) for _, _, old, new in sorted(merges))
    people = tuple(
        _renamed(identity, system) for _, _, identity in latest.values() if identity.subject not in became
    )
    if not people:
        raise InputEmpty(
            f"nobody was found among {sum(rejected.values())} records",
            where=str(system.identities),
            fix="name files with Patients, PID segments or rows of patients, and say in 'as' which they are",
        )
    return Read(system=system.name, people=people, kept=kept, rejected=dict(rejected))


def numbering(system: System, key: bytes) -> Numbering:
    """How the system's timeline numbers its patients: as the way in did that read it."""
    if system.way != Way.TABLE:
        return lambda patient: subject_number(patient, key)
    hashed = bool(key) and system.numbered != Numbered.YAML

    def number(written: str) -> int | None:
        """A whole number, hashed where the way in hashed it."""
        try:
            person = int(written)
        except ValueError:
            return None
        return number_of(person, key) if hashed else person

    return number


def _renamed(identity: Identity, system: System) -> Identity:
    """The same, with those who gave its identifiers named as the other systems name them."""
    named = []
    for one in identity.identifiers:
        authority, _, number = one.rpartition("|")
        named.append(f"{system.authorities.get(authority, authority)}|{number}")
    return replace(identity, identifiers=tuple(dict.fromkeys(named)))


def _table(system: System, number: Numbering) -> Found:
    for one in read_people(system, number):
        yield one if isinstance(one, str) else ("", one)


def _hl7v2(system: System, number: Numbering, merges: list[Merge]) -> Found:
    """Who messages are about. ``merges``: who became whom on the way, for then the timeline goes on as the survivor."""
    for file in files_of(system.identities):
        with file.open() as stream:
            for message in messages_of(stream):
                if not isinstance(message, Message):
                    yield message.reason
                    continue
                try:
                    told = read_pid(message.text, system.name, number)
                except ValueError:
                    yield NO_ID
                else:
                    if told is not None:
                        merges += _merges(message.text, told, number)
                        yield told


def _merges(message: str, told: Told, number: Numbering) -> list[Merge]:
    segments = message.split("\r")
    trigger = field_of(segments[0], 9).split("^")[1:2]
    if not trigger or trigger[0] not in MERGES:
        return []
    when, survivor = told[0], told[1].subject
    olds = [number(key) for one in segments if one.startswith("MRG|") for key in all_keys(field_of(one, 1))]
    control = field_of(segments[0], 10)
    return [(when, control, old, survivor) for old in olds if old is not None and old != survivor]


def _fhir(system: System, number: Numbering) -> Found:
    files, _ = find_files(system.identities)
    for part in (one for whole in cut(files) for one in (whole, *whole.more)):
        lines = _document(Path(part.where)) if form_of(Path(part.where)) == "document" else _lines(part)
        for raw in lines:
            if isinstance(raw, str):
                yield raw
                continue
            try:
                told = read_patient(raw, system.name, number) if is_patient(raw) else None
            except RecursionError:
                yield TOO_DEEP
            except ValueError as error:
                yield NO_JSON if "JSON" in str(error) or "object" in str(error) else NO_ID
            else:
                if told is not None:
                    yield told


def _lines(part: Part) -> Iterator[bytes | str]:
    for block in line_blocks(part, LIMITS):
        if block.trouble:
            yield block.trouble
            continue
        whole = bytes(block.raw).removeprefix(BOM if block.first_line == 1 else b"")
        yield from (raw for raw in whole.split(b"\n") if raw.strip())


def _document(path: Path) -> Iterable[bytes | str]:
    raw = whole_document(path)
    if isinstance(raw, str):
        return [raw]
    try:
        return bundle_resources(raw)
    except RecursionError:
        return [TOO_DEEP]
    except ValueError:
        return [line for line in lines_of(raw) if line.strip()] or [NO_JSON]

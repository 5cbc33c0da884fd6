"""Link: compare who the patients of several systems are, keep what was found, and take people's decisions."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

import polars as pl

from salus import __version__
from salus.errors import NoSuchLine, UsageProblem
from salus.linkage.comparing import FIELDS, Room, compare_identities
from salus.linkage.deciding import Thresholds, judge
from salus.linkage.declaration import Declaration, read_declaration
from salus.linkage.identity import IDENTITY_COLUMNS, Identity, identity_frame
from salus.linkage.ledger import (
    ACTS,
    STANDINGS,
    Act,
    Line,
    append_lines,
    effective,
    ledger_digest,
    read_ledger,
    settled_by_people,
    standing_lines,
)
from salus.linkage.links import (
    Signature,
    compared_pairs,
    held_back,
    known_of,
    new_lines,
    people_count,
    people_now,
    person_numbers,
)
from salus.linkage.pairs import Record, Standing
from salus.linkage.reasons import check_reason
from salus.linkage.vault import PEOPLE_FILE, open_vault, private_scratch, read_identities, write_identities
from salus.progress import Progress
from salus.workflows.link_people import Read, read_system


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """How things stand after a run. ``people``: how many have one record, how many two …; ``digest``: of the ledger."""

    read: tuple[Read, ...]
    added: dict[str, int]
    standing: dict[str, int]
    people: dict[int, int]
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What a person gives with a decision."""

    by: str
    reason: str = ""
    when: datetime


def link(path: Path, *, now: datetime, processes: int = 1, progress: Progress) -> Linked:
    """Read all identities that a LINK.yaml names, compare them, and add to the ledger what stands otherwise now."""
    told = read_declaration(path)
    folder = open_vault(told.folder)
    read = tuple(read_system(system, progress=progress) for system in told.systems)
    people = _with_earlier(folder, identity_frame(one for part in read for one in part.people), told)
    write_identities(folder, people)
    lines = read_ledger(folder)
    with progress.step("Comparing identities"), private_scratch(folder) as scratch:
        room = Room(threads=processes, scratch=scratch)
        compared = compared_pairs(compare_identities(people, at_least=told.limits.doubt, room=room))
    settled = settled_by_people(lines)
    judged = judge(compared, settled, known=known_of(people), limits=told.limits)
    judged += held_back(compared, settled)
    sign = Signature(when=now, who=_comparison(told.limits), person=False)
    added = new_lines(lines, judged, _records(people), sign=sign)
    append_lines(folder, added)
    return _linked(folder, [*lines, *added], people, read=read, added=added)


def standing_now(path: Path) -> Linked:
    """How things stand, without reading anything anew."""
    folder = read_declaration(path).folder
    return _linked(folder, read_ledger(folder), read_identities(folder))


def doubtful(path: Path) -> list[Line]:
    """The pairs that wait for a person, those that weigh most first."""
    lines = standing_lines(read_ledger(read_declaration(path).folder)).values()
    waiting = [line for line in lines if line.act == Act.DOUBTED]
    return sorted(waiting, key=lambda line: (-(line.weight or 0.0), line.number))


def show(path: Path, number: int, *, signed: Signed) -> list[tuple[str, str, str, str]]:
    """Field, agreement and both values of a pair, for a person's eyes; who looked is written down first."""
    folder = read_declaration(path).folder
    lines, people = read_ledger(folder), read_identities(folder)
    line = _line(lines, number)
    left, right = (_identity(people, record) for record in line.pair)
    append_lines(folder, [_signed(lines, line, Act.SHOWN, replace(signed, reason="looked at both records"))])
    agreement = {**line.fields, "street": line.fields.get("address"), "postcode": line.fields.get("address")}
    return [
        (name, str(agreement.get(name) or ""), _shown(left, name), _shown(right, name))
        for name in IDENTITY_COLUMNS
        if name != "subject"
    ]


def decide(path: Path, number: int, standing: Standing, *, signed: Signed) -> Line:
    """Accept or refuse the pair of a line, as a person: it stands until a person says otherwise."""
    folder = read_declaration(path).folder
    lines, people = read_ledger(folder), read_identities(folder)
    line = _line(lines, number)
    if line.act not in STANDINGS or standing_lines(lines).get(line.pair) != line:
        raise _no_line(
            number, "says nothing that holds now", "take a number from `salus link LINK.yaml --doubtful`"
        )
    added = _signed(lines, line, ACTS[standing], _checked(signed, people, line))
    append_lines(folder, [added])
    return added


def undo(path: Path, number: int, *, signed: Signed) -> Line:
    """Undo a line: what stood before it stands again. The line stays, and so does the undoing."""
    folder = read_declaration(path).folder
    lines, people = read_ledger(folder), read_identities(folder)
    line = _line(lines, number)
    if line.act == Act.SHOWN or line not in effective(lines):
        raise _no_line(
            number, "cannot be undone", "undo a line that holds; to bring one back, undo its undoing"
        )
    added = replace(_signed(lines, line, Act.UNDONE, _checked(signed, people, line)), undoes=number)
    append_lines(folder, [added])
    return added


def _with_earlier(folder: Path, people: pl.DataFrame, told: Declaration) -> pl.DataFrame:
    """The people just read, and those of earlier runs that were not told again: an increment takes nobody away."""
    if not (folder / PEOPLE_FILE).exists():
        return people
    earlier = read_identities(folder).filter(pl.col("system").is_in([one.name for one in told.systems]))
    every = pl.concat([people, earlier.join(people, on=["system", "subject"], how="anti")])
    return every.sort("system", "subject")


def _comparison(limits: Thresholds) -> str:
    """Who compared: the version, and a digest of the table of weights and of the thresholds."""
    return f"salus {__version__} comparison {hashlib.sha256(f'{FIELDS}{limits}'.encode()).hexdigest()[:12]}"


def _records(people: pl.DataFrame) -> list[Record]:
    return [Record(system, subject) for system, subject in people.select("system", "subject").iter_rows()]


def _linked(
    folder: Path,
    lines: list[Line] | tuple[Line, ...],
    people: pl.DataFrame,
    *,
    read: tuple[Read, ...] = (),
    added: list[Line] | tuple[Line, ...] = (),
) -> Linked:
    groups = people_now(lines)
    return Linked(
        read=read,
        added=dict(Counter(line.act.value for line in added)),
        standing=dict(Counter(line.act.value for line in standing_lines(lines).values())),
        people=people_count(person_numbers(_records(people), groups)),
        digest=ledger_digest(folder),
    )


def _line(lines: tuple[Line, ...], number: int) -> Line:
    if not 1 <= number <= len(lines):
        raise _no_line(number, "is not there", f"the ledger has {len(lines)} lines")
    return lines[number - 1]


def _no_line(number: int, why: str, fix: str) -> NoSuchLine:
    return NoSuchLine(f"line {number} of the ledger {why}", where="ledger.jsonl", fix=fix)


def _signed(lines: tuple[Line, ...], line: Line, act: Act, signed: Signed) -> Line:
    """A new line about the pair of another, by a person."""
    if not signed.by.strip():
        raise UsageProblem("nobody is named who does this", where="--by", fix="add --by with your name")
    return replace(
        line,
        number=len(lines) + 1,
        when=signed.when,
        who=signed.by.strip(),
        person=True,
        act=act,
        reason=signed.reason,
        undoes=None,
    )


def _checked(signed: Signed, people: pl.DataFrame, line: Line) -> Signed:
    identities = [_identity(people, record) for record in line.pair]
    return replace(signed, reason=check_reason(signed.reason, identities))


def _identity(people: pl.DataFrame, record: Record) -> Identity:
    found = people.filter(system=record.system, subject=record.subject).to_dicts()
    if not found:
        return Identity(system=record.system, subject=record.subject, id="")
    told = found[0]
    return Identity(**{**told, "identifiers": tuple(told["identifiers"] or ())})


def _shown(one: Identity, name: str) -> str:
    value: object = getattr(one, name)
    if isinstance(value, tuple):
        return ", ".join(value)
    return value.isoformat() if isinstance(value, date) else str(value or "")

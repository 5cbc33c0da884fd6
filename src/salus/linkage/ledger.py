"""The ledger of links: who held what of which pair, when and why. Lines are added, and never changed or taken away.

A line names records by system and pseudonym, fields by how far they agree, and no value of a patient. Each holds the
digest of the line before it, so that a line that was changed or removed later is noticed. What is held of a pair now
follows from the lines alone: the last that was not undone. An undoing is a line too, and can itself be undone.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from salus.at_rest.files import OWNER_FILE
from salus.errors import LedgerBroken
from salus.linkage.comparing import Agreement
from salus.linkage.pairs import Pair, Record, Standing
from salus.linkage.vault import LEDGER_FILE, check_private

START = "0" * 64


class Act(StrEnum):
    """What a line says was done."""

    ACCEPTED = "accepted"
    DOUBTED = "doubtful"
    REFUSED = "refused"
    UNDONE = "undone"
    SHOWN = "shown"


STANDINGS = {
    Act.ACCEPTED: Standing.ACCEPTED,
    Act.DOUBTED: Standing.DOUBTFUL,
    Act.REFUSED: Standing.REFUSED,
}
ACTS = {standing: act for act, standing in STANDINGS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line. ``person``: whether a person did it (``who``), or the comparison. ``undoes``: the number of a line."""

    number: int
    when: datetime
    who: str
    person: bool
    act: Act
    pair: Pair
    reason: str
    weight: float | None = None
    fields: Mapping[str, Agreement] = field(default_factory=dict)
    undoes: int | None = None


def standing_lines(lines: Iterable[Line]) -> dict[Pair, Line]:
    """For each pair the line that holds now: the last that was not undone."""
    found: dict[Pair, Line] = {}
    for line in effective(lines):
        if line.act in STANDINGS:
            found[line.pair] = line
    return found


def effective(lines: Iterable[Line]) -> list[Line]:
    """The lines that are not undone, in order."""
    undone: set[int] = set()
    kept = []
    for line in reversed(list(lines)):
        if line.number in undone:
            continue
        if line.undoes is not None:
            undone.add(line.undoes)
        kept.append(line)
    return kept[::-1]


def settled_by_people(lines: Sequence[Line]) -> dict[Pair, Standing]:
    """What people decided. A link of the comparison that a person undid is doubtful: it is not made again by itself."""
    standing = standing_lines(lines)
    settled = {pair: STANDINGS[line.act] for pair, line in standing.items() if line.person}
    by_number = {line.number: line for line in lines}
    for line in effective(lines):
        undone = by_number.get(line.undoes) if line.undoes is not None else None
        if undone is not None and not undone.person and line.person:
            settled.setdefault(line.pair, Standing.DOUBTFUL)
    return settled


def read_ledger(folder: Path) -> tuple[Line, ...]:
    """All lines in order; none where nothing was linked yet. Raises LedgerBroken (SAL-163)."""
    path = folder / LEDGER_FILE
    if not path.exists():
        return ()
    check_private(path)
    lines, before = [], START
    for number, raw in enumerate(path.read_bytes().splitlines(), 1):
        try:
            told = json.loads(raw)
            line = _line(told)
        except (ValueError, KeyError, TypeError) as error:
            raise _broken(number, "cannot be read") from error
        if told["before"] != before or line.number != number:
            raise _broken(
                number, "does not follow from the one before it: something was changed or taken away"
            )
        lines.append(line)
        before = _digest(raw)
    return tuple(lines)


def append_lines(folder: Path, lines: Sequence[Line]) -> None:
    """Add lines, numbered on from the last, and see that they are on the disk."""
    if not lines:
        return
    path = folder / LEDGER_FILE
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, OWNER_FILE), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        written = file.read().splitlines()
        before = _digest(written[-1]) if written else START
        if lines[0].number != len(written) + 1:
            raise _broken(len(written), "was added meanwhile by somebody else", "run the same command again")
        for line in lines:
            raw = json.dumps(_as_json(line, before), ensure_ascii=False).encode()
            file.write(raw + b"\n")
            before = _digest(raw)
        file.flush()
        os.fsync(file.fileno())


def ledger_digest(folder: Path) -> str:
    """The digest of the last line: whoever notes it can tell later that nothing before it was changed or cut off."""
    path = folder / LEDGER_FILE
    written = path.read_bytes().splitlines() if path.exists() else []
    return _digest(written[-1]) if written else START


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _as_json(line: Line, before: str) -> dict[str, object]:
    return {
        "number": line.number,
        "when": line.when.isoformat(),
        "who": line.who,
        "person": line.person,
        "act": line.act.value,
        "left": [*line.pair.left],
        "right": [*line.pair.right],
        "reason": line.reason,
        "weight": line.weight,
        "fields": {name: agreement.value for name, agreement in line.fields.items()},
        "undoes": line.undoes,
        "before": before,
    }


def _line(told: dict[str, object]) -> Line:
    left, right, fields = told["left"], told["right"], told["fields"]
    weight, undoes = told["weight"], told["undoes"]
    if not (isinstance(left, list) and isinstance(right, list) and isinstance(fields, dict)):
        raise ValueError("another form")
    return Line(
        number=int(str(told["number"])),
        when=datetime.fromisoformat(str(told["when"])),
        who=str(told["who"]),
        person=bool(told["person"]),
        act=Act(str(told["act"])),
        pair=Pair(Record(str(left[0]), int(left[1])), Record(str(right[0]), int(right[1]))),
        reason=str(told["reason"]),
        weight=None if weight is None else float(str(weight)),
        fields={str(name): Agreement(str(word)) for name, word in fields.items()},
        undoes=None if undoes is None else int(str(undoes)),
    )


def _broken(
    number: int, why: str, fix: str = "restore the ledger from a copy; do not edit it"
) -> LedgerBroken:
    return LedgerBroken(f"line {number} of the ledger {why}", where=LEDGER_FILE, fix=fix)

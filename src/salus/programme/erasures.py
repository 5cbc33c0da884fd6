"""The record of erasures: lines that hang together by digests and name no patient, only a keyed commitment to one.

Who has the key beside the record can see that a patient's erasure is in it; who has only the record cannot tell whose
erasures it holds. It lies in a folder that its owner alone can read, away from the timelines.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from salus.deidentify.key import Key
from salus.errors import ErasureRecordBroken

RECORD, KEY = "erasures.jsonl", "erasures.key"
START = "0" * 64
OWNER_FILE, OWNER_FOLDER = 0o600, 0o700
BEGUN, DONE, PROVED = "begun", "done", "proved"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureLine:
    """One line. ``told``: what was found and done, with digests and names of folders, and no patient."""

    number: int
    when: datetime
    act: str
    patients: tuple[str, ...]
    told: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ErasureRecord:
    """The folder of the record, its key and its lines as they stand."""

    folder: Path
    key: Key
    lines: tuple[ErasureLine, ...]

    def commitment(self, data_set: str, number: int) -> str:
        """What stands for a patient of a data set."""
        return self.key.digest("erased patient", f"{data_set}\n{number}").hex()

    def erased(self) -> frozenset[str]:
        """Commitments to patients whose erasure was carried to its end."""
        return frozenset(one for line in self.lines if line.act == DONE for one in line.patients)

    def pending(self) -> ErasureLine | None:
        """An erasure that was begun and not carried to its end."""
        last = next((line for line in reversed(self.lines) if line.act in (BEGUN, DONE)), None)
        return last if last is not None and last.act == BEGUN else None

    def now_called(self) -> dict[str, str]:
        """By their digests before: what rewritten timelines are called now."""
        found: dict[str, str] = {}
        for line in self.lines:
            replaced = line.told.get("replaced")
            found |= {
                str(old): str(new) for old, new in (replaced if isinstance(replaced, dict) else {}).items()
            }
        return found

    def add(self, act: str, patients: Sequence[str], told: Mapping[str, object]) -> ErasureRecord:
        """Add a line and see that it is on the disk; gives the record with it."""
        path = self.folder / RECORD
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, OWNER_FILE), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            written = file.read().splitlines()
            if len(written) != len(self.lines):
                raise _broken(
                    len(written), "was added meanwhile by somebody else", "run the same command again"
                )
            line = ErasureLine(
                number=len(written) + 1,
                when=datetime.now(UTC),
                act=act,
                patients=tuple(sorted(patients)),
                told=told,
            )
            file.write(_raw(line, _digest(written[-1]) if written else START) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        return ErasureRecord(self.folder, self.key, (*self.lines, line))


def open_record(folder: Path, *, make: bool) -> ErasureRecord:
    """Read the record and check its chain; ``make``: begin one. Raises ErasureRecordBroken (SAL-609)."""
    if make:
        folder.mkdir(parents=True, exist_ok=True, mode=OWNER_FOLDER)
        _make_key(folder / KEY)
    try:
        key = Key(bytes.fromhex((folder / KEY).read_text(encoding="ascii").strip()))
    except FileNotFoundError:
        if (folder / RECORD).exists():
            raise _broken(
                0, "cannot be used: its key is gone", "put the key back beside the record"
            ) from None
        key = Key(secrets.token_bytes(32))
    except ValueError:
        raise _broken(
            0, "cannot be used: its key is cut short", "put the key back beside the record"
        ) from None
    return ErasureRecord(folder, key, _lines(folder / RECORD))


def _lines(path: Path) -> tuple[ErasureLine, ...]:
    if not path.exists():
        return ()
    lines, before = [], START
    for number, raw in enumerate(path.read_bytes().splitlines(), 1):
        try:
            told = json.loads(raw)
            line = ErasureLine(
                number=int(told["number"]),
                when=datetime.fromisoformat(told["when"]),
                act=str(told["act"]),
                patients=tuple(map(str, told["patients"])),
                told=dict(told["told"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise _broken(number, "cannot be read") from error
        if told["before"] != before or line.number != number:
            raise _broken(
                number, "does not follow from the one before it: something was changed or taken away"
            )
        lines.append(line)
        before = _digest(raw)
    return tuple(lines)


def _make_key(path: Path) -> None:
    if not path.exists() and not path.with_name(RECORD).exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_FILE), "w") as file:
            file.write(secrets.token_hex(32) + "\n")


def _raw(line: ErasureLine, before: str) -> bytes:
    said = {
        "number": line.number,
        "when": line.when.isoformat(),
        "act": line.act,
        "patients": list(line.patients),
        "told": line.told,
        "before": before,
    }
    return json.dumps(said, ensure_ascii=False).encode()


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _broken(
    number: int, why: str, fix: str = "restore the record from a copy; do not edit it"
) -> ErasureRecordBroken:
    return ErasureRecordBroken(f"line {number} of the record of erasures {why}", where=RECORD, fix=fix)

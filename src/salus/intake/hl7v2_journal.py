"""What a listener took: an append-only journal of whole frames, on the disk before anybody is told so.

The files are MLLP frames one after another, which any tool that reads HL7 can read, ``salus ingest`` too. What could
not be read is framed in ``dead/`` beside lines of JSON that say where and why, never what.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from salus.errors import FileTrouble, JournalTaken
from salus.formats.hl7v2 import END, START
from salus.intake.hl7v2_files import DEAD
from salus.intake.hl7v2_reception import Received, receive

FILE_BYTES = 1 << 26
"""A file that has grown to this is followed by a new one."""
REMEMBERED = 200_000
"""Messages of which the listener knows that it has them; reading leaves out what came twice, however long ago."""
JOURNAL, REASONS, LOCK = "journal", "reasons.jsonl", ".lock"
SUFFIX = ".mllp"


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was found when the journal was opened: messages known again, and bytes that were never acknowledged."""

    messages: int
    cut: int


class AppendOnly:
    """Numbered files of frames in one folder; what is written is on the disk when :meth:`append` returns."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        numbers = [int(path.stem) for path in folder.glob(f"*{SUFFIX}") if path.stem.isdigit()]
        self.number = max(numbers, default=1)
        self.handle, self.size = -1, 0

    def open(self) -> int:
        """Open the last file, cutting off what a crash left half written; gives the bytes cut off."""
        path = self._path()
        whole = whole_frames(path.read_bytes()) if path.exists() else 0
        cut = path.stat().st_size - whole if path.exists() else 0
        self.handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        os.ftruncate(self.handle, whole)
        os.fsync(self.handle)
        _sync_folder(self.folder)
        self.size = whole
        return cut

    def append(self, frames: Sequence[bytes]) -> tuple[str, int]:
        """Write frames and wait for the disk; gives the file and the place of the first. All or nothing is kept."""
        if self.size >= FILE_BYTES:
            os.close(self.handle)
            self.number += 1
            self.open()
        content = b"".join([START + frame + END for frame in frames])
        place = self.size
        try:
            written = 0
            while written < len(content):
                written += os.pwrite(self.handle, content[written:], place + written)
            os.fdatasync(self.handle)
        except OSError:
            os.ftruncate(self.handle, place)
            raise
        self.size += len(content)
        return self._path().name, place

    def close(self) -> None:
        """Let go of the file."""
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1

    def _path(self) -> Path:
        return self.folder / f"{self.number:06d}{SUFFIX}"

    def latest(self) -> list[Path]:
        """The files, the last first."""
        return sorted(self.folder.glob(f"*{SUFFIX}"), reverse=True)


def whole_frames(content: bytes) -> int:
    """Where the last frame ends that is whole, of frames that follow one another without a gap."""
    place = 0
    while content[place : place + 1] == START:
        end = content.find(END, place)
        if end < 0:
            break
        place = end + len(END)
    return place


class Journal:
    """A listener's folder: what it took, what it could not read, and what it has already."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.taken, self.dead = AppendOnly(folder / JOURNAL), AppendOnly(folder / DEAD)
        self.known: OrderedDict[bytes, None] = OrderedDict()
        self.lock = self._locked()

    def open(self) -> Recovered:
        """Find out what is there after whatever happened."""
        cut = self.taken.open()
        self.dead.open()
        self._whole_reasons()
        keys: list[bytes] = []
        for path in self.taken.latest():
            frames = path.read_bytes().split(END)[:-1]
            keys += [receive(frame[1:]).key for frame in reversed(frames)][: REMEMBERED - len(keys)]
            if len(keys) >= REMEMBERED:
                break
        for key in reversed(keys):
            self._know(key)
        return Recovered(len(keys), cut)

    def has(self, received: Received) -> bool:
        """Whether a message is here already."""
        return received.key in self.known

    def store(self, messages: Sequence[Received], *, at: datetime) -> None:
        """Keep messages and dead letters; they are on the disk when this returns."""
        good = [one for one in messages if one.refusal is None]
        bad = [one for one in messages if one.refusal is not None]
        if good:
            self.taken.append([one.raw for one in good])
        if bad:
            self._bury(bad, at)
        for one in messages:
            self._know(one.key)

    def close(self) -> None:
        """Let go of the folder."""
        self.taken.close()
        self.dead.close()
        os.close(self.lock)

    def _bury(self, letters: Sequence[Received], at: datetime) -> None:
        file, place = self.dead.append([one.raw for one in letters])
        lines = []
        for one in letters:
            if one.refusal:
                told = {
                    "at": at.isoformat(timespec="seconds"),
                    "file": file,
                    "byte": place,
                    "bytes": len(one.raw),
                }
                lines.append(json.dumps(told | {"field": one.refusal.field, "reason": one.refusal.reason}))
            place += len(START) + len(one.raw) + len(END)
        with (self.folder / DEAD / REASONS).open("a", encoding="utf-8") as out:
            out.write("".join(f"{line}\n" for line in lines))
            out.flush()
            os.fsync(out.fileno())

    def _whole_reasons(self) -> None:
        """A line that a crash cut short is cut off."""
        path = self.folder / DEAD / REASONS
        if path.exists():
            content = path.read_bytes()
            os.truncate(path, content.rfind(b"\n") + 1)

    def _know(self, key: bytes) -> None:
        self.known[key] = None
        self.known.move_to_end(key)
        while len(self.known) > REMEMBERED:
            self.known.popitem(last=False)

    def _locked(self) -> int:
        handle = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            raise JournalTaken(
                f"another listener writes to '{self.folder.name}'",
                where=str(self.folder),
                fix="stop it, or give this one a folder of its own with --to",
            ) from error
        return handle


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds something else."""
    own = {JOURNAL, DEAD, LOCK}
    strange = sorted({path.name for path in folder.iterdir()} - own) if folder.is_dir() else []
    if strange or (folder.exists() and not folder.is_dir()):
        raise FileTrouble(
            f"'{folder.name}' holds something that is not a listener's",
            where=str(folder),
            fix="choose a new folder with --to",
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)

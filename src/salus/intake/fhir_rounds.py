"""What has been taken from a FHIR server: rounds of files in a folder, so that a stopped one goes on where it stopped.

    rounds.json                          what was asked, when, and each file with its size and checksum
    files/001/Observation-0001.ndjson

Everything in it is patients' own: folder and files are for nobody but their owner.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from salus.errors import InputUnreadable, OtherServer

BOOK = "rounds.json"


@dataclass(slots=True, kw_only=True)
class TakenFile:
    """One file: ``name`` below the folder; ``size`` and ``sha256`` once it is whole. ``url``: where the rest is."""

    name: str
    url: str
    lines: int | None = None
    size: int = 0
    sha256: str = ""
    bare: bool = False
    done: bool = False


@dataclass(slots=True, kw_only=True)
class Round:
    """One time of asking. ``until``: the server's clock when it began, from which the next round goes on."""

    number: int
    how: str
    since: str
    types: list[str]
    until: str = ""
    status: str = ""
    done: bool = False
    files: list[TakenFile] = field(default_factory=list)
    told: dict[str, int] = field(default_factory=dict)


class Rounds:
    """The book of a folder."""

    def __init__(self, folder: Path, server: str) -> None:
        self.folder, self.server = folder, server
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.rounds: list[Round] = []
        if (folder / BOOK).exists():
            self._read()

    @property
    def files(self) -> Path:
        """The folder of all that came."""
        return self.folder / "files"

    def _read(self) -> None:
        try:
            found = json.loads((self.folder / BOOK).read_text(encoding="utf-8"))
            told = found["server"]
            self.rounds = [_round(one) for one in found["rounds"]]
        except (ValueError, KeyError, TypeError) as error:
            raise InputUnreadable(
                f"'{BOOK}' is not the book of what was taken from a server",
                where=str(self.folder / BOOK),
                fix="remove the folder to take everything again",
            ) from error
        if told != self.server and not any(one.files for one in self.rounds):
            self.rounds = []  # nothing came from there: its address was mistyped
        elif told != self.server:
            raise OtherServer(
                "this timeline was taken from another server",
                where=str(self.folder),
                fix="choose another folder with --to, or remove what was taken",
            )

    def write(self) -> None:
        """Keep the book; it is whole or as it was."""
        text = json.dumps({"server": self.server, "rounds": [asdict(one) for one in self.rounds]}, indent=1)
        partial = self.folder / f".{BOOK}.partial"
        with os.fdopen(
            os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
        ) as out:
            out.write(text + "\n")
            out.flush()
            os.fsync(out.fileno())
        partial.replace(self.folder / BOOK)

    def open_round(self) -> Round | None:
        """The one that was stopped, if any."""
        return self.rounds[-1] if self.rounds and not self.rounds[-1].done else None

    def begin(self, how: str, *, since: str, types: list[str]) -> Round:
        """Begin a round."""
        made = Round(number=len(self.rounds) + 1, how=how, since=since, types=types)
        self.rounds.append(made)
        self.write()
        return made

    def last_until(self) -> str:
        """From when on there may be something new; empty before the first round is done."""
        return next((one.until for one in reversed(self.rounds) if one.done), "")

    def path(self, file: TakenFile) -> Path:
        """Where a file lies; its folder is made."""
        path = self.files / file.name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path


def _round(found: Mapping[str, Any]) -> Round:
    return Round(**{**found, "files": [TakenFile(**one) for one in found["files"]]})

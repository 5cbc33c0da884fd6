"""How a use case stands: what its files say, each part by itself, so that one broken file takes no other with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from salus.errors import FileTrouble, SalusError
from salus.findings import Bundle, read_bundle
from salus.programme.case import Case, read_case
from salus.programme.freezing import read_frozen_protocol
from salus.programme.gate import Judgement
from salus.programme.protocol import Protocol
from salus.programme.read_usecase import read_usecase
from salus.programme.usecase import UseCase
from salus.programme.usecase_folder import UseCaseFolder
from salus.workflows.pages.sheet import Sheet, read_sheet

Read = TypeVar("Read")
Stamp = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What was read of a use case. Where a part could not be read its error stands instead."""

    folder: UseCaseFolder
    usecase: UseCase | SalusError
    protocol: Protocol | SalusError
    bundle: Bundle | SalusError | None
    case: Case | SalusError

    def judgement(self, now: datetime) -> Judgement | SalusError:
        """What the gate says now, or why it cannot be asked."""
        return self.case if isinstance(self.case, SalusError) else self.case.judge(now)


class Shelf:
    """Keeps what was read until one of its files changes."""

    def __init__(self) -> None:
        self._kept: dict[Path, tuple[Stamp, object]] = {}
        self._lock = threading.Lock()

    def standing(self, folder: UseCaseFolder) -> Standing:
        """How a use case stands now."""
        return self._keep(folder.root, _watched(folder), lambda: read_standing(folder))

    def sheet(self, folder: Path) -> Sheet | SalusError:
        """The content of a page that a job made."""
        return self._keep(folder, _files(folder), lambda: attempted(lambda: read_sheet(folder)))

    def _keep(self, name: Path, files: Iterator[Path], read: Callable[[], Read]) -> Read:
        # One at a time: two requests for the same case would only do the same work twice.
        with self._lock:
            stamp = _stamp(files)
            kept = self._kept.get(name)
            if kept is None or kept[0] != stamp:
                kept = (stamp, read())
                self._kept[name] = kept
            return kept[1]  # type: ignore[return-value]


def read_standing(folder: UseCaseFolder) -> Standing:
    """Read a use case's files. What the gate rests on is read once and shared with the page."""
    case = attempted(lambda: read_case(folder))
    whole = case if isinstance(case, Case) else None
    return Standing(
        folder=folder,
        usecase=attempted(lambda: read_usecase(folder.description)),
        protocol=whole.protocol if whole else attempted(lambda: read_frozen_protocol(folder)),
        bundle=whole.bundle if whole else _bundle(folder.evidence),
        case=case,
    )


def attempted(read: Callable[[], Read]) -> Read | SalusError:
    """What ``read`` gives, or the error that says why it gives nothing."""
    try:
        return read()
    except SalusError as problem:
        return problem
    except OSError as problem:
        return FileTrouble(
            (problem.strerror or type(problem).__name__).lower(),
            where=str(problem.filename or "a file of the use case"),
            fix="check that the path exists and that you may read it",
        )


def _bundle(folder: Path) -> Bundle | SalusError | None:
    if not folder.is_dir() or not any(folder.iterdir()):
        return None
    return attempted(lambda: read_bundle(folder))


def _watched(folder: UseCaseFolder) -> Iterator[Path]:
    """Every file that a judgement rests on."""
    yield from (folder.description, folder.protocol, folder.frozen, folder.task, folder.risks)
    for place in (folder.evidence, folder.model, folder.timeline, folder.synthetic):
        yield from _files(place)


def _files(folder: Path) -> Iterator[Path]:
    return iter(sorted(folder.rglob("*")))


def _stamp(files: Iterator[Path]) -> Stamp:
    """Names, times and sizes: what changes when a file does."""
    found = []
    for path in files:
        try:
            about = path.stat()
        except OSError:  # not there, or gone since it was listed: it has no stamp
            continue
        found.append((str(path), about.st_mtime_ns, about.st_size))
    return tuple(found)

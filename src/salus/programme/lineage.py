"""What came from what: timelines, models, synthetic sets, exports, answers and evidence in some folders, by digests.

Everything names what it was made from by SHA-256. A private model keeps no digest of its timeline, because that alone
could tell who is in it: it may have learnt from any timeline of the data set that it names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from salus.errors import SalusError
from salus.findings import MANIFEST, file_digest
from salus.programme.case import MODEL_FILE
from salus.timeline.answers import read_answer_origin
from salus.timeline.label import EXPORT_BOOKS
from salus.timeline.store import SETTINGS_FILE, read_settings, timeline_digest

FUTURES_FILE, SHEET_FILE = "futures.json", "sheet.json"
"""What lies in a folder of pages."""


class Sort(StrEnum):
    """What a thing is."""

    TIMELINE = "timeline"
    SYNTHETIC = "synthetic set"
    MODEL = "model"
    EXPORT = "export"
    ANSWERS = "answers"
    EVIDENCE = "evidence"
    PAGES = "pages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """One thing and what it was made from.

    ``origins``: digests. ``data_set``: its name. ``untold``: it does not say from which timeline it came. ``source``:
    digest of a timeline's source, which others read of the same source share.
    """

    sort: Sort
    path: Path
    digest: str
    origins: tuple[str, ...] = ()
    data_set: str = ""
    synthetic: bool = False
    untold: bool = False
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """All things found, folders that cannot be read, and by which digest others know a thing that was rewritten."""

    things: tuple[Thing, ...]
    unreadable: tuple[Path, ...] = ()
    now_called: Mapping[str, str] = field(default_factory=dict)

    def called_now(self, digest: str) -> str:
        """The digest of what a thing has become since."""
        seen = set()
        while digest in self.now_called and digest not in seen:
            seen.add(digest)
            digest = self.now_called[digest]
        return digest

    def made_from(self, digests: Iterable[str], *, data_sets: Iterable[str] = ()) -> tuple[Thing, ...]:
        """Everything that came of things, step by step; what does not say may have come of any of its data set."""
        reached, names = {self.called_now(one) for one in digests}, set(data_sets)
        found: dict[Path, Thing] = {}
        while True:
            new = [
                thing
                for thing in self.things
                if thing.path not in found
                and (
                    any(self.called_now(origin) in reached for origin in thing.origins)
                    or (thing.untold and thing.data_set in names)
                )
            ]
            if not new:
                return tuple(found.values())
            found |= {thing.path: thing for thing in new}
            reached |= {self.called_now(thing.digest) for thing in new}

    def families(self, things: Sequence[Thing]) -> list[set[Path]]:
        """Which of some things have to do with each other: through origins, or because their source is the same."""
        groups: list[tuple[set[Path], set[str]]] = []
        for thing in things:
            names = {self.called_now(one) for one in (thing.digest, *thing.origins)} | {thing.source} - {""}
            paths = {thing.path}
            apart = []
            for members, known in groups:
                if known & names:
                    paths, names = paths | members, names | known
                else:
                    apart.append((members, known))
            groups = [*apart, (paths, names)]
        return [members for members, _ in groups]

    def orphans(self) -> tuple[Thing, ...]:
        """Models that learnt from a timeline that is not here: nobody can tell who was in it."""
        here = {thing.digest for thing in self.things}
        return tuple(
            thing
            for thing in self.things
            if thing.sort is Sort.MODEL
            and (thing.untold or not any(self.called_now(origin) in here for origin in thing.origins))
        )


def find_lineage(roots: Sequence[Path], now_called: Mapping[str, str] | None = None) -> Lineage:
    """Look through folders; what is hidden (its name begins with a dot) is half-made or private, and passed over."""
    things, unreadable = [], []
    for path in sorted({path.resolve() for root in roots for path in _places(root)}):
        try:
            thing = _thing(path)
        except (SalusError, ValueError, KeyError, TypeError, OSError):
            unreadable.append(path)
            continue
        if thing is not None:
            things.append(thing)
    return Lineage(things=tuple(things), unreadable=tuple(unreadable), now_called=now_called or {})


def _places(root: Path) -> Iterator[Path]:
    """Folders that are something, and Parquet files outside of them."""
    marks = (EXPORT_BOOKS, SETTINGS_FILE, MODEL_FILE, MANIFEST, FUTURES_FILE, SHEET_FILE)
    if any((root / mark).exists() for mark in marks):
        yield root
        return
    for path in sorted(root.iterdir()) if root.is_dir() else ():
        if path.name.startswith(".") or path.is_symlink():
            continue
        if path.is_dir():
            yield from _places(path)
        elif path.suffix == ".parquet":
            yield path


def _thing(path: Path) -> Thing | None:
    """What lies at a place; None: nothing of ours."""
    if path.is_file():
        return _answers(path)
    if (path / EXPORT_BOOKS).exists():
        books = json.loads((path / EXPORT_BOOKS).read_bytes())
        return Thing(
            sort=Sort.EXPORT,
            path=path,
            digest=file_digest(path / EXPORT_BOOKS),
            origins=(str(books["timeline_digest"]),),
            synthetic=bool(books["synthetic"]),
        )
    if (path / SETTINGS_FILE).exists():
        return _timeline(path)
    if (path / MODEL_FILE).exists():
        return _model(path)
    if (path / MANIFEST).exists():
        return _evidence(path)
    return _pages(path)


def _evidence(path: Path) -> Thing:
    told = json.loads((path / MANIFEST).read_bytes())
    return Thing(
        sort=Sort.EVIDENCE,
        path=path,
        digest=file_digest(path / MANIFEST),
        origins=tuple(str(digest) for digest in told["subjects"].values()),
    )


def _pages(path: Path) -> Thing:
    """A page, or the pages of some patients' futures, each of which says of which records it is."""
    sheets = sorted(path.glob(f"**/{SHEET_FILE}"))
    digests = dict.fromkeys(str(json.loads(sheet.read_bytes())["digest"]) for sheet in sheets)
    head = next(path / name for name in (FUTURES_FILE, SHEET_FILE) if (path / name).exists())
    return Thing(sort=Sort.PAGES, path=path, digest=file_digest(head), origins=tuple(digests))


def _answers(path: Path) -> Thing | None:
    told = read_answer_origin(path)
    if told is None:
        return None
    return Thing(sort=Sort.ANSWERS, path=path, digest=file_digest(path), origins=(told.model, told.timeline))


def _timeline(path: Path) -> Thing:
    told = read_settings(path)
    made_by = (told.source_digest,) if told.synthetic and told.source_digest else ()
    return Thing(
        sort=Sort.SYNTHETIC if told.synthetic else Sort.TIMELINE,
        path=path,
        digest=timeline_digest(path),
        origins=tuple(dict.fromkeys((*told.origins, *made_by))),
        data_set=told.name,
        synthetic=told.synthetic,
        source="" if told.synthetic else told.source_digest,
    )


def _model(path: Path) -> Thing:
    told = json.loads((path / MODEL_FILE).read_bytes())["lineage"]
    digest = str(told["timeline_digest"])
    return Thing(
        sort=Sort.MODEL,
        path=path,
        digest=file_digest(path / MODEL_FILE),
        origins=(digest,) if digest else (),
        data_set=str(told["data_set"]),
        synthetic=bool(told.get("synthetic")),
        untold=not digest,
    )

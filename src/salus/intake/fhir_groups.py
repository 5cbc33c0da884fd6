"""Resources of one type together, parsed: from lines of NDJSON, or out of Bundles."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa

from salus.formats.fhirpath.references import reference_key
from salus.formats.r4_elements import is_resource
from salus.formats.sql_on_fhir.taking import Taker
from salus.intake.fhir_files import LineBlock, Raw

MALFORMED = "no JSON"
NOT_UTF8 = "not UTF-8"
TOO_DEEP = "nested too deeply"
NO_RESOURCE = "no FHIR resource: it has no resourceType"
NO_TYPE = "no FHIR resource: its resourceType is none of R4"
OTHER_URLS = "the Bundle's full URLs stand for other resources than in a Bundle before: put each into a file of its own"
BOM = b"\xef\xbb\xbf"
LOOKED_AT = 1 << 15


class Header(msgspec.Struct):
    """What every resource has."""

    resourceType: str


class Entry(msgspec.Struct):
    """One entry of a Bundle."""

    fullUrl: str | None = None
    resource: msgspec.Raw = msgspec.Raw(b"")


class Bundle(msgspec.Struct):
    """A Bundle of any type. Entries are parsed one by one: what is wrong with one costs itself alone."""

    resourceType: str
    entry: list[msgspec.Raw] | None = None


class Named(msgspec.Struct):
    """A resource's type and id."""

    resourceType: str
    id: str | None = None


HEADERS = msgspec.json.Decoder(Header)
NAMES = msgspec.json.Decoder(Named)
BUNDLES = msgspec.json.Decoder(Bundle)
ENTRIES = msgspec.json.Decoder(Entry)
BUNDLE = "Bundle"
TYPE_OF = attrgetter("resourceType")


@dataclass(slots=True)
class Group:
    """Resources of one type. ``raw`` gives the JSON of one; ``urls``: what references of their Bundles lead to."""

    kind: str
    resources: Sequence[Any]
    lines: np.ndarray
    content: np.ndarray
    raw: Callable[[int], bytes]
    files: str | list[str]
    urls: Mapping[str, str] = field(default_factory=dict)

    def file(self, number: int) -> str:
        """The file of one of them."""
        return self.files if isinstance(self.files, str) else self.files[number]


@dataclass(slots=True)
class Sorted:
    """What a block of lines holds: groups, types that nobody takes, and what is wrong: file, line, column, reason."""

    groups: list[Group] = field(default_factory=list)
    untaken: dict[str, int] = field(default_factory=dict)
    wrong: list[tuple[str, int, str, str]] = field(default_factory=list)


def sort_lines(block: LineBlock, takers: Mapping[str, Taker], file: str) -> Sorted:
    """Parse a block of lines; all at once where they are all well and of one type."""
    raw, ends, count = block.raw, block.ends, block.lines
    if block.first_line == 1 and raw.startswith(BOM):
        raw, ends = raw[len(BOM) :], ends - len(BOM)
    first = kind_of(raw[: raw.find(b"\n")])
    sorted_ = Sorted()
    if first is not None and is_utf8(raw):
        if first in takers:
            resources = _all_alike(raw, takers[first].decoder, first)
            if resources is not None and len(resources) == count:
                sorted_.groups.append(_group(first, raw, resources, replace(block, ends=ends), file))
                return sorted_
        elif first != BUNDLE and is_resource(first):
            headers = _all_alike(raw, HEADERS, first)
            if headers is not None and len(headers) == count:
                sorted_.untaken[first] = count
                return sorted_
    _one_by_one(raw, takers, sorted_, (block.first_line, file))
    return sorted_


def is_utf8(raw: Raw) -> bool:
    """Whether bytes are UTF-8: what is ASCII, and most is, is passed over at the speed of memory.

    >>> is_utf8("ä".encode()), is_utf8("ä".encode("latin-1"))
    (True, False)
    """
    at, size = 0, len(raw)
    while at < size:
        piece = raw[at : at + LOOKED_AT]
        if piece.isascii():
            at += len(piece)
            continue
        try:
            at += codecs.utf_8_decode(piece, "strict", at + len(piece) == size)[1]
        except UnicodeDecodeError:
            return False
    return True


def kind_of(raw: Raw) -> str | None:
    """Of which type a resource is, a line or a whole document; None: that cannot be told.

    >>> kind_of(b'{"resourceType": "Bundle"}'), kind_of(b"{")
    ('Bundle', None)
    """
    try:
        return HEADERS.decode(raw).resourceType
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def _all_alike(raw: Raw, decoder: msgspec.json.Decoder[Any], kind: str) -> Sequence[Any] | None:
    try:
        resources = decoder.decode_lines(raw)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    if resources and isinstance(resources[0], dict):
        return (
            resources
            if all(isinstance(one, dict) and one.get("resourceType") == kind for one in resources)
            else None
        )
    return resources if set(map(TYPE_OF, resources)) == {kind} else None


def _group(kind: str, raw: Raw, resources: Sequence[Any], block: LineBlock, file: str) -> Group:
    starts = np.concatenate([[0], block.ends + 1])
    lines = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), block.lines, [None, pa.py_buffer(starts), pa.py_buffer(raw)]
    )
    return Group(
        kind=kind,
        resources=resources,
        lines=np.arange(block.first_line, block.first_line + block.lines),
        content=content_of(lines),
        raw=lambda number: bytes(raw[starts[number] : starts[number + 1]]),
        files=file,
    )


def content_of(lines: pa.Array) -> np.ndarray:
    """A number for all that each line says."""
    found = pl.Series(pl.from_arrow(lines)).hash(0)
    return found.to_numpy()


def _one_by_one(raw: Raw, takers: Mapping[str, Taker], sorted_: Sorted, place: tuple[int, str]) -> None:
    """Parse line by line, and say of each that cannot be read why."""
    collected = Collected(takers)
    for number, line in enumerate(bytes(raw).split(b"\n")[:-1], start=place[0]):
        if line.strip():
            collected.add(line, number, place[1])
    done = collected.sorted()
    sorted_.groups += done.groups
    sorted_.wrong += done.wrong
    for kind, count in done.untaken.items():
        sorted_.untaken[kind] = sorted_.untaken.get(kind, 0) + count


@dataclass(slots=True)
class Collected:
    """Resources that come one by one, put together by type."""

    takers: Mapping[str, Taker]
    found: dict[str, list[tuple[Any, int, bytes, str]]] = field(default_factory=dict)
    untaken: dict[str, int] = field(default_factory=dict)
    wrong: list[tuple[str, int, str, str]] = field(default_factory=list)
    urls: dict[str, str] = field(default_factory=dict)
    size: int = 0

    def add(self, raw: bytes, line: int, file: str, *, own_id: str | None = None) -> None:
        """Parse one resource; ``own_id`` is its id where it says none itself."""
        try:
            if not raw.isascii():
                raw.decode()
            kind = HEADERS.decode(raw).resourceType
            if kind not in self.takers:
                self._not_taken(kind, raw, line, file)
                return
            resource = self.takers[kind].decoder.decode(raw)
            if own_id is not None:
                resource = _with_id(resource, own_id)
        except UnicodeDecodeError:
            self._wrong(line, file, "", NOT_UTF8)
        except msgspec.ValidationError as error:
            self._wrong(line, file, *_said(str(error)))
        except (msgspec.DecodeError, ValueError):
            self._wrong(line, file, "", MALFORMED)
        except RecursionError:
            self._wrong(line, file, "", TOO_DEEP)
        else:
            self.found.setdefault(kind, []).append((resource, line, raw, file))
            self.size += len(raw)

    def _not_taken(self, kind: str, raw: bytes, line: int, file: str) -> None:
        """A Bundle is taken apart; other types are counted; what R4 has not is not repeated: it may be anything."""
        if kind == BUNDLE:
            self._bundle(raw, line, file)
        elif is_resource(kind):
            self.untaken[kind] = self.untaken.get(kind, 0) + 1
        else:
            self._wrong(line, file, "resourceType", NO_TYPE)

    def _bundle(self, raw: bytes, line: int, file: str) -> None:
        """Take a Bundle apart that is a line of NDJSON, or an entry of another one: all are of that place."""
        bundle = BUNDLES.decode(raw)
        urls = urls_of(bundle)
        if not self.fits(urls):
            self._wrong(line, file, "entry", OTHER_URLS)
            return
        self.urls.update(urls)
        for _, entry in entries_of(bundle):
            self.entry(entry, line, file)

    def fits(self, urls: Mapping[str, str]) -> bool:
        """Whether these full URLs stand for nothing else so far."""
        return all(self.urls.get(url, key) == key for url, key in urls.items())

    def entry(self, entry: Entry | str, line: int, file: str) -> None:
        """Add an entry's resource; a text is what is wrong with the entry."""
        if isinstance(entry, str):
            self._wrong(line, file, *_said(entry, "entry"))
            return
        own = (entry.fullUrl or "").rpartition(":")[2].rpartition("/")[2] or None
        self.add(bytes(entry.resource), line, file, own_id=own)

    def reject(self, line: int, file: str, message: str) -> None:
        """Reject a whole document of which msgspec said ``message``."""
        self._wrong(line, file, *_said(message))

    def _wrong(self, line: int, file: str, column: str, reason: str) -> None:
        self.wrong.append((file, line, column, reason))

    def sorted(self) -> Sorted:
        """All that was added, by type; begins anew."""
        groups = [self._group(kind, rows) for kind, rows in self.found.items()]
        done = Sorted(groups, dict(self.untaken), list(self.wrong))
        self.found, self.untaken, self.wrong, self.urls, self.size = {}, {}, [], {}, 0
        return done

    def _group(self, kind: str, rows: list[tuple[Any, int, bytes, str]]) -> Group:
        raws = [raw for _, _, raw, _ in rows]
        return Group(
            kind=kind,
            resources=[resource for resource, _, _, _ in rows],
            lines=np.array([line for _, line, _, _ in rows]),
            content=content_of(pa.array(raws, pa.large_binary())),
            raw=raws.__getitem__,
            files=[file for _, _, _, file in rows],
            urls=self.urls,
        )


def _with_id(resource: Any, own_id: str) -> Any:
    if isinstance(resource, dict):
        return {**resource, "id": resource.get("id") or own_id}
    return resource if resource.id else msgspec.structs.replace(resource, id=own_id)


def _said(message: str, inside: str = "$") -> tuple[str, str]:
    """Where and what is not as FHIR defines it: ``$.status``, "a text is expected". No value is repeated."""
    what, _, where = message.partition(" - at ")
    if "missing required field `resourceType`" in what:
        return "resourceType", NO_RESOURCE
    wanted = what.partition("Expected `")[2].partition("`")[0] or "something else"
    names = {"str": "a text", "float": "a number", "int": "a whole number", "bool": "true or false"}
    told = names.get(
        wanted.removesuffix(" | null"),
        {"object": "an object", "array": "a list"}.get(wanted.removesuffix(" | null"), wanted),
    )
    return where.strip("`").removeprefix("$.") or inside, f"not as FHIR defines it: {told} is expected"


def entries_of(bundle: Bundle) -> Iterator[tuple[int, Entry | str]]:
    """The entries with a resource, with their numbers; of one that is no entry, what msgspec says of it."""
    for number, raw in enumerate(bundle.entry or (), start=1):
        try:
            entry = ENTRIES.decode(raw)
        except msgspec.ValidationError as error:
            yield number, str(error)
            continue
        if bytes(entry.resource):
            yield number, entry


def urls_of(bundle: Bundle) -> dict[str, str]:
    """What the full URLs of a Bundle's entries stand for: type and id."""
    urls = {}
    for _, entry in entries_of(bundle):
        if not isinstance(entry, str) and entry.fullUrl and not reference_key(entry.fullUrl):
            try:
                one = NAMES.decode(entry.resource)
            except (msgspec.DecodeError, ValueError, RecursionError):
                continue
            urls[entry.fullUrl] = f"{one.resourceType}/{one.id or entry.fullUrl.rpartition(':')[2]}"
    return urls

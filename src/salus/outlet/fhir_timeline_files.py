"""Resources as files: NDJSON, one a type, or Bundles to be sent as transactions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

import msgspec

from salus.formats.fhir_r4 import synthetic_meta
from salus.outlet.fhir_timeline_values import Resource

FORMS = ("ndjson", "bundles")
MOST_ENTRIES = 500
"""Entries of a Bundle: what a server takes at once within its time."""


class Sink(Protocol):
    """Where resources go."""

    def add(self, resources: Sequence[Resource]) -> None:
        """Take all resources of one patient, the Patient first."""
        ...


@dataclass(slots=True)
class _Ndjson:
    folder: Path
    stack: ExitStack
    open: dict[str, IO[bytes]] = field(default_factory=dict)

    def add(self, resources: Sequence[Resource]) -> None:
        """Append a line each to the file of its type."""
        for one in resources:
            kind = str(one["resourceType"])
            if kind not in self.open:
                self.open[kind] = self.stack.enter_context((self.folder / f"{kind}.ndjson").open("wb"))
            self.open[kind].write(msgspec.json.encode(one) + b"\n")


@dataclass(slots=True)
class _Bundles:
    """Patients stay whole where they fit; of one who does not the Patient is in the first file."""

    folder: Path
    waiting: list[Resource] = field(default_factory=list)
    written: int = 0

    def add(self, resources: Sequence[Resource]) -> None:
        """Append entries; a file that is full is written."""
        if len(self.waiting) + len(resources) > MOST_ENTRIES:
            self.flush()
        self.waiting += resources
        while len(self.waiting) > MOST_ENTRIES:
            rest = self.waiting[MOST_ENTRIES:]
            self.waiting = self.waiting[:MOST_ENTRIES]
            self.flush()
            self.waiting = rest

    def flush(self) -> None:
        """Write what waits as one Bundle."""
        if self.waiting:
            self.written += 1
            bundle = transaction_of(self.waiting)
            (self.folder / f"{self.written:06d}.json").write_bytes(msgspec.json.encode(bundle))
            self.waiting = []


def transaction_of(resources: Sequence[Resource]) -> Resource:
    """A transaction that puts each resource under its own id: sent twice, it says the same. Synthetic where all are.

    >>> transaction_of([{"resourceType": "Patient", "id": "a"}])["entry"][0]["request"]
    {'method': 'PUT', 'url': 'Patient/a'}
    """
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
        for one in resources
    ]
    synthetic = all(one.get("meta") == synthetic_meta() for one in resources)
    meta = {"meta": synthetic_meta()} if synthetic else {}
    return {"resourceType": "Bundle", **meta, "type": "transaction", "entry": entries}


@contextmanager
def open_sink(folder: Path, form: str) -> Iterator[Sink]:
    """Write into ``folder`` in one of the ``FORMS``."""
    if form == "bundles":
        bundles = _Bundles(folder)
        yield bundles
        bundles.flush()
    else:
        with ExitStack() as stack:
            yield _Ndjson(folder, stack)

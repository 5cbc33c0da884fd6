"""What is fuzzed: each takes any bytes, and raises only where a reader is at fault."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from benchmarks.blocks import ROOT
from salus.errors import SalusError
from salus.formats.fhir_validation.validating import validate
from salus.formats.fhirpath.grammar import parse
from salus.formats.read_source import read_source
from salus.intake.fhir import FhirReader, shipped_views
from salus.intake.hl7v2_batches import read_batch
from salus.intake.hl7v2_messages import messages_of
from salus.intake.hl7v2_reception import receive
from salus.intake.hl7v2_segments import segment_batches
from salus.intake.mllp import Framing
from salus.intake.parts import Part

CASES = ROOT / "tests" / "attack" / "cases"
VIEWS = tuple(shipped_views().values())
PIECE = 7


def fhir_lines(raw: bytes) -> None:
    """A file of NDJSON: each line is counted once, kept or rejected with a place."""
    _fhir(raw, "a.ndjson")


def fhir_document(raw: bytes) -> None:
    """One resource or a Bundle."""
    _fhir(raw, "a.json")


def _fhir(raw: bytes, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(raw)
        part = Part(name=name, where=str(path), start=0, stop=len(raw), size=len(raw))
        found = list(FhirReader(VIEWS)(part))
    counted: Counter[str] = Counter()
    for read in found:
        for counts in read.counted.values():
            counted.update(read=counts.read, kept=counts.kept, rejected=counts.rejected)
        counted.update(listed=read.rejected.height)
        assert read.rejected["file"].null_count() == read.rejected["reason"].null_count() == 0
    assert counted["read"] == counted["kept"] + counted["rejected"]
    assert counted["listed"] == counted["rejected"]


def fhir_validation(raw: bytes) -> None:
    """One resource to validate."""
    validate(raw)


def fhirpath(raw: bytes) -> None:
    """An expression of a view: read, or refused with an error of ours."""
    try:
        parse(raw.decode("utf-8", "replace"))
    except SalusError:
        return


def hl7v2_file(raw: bytes) -> None:
    """A file of messages: a segment becomes facts or is rejected, whichever way the file is read."""
    for segments in segment_batches(BytesIO(raw)):
        batch = read_batch(segments, zone="UTC")
        for facts in batch.facts:
            assert facts.rejected.height <= facts.read
    for found in messages_of(BytesIO(raw)):
        assert found.line >= 1


def hl7v2_message(raw: bytes) -> None:
    """One message as a listener takes it."""
    receive(raw)


def mllp(raw: bytes) -> None:
    """A stream in pieces of any size gives the same frames."""
    whole, pieces = Framing(1 << 20), Framing(1 << 20)
    one = [*whole.feed(raw), *whole.close()]
    other = [frame for at in range(0, len(raw), PIECE) for frame in pieces.feed(raw[at : at + PIECE])]
    other += pieces.close()
    kept = [[frame.raw for frame in frames if not frame.trouble] for frames in (one, other)]
    assert kept[0] == kept[1]


def source_yaml(raw: bytes) -> None:
    """A declaration: read, or refused with an error of ours."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "source.yaml"
        path.write_bytes(raw)
        try:
            read_source(path)
        except SalusError:
            return


READERS: dict[str, Callable[[bytes], None]] = {
    one.__name__: one
    for one in (
        fhir_lines,
        fhir_document,
        fhir_validation,
        fhirpath,
        hl7v2_file,
        hl7v2_message,
        mllp,
        source_yaml,
    )
}


def cases_of(reader: str) -> list[Path]:
    """The cases that were kept of a reader: seeds, and what once broke it."""
    return sorted((CASES / reader).glob("*"))

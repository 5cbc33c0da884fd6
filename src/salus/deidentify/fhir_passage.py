"""FHIR R4 files through a policy: NDJSON line by line, Bundles entry by entry, packed where they came so."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, cast

import msgspec

from salus.deidentify.fhir_records import FhirRecords, Json
from salus.deidentify.known_patient import KnownPatient, known_fhir_patient
from salus.deidentify.passing import MALFORMED, NOT_NAMED, Passing
from salus.errors import InputEmpty
from salus.formats.r4_elements import is_resource
from salus.intake.fhir import whole_document
from salus.intake.fhir_files import LineBlock, find_files, form_of, line_blocks
from salus.intake.fhir_groups import BOM, NOT_UTF8, TOO_DEEP
from salus.intake.parts import Part

FILE, BUNDLE = "file", "Bundle"
DECODER = msgspec.json.Decoder(float_hook=Decimal)
"""Decimals keep their digits: 5.90 is another statement than 5.9."""
ENCODER = msgspec.json.Encoder(decimal_format="number")
METHODS = ("POST", "PUT", "GET", "DELETE", "PATCH", "HEAD")
BUNDLE_TYPES = ("document", "message", "transaction", "batch", "history", "searchset", "collection")
NAMED_FOR_TYPE = re.compile(r"([A-Za-z]+)((?:[.\-_]\d{1,6})*)", re.ASCII)
Advance = Callable[[float], None]


def pass_fhir(source: Path, to: Path, passing: Passing, advance: Advance) -> None:
    """Write every file of ``source`` into the folder ``to`` as it may pass; ``advance`` is told the bytes done."""
    files = fhir_files(source)
    if passing.wants_known:
        passing.known = known_patients(files)
    for name, path in files:
        target = to / safe_name(name, passing)
        if target.exists():  # Patient.ndjson beside Patient.ndjson.zst
            target = to / f"{passing.pseudonym('file', name)}{''.join(target.suffixes)}"
        records = FhirRecords(passing)
        with packed(target) as stream:
            if form_of(path) == "document":
                _pass_document(path, target.name, stream, records)
            else:
                _pass_lines(path, target.name, stream, records)
        passing.tally.files.append(target.name)
        advance(float(path.stat().st_size))


def fhir_files(source: Path) -> list[tuple[str, Path]]:
    """The files of a source. Raises InputEmpty (SAL-107) where there are none."""
    files, _ = find_files(source)
    if not files:
        raise InputEmpty(
            f"'{source.name}' holds no FHIR files",
            where=str(source),
            fix="files end with .ndjson, .jsonl or .json, each also with .gz or .zst",
        )
    return files


def safe_name(name: str, passing: Passing) -> str:
    """What a file is called afterwards: many systems put the patient's name into the names of files.

    Only the name of a resource type, with numbers, is kept: ``Observation.003.ndjson``.
    """
    path = Path(name)
    ends = "".join(
        one for one in path.suffixes if one.lower() in (".ndjson", ".jsonl", ".json", ".gz", ".zst")
    )
    ends = ends.lower().removesuffix(".zst")
    stem = path.name.partition(".ndjson")[0].partition(".json")[0]
    found = NAMED_FOR_TYPE.fullmatch(stem)
    if found and is_resource(found[1]) and "/" not in name:
        return stem + ends
    return passing.pseudonym("file", name) + ends


@contextmanager
def packed(target: Path) -> Iterator[IO[bytes]]:
    """A file to write to; packed where its name ends so, with neither name nor time inside."""
    with target.open("xb") as plain:
        if target.suffix == ".gz":
            with gzip.GzipFile(filename="", mode="wb", fileobj=plain, mtime=0, compresslevel=6) as stream:
                yield cast(IO[bytes], stream)
        else:
            yield plain


def _pass_lines(path: Path, file: str, stream: IO[bytes], records: FhirRecords) -> None:
    tally = records.passing.tally
    for block in line_blocks(Part(name=file, where=str(path))):
        if block.trouble:
            tally.read[FILE] += 1
            tally.reject(FILE, block.trouble, (file, block.first_line))
            continue
        for number, line in _lines(block):
            found = _decoded(line)
            tally.read[_kind(found)] += 1
            if isinstance(found, str):
                tally.reject(FILE, found, (file, number))
            elif found.get("resourceType") == BUNDLE:
                tally.read[BUNDLE] -= 1
                _pass_bundle(found, file, stream, records)
            else:
                out = _passed(found, (file, number), records)
                if out is not None:
                    stream.write(out + b"\n")


def _lines(block: LineBlock) -> Iterator[tuple[int, bytes]]:
    raw = bytes(block.raw)
    if block.first_line == 1:
        raw = raw.removeprefix(BOM)
    for number, line in enumerate(raw.split(b"\n"), start=block.first_line):
        if line.strip():
            yield number, line


def _decoded(raw: bytes) -> Json | str:
    """A JSON object; a text says why it is none."""
    try:
        raw.decode() if not raw.isascii() else None
        found = DECODER.decode(raw)
    except UnicodeDecodeError:
        return NOT_UTF8
    except RecursionError:
        return TOO_DEEP
    except (msgspec.DecodeError, ValueError, ArithmeticError):
        return MALFORMED
    return found if isinstance(found, dict) else MALFORMED


def _kind(found: Json | str) -> str:
    """What a record is counted as: never a word that the sender invented."""
    kind = found.get("resourceType") if isinstance(found, dict) else None
    return kind if isinstance(kind, str) and is_resource(kind) else FILE


def _passed(resource: Json, place: tuple[str, int], records: FhirRecords) -> bytes | None:
    tally, kind = records.passing.tally, _kind(resource)
    try:
        out = records.passed(resource)
    except RecursionError:
        out = TOO_DEEP
    if isinstance(out, str):
        if out == NOT_NAMED and kind != FILE:
            tally.left_out[kind] += 1
        else:
            tally.reject(kind, out, place)
        return None
    written = ENCODER.encode(out)
    tally.written[kind] += 1
    if len(tally.sample.get(kind, ())) < 3:
        tally.show(kind, written.decode())
    return written


def _pass_document(path: Path, file: str, stream: IO[bytes], records: FhirRecords) -> None:
    tally = records.passing.tally
    raw = whole_document(path)
    found = _decoded(raw) if isinstance(raw, bytes) else raw
    if isinstance(found, str):
        tally.read[FILE] += 1
        tally.reject(FILE, found, (file, 1))
    elif found.get("resourceType") == BUNDLE:
        _pass_bundle(found, file, stream, records)
    else:
        tally.read[_kind(found)] += 1
        out = _passed(found, (file, 1), records)
        stream.write(out or b"")


def _pass_bundle(bundle: Json, file: str, stream: IO[bytes], records: FhirRecords) -> None:
    """A Bundle with the entries that may pass; nothing else that it says of itself than its type."""
    entries = [one for one in bundle.get("entry") or () if isinstance(one, dict)]
    records.urls = _urls(entries)
    kind = bundle.get("type")
    stream.write(
        b'{"resourceType":"Bundle","type":"' + (kind if kind in BUNDLE_TYPES else "collection").encode()
    )
    stream.write(b'","entry":[')
    between = b"\n"
    for number, entry in enumerate(entries, start=1):
        resource = entry.get("resource")
        if not isinstance(resource, dict):
            continue
        if resource.get("id") is None and entry.get("fullUrl") in records.urls:
            resource = {**resource, "id": records.urls[entry["fullUrl"]][1]}
        records.passing.tally.read[_kind(resource)] += 1
        out = _passed(resource, (file, number), records)
        if out is not None:
            stream.write(between + _entry(entry, out, records))
            between = b",\n"
    stream.write(b"\n]}\n")
    records.urls = {}


def _entry(entry: Json, resource: bytes, records: FhirRecords) -> bytes:
    told: dict[str, Any] = {}
    url = records.full_url(entry["fullUrl"]) if isinstance(entry.get("fullUrl"), str) else None
    if url:
        told["fullUrl"] = url
    told["resource"] = msgspec.Raw(resource)
    request = entry.get("request")
    if isinstance(request, dict) and request.get("method") in METHODS and isinstance(request.get("url"), str):
        where = request["url"] if is_resource(request["url"]) else records.repointed(request["url"])
        if where:
            told["request"] = {"method": request["method"], "url": where}
    return ENCODER.encode(told)


def _urls(entries: list[Json]) -> dict[str, tuple[str, str]]:
    """What full URLs stand for: type and id of the resource."""
    urls = {}
    for entry in entries:
        url, resource = entry.get("fullUrl"), entry.get("resource")
        if isinstance(url, str) and isinstance(resource, dict):
            kind, own = resource.get("resourceType"), resource.get("id")
            if isinstance(kind, str):
                last = url.rpartition(":")[2].rpartition("/")[2]
                urls[url] = (kind, own if isinstance(own, str) and own else last)
    return urls


def known_patients(files: list[tuple[str, Path]]) -> dict[str, KnownPatient]:
    """Who all the patients of a source are, by their ids: one pass over all files, a few lines of memory a patient."""
    known: dict[str, KnownPatient] = {}
    for _, path in files:
        for resource in _patients(path):
            person = known_fhir_patient(resource)
            if person.number:
                known[person.number] = known.get(person.number, person).joined(person)
    return known


def _patients(path: Path) -> Iterator[Json]:
    if form_of(path) == "document":
        raw = whole_document(path)
        found = _decoded(raw) if isinstance(raw, bytes) else raw
        if isinstance(found, dict):
            inside = [one.get("resource") for one in found.get("entry") or () if isinstance(one, dict)]
            yield from (one for one in (found, *inside) if isinstance(one, dict) and _kind(one) == "Patient")
        return
    for block in line_blocks(Part(name=path.name, where=str(path))):
        for _, line in _lines(block) if not block.trouble else ():
            if b'"Patient"' in line:
                found = _decoded(line)
                if isinstance(found, dict) and _kind(found) == "Patient":
                    yield found

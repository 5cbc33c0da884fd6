"""A folder, a ZIP file or one file of DICOM in, a folder by new UIDs out, with books: read = written + refused."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pydicom

from salus.deidentify.dicom.books import ImageBooks
from salus.deidentify.dicom.image import Passed, pass_image
from salus.deidentify.dicom.opening import MOST_BYTES
from salus.deidentify.dicom.options import DicomOptions
from salus.deidentify.dicom.refusal import Refusal, refuse
from salus.deidentify.key import Key
from salus.errors import ImageRefused, ImagesTaken, InputMissing
from salus.progress import QUIET, Progress
from salus.timeline.folder import whole_folder

BOOKS_FILE, DATA = "images.json", "data"
SHOWN = 60
"""Characters of a value that are shown for eyes."""
Load = Callable[[], bytes]


Advance = Callable[[float], None]


def deidentify_folder(
    source: Path, to: Path, *, key: Key, options: DicomOptions, progress: Progress = QUIET
) -> ImageBooks:
    """Write what may pass of all files into the new folder ``to``, whole or not at all; ``source`` stays as it is.

    Raises ImagesTaken (SAL-188) or InputMissing (SAL-104) before anything is read.
    """
    _check_apart(source, to)
    size = sum(path.stat().st_size for path in _files(source) if not path.is_symlink())
    with (
        whole_folder(to, mark=BOOKS_FILE) as folder,
        progress.step("De-identifying images", total=size, unit="bytes") as step,
    ):
        books = pass_folder(source, folder / DATA, key=key, options=options, advance=step.advance)
        told = {"key": key.name, **books.as_json()}
        (folder / BOOKS_FILE).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return books


def pass_folder(source: Path, to: Path, *, key: Key, options: DicomOptions, advance: Advance) -> ImageBooks:
    """Write each file that may pass as ``STUDY/SERIES/INSTANCE.dcm`` by new UIDs: no old name reaches the output."""
    books, seen = ImageBooks(), set[str]()
    for load in _loads(source):
        books.read += 1
        try:
            data = load()
            advance(len(data))
            passed = pass_image(data, key=key, options=options)
            if passed.place[-1] in seen:
                raise refuse(Refusal.TWICE)
        except ImageRefused as refused:
            books.refuse(books.read, refused.what.rpartition(": ")[2])
            continue
        seen.add(passed.place[-1])
        _write(to, passed)
        _count(books, passed)
    to.mkdir(parents=True, exist_ok=True)
    books.check()
    return books


def shown_header(path: Path) -> str:
    """The attributes of a written image that say something; long values are cut, pixels and sequences not shown."""
    image = pydicom.dcmread(path, stop_before_pixels=True)
    said = [
        (element.keyword or str(element.tag), str(element.value)) for element in image if element.VR != "SQ"
    ]
    return "; ".join(f"{name}: {value[:SHOWN]}" for name, value in said if value)


def _write(to: Path, passed: Passed) -> None:
    study, series, instance = passed.place
    folder = to / study / series
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{instance}.dcm").write_bytes(passed.data)


def _count(books: ImageBooks, passed: Passed) -> None:
    books.written += 1
    books.blanked += bool(passed.blanked)
    books.fields.take_in([passed.books])
    books.patients.add(passed.patient)


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    return sorted(path for path in source.rglob("*") if path.is_symlink() or path.is_file())


def _loads(source: Path) -> Iterator[Load]:
    """How to load each file, in the order of their names; those in a ZIP file are never unpacked to the disk."""
    for path in _files(source):
        if not path.is_symlink() and zipfile.is_zipfile(path):
            yield from _members(path)
        else:
            yield partial(_bytes_of, path)


def _bytes_of(path: Path) -> bytes:
    if path.is_symlink():
        raise refuse(Refusal.A_LINK)
    if path.stat().st_size > MOST_BYTES:
        raise refuse(Refusal.TOO_LARGE)
    return path.read_bytes()


def _members(path: Path) -> Iterator[Load]:
    """The files in a ZIP file. What their names say does not matter: no name is used."""
    with zipfile.ZipFile(path) as archive:
        for member in sorted(archive.infolist(), key=lambda one: one.filename):
            if not member.is_dir():
                yield partial(_unzipped, archive, member)


def _unzipped(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    try:
        with archive.open(member) as stream:
            data = stream.read(MOST_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError):
        raise refuse(Refusal.BROKEN) from None
    if len(data) > MOST_BYTES:
        raise refuse(Refusal.TOO_LARGE)
    return data


def _check_apart(source: Path, to: Path) -> None:
    if not source.exists():
        raise InputMissing(
            "there is no such file or folder of images",
            where="de-identification of images",
            fix="check the path",
        )
    taken = to.exists() and (not to.is_dir() or any(to.iterdir()))
    inner, outer = to.resolve(), source.resolve()
    if taken or inner.is_relative_to(outer) or outer.is_relative_to(inner):
        raise ImagesTaken(
            f"'{to.name}' holds something already, or input and output lie inside each other",
            where="de-identification of images",
            fix="name a new folder apart from the images",
        )

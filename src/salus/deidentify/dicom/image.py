"""One DICOM file in, one out, or a refusal: headers, pixels, the marks that the standard asks for, a new file head."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from salus.deidentify.dicom import profile
from salus.deidentify.dicom.headers import HeaderPass, put
from salus.deidentify.dicom.opening import BREAKAGES, open_image, quietly, text_of, transfer_syntax
from salus.deidentify.dicom.options import Dates, DicomOptions
from salus.deidentify.dicom.pixels import clean_pixels, put_pixels
from salus.deidentify.dicom.refusal import Refusal, refuse
from salus.deidentify.dicom.told import told_by
from salus.deidentify.field_books import Fate, FieldBooks
from salus.deidentify.key import Key

PATIENT_ID, BURNT_IN, STUDY, SERIES, INSTANCE = 0x00100020, 0x00280301, 0x0020000D, 0x0020000E, 0x00080018
BLANK_PREAMBLE = b"\0" * 128
IMPLEMENTATION, VERSION_NAME = "2.25.268141703214983297350119573823460814271", "SALUS"
METHOD = f"Salus: {profile.EDITION} Annex E"
MODIFIED = {Dates.SHIFT: "MODIFIED", Dates.KEEP: "UNMODIFIED", Dates.REMOVE: "REMOVED"}
WORD_SIZES = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}


@dataclass(frozen=True, slots=True)
class Passed:
    """A file that may be written. ``place``: study, series and instance by new UIDs, whatever the old ones were."""

    data: bytes
    books: FieldBooks
    place: tuple[str, str, str]
    patient: str
    blanked: int


def deidentify_dicom(path_in: Path, path_out: Path, *, key: Key, options: DicomOptions) -> FieldBooks:
    """Write what may pass of one file, whole or not at all, and say what became of each attribute.

    Raises ImageRefused (SAL-186) where it cannot be judged; nothing is written then.
    """
    passed = pass_image(path_in.read_bytes(), key=key, options=options)
    write_whole(path_out, passed.data)
    return passed.books


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its place, then put it there."""
    partial = path.with_name(f".{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def pass_image(data: bytes, *, key: Key, options: DicomOptions) -> Passed:
    """What may pass of a file's bytes. Raises ImageRefused (SAL-186)."""
    with quietly() as said:
        try:
            return _passed(open_image(data, said), key, options)
        except RecursionError:
            raise refuse(Refusal.TOO_DEEP) from None
        except BREAKAGES:
            raise refuse(Refusal.BROKEN) from None


def _passed(image: FileDataset, key: Key, options: DicomOptions) -> Passed:
    number = options.patient.number(text_of(image, PATIENT_ID), text_of(image, STUDY))
    if number is None:
        raise refuse(Refusal.NOBODY)
    books, old = FieldBooks(), [text_of(image, tag) for tag in (STUDY, SERIES, INSTANCE)]
    pixels = clean_pixels(image, options.pixels)
    _little_endian(image)
    HeaderPass(key, options, _shift(key, number, options), told_by(image), books).treat(image)
    had_pixels = any(tag.group == 0x7FE0 for tag in image.keys())  # noqa: SIM118 -- see headers
    put_pixels(image, pixels)
    if had_pixels:
        scrubbed = Fate.SCRUBBED if pixels and pixels.blanked else Fate.KEPT
        books.add("PixelData", scrubbed if pixels else Fate.REMOVED)
    patient = key.pseudonym("Patient", number)
    _mark(image, patient, options, is_clean=pixels is not None)
    place = tuple(key.uid(uid) for uid in old)
    return Passed(_file(image), books, place, patient, pixels.blanked if pixels else 0)  # type: ignore[arg-type]


def _shift(key: Key, number: str, options: DicomOptions) -> timedelta | None:
    if options.dates is not Dates.SHIFT:
        return None
    return key.date_shift(number, most_days=options.most_days, keep_weekday=options.keep_weekday)


def _mark(image: FileDataset, patient: str, options: DicomOptions, *, is_clean: bool) -> None:
    """Say in the file what was done to it, as PS3.15 E.1.1 and PS3.3 C.7.1.1 ask."""
    put(image, PATIENT_ID, "LO", patient)
    put(image, 0x00120062, "CS", "YES")
    put(image, 0x00120063, "LO", METHOD)
    methods = [_code(code, meaning) for code, meaning in options.methods]
    image[0x00120064] = DataElement(0x00120064, "SQ", Sequence(methods))
    put(image, 0x00280303, "CS", MODIFIED[options.dates])
    if is_clean:
        put(image, BURNT_IN, "CS", "NO")


def _code(code: str, meaning: str) -> Dataset:
    item = Dataset()
    put(item, 0x00080100, "SH", code)
    put(item, 0x00080102, "SH", "DCM")
    put(item, 0x00080104, "LO", meaning[:64])
    return item


def _little_endian(image: FileDataset) -> None:
    """Turn words of a big-endian file round that pydicom leaves as they are."""
    if image.original_encoding[1] is not False:
        return
    for tag in profile.BULK & set(image.keys()):
        element = image[tag]
        size = WORD_SIZES.get(element.VR, 1)
        if size > 1 and isinstance(element.value, bytes) and len(element.value) % size == 0:
            element.value = np.frombuffer(element.value, f"u{size}").byteswap().tobytes()


def _file(image: FileDataset) -> bytes:
    """A file with a head of ours: nothing of the old one's is kept, least of all its first 128 bytes."""
    implicit = transfer_syntax(image) == ImplicitVRLittleEndian or image.original_encoding == (True, True)
    syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    image.file_meta, image.preamble = FileMetaDataset(), BLANK_PREAMBLE
    image.file_meta.MediaStorageSOPClassUID = UID(text_of(image, 0x00080016))
    image.file_meta.MediaStorageSOPInstanceUID = UID(text_of(image, INSTANCE))
    image.file_meta.TransferSyntaxUID = syntax
    image.file_meta.ImplementationClassUID = UID(IMPLEMENTATION)
    image.file_meta.ImplementationVersionName = VERSION_NAME
    told = BytesIO()
    pydicom.dcmwrite(told, image, enforce_file_format=True)
    return told.getvalue()

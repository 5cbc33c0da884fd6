"""Opening a DICOM file that may be broken or hostile: whole, of a known kind, and without a word in any log."""

from __future__ import annotations

import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import pydicom
from pydicom import config
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.uid import DeflatedExplicitVRLittleEndian

from salus.deidentify.dicom.refusal import Refusal, refuse

MOST_BYTES = 2 << 30
PREFIX_AT, PREFIX = 128, b"DICM"
UNDEFINED = 0xFFFFFFFF
STORAGE = "1.2.840.10008.5.1.4.1.1."
INDEX_CLASS = "1.2.840.10008.1.3.10"
OF_WORDS = ("88.", "104.", "11.")
"""Structured reports, encapsulated documents, presentation states: what they hold is words."""
SOP_CLASS, SOP_INSTANCE = 0x00080016, 0x00080018
BREAKAGES = (
    BytesLengthException,
    InvalidDicomError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    NotImplementedError,
    AssertionError,
    EOFError,
    OSError,
    OverflowError,
    struct.error,
    zlib.error,
)
"""What pydicom raises over files that break the rules. What it says may hold values, so it is never passed on."""


@contextmanager
def quietly() -> Iterator[list[warnings.WarningMessage]]:
    """Have pydicom take values as they are and say nothing: its warnings repeat what a patient's file says."""
    logger = logging.getLogger("pydicom")
    was = (config.settings.reading_validation_mode, config.settings.writing_validation_mode, logger.disabled)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        config.settings.reading_validation_mode = config.settings.writing_validation_mode = config.IGNORE
        logger.disabled = True
        try:
            yield said
        finally:
            config.settings.reading_validation_mode, config.settings.writing_validation_mode = was[:2]
            logger.disabled = was[2]


def open_image(data: bytes, said: list[warnings.WarningMessage]) -> FileDataset:
    """A data set whose kind may pass. Raises ImageRefused (SAL-186)."""
    if len(data) > MOST_BYTES:
        raise refuse(Refusal.TOO_LARGE)
    has_prefix = data[PREFIX_AT : PREFIX_AT + len(PREFIX)] == PREFIX
    try:
        _check_inflated(data, has_prefix)
        image = pydicom.dcmread(BytesIO(data), force=not has_prefix)
    except RecursionError:
        raise refuse(Refusal.TOO_DEEP) from None
    except BREAKAGES:
        raise refuse(Refusal.BROKEN if has_prefix else Refusal.NOT_DICOM) from None
    if any("nd of file" in str(one.message) or "EOF" in str(one.message) for one in said):
        raise refuse(Refusal.CUT_SHORT)
    _check_kind(image, has_prefix)
    _check_whole(image, data)
    return image


def text_of(image: pydicom.Dataset, tag: int) -> str:
    """A value as text without padding, unread by anything else; empty where there is none."""
    if tag not in image:
        return ""
    value = image.get_item(tag).value
    if isinstance(value, bytes):
        return value.decode("latin-1").strip("\0 ")
    return "\\".join(map(str, value)) if isinstance(value, list | MultiValue) else str(value or "").strip()


def transfer_syntax(image: FileDataset) -> str:
    """How the file was encoded; empty where it does not say."""
    return str(getattr(image.file_meta, "TransferSyntaxUID", "") or "")


def _check_kind(image: FileDataset, has_prefix: bool) -> None:
    kind = text_of(image, SOP_CLASS) or str(getattr(image.file_meta, "MediaStorageSOPClassUID", ""))
    if kind == INDEX_CLASS:
        raise refuse(Refusal.INDEX)
    if not kind or not text_of(image, SOP_INSTANCE):
        raise refuse(Refusal.BROKEN if has_prefix else Refusal.NOT_DICOM)
    if not kind.startswith(STORAGE):
        raise refuse(Refusal.KIND_UNKNOWN)
    if kind.removeprefix(STORAGE).startswith(OF_WORDS):
        raise refuse(Refusal.WORDS)


def _check_whole(image: FileDataset, data: bytes) -> None:
    """Refuse a value shorter than its length says, and a file that ends inside the head of an element."""
    end = 0
    for tag in image.keys():  # noqa: SIM118 -- a data set iterates over elements and would read them all
        element = image.get_item(tag)
        if not isinstance(element, RawDataElement) or element.length == UNDEFINED:
            end = len(data)
            continue
        if len(element.value or b"") != element.length:
            raise refuse(Refusal.CUT_SHORT)
        end = element.value_tell + element.length
    if end < len(data) and transfer_syntax(image) != DeflatedExplicitVRLittleEndian:
        raise refuse(Refusal.CUT_SHORT)


def _check_inflated(data: bytes, has_prefix: bool) -> None:
    """Refuse a deflated file that would fill the memory."""
    if not has_prefix:
        return
    stream = BytesIO(data)
    stream.seek(PREFIX_AT + len(PREFIX))
    meta = pydicom.filereader._read_file_meta_info(stream)
    if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        unpacking = zlib.decompressobj(-zlib.MAX_WBITS)
        unpacking.decompress(data[stream.tell() :], MOST_BYTES)
        if unpacking.unconsumed_tail:
            raise refuse(Refusal.TOO_LARGE)

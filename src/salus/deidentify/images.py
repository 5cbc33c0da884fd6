"""The door to DICOM: what lies behind it needs the optional extra ``dicom``, and is loaded when somebody comes."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

from salus.deidentify.dicom.books import ImageBooks
from salus.deidentify.dicom.options import DicomOptions
from salus.deidentify.key import Key
from salus.errors import DriverMissing
from salus.progress import QUIET, Progress


def deidentify_images(
    source: Path, to: Path, *, key: Key, options: DicomOptions, progress: Progress = QUIET
) -> ImageBooks:
    """Write what may pass of a folder, a ZIP file or one file of DICOM into the new folder ``to``, with its books.

    Raises DriverMissing (SAL-112), ImagesTaken (SAL-188) or InputMissing (SAL-104) before anything is read.
    """
    books: ImageBooks = _folder().deidentify_folder(source, to, key=key, options=options, progress=progress)
    return books


def pass_images(
    source: Path, to: Path, *, key: Key, options: DicomOptions, advance: Callable[[float], None]
) -> ImageBooks:
    """The same into a folder that somebody else makes whole. Raises DriverMissing (SAL-112)."""
    books: ImageBooks = _folder().pass_folder(source, to, key=key, options=options, advance=advance)
    return books


def shown_header(path: Path) -> str:
    """What stands in the header of a written image, a line an attribute, for eyes. Raises DriverMissing (SAL-112)."""
    shown: str = _folder().shown_header(path)
    return shown


def _folder() -> ModuleType:
    try:
        return import_module("salus.deidentify.dicom.folder")
    except ModuleNotFoundError as missing:
        raise DriverMissing(
            f"DICOM is read by a package that is not installed: {missing.name}",
            where="de-identification of images",
            fix="pip install 'salus[dicom]'",
        ) from None

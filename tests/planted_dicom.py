"""What the tests of DICOM share: a key, and small images made from nothing."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from salus.deidentify.key import Key

KEY = Key(b"0123456789abcdef")
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def small_image(pixels: NDArray[np.generic] | None = None, **said: object) -> FileDataset:
    """A secondary capture of one frame, with what else is said of it."""
    image = FileDataset("", {}, file_meta=FileMetaDataset(), preamble=b"\0" * 128)
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID, image.SOPInstanceUID = SECONDARY_CAPTURE, "1.2.3.4"
    image.StudyInstanceUID, image.SeriesInstanceUID = "1.2.3", "1.2.3.1"
    image.PatientName, image.PatientID, image.Modality = "Roe^Mia", "7-of-Ash", "OT"
    if pixels is not None:
        image.Rows, image.Columns = pixels.shape[:2]
        image.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
        image.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
        image.BitsAllocated = image.BitsStored = 8 * pixels.dtype.itemsize
        image.HighBit, image.PixelRepresentation = image.BitsAllocated - 1, 0
        if pixels.ndim == 3:
            image.PlanarConfiguration = 0
        image.PixelData = pixels.tobytes()
    for keyword, value in said.items():
        setattr(image, keyword, value)
    return image


def as_bytes(image: FileDataset) -> bytes:
    """A file of it."""
    told = BytesIO()
    pydicom.dcmwrite(told, image, enforce_file_format=True)
    return told.getvalue()


def read(data: bytes) -> FileDataset:
    """The image in a file."""
    return pydicom.dcmread(BytesIO(data))


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }

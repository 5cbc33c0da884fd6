"""Pixels: decoded or refused, blanked outside an ultrasound's regions and where text is, and written uncompressed.

Compressed streams are always decoded and written plain: their own headers may hold comments. Bits above those that an
image uses are cleared, for old overlays were drawn into them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.sequence import Sequence
from pydicom.uid import UID

from salus.deidentify.dicom.burnt_text import Box, find_text
from salus.deidentify.dicom.colours import Colours, colours_of
from salus.deidentify.dicom.opening import BREAKAGES, STORAGE, text_of, transfer_syntax
from salus.deidentify.dicom.options import Pixels
from salus.deidentify.dicom.refusal import Refusal, refuse

PIXEL_DATA, OTHER_PIXELS = 0x7FE00010, (0x7FE00008, 0x7FE00009)
PIXEL_GROUP = 0x7FE0
MOST_PIXEL_BYTES = 1 << 30
LOOKS = 2
"""How often an image is looked at: whole, for a region's edge may cut a word, and after blanking."""
SUSPECT_CLASSES = ("7", "6.", "3.", "77.1.", "12.", "5", "20")
SUSPECT_MODALITIES = frozenset(
    {"US", "IVUS", "ES", "XC", "OT", "DOC", "GM", "XA", "RF", "BDUS", "OP", "ECG", "SC"}
)


@dataclass(frozen=True, slots=True)
class Clean:
    """Pixels that may pass, with the attributes that say how to read them. ``blanked``: pixels made blank."""

    data: bytes
    vr: str
    described: dict[str, object]
    blanked: int


def clean_pixels(image: FileDataset, how: Pixels) -> Clean | None:
    """Pixels without what looks like text; None where none are or may pass. Raises ImageRefused (SAL-186)."""
    if how is Pixels.DROP or not has_pixels(image):
        return None
    if any(tag in image for tag in OTHER_PIXELS):
        raise refuse(Refusal.PIXELS_UNKNOWN)
    if how is Pixels.REFUSE_SUSPECT and is_suspect(image):
        raise refuse(Refusal.SUSPECT)
    frames, described = _decoded(image)
    colours = colours_of(image, str(described["PhotometricInterpretation"]))
    blanked = _blank_text(frames, _outside_regions(image, frames.shape[1:3]), colours)
    return _written(frames, described, blanked)


def has_pixels(image: Dataset) -> bool:
    """Whether a file has pixels of any form."""
    return any(tag in image for tag in (PIXEL_DATA, *OTHER_PIXELS))


def is_suspect(image: Dataset) -> bool:
    """Whether images of this kind often carry text: what the file says of itself, its kind, how it was made."""
    kind = text_of(image, 0x00080016).removeprefix(STORAGE)
    return (
        text_of(image, 0x00280301) != "NO"
        and (
            text_of(image, 0x00280301) == "YES"
            or kind.startswith(SUSPECT_CLASSES)
            or text_of(image, 0x00080060) in SUSPECT_MODALITIES
            or 0x00080064 in image
            or "SCREEN" in text_of(image, 0x00080008)
        )
    )  # fmt: skip


def _decoded(image: FileDataset) -> tuple[NDArray[np.generic], dict[str, object]]:
    """Frames, rows, columns and samples as they are stored, and how they are to be read."""
    syntax = UID(transfer_syntax(image))
    _check_size(image)
    is_plain = not syntax.is_encapsulated
    colour = str(image.get("PhotometricInterpretation", ""))
    raw = is_plain and colour != "YBR_FULL_422"
    if not is_plain and not get_decoder(syntax).is_available:
        raise refuse(Refusal.NO_DECODER)
    try:
        frames, how = get_decoder(syntax).as_array(image, raw=raw)
    except (*BREAKAGES, MemoryError):
        raise refuse(Refusal.CUT_SHORT if is_plain else Refusal.BROKEN) from None
    except RuntimeError:
        raise refuse(Refusal.NO_DECODER) from None
    samples, count = int(image.SamplesPerPixel), int(image.get("NumberOfFrames") or 1)
    shaped = frames.reshape(count, int(image.Rows), int(image.Columns), samples)
    described = {
        "PhotometricInterpretation": colour if raw else str(how["photometric_interpretation"]),
        "BitsAllocated": 8 * frames.dtype.itemsize,
    }
    if samples > 1:
        described["PlanarConfiguration"] = 0
    return _used_bits(image, np.array(shaped)), described


def _check_size(image: FileDataset) -> None:
    try:
        bits = int(image.BitsAllocated)
        pixels = int(image.Rows) * int(image.Columns) * int(image.SamplesPerPixel)
        size = pixels * int(image.get("NumberOfFrames") or 1) * bits // 8
    except BREAKAGES:
        raise refuse(Refusal.BROKEN) from None
    if size > MOST_PIXEL_BYTES:
        raise refuse(Refusal.TOO_LARGE)
    if bits not in (8, 16, 32) or size <= 0:
        raise refuse(Refusal.PIXELS_UNKNOWN)


def _used_bits(image: FileDataset, frames: NDArray[np.generic]) -> NDArray[np.generic]:
    """Clear the bits that the image does not use; a negative number keeps its sign."""
    allocated, stored = 8 * frames.dtype.itemsize, int(image.get("BitsStored") or 0)
    if not 0 < stored < allocated or int(image.get("HighBit", stored - 1)) != stored - 1:
        return frames
    unused = allocated - stored
    kept: NDArray[np.generic] = np.right_shift(np.left_shift(frames, unused), unused).astype(frames.dtype)
    return kept


def _outside_regions(image: FileDataset, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Where an ultrasound says its image is not; nowhere without such words."""
    hidden = np.zeros(shape, dtype=bool)
    regions = image.get("SequenceOfUltrasoundRegions")
    if not isinstance(regions, Sequence) or not len(regions):
        return hidden
    shown = np.zeros(shape, dtype=bool)
    for region in regions:
        try:
            top, bottom = int(region.RegionLocationMinY0), int(region.RegionLocationMaxY1)
            left, right = int(region.RegionLocationMinX0), int(region.RegionLocationMaxX1)
        except BREAKAGES:
            continue
        shown[max(0, top) : bottom + 1, max(0, left) : right + 1] = True
    return ~shown if shown.any() else hidden


def _blank_text(frames: NDArray[np.generic], hidden: NDArray[np.bool_], colours: Colours) -> int:
    """Blank in place what is hidden in all frames and what looks like text in any; how many pixels of a frame went."""
    blank, gone = colours.blank(frames), hidden.copy()
    looked_at: Iterable[int] = range(len(frames))
    for _ in range(LOOKS):
        found = {number: _boxes(colours, frames[number]) for number in looked_at}
        looked_at = [number for number, boxes in found.items() if boxes]
        for top, left, bottom, right in (box for boxes in found.values() for box in boxes):
            gone[top:bottom, left:right] = True
        frames[:, gone] = blank
    return int(gone.sum())


def _boxes(colours: Colours, frame: NDArray[np.generic]) -> list[Box]:
    return [box for grey in colours.greys(frame) for box in find_text(grey)]


def _written(frames: NDArray[np.generic], described: dict[str, object], blanked: int) -> Clean:
    little = np.ascontiguousarray(frames, dtype=frames.dtype.newbyteorder("<")).tobytes()
    vr = "OB" if frames.dtype.itemsize == 1 else "OW"
    return Clean(little + b"\0" * (len(little) % 2), vr, described, blanked)


def put_pixels(image: FileDataset, clean: Clean | None) -> None:
    """Replace whatever pixels a file has, and what hangs on how they were compressed."""
    for tag in [tag for tag in image.keys() if tag.group == PIXEL_GROUP]:  # noqa: SIM118 -- see headers
        del image[tag]
    if clean is None:
        return
    for keyword, value in clean.described.items():
        setattr(image, keyword, value)
    image[PIXEL_DATA] = DataElement(PIXEL_DATA, clean.vr, clean.data)

"""What stored pixels look like: their brightness, for who looks for text, and which value is blank."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from salus.deidentify.dicom.opening import BREAKAGES

Frame = NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class Colours:
    """How pixels are to be read. ``palette``: red, green and blue of each colour number from ``first`` on."""

    name: str
    palette: NDArray[np.float32] | None = None
    first: int = 0

    def greys(self, frame: Frame) -> Iterator[Frame]:
        """One or two grey images in which text of any colour stands out."""
        seen = self._shown(frame)
        if seen.shape[2] != 3:
            yield seen[..., 0]
        elif self.name.startswith("YBR"):
            yield seen[..., 0]
            if (seen[..., 1:] != seen[0, 0, 1:]).any():
                yield seen[..., 1:].max(axis=2)
        else:
            red, green, blue = (seen[..., place].astype(np.float32) for place in range(3))
            yield red + green + blue
            if not (np.array_equal(red, green) and np.array_equal(red, blue)):
                yield np.maximum(np.maximum(red, green), blue)

    def blank(self, frames: Frame) -> Frame:
        """The value of a blank pixel: black where that can be said, else what is darkest."""
        samples = frames.shape[3]
        if self.name.startswith("YBR") and samples == 3:
            return np.array((0, 128, 128), dtype=frames.dtype)
        if samples == 3:
            return np.zeros(3, dtype=frames.dtype)
        if self.palette is not None:
            used = np.unique(frames)
            darkest = used[int(np.argmin(self._looked_up(used).sum(axis=-1)))]
        else:
            darkest = frames.max() if self.name == "MONOCHROME1" else frames.min()
        return np.full(samples, darkest, dtype=frames.dtype)

    def _shown(self, frame: Frame) -> Frame:
        return frame if self.palette is None else self._looked_up(frame[..., 0])

    def _looked_up(self, numbers: Frame) -> NDArray[np.float32]:
        assert self.palette is not None
        places = np.clip(numbers.astype(np.int64) - self.first, 0, len(self.palette) - 1)
        found: NDArray[np.float32] = self.palette[places]
        return found


def colours_of(image: Dataset, name: str) -> Colours:
    """How an image's pixels are to be read; a palette that cannot be read is taken for shades of grey."""
    if name != "PALETTE COLOR":
        return Colours(name)
    try:
        first, bits = (int(image.RedPaletteColorLookupTableDescriptor[place]) for place in (1, 2))
        tables = [
            np.frombuffer(
                image[f"{one}PaletteColorLookupTableData"].value, np.dtype("<u2" if bits > 8 else "u1")
            )
            for one in ("Red", "Green", "Blue")
        ]
        size = min(map(len, tables))
        palette = np.stack([table[:size] for table in tables], axis=-1).astype(np.float32)
    except BREAKAGES:
        return Colours(name)
    return Colours(name, palette, first) if size else Colours(name)

"""Finding text burnt into an image: rows of small shapes of one ink, thinner than a finger and of one height.

No word is read. A glyph is a connected shape of strokes that stand out from what lies behind them; a row is three or more
of them side by side, alike in height and in ink. Missed are: one or two letters alone (a marker "L"), letters higher than
a fifth of the image or lower than five pixels, handwriting that joins up, text turned by more than a few degrees, and text
hardly brighter than what is behind it. What looks like a row of glyphs and is none is blanked too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Image = NDArray[np.float32]
Box = tuple[int, int, int, int]
"""First row, first column, row after the last, column after the last."""

SMALLEST_SIDE = 12
LOWEST, HIGHEST_SHARE, MOST_HIGH = 5, 0.2, 96
STROKES = (9, 25)
"""Sides of the squares that a stroke must not fill: fine and coarse letters."""
CONTRAST = 0.22
INK_APART = 0.12
MOST_SHAPES = 3_000
FEWEST_GLYPHS = 3
WIDEST = 14.0
"""A shape so many times wider than high is no word but a line."""


@dataclass(frozen=True, slots=True)
class Shapes:
    """Connected shapes: their boxes, how full they are, and how bright their ink."""

    top: NDArray[np.int64]
    left: NDArray[np.int64]
    bottom: NDArray[np.int64]
    right: NDArray[np.int64]
    ink: NDArray[np.float64]

    @property
    def height(self) -> NDArray[np.int64]:
        """How high each is, in pixels."""
        return self.bottom - self.top

    @property
    def width(self) -> NDArray[np.int64]:
        """How wide each is, in pixels."""
        return self.right - self.left

    def only(self, which: NDArray[np.bool_]) -> Shapes:
        """Some of them."""
        return Shapes(
            self.top[which], self.left[which], self.bottom[which], self.right[which], self.ink[which]
        )


def find_text(image: NDArray[np.generic]) -> list[Box]:
    """Boxes around what looks like rows of text in one grey image, bright on dark and dark on bright."""
    if min(image.shape) < SMALLEST_SIDE:
        return []
    grey = _scaled(image)
    if grey is None:
        return []
    boxes = []
    for seen in (grey, 1.0 - grey):
        for side in STROKES:
            if side < min(image.shape):
                boxes += _rows(_shapes(seen, side))
    return boxes


def _scaled(image: NDArray[np.generic]) -> Image | None:
    """Grey values from 0 to 1, blind to a few stray pixels; None where all are alike."""
    grey = image.astype(np.float32)
    if not np.isfinite(grey).all():
        grey = np.nan_to_num(grey)
    low, high = np.percentile(grey[:: max(1, grey.shape[0] // 256)], (0.1, 99.9))
    if high <= low:
        low, high = grey.min(), grey.max()
    if high <= low:
        return None
    scaled: Image = np.clip((grey - low) / (high - low), 0, 1)
    return scaled


def _shapes(grey: Image, side: int) -> Shapes:
    """Shapes of strokes thinner than ``side`` that stand out."""
    behind = ndimage.maximum_filter(ndimage.minimum_filter(grey, side), side)
    stands_out = grey - behind > CONTRAST
    labels, number = ndimage.label(stands_out, structure=np.ones((3, 3), dtype=bool))
    found = ndimage.find_objects(labels)
    spans = np.array([(s[0].start, s[1].start, s[0].stop, s[1].stop) for s in found], dtype=np.int64)
    if not number:
        return Shapes(*(np.empty(0, dtype=np.int64),) * 4, np.empty(0))
    top, left, bottom, right = spans.T
    height, width = bottom - top, right - left
    highest = min(MOST_HIGH, HIGHEST_SHARE * min(grey.shape) + LOWEST)
    fits = (height >= LOWEST) & (height <= highest) & (width <= WIDEST * height)
    order = np.flatnonzero(fits)[:MOST_SHAPES]
    ink = np.asarray(ndimage.maximum(grey, labels, order + 1), dtype=np.float64) if len(order) else np.empty(0)
    area = np.asarray(ndimage.sum_labels(stands_out, labels, order + 1)) if len(order) else np.empty(0)
    shapes = Shapes(top[order], left[order], bottom[order], right[order], ink)
    fullness = area / np.maximum(shapes.height * shapes.width, 1)
    return shapes.only((fullness > 0.12) & ((fullness < 0.9) | (shapes.width < 0.5 * shapes.height)))


def _rows(shapes: Shapes) -> list[Box]:
    """Boxes around rows of enough glyphs."""
    if not len(shapes.top):
        return []
    beside = _beside(shapes)
    first, second = np.nonzero(beside)
    links = coo_array((np.ones(len(first)), (first, second)), shape=beside.shape)
    number, row_of = connected_components(links, directed=False)
    glyphs = np.maximum(1, np.round(shapes.width / np.maximum(0.8 * shapes.height, 1)))
    boxes = []
    for row in np.flatnonzero(np.bincount(row_of, weights=glyphs, minlength=number) >= FEWEST_GLYPHS):
        members = shapes.only(row_of == row)
        if len(members.top) == 1 and not _is_joined_word(members):
            continue
        margin = int(max(2, members.height.max() // 2))
        boxes.append(
            (
                max(0, int(members.top.min()) - margin),
                max(0, int(members.left.min()) - margin),
                int(members.bottom.max()) + margin,
                int(members.right.max()) + margin,
            )
        )
    return boxes


def _is_joined_word(one: Shapes) -> bool:
    """Whether a single wide shape may be letters that touch."""
    return bool(one.width[0] >= 2.4 * one.height[0] and one.height[0] >= LOWEST + 1)


def _beside(shapes: Shapes) -> NDArray[np.bool_]:
    """Which shapes stand side by side, alike in height and ink."""
    top, bottom = shapes.top[:, None], shapes.bottom[:, None]
    shared = np.minimum(bottom, bottom.T) - np.maximum(top, top.T)
    lower = np.minimum(shapes.height[:, None], shapes.height[None])
    higher = np.maximum(shapes.height[:, None], shapes.height[None])
    gap = np.maximum(shapes.left[:, None], shapes.left[None]) - np.minimum(
        shapes.right[:, None], shapes.right[None]
    )
    same_ink = np.abs(shapes.ink[:, None] - shapes.ink[None]) < INK_APART
    on_line = (np.abs(bottom - bottom.T) <= 0.3 * higher) | (np.abs(top - top.T) <= 0.3 * higher)
    near: NDArray[np.bool_] = (
        (shared >= 0.6 * lower) & (higher <= 2.0 * lower) & (gap <= 1.3 * higher) & (gap > -lower) & on_line
    )
    return near & same_ink

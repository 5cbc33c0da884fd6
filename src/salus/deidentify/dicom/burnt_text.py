"""Finding text burnt into an image: rows of small shapes of one ink, thinner than a finger and of one height.

No word is read. A glyph is a connected shape of strokes that stand out from what lies behind them; a row is three or
more of them side by side, alike in height and in ink. Missed are: one or two letters alone (a marker "L"), letters
higher than a fifth of the image or lower than five pixels, handwriting that joins up, text turned by more than a few
degrees, and text hardly brighter than what is behind it. What looks like a row of glyphs and is none is blanked too.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Image = NDArray[np.uint8]
Box = tuple[int, int, int, int]
"""First row, first column, row after the last, column after the last."""

SMALLEST_SIDE = 12
LOWEST, HIGHEST_SHARE, MOST_HIGH = 5, 0.2, 96
STROKE = 9
"""The side of the square that a stroke must not fill."""
COARSENESS, COARSE_FROM = (1, 3), 160
"""Coarse letters are looked for in the image made smaller; in a small image there is no room for them."""
WHITE = 255
EDGES, CONTRAST, FAINT = (51, 140), 92, 140
"""Of 255 shades of grey: where a stroke begins (the higher one parts letters from the anatomy that they touch), how far
the ink of a row stands out, and below what it is faint."""
INK_APART, INK_SPREAD = 30, 18
MOST_SHAPES = 3_000
FEWEST_GLYPHS, FEWEST_FAINT, FEWEST_STROKES = 3, 5, 2.5
CROOKED, JOINED = 0.18, 2.4
"""By how much of their height glyphs of a row may lie askew; how much wider than high a shape of several letters is."""
WIDEST = 14.0
"""A shape so many times wider than high is no word but a line."""


@dataclass(frozen=True, slots=True)
class Shapes:
    """Connected shapes: their boxes, how bright their ink is, and how far it stands out."""

    top: NDArray[np.int64]
    left: NDArray[np.int64]
    bottom: NDArray[np.int64]
    right: NDArray[np.int64]
    ink: NDArray[np.int64]
    contrast: NDArray[np.int64]

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
        return Shapes(*(getattr(self, each.name)[which] for each in fields(self)))


NO_SHAPES = Shapes(*(np.empty(0, dtype=np.int64),) * 6)


def find_text(image: NDArray[np.generic]) -> list[Box]:
    """Boxes around what looks like rows of text in one grey image, bright on dark and dark on bright."""
    if min(image.shape) < SMALLEST_SIDE:
        return []
    grey = _scaled(image)
    if grey is None:
        return []
    boxes = []
    for seen in (grey, WHITE - grey):
        for times in COARSENESS:
            small = _smaller(seen, times)
            if times == 1 or min(grey.shape) >= COARSE_FROM:
                above = small - _spread(_spread(small, np.minimum), np.maximum)
                for edge in EDGES:
                    boxes += [_larger(box, times) for box in _rows(_shapes(small, above, edge))]
    return boxes


def _smaller(grey: Image, times: int) -> Image:
    """The brightest of each square."""
    if times == 1:
        return grey
    rows, columns = (side - side % times for side in grey.shape)
    squares = grey[:rows, :columns].reshape(rows // times, times, columns // times, times)
    brightest: Image = squares.max(axis=(1, 3))
    return brightest


def _larger(box: Box, times: int) -> Box:
    top, left, bottom, right = (times * edge for edge in box)
    return top, left, bottom, right


def _scaled(image: NDArray[np.generic]) -> Image | None:
    """Shades of grey, blind to a few stray pixels; None where all are alike."""
    grey = image.astype(np.float32)
    low, high = np.percentile(grey[:: max(1, grey.shape[0] // 128)], (0.1, 99.9))
    if high <= low:
        low, high = grey.min(), grey.max()
    if high <= low:
        return None
    scaled: Image = np.clip((grey - low) * (WHITE / (high - low)), 0, WHITE).astype(np.uint8)
    return scaled


def _spread(grey: Image, extreme: np.ufunc) -> Image:
    """The least or greatest value in the square around each pixel, by rows, then columns, in steps that double.

    >>> _spread(np.array([[0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0]], dtype=np.uint8), np.maximum)
    array([[0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 0]], dtype=uint8)
    """
    for axis in (0, 1):
        edge = [(STROKE // 2,) * 2 if axis == each else (0, 0) for each in (0, 1)]
        line, reach = np.moveaxis(np.pad(grey, edge, mode="edge"), axis, 0), 1
        while reach < STROKE:
            step = min(reach, STROKE - reach)
            line, reach = extreme(line[:-step], line[step:]), reach + step
        grey = np.moveaxis(line, 0, axis)
    return grey


def _shapes(grey: Image, above: Image, edge: int) -> Shapes:
    """Shapes of thin strokes that stand out by ``edge`` from what is behind."""
    stands_out = above > edge
    labels, number = ndimage.label(stands_out, structure=np.ones((3, 3), dtype=bool))
    if not number:
        return NO_SHAPES
    found = ndimage.find_objects(labels)
    spans = np.array([(s[0].start, s[1].start, s[0].stop, s[1].stop) for s in found], dtype=np.int64)
    top, left, bottom, right = spans.T
    height, width = bottom - top, right - left
    highest = min(MOST_HIGH, HIGHEST_SHARE * min(grey.shape) + LOWEST)
    fits = (height >= LOWEST) & (height <= highest) & (width <= WIDEST * height)
    order = np.flatnonzero(fits)[:MOST_SHAPES]
    if not len(order):
        return NO_SHAPES
    of_shape = labels[stands_out] - 1
    area = np.bincount(of_shape, minlength=number)
    begins, sorting = np.concatenate(([0], np.cumsum(area)[:-1])), np.argsort(of_shape, kind="stable")
    ink, contrast = (
        np.maximum.reduceat(values[stands_out][sorting], begins)[order].astype(np.int64)
        for values in (grey, above)
    )
    shapes = Shapes(top[order], left[order], bottom[order], right[order], ink, contrast)
    fullness = area[order] / np.maximum(shapes.height * shapes.width, 1)
    is_full = (fullness > 0.12) & ((fullness < 0.9) | (shapes.width < 0.5 * shapes.height))
    crossed = [
        width < JOINED * height or _strokes(labels[found[index]] == index + 1) >= FEWEST_STROKES
        for index, height, width in zip(order, shapes.height, shapes.width, strict=True)
    ]
    return shapes.only(is_full & np.array(crossed))


def _strokes(shape: NDArray[np.bool_]) -> float:
    """How many strokes a level line through a shape meets in the mean: a bar one, letters that touch many."""
    begins = shape & ~np.pad(shape, ((0, 0), (1, 0)))[:, :-1]
    return float(begins.sum(axis=1).mean())


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
        if not _is_text(members):
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


def _is_text(row: Shapes) -> bool:
    """Whether shapes in a row are of one ink that stands out enough; faint ones must be more."""
    middle = (len(row.top) - 1) // 2
    contrast = int(np.sort(row.contrast)[middle])
    if contrast < CONTRAST or (contrast < FAINT and len(row.top) < FEWEST_FAINT):
        return False
    if len(row.top) == 1:
        return bool(row.width[0] >= JOINED * row.height[0])
    inks, quarter = np.sort(row.ink), len(row.top) // 4
    if inks[-1 - quarter] - inks[quarter] > INK_SPREAD:
        return False
    return bool(min(row.top.std(), row.bottom.std()) <= CROOKED * np.sort(row.height)[middle])


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
    near &= same_ink
    return near

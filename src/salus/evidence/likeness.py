"""How alike two sketched populations are, part by part: each score lies between 0 and 1, and 1 is the same.

| part | what is compared | score |
| --- | --- | --- |
| marginals: share | share of patients with each code | mean over codes of the smaller / the larger |
| marginals: rows | rows a patient of each code | the same |
| marginals: values | values of each code in the real deciles | mean over codes of 1 - total variation |
| periods: rates | rows a patient of each code in 8 periods of follow-up | mean over codes of overlap |
| dependence: codes | correlation of having one code with having another | overlap |
| dependence: values | rank correlation of mean values and age with each other and with having a code | overlap |
| dependence: successive | rank correlation of one value with the next of the same code and patient | overlap |
| counts: moments, facts | moments and rows a patient in the real deciles | 1 - total variation |
| missingness: moments | share of moments at which each code is recorded | smaller / larger, mean over codes |
| missingness: waits | hours between moments in the real deciles | 1 - total variation |

Overlap of two rows of numbers a and b is 1 - sum|a - b| / sum(|a| + |b|) (Bray & Curtis 1957), at least 0: independent
columns reach about 0 for dependence. The overall score is the mean of the five parts' means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from salus.evidence.discrimination import Floats
from salus.evidence.sketch import SUMS, Sketch
from salus.evidence.yardstick import Yardstick

PARTS: Mapping[str, tuple[str, ...]] = {
    "marginals": ("share", "rows", "values"),
    "periods": ("rates",),
    "dependence": ("codes", "values", "successive"),
    "counts": ("moments", "facts"),
    "missingness": ("moments", "waits"),
}
MEASURES = tuple(f"{part}: {name}" for part, names in PARTS.items() for name in names)
RARE = 0.02
LEAST_PAIRS = 100
CLEAR = 4.0
"""Standard errors: where no real correlation is this far from nought, there is no relation to reproduce."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boxes:
    """Where the codes' boxes begin, and which pairs of columns are compared."""

    value_starts: NDArray[np.int64]
    periods: int
    columns: NDArray[np.int64]
    code_pairs: NDArray[np.bool_]
    value_pairs: NDArray[np.bool_]
    successive: NDArray[np.int64]


def boxes_of(yardstick: Yardstick, real: Sketch) -> Boxes:
    """Choose the relations that the real patients can show: columns that vary, pairs known together often."""
    codes = len(yardstick.codes)
    widths = [len(cuts) + 1 for cuts in yardstick.cuts]
    kind = np.repeat([0, 1, 2], [codes, codes, 1])
    code = np.concatenate([np.arange(codes), np.arange(codes), [-1]])
    known = np.isfinite(real.columns)
    mean = np.where(known, real.columns, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    varies = np.where(kind == 0, (mean > RARE) & (mean < 1 - RARE), known.sum(axis=0) >= LEAST_PAIRS)
    columns = np.flatnonzero(varies)
    together = known[:, columns].astype(float).T @ known[:, columns].astype(float) >= LEAST_PAIRS
    upper = np.triu(together, 1) & (code[columns][:, None] != code[columns][None])
    both_codes = (kind[columns] == 0)[:, None] & (kind[columns] == 0)[None]
    pairs = real.successive.reshape(real.patients, codes, SUMS)[:, :, 0].sum(axis=0)
    return Boxes(
        value_starts=np.concatenate([[0], np.cumsum(widths)[:-1]]).astype(np.int64),
        periods=len(yardstick.periods) + 1,
        columns=columns,
        code_pairs=upper & both_codes,
        value_pairs=upper & ~both_codes,
        successive=np.flatnonzero(pairs >= LEAST_PAIRS),
    )


def likeness(other: Sketch, real: Sketch, *, boxes: Boxes, weights: Floats | None = None) -> Floats:
    """Score every measure, shape (replicates, measures), once for each row of patient weights of ``other``."""
    drawn = np.ones((1, other.patients)) if weights is None else weights
    once = np.ones((1, real.patients))
    size, real_size = drawn.sum(axis=1, keepdims=True), np.full((1, 1), float(real.patients))
    moments, real_moments = drawn @ other.moments_with, once @ real.moments_with
    scores = {
        "marginals: share": _ratio(drawn @ other.has / size, once @ real.has / real_size),
        "marginals: rows": _ratio(drawn @ other.rows / size, once @ real.rows / real_size),
        "marginals: values": _code_values(
            drawn @ other.values, once @ real.values, starts=boxes.value_starts
        ),
        "periods: rates": _by_code(
            drawn @ other.periods / size, once @ real.periods / real_size, periods=boxes.periods
        ),
        "counts: moments": _same_shape(drawn @ other.moments, once @ real.moments),
        "counts: facts": _same_shape(drawn @ other.facts, once @ real.facts),
        "missingness: moments": _ratio(_shares(moments), _shares(real_moments)),
        "missingness: waits": _same_shape(drawn @ other.waits, once @ real.waits),
    }
    found = _relations(other, boxes, weights=drawn)
    of_real = _relations(real, boxes, weights=once)
    chance = CLEAR / np.sqrt(real.patients)
    for name in PARTS["dependence"]:
        shown = np.abs(of_real[name]).max(initial=0.0) > chance
        alike = overlap(found[name], of_real[name])
        scores[f"dependence: {name}"] = alike if shown else np.full(len(drawn), np.nan)
    return np.column_stack([scores[name] for name in MEASURES])


def part_scores(scores: Floats) -> tuple[Floats, Floats]:
    """Means of each part, shape (replicates, parts), and their mean: the overall score."""
    names = list(PARTS)
    owner = np.array([names.index(measure.split(":")[0]) for measure in MEASURES])
    parts = np.column_stack([_mean_known(scores[:, owner == number]) for number in range(len(names))])
    return parts, _mean_known(parts)


def overlap(one: Floats, other: Floats) -> Floats:
    """1 - sum|a - b| / sum(|a| + |b|) along the last axis; nan where both are empty.

    >>> overlap(np.array([[1.0, 3.0]]), np.array([[3.0, 3.0]])).tolist()
    [0.8]
    """
    whole = np.nansum(np.abs(one) + np.abs(other), axis=-1)
    apart = np.nansum(np.abs(one - other), axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        scores: Floats = np.where(whole > 0, 1 - apart / whole, np.nan)
    return scores


def _ratio(one: Floats, other: Floats) -> Floats:
    """Smaller / larger, averaged over the columns that either has."""
    larger = np.maximum(one, other)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = np.where(larger > 0, np.minimum(one, other) / larger, np.nan)
    return _mean_known(ratios)


def _same_shape(one: Floats, other: Floats) -> Floats:
    """1 - total variation between two distributions given as counts; 0 where the first is empty."""
    shared: Floats = np.minimum(_distribution(one), _distribution(other)).sum(axis=-1)
    return shared


def _code_values(one: Floats, other: Floats, *, starts: NDArray[np.int64]) -> Floats:
    """1 - total variation of each code's values, averaged over codes that have real values."""
    ends = [*starts[1:].tolist(), one.shape[1]]
    spans = list(zip(starts.tolist(), ends, strict=True))
    measured = [(start, end) for start, end in spans if other[:, start:end].sum() > 0]
    scores = [_same_shape(one[:, start:end], other[:, start:end]) for start, end in measured]
    return np.mean(scores, axis=0) if scores else np.full(len(one), np.nan)


def _by_code(one: Floats, other: Floats, *, periods: int) -> Floats:
    return _mean_known(overlap(one.reshape(len(one), -1, periods), other.reshape(len(other), -1, periods)))


def _shares(moments: Floats) -> Floats:
    shares: Floats = moments[:, :-1] / np.maximum(moments[:, -1:], 1)
    return shares


def _distribution(counts: Floats) -> Floats:
    shares: Floats = counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1e-12)
    return shares


def _mean_known(scores: Floats) -> Floats:
    known = np.isfinite(scores)
    total = np.where(known, scores, 0.0).sum(axis=-1)
    with np.errstate(invalid="ignore"):
        means: Floats = total / np.where(known.any(axis=-1), known.sum(axis=-1), np.nan)
    return means


def _relations(population: Sketch, boxes: Boxes, *, weights: Floats) -> dict[str, Floats]:
    """Correlations in each replicate, as rows of pairs."""
    columns = population.columns[:, boxes.columns]
    known = np.isfinite(columns).astype(float)
    filled = np.where(known > 0, columns, 0.0)
    found = [_correlations(filled, known, weights=row) for row in weights]
    sums = (weights @ population.successive).reshape(len(weights), -1, SUMS)[:, boxes.successive]
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        successive = (xy / n - x * y / n**2) / np.sqrt((xx / n - (x / n) ** 2) * (yy / n - (y / n) ** 2))
    return {
        "codes": np.stack([matrix[boxes.code_pairs] for matrix in found]),
        "values": np.stack([matrix[boxes.value_pairs] for matrix in found]),
        "successive": np.where(np.isfinite(successive), successive, 0.0),
    }


def _correlations(filled: Floats, known: Floats, *, weights: Floats) -> Floats:
    """Weighted correlation of every two columns over the patients who have both; 0 where there is none."""
    weighed = filled * weights[:, None]
    pairs = (known * weights[:, None]).T @ known
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (weighed.T @ known) / pairs
        spread = (weighed * filled).T @ known / pairs - mean**2
        shared = weighed.T @ filled / pairs - mean * mean.T
        correlation = shared / np.sqrt(spread * spread.T)
    whole: Floats = np.where(np.isfinite(correlation), correlation, 0.0)
    return whole

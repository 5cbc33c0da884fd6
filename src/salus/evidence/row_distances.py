"""How far apart two patients' rows are: the sum over columns of 0 (same) to 1 (as different as can be) (Gower 1971).

A number's place is its rank in a reference, so that one outlier does not make all others alike. Recorded against
not recorded counts as 1, both not recorded as 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from salus.evidence.discrimination import Floats
from salus.evidence.patient_rows import PatientRows

AT_ONCE = 256
Singles = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Rows ready to be compared: columns down, patients across; ``known`` says what was recorded."""

    place: Singles
    known: NDArray[np.bool_]
    words: NDArray[np.bool_]

    def __len__(self) -> int:
        """How many patients."""
        return int(self.place.shape[1])


def place(rows: PatientRows, reference: PatientRows) -> Placed:
    """Replace each number by its rank in ``reference``, from 0 to 1; words stay."""
    known = np.isfinite(rows.table)
    found = np.zeros(rows.table.shape[::-1], dtype=np.float32)
    for column in range(rows.table.shape[1]):
        values = rows.table[:, column]
        if rows.words[column]:
            found[column] = np.where(known[:, column], values, 0.0)
        else:
            found[column] = np.where(known[:, column], _rank(values, reference.table[:, column]), 0.0)
    return Placed(place=found, known=np.ascontiguousarray(known.T), words=rows.words)


def column_apart(here: Placed, there: Placed, column: int, *, part: slice) -> Singles:
    """Distances in one column, shape (part of ``here``, ``there``)."""
    one, other = here.place[column, part][:, None], there.place[column][None]
    known, also = here.known[column, part][:, None], there.known[column][None]
    differ = ((one != other) & known & also) if here.words[column] else np.abs(one - other)
    apart: Singles = differ.astype(np.float32, copy=False)
    if not (known.all() and also.all()):
        np.maximum(apart, known != also, out=apart)
    return apart


def apart_by_columns(here: Placed, there: Placed, columns: NDArray[np.int64], *, part: slice) -> Singles:
    """Distances over some columns, shape (part of ``here``, ``there``)."""
    rows = len(range(*part.indices(len(here))))
    total = np.zeros((rows, len(there)), dtype=np.float32)
    for column in columns:
        total += column_apart(here, there, int(column), part=part)
    return total


def parts_of(size: int) -> Iterator[slice]:
    """Cut ``size`` rows into parts that fit into memory."""
    return (slice(first, min(first + AT_ONCE, size)) for first in range(0, size, AT_ONCE))


def nearest_apart(here: Placed, there: Placed, *, not_self: bool = False) -> Floats:
    """Distance of each of ``here`` to its nearest of ``there``, as a share of the columns."""
    columns = np.arange(len(here.words))
    found = np.full(len(here), np.nan)
    for part in parts_of(len(here)):
        apart = apart_by_columns(here, there, columns, part=part)
        if not_self:
            apart[np.arange(len(apart)), np.arange(part.start, part.stop)] = np.inf
        found[part] = apart.min(axis=1) / len(columns)
    return found


def _rank(values: Floats, reference: Floats) -> Floats:
    known = np.sort(reference[np.isfinite(reference)])
    if not len(known):
        return np.zeros(len(values))
    below, upto = (np.searchsorted(known, values, side=side) for side in ("left", "right"))
    ranks: Floats = (below + upto) / (2 * len(known))
    return ranks

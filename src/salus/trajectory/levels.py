"""A vector for each level: near levels of a number have near vectors, so that few patients teach many bins."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from salus.trajectory.bins import INNER, FloatArray
from salus.trajectory.vocabulary import Vocabulary

WAVES = 8
"""Sines and cosines of a value's rank, each of half a period more than the one before."""


class Levels(nn.Module):
    """Vectors of all levels: (levels + 1, width); the last stands for none.

    A bin's vector is smooth in its rank and value. It has no part of its own: such parts are where a network learns
    single patients by heart. A code's vector is all its own.
    """

    basis: Tensor
    place: Tensor
    valued: Tensor
    codes: Tensor

    def __init__(self, vocabulary: Vocabulary, width: int, *, spread: float) -> None:
        super().__init__()
        basis, place, valued = smooth_basis(vocabulary)
        codes = np.setdiff1d(np.arange(vocabulary.levels + 1), valued)
        for name, table in (("basis", basis), ("place", place), ("valued", valued), ("codes", codes)):
            self.register_buffer(name, torch.from_numpy(table), persistent=False)
        self.rows = vocabulary.levels + 1
        self.own = nn.Parameter(torch.randn(len(codes), width) * spread)
        self.smooth = nn.Parameter(torch.randn(basis.shape[0], basis.shape[2], width) * spread * 0.6)

    def forward(self) -> Tensor:
        """All vectors, computed anew: (levels + 1, width)."""
        table = torch.zeros(self.rows, self.own.shape[1]).index_add(0, self.codes, self.own)
        if not len(self.valued):
            return table
        smooth = torch.bmm(self.basis, self.smooth).flatten(0, 1)[self.place]
        return table.index_add(0, self.valued, smooth)


def smooth_basis(vocabulary: Vocabulary) -> tuple[FloatArray, np.ndarray, np.ndarray]:
    """Functions of rank and value for each code with values: (codes, most bins, functions); levels' places in it.

    Gives also which levels have a number. A value is measured from its code's median in units of its quartile range.
    """
    counts = [entry.bins - int(entry.absent) for entry in vocabulary.entries]
    codes = [number for number, count in enumerate(counts) if count]
    most = max([1, *counts])
    table = np.zeros((len(codes), most, 3 + 2 * WAVES), dtype=np.float32)
    place, valued = [], []
    for row, code in enumerate(codes):
        count, first = counts[code], int(vocabulary.level_start[code])
        rank = (np.arange(count) + 0.5) / count
        middle = vocabulary.inner[first : first + count, INNER // 2].astype(np.float64)
        low, median, high = np.quantile(middle, (0.25, 0.5, 0.75))
        value = np.tanh((middle - median) / max(high - low, 1e-6) / 2)
        angles = np.pi * rank[:, None] * np.arange(1, WAVES + 1)
        table[row, :count] = np.column_stack(
            [np.ones(count), rank - 0.5, value, np.sin(angles), np.cos(angles)]
        )
        place.append(row * most + np.arange(count))
        valued.append(first + np.arange(count))
    nothing = np.zeros(0, dtype=np.int64)
    return table, np.concatenate([nothing, *place]), np.concatenate([nothing, *valued])

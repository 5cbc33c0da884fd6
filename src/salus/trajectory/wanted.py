"""Facts that must come in a moment, row by row and in drawing order, and how far each row has got with them.

A row goes through its queue twice: once when its fields are drawn, once when their levels are.
"""

from __future__ import annotations

import torch
from torch import Tensor


class Wanted:
    """A queue a row. ``fields``, ``levels``, ``places`` (rows, queue): level -1: any; place NaN: any.

    Rows with a shorter queue are filled up with the field ``size``, which means: nothing more.
    """

    def __init__(self, fields: Tensor, levels: Tensor, places: Tensor, *, size: int) -> None:
        rows, self.size = len(fields), size
        self.fields = torch.cat([fields, torch.full((rows, 1), size)], dim=1)
        self.levels = torch.cat([levels, torch.full((rows, 1), -1)], dim=1)
        self.places = torch.cat([places, torch.full((rows, 1), torch.nan)], dim=1)
        self.coming = torch.zeros(rows, dtype=torch.int64)
        self.at = torch.zeros(rows, dtype=torch.int64)

    def field(self, on: Tensor) -> Tensor:
        """The next field that must come in these rows; ``size``: none."""
        return self.fields[on, self.coming[on]]

    def comes(self, field: Tensor, on: Tensor) -> None:
        """Note that ``field`` comes in these rows."""
        must = self.field(on)
        self.coming[on] += ((must == field) & (must < self.size)).long()

    def level(self, on: Tensor, field: int) -> Tensor:
        """The level that must come with ``field`` now; -1: any."""
        return torch.where(self._said_next(on) == field, self.levels[on, self.at[on]], -1)

    def place(self, on: Tensor, field: Tensor) -> Tensor:
        """The place in the level that must come with ``field`` now; NaN: any."""
        return torch.where(self._said_next(on) == field, self.places[on, self.at[on]], torch.nan)

    def said(self, on: Tensor, field: Tensor) -> None:
        """Note that ``field`` was said in these rows."""
        self.at[on] += (self._said_next(on) == field).long()

    def _said_next(self, on: Tensor) -> Tensor:
        return self.fields[on, self.at[on]]

"""Some rows of a table, each a simulated patient; where it is all of them, nothing is copied."""

from __future__ import annotations

import torch
from torch import Tensor

ROWS = 128
"""Where patients are drawn the fact network's rows are filled up to a multiple of this, so that it sees few shapes."""


def filled_up(rows: Tensor) -> Tensor:
    """Rows filled up to a multiple of :data:`ROWS` with the first row of the table."""
    return torch.cat([rows, rows.new_zeros(-len(rows) % ROWS)])


def rows_of(table: Tensor, rows: Tensor) -> Tensor:
    """Take these rows of a table."""
    return table if _everybody(table, rows) else table.index_select(0, rows)


def add_to(table: Tensor, rows: Tensor, values: Tensor) -> None:
    """Add values to these rows of a table, in place."""
    if _everybody(table, rows):
        table += values
    else:
        table.index_add_(0, rows, values)


def _everybody(table: Tensor, rows: Tensor) -> bool:
    return len(rows) == len(table) and bool((rows == torch.arange(len(rows))).all())

"""Synthetic patients, drawn in pieces of fixed size: of the same seed, fewer patients are the first of more."""

from __future__ import annotations

import polars as pl

from salus.errors import SettingsRefused
from salus.timeline.columns import EVENT_COLUMNS
from salus.trajectory.artefact import Model
from salus.trajectory.generating import draw_rows
from salus.trajectory.spreading import spread
from salus.usecases.contract import Budget, Missing, Proposal
from salus.usecases.opened import Opened

TOGETHER = 32
"""Patients drawn in one piece. Part of the result: each piece has a seed of its own."""
ROWS = pl.Schema({"candidate": pl.Int64(), **EVENT_COLUMNS})


def draw(opened: Opened, n: int, *, seed: int, budget: Budget, missing: tuple[Missing, ...]) -> Proposal:
    """Draw ``n`` patients, or as many as the budget allows. Raises SettingsRefused (SAL-308)."""
    if n < 1:
        raise SettingsRefused(f"{n} patients cannot be drawn", where="n", fix="give a whole number above 0")
    model, frames, made, stopped = opened.model, [], 0, "the model is missing"
    if model is not None:
        for number in budget.pieces(-(-n // TOGETHER)):
            frames.append(_piece(model, number, seed=seed))
        made = min(n, TOGETHER * len(frames))
        stopped = "" if made == n else f"{budget.seconds:g} seconds were used up"
    return Proposal(
        kind=opened.usecase.kind,
        asked=n,
        made=made,
        seed=seed,
        rows=pl.concat([ROWS.to_frame(), *frames]).filter(pl.col("candidate") <= n),
        digests={"model": model.digest if model else ""},
        stopped=stopped,
        missing=missing,
    )


def _piece(model: Model, number: int, *, seed: int) -> pl.DataFrame:
    """One piece, in this process and on one core, so that the same seed gives the same draws everywhere."""

    def work(piece: int) -> pl.DataFrame:
        return draw_rows(
            model.network,
            model.vocabulary,
            patients=TOGETHER,
            seed=seed * 1_000_003 + piece,
            first_subject=piece * TOGETHER + 1,
        )

    (rows,) = spread(work, [number])
    return rows.with_columns(candidate=pl.col("subject_id")).select(
        pl.col(name).cast(kind) for name, kind in ROWS.items()
    )

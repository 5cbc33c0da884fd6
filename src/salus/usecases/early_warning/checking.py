"""What speaks against showing a risk in care."""

from __future__ import annotations

import polars as pl

from salus.programme.usecase import State
from salus.usecases.citing import Figure, Number, Place, Reference, figure, sentence
from salus.usecases.concerns import (
    STOPPED,
    block,
    foreign_concerns,
    standing_concerns,
    state_sentence,
    warning,
)
from salus.usecases.contract import Concern, Proposal
from salus.usecases.early_warning.ward_round import WardRound

IN_CARE = (State.SUPERVISED, State.PRODUCTION)
"""States in which somebody may see a number; in a silent pilot nobody does."""
MOST_STRANGE = 0.1
"""A record of which the model does not know a larger share of the codes is unlike those it learnt from."""


def check_risks(around: WardRound, proposal: Proposal) -> tuple[Concern, ...]:
    """Gate and state block; records unlike those learnt from warn."""
    opened = around.opened
    concerns = [*standing_concerns(opened), *foreign_concerns(opened, proposal)]
    if opened.usecase.state not in (*IN_CARE, *STOPPED):
        concerns.append(block("state", state_sentence(opened)))
    if proposal.digests.get("record") != opened.timeline_digest:
        concerns.append(block("record", sentence("The forecasts are of another record")))
    if proposal.rows["risk"].null_count() == proposal.rows.height:
        concerns.append(block("nothing", sentence("No patient has a forecast")))
    return (*concerns, *_strange(proposal), *_ages(around, proposal))


def cell(proposal: Proposal, row: int, column: str, form: str = "") -> Figure:
    """One number of the proposal, as a figure."""
    value: Number = proposal.rows[column][row]
    source = Reference(kind=Place.PROPOSAL, digest=proposal.digest, at=f"rows/{row}/{column}")
    return figure(value, source, form)


def _numbered(proposal: Proposal) -> pl.DataFrame:
    """The rows with a risk, one a patient, with their places."""
    return (
        proposal.rows.with_row_index("row")
        .filter(pl.col("risk").is_not_null())
        .unique("candidate", keep="first", maintain_order=True)
    )


def _strange(proposal: Proposal) -> list[Concern]:
    strange = _numbered(proposal).filter(pl.col("strange") > MOST_STRANGE * pl.col("codes"))
    return [
        warning(
            f"codes-{candidate}",
            sentence(
                "Patient {}: the model has never seen {} of the record's {} codes",
                *(cell(proposal, row, name) for name in ("candidate", "strange", "codes")),
            ),
        )
        for row, candidate in strange.select("row", "candidate").iter_rows()
    ]


def _ages(around: WardRound, proposal: Proposal) -> list[Concern]:
    trained = around.trained_ages
    if trained is None:
        return []
    outside = _numbered(proposal).filter((pl.col("age") < trained[0]) | (pl.col("age") > trained[1]))
    return [
        warning(
            f"age-{candidate}",
            sentence(
                "Patient {}: at {} years outside the ages of those the model learnt from",
                cell(proposal, row, "candidate"),
                cell(proposal, row, "age", ".0f"),
            ),
        )
        for row, candidate in outside.select("row", "candidate").iter_rows()
    ]

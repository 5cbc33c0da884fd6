"""``salus embed``: a vector for each patient, as of a moment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from salus.cli import console
from salus.workflows.embed import EmbedSettings
from salus.workflows.embed import embed as embed_patients


def embed(
    model: Annotated[Path, typer.Argument(help="The model's folder.", metavar="MODEL")],
    timeline: Annotated[Path, typer.Option(help="The timeline's folder.")],
    to: Annotated[Path, typer.Option(help="The Parquet file to write: subject_id, prediction_time, vector.")],
    task: Annotated[
        Path | None,
        typer.Option(help="As of the index moment of this task file. Default: all that is known."),
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="As of this moment for everybody, such as 2026-03-01T09:00+00:00.")
    ] = None,
    split: Annotated[str, typer.Option(help="Patients: train, tuning, held_out or all.")] = "all",
    as_json: console.JSON_OPTION = False,
) -> None:
    """Give each patient a vector: what the model makes of the history known at a moment."""
    settings = EmbedSettings(task=task, at=at, split=None if split == "all" else split)
    with console.session(as_json) as progress:
        result = embed_patients(model, timeline, to=to, settings=settings, progress=progress)
    console.result(
        result,
        as_json,
        [
            f"gave {result.patients:,} patients a vector of {result.width} numbers in {result.seconds:.1f} s; "
            f"without a known history: {result.without_history:,}",
            *(
                [f"left out: {result.left_out_rows:,} rows of codes that the model has never seen"]
                if result.left_out_rows
                else []
            ),
            *([f"SYNTHETIC: made from {result.synthetic}"] if result.synthetic else []),
            f"vectors: {result.vectors}",
        ],
    )

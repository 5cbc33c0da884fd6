"""``salus forecast``: each patient's risk, with its interval, from sampled futures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from salus.cli import console
from salus.programme.lock import Leave
from salus.trajectory.reading import LeftOut
from salus.workflows.forecast import ForecastSettings
from salus.workflows.forecast import forecast as forecast_risks


def forecast(
    model: Annotated[Path, typer.Argument(help="The model's folder.", metavar="MODEL")],
    folder: Annotated[Path, typer.Argument(help="The timeline's folder.", metavar="DIR")],
    task: Annotated[Path, typer.Option(help="The task file: which outcomes, from which moment.")],
    to: Annotated[Path, typer.Option(help="The Parquet file to write.")],
    samples: Annotated[int, typer.Option(help="Futures to draw for each patient.")] = 64,
    seed: Annotated[int, typer.Option(help="Seed of every random step.", min=0)] = 20260101,
    split: Annotated[
        str, typer.Option(help="Patients to forecast for: train, tuning, held_out or all.")
    ] = "held_out",
    protocol: console.PROTOCOL_OPTION = None,
    to_measure: console.TO_MEASURE_OPTION = False,
    ray: console.RAY_OPTION = None,
    as_json: console.JSON_OPTION = False,
) -> None:
    """Give each patient's risk, with its interval, from sampled futures."""
    with console.session(as_json) as progress, console.on_cluster(ray):
        result = forecast_risks(
            model,
            folder,
            to=to,
            settings=ForecastSettings(
                task=task,
                samples=samples,
                seed=seed,
                split=None if split == "all" else split,
                leave=Leave(usecase=protocol, only_to_measure=to_measure),
            ),
            progress=progress,
        )
    console.result(
        result,
        as_json,
        [
            f"forecast {', '.join(result.outcomes)} for {result.patients:,} patients from {result.samples} futures "
            f"each in {result.seconds:.1f} s",
            *synthetic_lines(result.synthetic),
            *left_out(result.left_out),
            f"risks with 95 % Monte Carlo bounds: {result.risks}",
        ],
    )


def synthetic_lines(synthetic: str) -> list[str]:
    """Say what of an answer's origin is synthetic; nothing where nothing is."""
    return [f"SYNTHETIC: made from {synthetic}"] if synthetic else []


def left_out(unread: LeftOut) -> list[str]:
    """Say what of the histories the model could not read; nothing where it read all."""
    if not unread.rows:
        return []
    codes = "1 code" if unread.codes == 1 else f"{unread.codes:,} codes"
    return [f"left out: {unread.rows:,} rows of {codes} that the model has never seen"]

"""``salus train``: learn to generate patients from a timeline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from salus.cli import console
from salus.trajectory.devices import Device
from salus.trajectory.learner import SHARES
from salus.trajectory.memorisation import MOST_TOLD_APART
from salus.trajectory.sizes import Scale
from salus.workflows.train import TrainChoices
from salus.workflows.train import train as train_model


def train(
    folder: Annotated[Path, typer.Argument(help="The timeline's folder.", metavar="DIR")],
    to: Annotated[Path, typer.Option(help="Where to write the model's folder.")],
    minutes: Annotated[float, typer.Option(help="Stop after so many minutes at the latest.")] = 5.5,
    seed: Annotated[int, typer.Option(help="Seed of every random step.", min=0)] = 20260101,
    workers: Annotated[
        int, typer.Option(help="Shares a step is cut into, each for one processor. Part of the result.")
    ] = SHARES,
    size: Annotated[
        Scale,
        typer.Option(
            help="Model and training for about 1,000, 100,000 or 10 million patients; auto: by the data."
        ),
    ] = Scale.AUTO,
    memorisation: Annotated[
        float,
        typer.Option(
            help="Stop when training patients can be told from others by their loss with a higher AUROC; 1: never."
        ),
    ] = MOST_TOLD_APART,
    device: Annotated[
        Device,
        typer.Option(help="Compute on the processor or a graphics card; auto: the card if there is one."),
    ] = Device.AUTO,
    ray: console.RAY_OPTION = None,
    as_json: console.JSON_OPTION = False,
) -> None:
    """Learn to generate patients from a timeline."""
    choices = TrainChoices(
        minutes=minutes, seed=seed, workers=workers, size=size, memorisation=memorisation, device=device
    )
    with console.session(as_json) as progress, console.on_cluster(ray):
        result = train_model(folder, to, choices=choices, progress=progress)
    told = "not measured"
    if result.told_apart is not None:
        told = f"{result.told_apart:.3f} [{result.told_apart_lower:.3f} to {result.told_apart_upper:.3f}]"
    console.result(
        result,
        as_json,
        [
            f"trained on {result.patients:,} patients for {result.seconds:.0f} s ({result.epochs:.1f} epochs, "
            f"{result.facts_per_second:,.0f} facts/s); size: {result.size}; stopped: {result.stopped}",
            f"loss on tuning patients: {result.best_loss:.3f} nats per fact",
            f"training patients told from tuning patients by their loss: AUROC {told}",
            f"model: {result.model}",
            f"learning curve: {result.curve}",
        ],
    )

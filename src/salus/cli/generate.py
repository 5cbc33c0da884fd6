"""``salus generate``: draw synthetic patients from a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from salus.cli import console
from salus.workflows.generate import generate as generate_patients


def generate(
    model: Annotated[Path, typer.Argument(help="The model's folder.", metavar="MODEL")],
    to: Annotated[Path, typer.Option(help="Where to write the synthetic timeline.")],
    patients: Annotated[int, typer.Option(help="How many patients to draw.")] = 1_000,
    seed: Annotated[int, typer.Option(help="Seed of every random step.", min=0)] = 20260101,
    as_json: console.JSON_OPTION = False,
) -> None:
    """Draw synthetic patients from a model."""
    with console.session(as_json) as progress:
        result = generate_patients(model, to, patients=patients, seed=seed, progress=progress)
    console.result(
        result,
        as_json,
        [
            f"drew {result.patients:,} synthetic patients with {result.events:,} events in {result.seconds:.1f} s "
            f"({result.patients_per_second:,.0f} patients/s)",
            f"timeline: {result.timeline}",
        ],
    )

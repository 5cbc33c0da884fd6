"""``salus simulate``: risks without and with interventions, as the model expects them; not a causal effect."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from salus.cli import console
from salus.cli.forecast import synthetic_lines
from salus.compute.ray_cluster import ray_cluster
from salus.programme.lock import Leave
from salus.workflows.simulate import OutcomeCompared, SimulateResult, SimulateSettings
from salus.workflows.simulate import simulate as simulate_arms


def simulate(
    model: Annotated[Path, typer.Argument(help="The model's folder.", metavar="MODEL")],
    folder: Annotated[Path, typer.Argument(help="The timeline's folder.", metavar="DIR")],
    task: Annotated[Path, typer.Option(help="The task file: which outcomes, from which moment.")],
    do: Annotated[
        list[str],
        typer.Option(
            help="What is set, and when: CODE@MOMENT or CODE=VALUE@MOMENT; @index, @index+24h, @index+3d. "
            "May be repeated. What comes of it is what the model expects, not a causal effect, until evidence says "
            "otherwise."
        ),
    ],
    to: Annotated[Path, typer.Option(help="The Parquet file to write.")],
    samples: Annotated[int, typer.Option(help="Futures to draw for each patient and arm.")] = 64,
    seed: Annotated[
        int, typer.Option(help="Seed of every random step, the same in both arms.", min=0)
    ] = 20260101,
    split: Annotated[
        str, typer.Option(help="Patients to simulate: train, tuning, held_out or all.")
    ] = "held_out",
    protocol: console.PROTOCOL_OPTION = None,
    to_measure: console.TO_MEASURE_OPTION = False,
    ray: console.RAY_OPTION = None,
    as_json: console.JSON_OPTION = False,
) -> None:
    """Give risks without and with interventions: what the model expects, not a causal effect."""
    with console.session(as_json) as progress, ray_cluster(ray):
        result = simulate_arms(
            model,
            folder,
            to=to,
            settings=SimulateSettings(
                task=task,
                interventions=tuple(do),
                samples=samples,
                seed=seed,
                split=None if split == "all" else split,
                leave=Leave(usecase=protocol, only_to_measure=to_measure),
            ),
            progress=progress,
        )
    console.result(result, as_json, _lines(result))


def _lines(result: SimulateResult) -> list[str]:
    """What a person reads: both arms, the difference, and what it is not."""
    strange = (
        f"{result.unlike_training:,} patients: set at a time at which no training patient had it, "
        "so the model knows little of it"
    )
    return [
        f"simulated {result.patients:,} patients, {result.samples} futures each without and with "
        f"{', '.join(result.interventions)}, in {result.seconds:.1f} s",
        *console.table(
            ["outcome", "without", "with", "difference (95 % Monte Carlo)"],
            [_row(one) for one in result.outcomes],
        ),
        *synthetic_lines(result.synthetic),
        *([strange] if result.unlike_training else []),
        f"This is {result.meaning}.",
        f"each patient's risks: {result.risks}",
    ]


def _row(one: OutcomeCompared) -> tuple[str, str, str, str]:
    spread = f"{one.difference:+.1%} ({one.lower:+.1%} to {one.upper:+.1%})"
    return one.outcome, f"{one.without:.1%}", f"{one.having:.1%}", spread

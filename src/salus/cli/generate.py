"""``salus generate``: draw synthetic patients from a model, all or only such as are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from salus.cli import console
from salus.workflows.generate import generate as generate_patients
from salus.workflows.generate_given import GivenResult, GivenSettings, generate_given


def generate(
    model: Annotated[Path, typer.Argument(help="The model's folder.", metavar="MODEL")],
    to: Annotated[Path, typer.Option(help="Where to write the synthetic timeline.")],
    patients: Annotated[int, typer.Option(help="How many patients to draw.")] = 1_000,
    given: Annotated[
        list[str] | None,
        typer.Option(
            help="Only such patients: NAME=LEVELS, such as sex=F, age=60..80, race=Asian,Hispanic. May be repeated."
        ),
    ] = None,
    share: Annotated[
        list[str] | None,
        typer.Option(
            help="So large a share of them with this code: CODE=SHARE, such as SEX//F=0.5. May be repeated."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of every random step.", min=0)] = 20260101,
    ray: console.RAY_OPTION = None,
    as_json: console.JSON_OPTION = False,
) -> None:
    """Draw synthetic patients from a model."""
    if given or share:
        asked = GivenSettings(
            patients=patients, given=tuple(given or ()), shares=tuple(share or ()), seed=seed
        )
        with console.on_cluster(ray):
            _under_conditions(model, to, asked, as_json)
        return
    with console.session(as_json) as progress, console.on_cluster(ray):
        result = generate_patients(model, to, patients=patients, seed=seed, progress=progress)
    console.result(
        result,
        as_json,
        [
            f"drew {result.patients:,} synthetic patients with {result.events:,} events in {result.seconds:.1f} s "
            f"({result.patients_per_second:,.0f} patients/s)",
            *without_events(result.without_events),
            f"timeline: {result.timeline}",
        ],
    )


def without_events(number: int) -> list[str]:
    """Say how many patients are not in the timeline; nothing where all are."""
    if not number:
        return []
    return [f"of those asked for {number:,} were drawn without any event: they have no row in the timeline"]


def _under_conditions(model: Path, to: Path, settings: GivenSettings, as_json: bool) -> None:
    """Draw only such patients, and say what that was worth."""
    with console.session(as_json) as progress:
        result = generate_given(model, to, settings=settings, progress=progress)
    console.result(
        result,
        as_json,
        [
            f"drew {result.patients:,} synthetic patients with {result.events:,} events in {result.seconds:.1f} s "
            f"({result.patients_per_second:,.0f} patients/s)",
            *_how(result),
            f"timeline: {result.timeline}",
            f"{result.note}",
        ],
    )


def _how(result: GivenResult) -> list[str]:
    """How such patients came about, and what they are worth."""
    lines = []
    if result.given:
        lines.append(
            f"given {', '.join(result.given)}: such are {result.chance:.2%} of the patients that the model draws"
        )
    lines += [
        f"{group.code}: {group.patients:,} of {result.patients:,}; "
        f"left to itself the model draws {group.model_share:.1%} of them"
        for group in result.groups
    ]
    worth = f"chosen from {result.drawn:,} candidates worth {result.effective:,.0f} independent ones"
    few = result.effective < result.patients
    return [*lines, worth + (": some patients share their static facts with others" if few else "")]

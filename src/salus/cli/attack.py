"""``salus attack``: what a model or a synthetic set gives away of real patients."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from salus.cli import console
from salus.workflows.attack import EVIDENCE, PAGE_FILE, AttackChoices
from salus.workflows.attack import attack as run_attacks
from salus.workflows.attack_material import Target


def attack(
    what: Annotated[
        Path, typer.Argument(help="A model's folder, or a synthetic timeline's.", metavar="MODEL|SYNTH")
    ],
    real: Annotated[
        Path, typer.Option(help="The real timeline: split train was learnt from, held_out was not.")
    ],
    to: Annotated[
        Path | None, typer.Option(help="Write evidence, page and numbers into this folder.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of every random step.", min=0)] = 20260101,
    known: Annotated[
        str, typer.Option(help="Fields the attacker knows, by comma; else all but the secret.")
    ] = "",
    like: Annotated[
        Path | None, typer.Option(help="SYNTH is a folder of CSV files that this source.yaml describes.")
    ] = None,
    as_json: console.JSON_OPTION = False,
) -> None:
    """Attack a model or synthetic patients: membership, singling out, linking, secrets, copies."""
    fields = tuple(dict.fromkeys(name.strip() for name in known.split(",") if name.strip()))
    with console.session(as_json) as progress:
        found = run_attacks(
            Target(what=what, real=real, like=like),
            to,
            choices=AttackChoices(seed=seed, known=fields),
            made=datetime.now(UTC),
            progress=progress,
        )
    lines = [f"{name}\n  {said}" for name, said in found.sentences.items()]
    lines += [f"note: {said}" for said in found.remarks]
    if to is not None:
        lines.append(f"page: {to / PAGE_FILE}; findings: {to / EVIDENCE}")
    console.result(found.as_json(), as_json, lines)

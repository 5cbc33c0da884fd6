"""``salus appraise``: measure the evidence of a use case again."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from salus.cli import console
from salus.programme.case import check_usecase
from salus.programme.usecase_folder import UseCaseFolder
from salus.workflows.appraise import Material
from salus.workflows.appraise import appraise as measure


def appraise(
    folder: Annotated[Path, typer.Argument(help="The use case's folder.", metavar="USECASE_DIR")],
    seed: Annotated[int, typer.Option(help="Seed of every random step.", min=0)] = 20260101,
    as_json: console.JSON_OPTION = False,
) -> None:
    """Measure fidelity, utility, privacy and forecasts of a use case again; its older evidence is replaced."""
    where = UseCaseFolder(folder)
    check_usecase(where)
    with console.session(as_json) as progress:
        found = measure(
            Material.of(where), where.evidence, seed=seed, made=datetime.now(UTC), progress=progress
        )
    counts = Counter(finding.kind for finding in found.findings)
    console.result(
        found.as_json(),
        as_json,
        [
            f"{sum(counts.values()):,} findings in {where.evidence}: "
            + ", ".join(f"{count:,} of {kind}" for kind, count in counts.items()),
            f"judge them with: salus gate {folder}",
        ],
    )

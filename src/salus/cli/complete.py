"""``salus complete``: draw what is missing in real records, given what was recorded; mark it; overwrite nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from salus.cli import console
from salus.programme.lock import Leave
from salus.trajectory.gaps import Moments, Using
from salus.workflows.complete import CompleteSettings, complete_timeline


def complete(
    model: Annotated[Path, typer.Argument(help="The model's folder.", metavar="MODEL")],
    folder: Annotated[Path, typer.Argument(help="The timeline's folder.", metavar="DIR")],
    to: Annotated[Path, typer.Option(help="Where to write the completed timeline.")],
    fields: Annotated[
        str, typer.Option(help="What to fill where it is missing: A,B; all: what the model thinks was there.")
    ] = "all",
    moments: Annotated[
        Moments, typer.Option(help="Which moments: the static facts; also the first dated one; every one.")
    ] = Moments.FIRST,
    using: Annotated[
        Using, typer.Option(help="Drawn from the whole record, or only from what came up to each moment.")
    ] = Using.RECORD,
    samples: Annotated[int, typer.Option(help="How many completed timelines to draw.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of every random step.", min=0)] = 20260101,
    split: Annotated[str, typer.Option(help="Patients: train, tuning, held_out or all.")] = "all",
    protocol: console.PROTOCOL_OPTION = None,
    ray: console.RAY_OPTION = None,
    as_json: console.JSON_OPTION = False,
) -> None:
    """Fill what is missing in records, marked as completed."""
    settings = CompleteSettings(
        fields=fields,
        moments=moments,
        using=using,
        samples=samples,
        seed=seed,
        split=None if split == "all" else split,
        leave=Leave(usecase=protocol),
    )
    with console.session(as_json) as progress, console.on_cluster(ray):
        result = complete_timeline(model, folder, to=to, settings=settings, progress=progress)
    codes = [f"{code} {number:,}" for code, number in result.by_code.items()]
    console.result(
        result,
        as_json,
        [
            f"filled {result.filled:,} facts of {result.patients:,} patients in {result.seconds:.1f} s"
            + (f": {', '.join(codes[:8])}" if codes else "")
            + (f" and {len(codes) - 8} more codes" if len(codes) > 8 else ""),
            f"of {result.candidates} candidates a patient; worth {result.fewest:.1f} independent ones where they fit "
            "worst (median patient)",
            *([result.warning] if result.warning else []),
            *(f"timeline: {place}" for place in result.timelines),
        ],
    )

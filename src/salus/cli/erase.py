"""``salus erase``: erase patients from everything that their records reached."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from salus.cli import console
from salus.errors import UsageProblem
from salus.findings import Finding
from salus.workflows.erase import Erased, EraseSettings
from salus.workflows.erase import erase as erase_patients
from salus.workflows.erase_plan import Policy, Wanted
from salus.workflows.ingest_parts import read_key


def erase(
    patients: Annotated[
        list[str],
        typer.Argument(
            help="Numbers of patients in the timelines, or with --key ids of the source.",
            metavar="PATIENT...",
        ),
    ],
    roots: Annotated[list[Path], typer.Option(help="A folder to look through; may be repeated.")],
    policy: Annotated[
        Policy,
        typer.Option(help="What becomes of models and synthetic sets: retrain, drop, or suspend them."),
    ] = Policy.SUSPEND,
    key: Annotated[
        Path | None,
        typer.Option(help="File with the key of pseudonyms: PATIENT is then an id of the source."),
    ] = None,
    within: Annotated[
        Path | None,
        typer.Option("--in", help="A timeline the patient is in, where others use the same numbers."),
    ] = None,
    record: Annotated[
        Path | None, typer.Option(help="Folder of the record; else 'erasures' in the first root.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    as_json: console.JSON_OPTION = False,
) -> None:
    """Erase patients from everything that their records reached, and prove it."""
    if key is None and not all(one.isdecimal() for one in patients):
        raise UsageProblem(
            "a PATIENT is no number of a timeline",
            where="salus erase",
            fix="give the number in the timeline, or the source's id together with --key FILE",
        )
    wanted = Wanted(patients=tuple(patients), key=None if key is None else read_key(key), within=within)
    settings = EraseSettings(
        roots=tuple(roots), record=record or roots[0] / "erasures", policy=policy, dry_run=dry_run
    )
    with console.session(as_json) as progress:
        result = erase_patients(wanted, settings, progress=progress)
    console.result(result, as_json, _lines(result, settings))


def _lines(result: Erased, settings: EraseSettings) -> list[str]:
    rows = [
        [step["sort"], _below(Path(step["path"]), settings.roots), step["action"], step["why"]]
        for step in result.steps
    ]
    lines = console.table(["what", "where", "action", "why"], rows) if rows else []
    if result.erased_before:
        lines.append(
            f"{result.erased_before} of {result.patients} were erased before: nothing is left of them here"
        )
    lines += [
        f"{_below(Path(model), settings.roots)}: {_proof(finding)}"
        for model, finding in result.proofs.items()
    ]
    if result.untold:
        lines.append(f"{result.untold} places cannot be told: they are not proved to be free of the patient")
    if result.dry_run:
        return [*lines, "nothing was changed: this was --dry-run"]
    return [
        *lines,
        "the source's own files and copies elsewhere are not Salus's: erase there too",
        f"record: {settings.record}",
    ]


def _below(path: Path, roots: tuple[Path, ...]) -> str:
    for root in roots:
        if path.is_relative_to(root.resolve()):
            return path.relative_to(root.resolve()).as_posix()
    return path.name


def _proof(finding: Finding) -> str:
    if finding.value is None or finding.lower is None or finding.upper is None:
        return f"trained again; proof {finding.reason}"
    return (
        f"trained again; membership attack on the erased: AUROC {finding.value:.3f} "
        f"[{finding.lower:.3f} to {finding.upper:.3f}]" + (f"; {finding.reason}" if finding.reason else "")
    )

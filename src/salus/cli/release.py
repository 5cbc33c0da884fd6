"""``salus release``: hand out synthetic patients under a frozen protocol, with a signed record, or refuse."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from salus.cli import console
from salus.errors import UsageProblem
from salus.programme.gate import Verdict
from salus.programme.releasing import Handing, release_template
from salus.workflows.release import DATA, PAGE_FILE, RECORD, ReleaseChoices, Released, verify
from salus.workflows.release import release as run_release

EXIT_CODES = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.INCONCLUSIVE: 2, Verdict.NOT_ESTIMABLE: 2}


class As(StrEnum):
    """The forms of a release besides a source's own."""

    MEDS = "meds"
    FHIR = "fhir"
    OMOP = "omop"


def release(
    what: Annotated[
        Path | None,
        typer.Argument(help="Synthetic patients; with --verify, what was released.", metavar="SYNTH"),
    ] = None,
    model: Annotated[Path | None, typer.Option(help="The model that drew them.")] = None,
    real: Annotated[Path | None, typer.Option(help="The real timeline that it learnt from.")] = None,
    protocol: Annotated[Path | None, typer.Option(help="Folder of the frozen protocol.")] = None,
    to: Annotated[Path | None, typer.Option(help="The new folder to release into.")] = None,
    key: Annotated[Path | None, typer.Option(help="Ed25519 key; with --verify, the public one.")] = None,
    by: Annotated[str, typer.Option(help="Who releases: name and role.")] = "",
    purpose: Annotated[str, typer.Option(help="For what it may be used.")] = "",
    recipient: Annotated[str, typer.Option(help="To whom it goes.")] = "",
    form: Annotated[As, typer.Option("--as", help="The form to write.")] = As.MEDS,
    like: Annotated[Path | None, typer.Option(help="Or the source.yaml whose CSV files to write.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the attacks.", min=0)] = 20260101,
    check: Annotated[bool, typer.Option("--verify", help="Check a released folder instead.")] = False,
    template: Annotated[bool, typer.Option("--print-protocol", help="Print one to copy.")] = False,
    as_json: console.JSON_OPTION = False,
) -> None:
    """Attack synthetic patients, judge by a frozen protocol, and release: exit 0 PASS, 1 FAIL, 2 open, 3 error."""
    if template:
        console.result({"protocol": release_template()}, as_json, [release_template().rstrip("\n")])
        return
    if check:
        _verify(_given(what, "the released folder"), key, as_json)
        return
    choices = ReleaseChoices(
        synthetic=_given(what, "the synthetic patients"),
        model=_given(model, "--model"),
        real=_given(real, "--real"),
        protocol=_given(protocol, "--protocol"),
        key=_given(key, "--key"),
        handing=Handing(by=by, purpose=purpose, recipient=recipient),
        form=form.value,
        like=like,
        seed=seed,
    )
    with console.session(as_json) as progress:
        done = run_release(_given(to, "--to"), choices, now=datetime.now(UTC), progress=progress)
    console.result(done.judgement.as_json(), as_json, _lines(done))
    raise typer.Exit(EXIT_CODES[done.judgement.verdict])


def _given(path: Path | None, name: str) -> Path:
    if path is None:
        raise UsageProblem(
            f"{name} is missing",
            where="salus release",
            fix="salus release SYNTH --model M --real DIR --protocol P --to OUT --key KEY --by …"
            " --purpose … --recipient …",
        )
    return path


def _verify(folder: Path, key: Path | None, as_json: bool) -> None:
    told = dict(verify(folder, public=key))
    whose = (
        "that key" if key else "the key that lies in the folder: whose it is, you must know from elsewhere"
    )
    lines = [
        f"signed by {whose}; every file is as it was signed",
        f"released by {told.get('by')} on {str(told.get('at'))[:10]}",
        f"to {told.get('recipient')}, for {told.get('purpose')}",
    ]
    console.result(told, as_json, lines)


def _lines(done: Released) -> list[str]:
    judged = done.judgement
    if done.passed:
        first = (
            f"released: {done.patients:,} synthetic patients in {done.files:,} files: {done.folder / DATA}"
        )
        return [first, f"page: {done.folder / PAGE_FILE}", f"signed record: {done.folder / RECORD}"]
    open_ones = [one for one in judged.criteria if one.verdict is not Verdict.PASS]
    lines = [f"NOT released: {judged.verdict}, {judged.reason}"]
    lines += [f"  {one.criterion.id}: {one.verdict.value}: {one.reason}" for one in open_ones]
    return [*lines, f"page: {done.folder / PAGE_FILE}"]

"""``salus deidentify``: write what may pass of records."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from salus.cli import console
from salus.deidentify.policy import SHIPPED
from salus.deidentify.read_policy import policy_file, read_policy
from salus.errors import UsageProblem
from salus.workflows.deidentify import BOOKS_FILE, PAGE_FILE, Asked, Deidentified, Form
from salus.workflows.deidentify import deidentify as run_deidentify


def deidentify(
    policy: Annotated[
        str, typer.Option(help=f"What may pass: a YAML file, or {', '.join(SHIPPED)}.", metavar="POLICY")
    ],
    source: Annotated[
        Path | None, typer.Argument(help="The records: a file or folder.", metavar="IN")
    ] = None,
    to: Annotated[Path | None, typer.Option(help="The new folder to write to.")] = None,
    key: Annotated[
        Path | None, typer.Option(help="File of 16 secret bytes or more, kept apart from the data.")
    ] = None,
    form: Annotated[
        Form | None, typer.Option("--as", help="What the records are; else by the names of the files.")
    ] = None,
    old_key: Annotated[
        Path | None, typer.Option(help="With --mapping: the key of an earlier release.")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="Where to write which old pseudonym became which (CSV).")
    ] = None,
    patients: Annotated[
        Path | None, typer.Option(help="DICOM: CSV of PatientID and the records' patient.")
    ] = None,
    shown: Annotated[
        bool, typer.Option("--print", help="Print the policy, to be copied and edited, and do nothing else.")
    ] = False,
    as_json: console.JSON_OPTION = False,
) -> None:
    """Write what may pass of FHIR, OMOP, HL7 v2, CSV or DICOM, by a policy that you can read and edit."""
    if shown:
        read_policy(policy)
        text = policy_file(policy).read_text(encoding="utf-8")
        console.result({"policy": text}, as_json, [text.rstrip("\n")])
        return
    if source is None or to is None:
        raise UsageProblem(
            "what to read or where to write is missing",
            where="salus deidentify",
            fix="salus deidentify IN --to OUT --policy safe-harbor --key FILE",
        )
    asked = Asked(policy=policy, key=key, form=form, old_key=old_key, mapping=mapping, patients=patients)
    with console.session(as_json) as progress:
        done = run_deidentify(
            source,
            to,
            asked=asked,
            made=datetime.now(UTC),
            progress=progress,
        )
    console.result(done.books, as_json, _lines(done))


def _lines(done: Deidentified) -> list[str]:
    lines = [
        f"{done.read:,} records read = {done.written:,} written + {done.left_out:,} left out by the policy"
        f" + {done.rejected:,} rejected"
    ]
    if done.smallest_group is not None:
        lines.append(f"smallest group of patients alike: {done.smallest_group:,}")
    return [*lines, f"page: {done.folder / PAGE_FILE}", f"books: {done.folder / BOOKS_FILE}"]

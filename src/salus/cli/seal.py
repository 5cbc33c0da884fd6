"""salus seal: encrypt what is private where it lies; make, rotate and thin a key ring."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from salus.at_rest.files import MASTER_KEY, RING, passphrase_of
from salus.at_rest.key_ring import Master, ProgramMaster, hexadecimal_master, passphrase_master
from salus.cli import console
from salus.errors import UsageProblem
from salus.workflows.seal import make_ring, open_folder, rotate_ring, seal_folder


def seal(
    folder: Annotated[
        Path | None, typer.Argument(help="What to seal: a folder of Salus, or one table.")
    ] = None,
    opened: Annotated[bool, typer.Option("--open", help="Make it clear again.")] = False,
    new_ring: Annotated[Path | None, typer.Option(help="Make a key ring: the file to write.")] = None,
    program: Annotated[
        str,
        typer.Option(help="With --new-ring: the command that wraps and unwraps its keys (an HSM's client)."),
    ] = "",
    rotate: Annotated[bool, typer.Option(help="Add a new current key to the ring.")] = False,
    remove: Annotated[
        list[str] | None, typer.Option(help="Take a key off the ring: what it sealed is gone for good.")
    ] = None,
    as_json: console.JSON_OPTION = False,
) -> None:
    """Encrypt timelines, models and tables where they lie."""
    asked = [folder is not None, new_ring is not None, rotate, bool(remove)]
    if sum(asked) != 1:
        raise UsageProblem(
            "say one thing to do: a folder, --new-ring, --rotate or --remove",
            where="salus seal",
            fix="salus seal build/timeline, once SALUS_KEY_RING names a ring",
        )
    if new_ring is not None:
        ring = make_ring(new_ring, _master(program, new_ring))
        told = {"ring": str(new_ring), "key": ring.current}
        lines = [
            f"ring: {new_ring}, key {ring.current}",
            f"keep a copy elsewhere; then: export {RING}={new_ring}",
        ]
        console.result(told, as_json, lines)
    elif folder is not None:
        with console.session(as_json) as progress:
            books = (open_folder if opened else seal_folder)(folder, progress=progress)
        done = "made clear" if opened else "sealed or wrapped anew"
        lines = [f"{done}: {books.changed:,} of {books.met:,} files, key {books.key}"]
        console.result(books, as_json, [*lines, f"other files, left as they are: {books.left:,}"])
    else:
        ring = rotate_ring(_ring_file(), remove=tuple(remove or ()))
        lines = [f"current key: {ring.current}", f"on the ring: {', '.join(ring.keys)}"]
        console.result({"key": ring.current, "keys": list(ring.keys)}, as_json, lines)


def _ring_file() -> Path:
    named = os.environ.get(RING, "")
    if not named:
        raise UsageProblem("no key ring is named", where="salus seal", fix=f"set {RING} to its file")
    return Path(named)


def _master(program: str, path: Path) -> Master:
    if program:
        return ProgramMaster(tuple(shlex.split(program)))
    if os.environ.get(MASTER_KEY):
        return hexadecimal_master(os.environ[MASTER_KEY])
    return passphrase_master(passphrase_of(os.environ, path))

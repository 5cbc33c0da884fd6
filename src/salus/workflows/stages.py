"""Stages of a long job that remember what they did: a job that was stopped goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import salus
from salus.compute.ray_cluster import cpu_seconds_elsewhere
from salus.errors import OccupiedFolder
from salus.workflows.machine import MemoryWatch

PACKAGE = Path(salus.__file__).parent
MARKERS = ".stages"

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage: what it leaves behind, which of our folders it runs, which settings change its result."""

    name: str
    output: Path
    code: tuple[str, ...]
    settings: dict[str, Json]
    inputs: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a finished stage said and cost. ``reused``: it was finished by an earlier run."""

    name: str
    digest: str
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    result: Json
    reused: bool = False


def run_stage(folder: Path, stage: Stage, work: Callable[[], Json], *, after: Sequence[Done] = ()) -> Done:
    """Do ``work`` unless ``folder`` remembers that the very same work is finished and its output is there."""
    digest = stage_digest(stage, after)
    found = read_marker(folder, stage.name)
    if found and found.digest == digest and stage.output.exists():
        return found
    _begin(folder, stage, digest)
    start, cpu_start = time.monotonic(), cpu_seconds()
    with MemoryWatch() as memory:
        result = json.loads(json.dumps(work()))
    done = Done(
        name=stage.name,
        digest=digest,
        seconds=time.monotonic() - start,
        cpu_seconds=cpu_seconds() - cpu_start,
        peak_bytes=memory.peak,
        result=result,
    )
    _write_whole(folder / MARKERS / f"{stage.name}.json", json.dumps(_as_json(done)))
    return done


def stage_digest(stage: Stage, after: Sequence[Done]) -> str:
    """Digest everything that decides a stage's result: code, settings, input files and the stages before."""
    parts: dict[str, Json] = {
        "name": stage.name,
        "version": salus.__version__,
        "code": files_digest(_code_files(stage.code), PACKAGE),
        "settings": stage.settings,
        "inputs": [files_digest(_files(path), path) for path in stage.inputs],
        "after": [done.digest for done in after],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def files_digest(files: Iterable[Path], root: Path) -> str:
    """Digest names (below ``root``) and bytes of ``files``."""
    whole = hashlib.sha256()
    for file in sorted(files):
        name = file.relative_to(root).as_posix() if file != root else file.name
        with file.open("rb") as stream:
            whole.update(f"{name}\0{hashlib.file_digest(stream, 'sha256').hexdigest()}\0".encode())
    return whole.hexdigest()


def read_marker(folder: Path, name: str) -> Done | None:
    """Read the marker of stage ``name``; None when it is absent, cut short or of another form."""
    try:
        found = json.loads((folder / MARKERS / f"{name}.json").read_text())
        return Done(**{**found, "reused": True})
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        return None


def cpu_seconds() -> float:
    """CPU time of this process, of its children that have ended, and of the cluster's processes."""
    spent = os.times()
    here = spent.user + spent.system + spent.children_user + spent.children_system
    return here + cpu_seconds_elsewhere()


def _begin(folder: Path, stage: Stage, digest: str) -> None:
    """Clear what other work left at this stage's place; keep half of the same work, which can go on."""
    note = folder / MARKERS / f"{stage.name}.begun"
    begun = note.read_text() if note.exists() else None
    if stage.output.exists() and begun is None:
        raise OccupiedFolder(
            f"{stage.output.name} is already there and was not made by this command",
            where=str(stage.output),
            fix="give another folder with --to, or move that one away",
        )
    if stage.output.exists() and begun != digest:
        shutil.rmtree(stage.output) if stage.output.is_dir() else stage.output.unlink()
    _write_whole(note, digest)


def _as_json(done: Done) -> dict[str, Json]:
    return {key: item for key, item in asdict(done).items() if key != "reused"}


def _write_whole(path: Path, text: str) -> None:
    # Written beside and renamed, so that a marker is either whole or absent.
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(text)
    unfinished.replace(path)


def _code_files(folders: tuple[str, ...]) -> list[Path]:
    return [
        file for name in folders for file in _files(PACKAGE / name) if file.suffix in (".py", ".j2", ".css")
    ]


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts]

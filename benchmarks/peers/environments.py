"""An environment for each contestant and one for the judges, made once below build/ from pinned requirements."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sys
from pathlib import Path

from benchmarks.blocks import ROOT
from benchmarks.peers.contestants import PEERS

ALONE = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "LOKY_MAX_CPU_COUNT": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
"""One thread for everybody, no graphics card, no network."""


def python_of(folder: str, build: Path) -> Path:
    """The interpreter of an environment, made where it is missing or its requirements have changed.

    Everything is pinned and nothing is resolved: a dependency nobody asked for (a CUDA build, say) cannot come.
    On Linux the PyPI build of torch needs CUDA's libraries; PIP_INDEX_ARGS names the index of CPU builds.
    """
    requirements = PEERS / folder / "requirements.txt"
    place = build / "env" / folder
    stamp = place / ".installed"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    python = place / "bin" / "python"
    if not (stamp.exists() and stamp.read_text(encoding="utf-8") == wanted):
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        index = shlex.split(os.environ.get("PIP_INDEX_ARGS", ""))
        pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *index]
        subprocess.run([*pip, "--no-deps", "-r", requirements], check=True)
        stamp.write_text(wanted, encoding="utf-8")
    return python


def run_alone(words: list[str | Path], log: Path, *, seconds: float) -> bool:
    """Run a command from the root of the repository with one thread; keep all it says; False where it failed."""
    log.parent.mkdir(parents=True, exist_ok=True)
    about = {**os.environ, **ALONE, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    with log.open("w", encoding="utf-8") as said:
        try:
            done = subprocess.run(
                words,
                cwd=ROOT,
                env=about,
                stdout=said,
                stderr=subprocess.STDOUT,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            said.write(f"\nstopped after {seconds:.0f} seconds\n")
            return False
    return done.returncode == 0

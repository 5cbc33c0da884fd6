"""Which code made a result: the git commit that the running package lies in, where it lies in one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import salus

PACKAGE = Path(salus.__file__).parent
CHANGED = " with changes"


def code_commit(package: Path = PACKAGE) -> str:
    """The commit that tracks ``package``, marked where a file differs from it; empty where there is none.

    An installed package may lie inside somebody else's checkout: only a commit that tracks these very files counts.
    """
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return ""
    commit = _git(package, "rev-parse", "HEAD")
    if not commit:
        return ""
    return commit + (CHANGED if _git(package, "status", "--porcelain", "--", ".") else "")


def _git(folder: Path, *words: str) -> str | None:
    """What git says in ``folder``; None where there is no git or it refuses."""
    git = shutil.which("git")
    if git is None:
        return None
    asked = subprocess.run([git, "-C", str(folder), *words], capture_output=True, text=True, check=False)
    return asked.stdout.strip() if asked.returncode == 0 else None

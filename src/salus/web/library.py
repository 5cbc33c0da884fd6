"""Which use cases a folder holds: itself, or those beside each other in it."""

from __future__ import annotations

from pathlib import Path

from salus.errors import NothingToServe
from salus.programme.usecase_folder import UseCaseFolder


def find_usecases(root: Path) -> dict[str, UseCaseFolder]:
    """Use cases by name, in the order of their names; looked up anew each time, so that new ones appear."""
    here = UseCaseFolder(root)
    if here.description.is_file():
        return {here.name: here}
    if not root.is_dir():
        return {}
    beside = [UseCaseFolder(path) for path in sorted(root.iterdir()) if path.is_dir()]
    return {
        place.name: place
        for place in beside
        if place.description.is_file() and not place.root.name.startswith(".")
    }


def check_library(root: Path) -> dict[str, UseCaseFolder]:
    """Find use cases, or say what to do where there are none (NothingToServe, SAL-701)."""
    found = find_usecases(root)
    if not found:
        what = (
            "holds no use case: no usecase.yaml in it or one level below" if root.is_dir() else "is no folder"
        )
        raise NothingToServe(
            f"'{root.name or root}' {what}",
            where=str(root),
            fix="make one with `salus demo cohort`, or name another folder: salus serve build/demo",
        )
    return found

"""What to say of an address that leads nowhere, and where to go instead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from urllib.parse import quote

from salus.errors import WorkspaceError, nearest
from salus.web.answers import TABS

FIX = "follow a link below"
Links = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """What is wrong with an address, and the address and name of pages near it."""

    problem: WorkspaceError
    links: Links


def look_near(path: str, usecases: Iterable[str]) -> Missing:
    """Say what is not there: the use case, or a page of it."""
    known, parts = list(usecases), path.strip("/").split("/")
    if parts[0] != "usecases" or len(parts) < 2:
        return Missing(WorkspaceError("there is no such page", where=path, fix=FIX), ())
    name = parts[1]
    if name not in known:
        near = get_close_matches(name, known, n=1, cutoff=0.5)
        what = f"there is no use case '{name}'{nearest(name, known)}"
        return Missing(
            WorkspaceError(what, where=path, fix=FIX), tuple((address(each), each) for each in near)
        )
    pages = {end: title for end, title in TABS if end}
    asked = parts[2] if len(parts) > 2 else ""
    what = f"'{name}' has no such page"
    if asked not in pages:
        what = f"'{name}' has no page '{asked}'{nearest(asked, pages)}"
    near = [asked] if asked in pages else get_close_matches(asked, pages, n=1, cutoff=0.5)
    links = [
        (address(name), f"{name}: overview"),
        *((f"{address(name)}/{end}", f"{name}: {pages[end]}") for end in near),
    ]
    return Missing(WorkspaceError(what, where=path, fix=FIX), tuple(links))


def address(name: str) -> str:
    """Where a use case's pages are."""
    return f"/usecases/{quote(name, safe='')}"

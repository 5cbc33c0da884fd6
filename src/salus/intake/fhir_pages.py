"""Plain search, page by page, where a server has no export; after a stop it goes on with the next page."""

from __future__ import annotations

import hashlib
from urllib.parse import urlencode

import msgspec

from salus.intake.fhir_rounds import Round, Rounds, TakenFile
from salus.intake.fhir_talk import Talk, trouble
from salus.progress import Progress, Step

PAGE = 500


class _Search(msgspec.Struct):
    mode: str = "match"


class _Kind(msgspec.Struct):
    resourceType: str = ""


class _Entry(msgspec.Struct):
    """A resource as it was written, so that 1.10 stays 1.10."""

    resource: msgspec.Raw = msgspec.Raw(b"{}")
    search: _Search = msgspec.field(default_factory=_Search)

    @property
    def is_match(self) -> bool:
        """Whether it is what was searched for, and not something included or an outcome of the search."""
        kind = msgspec.json.decode(self.resource, type=_Kind).resourceType
        return self.search.mode == "match" and kind not in ("", "OperationOutcome")


class _Link(msgspec.Struct):
    relation: str = ""
    url: str = ""


class _Page(msgspec.Struct):
    resourceType: str = ""
    total: object = None
    entry: list[_Entry] = []
    link: list[_Link] = []


def take_pages(talk: Talk, book: Rounds, this: Round, *, progress: Progress) -> None:
    """Do, or finish, one round: every type to its last page. Raises ServerTrouble (SAL-117)."""
    known = {file.name: file for file in this.files}
    for kind in this.types:
        name = f"{this.number:03d}/{kind}-0001.ndjson"
        file = known.get(name)
        if file is None:
            asked = {"_count": str(PAGE)} | ({"_lastUpdated": f"ge{this.since}"} if this.since else {})
            file = TakenFile(name=name, url=f"{talk.base}/{kind}?{urlencode(asked)}", lines=0)
            this.files.append(file)
        if not file.done:
            with progress.step(f"Asking for {kind}", unit="resources") as step:
                _take(talk, book, file, step)
        if talk.heard is not None and not this.until:
            this.until = talk.heard.isoformat()
            book.write()
    this.done = True
    book.write()


def _take(talk: Talk, book: Rounds, file: TakenFile, step: Step) -> None:
    """Page after page; after each the book says how far the file is whole."""
    path, seen = book.path(file), set[str]()
    with path.open("ab") as out:
        path.chmod(0o600)
        out.truncate(file.size)
    while file.url:
        if file.url in seen:
            raise trouble("the server's pages go in a circle", file.url, "ask its staff")
        seen.add(file.url)
        _, answer = talk.json(file.url)
        page = _page(answer.content)
        if page.resourceType != "Bundle":
            fix = "check the address: it should be a FHIR R4 base"
            raise trouble("the server's answer is no Bundle", file.url, fix)
        found = [bytes(one.resource) for one in page.entry if one.is_match]
        link = next((one.url for one in page.link if one.relation == "next"), "")
        if not link and not file.lines:
            _check_whole(talk, file.url, page, len(found))
        with path.open("ab") as out:
            out.writelines(_on_one_line(resource) for resource in found)
        file.size, file.lines = path.stat().st_size, (file.lines or 0) + len(found)
        step.advance(len(found))
        file.url = talk.resolved(link, beside=file.url) if link else ""
        book.write()
    with path.open("rb") as taken:
        file.sha256 = hashlib.file_digest(taken, "sha256").hexdigest()
    file.done = True
    book.write()


def _page(content: bytes) -> _Page:
    """A page; without a type where it is none."""
    try:
        return msgspec.json.decode(content, type=_Page)
    except msgspec.ValidationError:
        return _Page()


def _check_whole(talk: Talk, url: str, page: _Page, found: int) -> None:
    """See that a first page without a next one is all there is. Raises ServerTrouble (SAL-117).

    There are servers that cut what they find at the page's size and name no next page. After a later page it is not
    asked: what was stored meanwhile is counted too, and comes with the next round.
    """
    told = page.total
    if told is None and found >= PAGE:
        told = _page(talk.json(f"{url}&_summary=count")[1].content).total
        if told is None:
            fix = "ask its staff for pages with a next link, or for an export"
            raise trouble("the server gives one full page and does not say whether it is all", url, fix)
    if isinstance(told, int) and told > found:
        fix = "ask its staff for pages with a next link, or take an export: nothing is read of half a record"
        raise trouble(f"the server gives {found} of {told} resources and names no next page", url, fix)


def _on_one_line(resource: bytes) -> bytes:
    r"""A resource as NDJSON has it; line ends outside strings mean nothing in JSON, and inside they are escaped.

    >>> _on_one_line(b'{\n "id": "a"}')
    b'{  "id": "a"}\n'
    """
    return resource.replace(b"\n", b" ").replace(b"\r", b" ") + b"\n"

"""Bulk export (FHIR Bulk Data Access 2.0): ask, wait, fetch the files; what has come is kept when it is stopped."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from salus.errors import ServerTrouble
from salus.intake.fhir_rounds import Round, Rounds, TakenFile
from salus.intake.fhir_talk import BUSY, CONTINUES, FHIR_JSON, Talk, httpx_library, retry_after, trouble
from salus.progress import Progress, Step

ASYNC = {"Accept": FHIR_JSON, "Prefer": "respond-async"}
BLOCK = 1 << 18
USUAL_WAIT = 5.0
TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")
NO_EXPORT = (400, 404, 405, 501)


class NoExport(Exception):
    """The server has no bulk export."""


def take_export(talk: Talk, book: Rounds, this: Round, *, group: str, progress: Progress) -> None:
    """Do, or finish, one round. Raises NoExport where the server has none, else ServerTrouble (SAL-117)."""
    if this.status and not this.files and not _still_there(talk, this):
        this.status = ""
    if not this.status:
        this.status = _kick_off(talk, this, group)
        book.write()
    if not this.files:
        _listed(this, _manifest(talk, this, progress))
        book.write()
    for file in this.files:
        if not file.done:
            with progress.step(f"Downloading {file.name}", unit="bytes") as step:
                _download(talk, book, file, step)
            book.write()
    this.done = True
    for file in this.files:
        file.url = ""
    book.write()
    if talk.own(this.status):
        try:
            talk.ask(this.status, method="DELETE")
        except ServerTrouble:
            return  # it forgets the export by itself


def _kick_off(talk: Talk, this: Round, group: str) -> str:
    asked = {"_outputFormat": "application/fhir+ndjson", "_type": ",".join(this.types), "_since": this.since}
    place = f"Group/{quote(group)}/$export" if group else "$export"
    url = f"{talk.base}/{place}?{urlencode({name: value for name, value in asked.items() if value})}"
    try:
        answer = talk.ask(url, headers=ASYNC)
    except ServerTrouble as error:
        if error.status in NO_EXPORT:
            raise NoExport from error
        raise
    place = answer.headers.get("content-location", "")
    if answer.status_code != 202 or not place:
        raise NoExport
    return talk.resolved(place)


def _still_there(talk: Talk, this: Round) -> bool:
    """Whether the export that was asked for before a stop is still known."""
    try:
        talk.ask(this.status, headers={"Accept": "application/json"})
    except ServerTrouble:
        return False
    return True


def _manifest(talk: Talk, this: Round, progress: Progress) -> dict[str, Any]:
    """Ask again and again, as often as the server wants to be asked, until it lists its files."""
    waited = 0.0
    with progress.step("Waiting for the export", unit="s") as step:
        while True:
            found, answer = talk.json(this.status, headers={"Accept": "application/json"})
            if answer.status_code != 202 and found is not None:
                return dict(found)
            if waited > talk.patience.export:
                raise trouble(
                    "the export does not end", this.status, "try again later: it is not asked for anew"
                )
            asked = retry_after(answer.headers)
            wait = min(USUAL_WAIT * talk.patience.first if asked is None else asked, talk.patience.most)
            talk.waits(wait)
            waited += max(wait, 0.001)
            step.advance(wait)


def _listed(this: Round, manifest: dict[str, Any]) -> None:
    """Enter what the server lists. Names of files are ours: none of theirs reaches the disk."""
    until = manifest.get("transactionTime")
    this.until = until if isinstance(until, str) else ""
    closed = manifest.get("requiresAccessToken") is not False
    counts: dict[str, int] = {}
    for one in manifest.get("output") or []:
        kind, url = str(one.get("type", "")), str(one.get("url", ""))
        if not TYPE.fullmatch(kind) or not url.startswith(("https://", "http://")):
            raise trouble("the server lists a file without type or address", this.status, "ask its staff")
        counts[kind] = counts.get(kind, 0) + 1
        lines = one.get("count")
        this.files.append(
            TakenFile(
                name=f"{this.number:03d}/{kind}-{counts[kind]:04d}.ndjson",
                url=url,
                lines=lines if isinstance(lines, int) else None,
                bare=not closed,
            )
        )
    for name in ("error", "deleted"):
        if listed := len(manifest.get(name) or []):
            this.told[f"files of what was {'not exported' if name == 'error' else name}"] = listed


def _download(talk: Talk, book: Rounds, file: TakenFile, step: Step) -> None:
    """Fetch one file; what has come is continued where the server can, else fetched again."""
    if not file.bare and not talk.own(file.url):
        raise trouble(
            "a file that asks for the token lies on another host", file.url, "ask the server's staff"
        )
    path = book.path(file)
    part = path.with_name(f"{path.name}.part")
    for number in range(talk.patience.tries):
        problem = _attempt(talk, file, part, step)
        if not problem:
            part.replace(path)
            file.size, file.done = path.stat().st_size, True
            file.sha256 = _sha256(path)
            return
        talk.waits(min(talk.patience.first * 2**number, talk.patience.most))
    raise trouble(
        f"a file does not come whole: {problem}", file.url, "run the same again: what has come is kept"
    )


def _attempt(talk: Talk, file: TakenFile, part: Path, step: Step) -> str:
    """One try; what was wrong, empty where nothing."""
    start = part.stat().st_size if part.exists() else 0
    written = start
    try:
        with talk.stream(file.url, start=start, bare=file.bare) as answer:
            if answer.status_code == 401 and not file.bare:
                talk.access.headers(fresh=True)
                return "the token was refused"
            if answer.status_code == 416:
                part.unlink(missing_ok=True)
                return "what had come is not part of it"
            if answer.status_code in BUSY:
                return f"status {answer.status_code}"
            if answer.status_code >= 300:
                raise trouble(
                    f"the server refuses a file: status {answer.status_code}", file.url, "ask its staff"
                )
            if "html" in answer.headers.get("content-type", ""):
                return "it is HTML"
            going_on = answer.status_code == CONTINUES and start > 0
            written = start if going_on else 0
            with part.open("ab" if going_on else "wb") as out:
                part.chmod(0o600)
                for block in answer.iter_bytes(BLOCK):
                    out.write(block)
                    written += len(block)
                    step.advance(len(block))
    except httpx_library().TransportError as error:
        return type(error).__name__
    lines = _lines(part)
    if file.lines is not None and lines < file.lines:
        part.unlink()
        return f"{lines:,} of {file.lines:,} lines"
    return ""


def _lines(path: Path) -> int:
    """Lines of a file, the last one too where no line end follows it."""
    lines, last = 0, b"\n"
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            lines += block.count(b"\n")
            last = block[-1:]
    return lines + (last != b"\n")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

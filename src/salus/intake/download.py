"""Download a file so that an interrupted download goes on where it stopped, and a wrong one is never used."""

from __future__ import annotations

import hashlib
import http.client
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from salus.errors import ChecksumWrong, FetchFailed
from salus.progress import Progress, Step

CHUNK = 1 << 18
SECONDS_WITHOUT_AN_ANSWER = 60


def download(url: str, path: Path, *, checksum: str | None, progress: Progress) -> None:
    """Fetch ``url`` to ``path``; what had arrived before an interruption is kept in ``path``.part and continued.

    The file gets its name only when its sha256 is ``checksum``. None: the publisher gives none; then the file has its
    name when all its bytes came, and whoever reads it must check that it is what it should be.
    """
    if path.is_file() and (checksum is None or sha256_of(path) == checksum):
        return
    part = path.with_name(path.name + ".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    with progress.step(f"Downloading {path.name}", unit="bytes") as step:
        _fetch_rest(url, part, step)
    found = sha256_of(part)
    if checksum is not None and found != checksum:
        part.unlink()
        raise ChecksumWrong(
            f"'{path.name}' is not the file its publisher describes (sha256 {found[:12]}…, not {checksum[:12]}…)",
            where=url,
            fix="run the command again; if it stays so, the publisher's file has changed: tell the project",
        )
    part.replace(path)


def read_text(url: str) -> str:
    """Fetch a small text file."""
    try:
        with urlopen(_request(url, 0), timeout=SECONDS_WITHOUT_AN_ANSWER) as answer:
            return str(answer.read().decode())
    except (OSError, http.client.HTTPException, UnicodeDecodeError) as error:
        raise _failed(url, error) from error


def sha256_of(path: Path) -> str:
    """The checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _request(url: str, start: int) -> Request:
    if urlsplit(url).scheme not in ("http", "https"):
        raise FetchFailed("only http and https addresses can be fetched", where=url, fix="correct --url")
    return Request(url, headers={"Range": f"bytes={start}-"} if start else {})


def _fetch_rest(url: str, part: Path, step: Step) -> None:
    """Append what is still missing; a server that cannot continue sends the whole file again."""
    start = part.stat().st_size if part.exists() else 0
    try:
        with urlopen(_request(url, start), timeout=SECONDS_WITHOUT_AN_ANSWER) as answer:
            continues = answer.status == http.client.PARTIAL_CONTENT
            step.advance(start if continues else 0)
            expected = answer.length
            with part.open("ab" if continues else "wb") as file:
                written = 0
                while chunk := answer.read(CHUNK):
                    file.write(chunk)
                    written += len(chunk)
                    step.advance(len(chunk))
    except HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # everything had arrived already; the checksum tells
        raise _failed(url, error) from error
    except (URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise _failed(url, error) from error
    if expected is not None and written < expected:
        raise _failed(url, ConnectionError(f"the connection ended after {written} of {expected} bytes"))


def _failed(url: str, error: Exception) -> FetchFailed:
    return FetchFailed(
        f"the download failed: {error}",
        where=url,
        fix="check the network and run the same command again: it goes on where it stopped",
    )

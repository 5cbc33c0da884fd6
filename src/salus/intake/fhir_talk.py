"""Talking with a FHIR server: patient with one that is busy, quick to leave one that talks nonsense.

The credential goes to the server's own origin and to no other host, whatever a link or redirect says. What a server
says in words is never repeated: it may hold a patient's values.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib import import_module
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

from salus.errors import DriverMissing, ServerTrouble

BUSY = (408, 425, 429, 500, 502, 503, 504)
FHIR_JSON = "application/fhir+json"
LARGEST_ANSWER = 256 << 20
"""Bytes of one answer that is read whole; files are streamed."""
CONTINUES = 206


class Access(Protocol):
    """What opens a server."""

    def headers(self, *, fresh: bool = False) -> Mapping[str, str]:
        """The credential; ``fresh``: the last one was refused."""


class Open:
    """A server that asks for no credential."""

    def headers(self, *, fresh: bool = False) -> Mapping[str, str]:
        """None."""
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often a request is tried, and how long is waited (seconds): at first, at most, and for an export in all."""

    tries: int = 6
    first: float = 1.0
    most: float = 60.0
    export: float = 24 * 3600.0
    silent: float = 60.0


@dataclass(slots=True)
class Talk:
    """Requests to one server. ``client``: an httpx client that follows no redirect."""

    base: str
    access: Access
    client: Any
    patience: Patience = Patience()
    heard: datetime | None = None
    """What the server's clock said first."""
    waits: Callable[[float], None] = field(default=time.sleep)

    def own(self, url: str) -> bool:
        """Whether an address is on the server's own origin."""
        return _origin(url) == _origin(self.base)

    def resolved(self, link: str, *, beside: str = "") -> str:
        """The address a link means, which must be the server's own. Raises ServerTrouble (SAL-117)."""
        found = urljoin(beside or f"{self.base}/", link)
        if not self.own(found):
            raise trouble(
                "the server's link leads to another host", self.base, "ask its staff for links to itself"
            )
        return found

    def json(self, url: str, *, headers: Mapping[str, str] | None = None) -> tuple[Any, Any]:
        """Ask for JSON and give it with the answer (status, headers); an answer that is none is asked for again."""
        problem = ""
        for number in range(self.patience.tries):
            answer = self.ask(url, headers={"Accept": FHIR_JSON, **(headers or {})})
            if answer.status_code in (202, 204) and not answer.content.strip():
                return None, answer
            try:
                found = json.loads(answer.content)
            except ValueError:
                found = None
            if isinstance(found, dict):
                return found, answer
            problem = (
                "it is HTML" if b"<html" in answer.content[:500].lower() else "it is cut short or no JSON"
            )
            self._wait(number, answer)
        raise trouble(f"the server's answer cannot be read: {problem}", url, "try again, or ask its staff")

    def ask(self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None) -> Any:
        """One answer below 300, read whole. Raises ServerTrouble (SAL-117)."""
        refused = False
        for number in range(self.patience.tries):
            sent = {**(headers or {}), **self._credential(url, fresh=refused)}
            try:
                answer = self._whole(method, url, sent)
            except httpx_library().TransportError as error:
                self._tired(number, url, f"no answer ({type(error).__name__})")
                self._wait(number, None)
                continue
            self._listen(answer)
            if answer.status_code < 300:
                return answer
            if answer.status_code == 401 and not refused and self.own(url):
                refused = True
                continue
            if answer.status_code not in BUSY:
                raise _refusal(answer, url)
            self._tired(number, url, f"status {answer.status_code}")
            self._wait(number, answer)
        raise trouble("the server does not answer", url, "try again later")

    @contextmanager
    def stream(self, url: str, *, start: int = 0, bare: bool = False) -> Iterator[Any]:
        """A file as it comes, from byte ``start`` where the server can; ``bare``: without the credential."""
        sent = {"Accept": "application/fhir+ndjson, application/ndjson, */*"}
        sent |= {} if bare else dict(self._credential(url, fresh=False))
        sent |= {"Range": f"bytes={start}-"} if start else {}
        with self.client.stream("GET", url, headers=sent) as answer:
            self._listen(answer)
            yield answer

    def _whole(self, method: str, url: str, sent: Mapping[str, str]) -> Any:
        with self.client.stream(method, url, headers=dict(sent)) as answer:
            content = b""
            for block in answer.iter_bytes():
                content += block
                if len(content) > LARGEST_ANSWER:
                    raise trouble("the server's answer has no end", url, "ask for smaller pages or an export")
            return _Answer(answer.status_code, answer.headers, content)

    def _credential(self, url: str, *, fresh: bool) -> Mapping[str, str]:
        return self.access.headers(fresh=fresh) if self.own(url) else {}

    def _listen(self, answer: Any) -> None:
        if self.heard is None and (said := answer.headers.get("date")):
            try:
                self.heard = parsedate_to_datetime(said)
            except ValueError:
                self.heard = datetime.now(UTC)

    def _tired(self, number: int, url: str, what: str) -> None:
        if number + 1 >= self.patience.tries:
            fix = "try again later: what has come is kept"
            raise trouble(f"the server does not answer: {what}, {number + 1} times", url, fix)

    def _wait(self, number: int, answer: Any) -> None:
        asked = retry_after(answer.headers) if answer is not None else None
        wait = self.patience.first * 2**number if asked is None else asked
        self.waits(min(wait, self.patience.most))


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer read whole."""

    status_code: int
    headers: Any
    content: bytes


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait: a number, or a date. None where it says nothing that can be read.

    >>> retry_after({"retry-after": "7"}), retry_after({"retry-after": "soon"}), retry_after({})
    (7.0, None, None)
    """
    said = headers.get("retry-after", "").strip()
    if said.isdigit():
        return float(min(int(said), 86_400))
    try:
        return max((parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds(), 0.0) if said else None
    except (ValueError, TypeError):
        return None


def trouble(what: str, url: str, fix: str) -> ServerTrouble:
    """An error that names host and path, and no query: it may name a patient."""
    parts = urlsplit(url)
    return ServerTrouble(
        what, where=f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}", fix=fix
    )


def _refusal(answer: Any, url: str) -> ServerTrouble:
    """Why a server refuses, by its status and the coded part of what it says."""
    codes = []
    try:
        issues = json.loads(answer.content).get("issue", [])
        codes = [str(one["code"]) for one in issues if str(one.get("code", "")).replace("-", "").isalpha()]
    except (ValueError, AttributeError, KeyError, TypeError):
        pass
    fixes = {
        401: "check the key and client, or the token",
        403: "ask its staff for the scope system/*.read",
        404: "check the address: it should end where `metadata` can be asked for",
    }
    told = f" ({', '.join(sorted(set(codes))[:3])})" if codes else ""
    status = answer.status_code
    what = (
        f"the server sends elsewhere (status {status})"
        if status < 400
        else f"the server refuses: status {status}"
    )
    found = trouble(what + told, url, fixes.get(status, "ask its staff"))
    found.status = status
    return found


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)


def httpx_library() -> Any:
    """The library that speaks HTTP. Raises DriverMissing (SAL-112)."""
    try:
        return import_module("httpx")
    except ImportError as error:
        raise DriverMissing(
            "reading a FHIR server needs httpx",
            where="salus.intake.fhir_talk",
            fix="pip install 'salus[fhir-server]'",
        ) from error


@contextmanager
def talking(base: str, access: Access, patience: Patience) -> Iterator[Talk]:
    """A conversation with a server."""
    with httpx_library().Client(timeout=patience.silent, follow_redirects=False) as client:
        yield Talk(base, access, client, patience)

"""Stands before every page: who may ask, how, what the browser is told to refuse, and how long the answer took."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from salus.errors import WorkspaceError, unexpected
from salus.web.answers import REFUSED, trouble_page

HERE = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?", re.IGNORECASE)
"""Names of this machine, with any port. Another name means another site sent the browser here."""
READING = ("GET", "HEAD")
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""A picture opened by itself carries its own style; it can load nothing and run nothing."""
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
REFUSED_METHOD, BROKEN = 405, 500


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class Guard:
    """Wraps the pages. ``say`` gets one line, without data, for each answer that failed."""

    def __init__(self, app: ASGIApp, *, say: Callable[[str], None] = _say) -> None:
        self._app, self._say = app, say

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        begun, started = time.perf_counter(), False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _add_headers(message, 1000 * (time.perf_counter() - begun))
            await send(message)

        try:
            await (_refusal(scope) or self._app)(scope, receive, send_with_headers)
        except Exception as problem:  # the outermost place: a page that failed must not end the workspace
            trouble = unexpected(problem)
            self._say(str(trouble))
            if started:
                raise
            await trouble_page(trouble, status=BROKEN)(scope, receive, send_with_headers)


def _refusal(scope: Scope) -> ASGIApp | None:
    """The answer to a request that no page should see, or None."""
    hosts = Headers(scope=scope).getlist("host")
    if len(hosts) != 1 or not HERE.fullmatch(hosts[0]):
        return trouble_page(
            WorkspaceError(
                "the workspace answers only under the names of this machine",
                where="the Host header of the request",
                fix="open http://127.0.0.1 with the port that `salus serve` printed",
            ),
            status=REFUSED,
        )
    if scope["method"] not in READING:
        answer = trouble_page(
            WorkspaceError(
                "the workspace can only be read",
                where=f"a {_known(scope['method'])} request",
                fix="follow a link; what changes anything is done on the command line",
            ),
            status=REFUSED_METHOD,
        )
        answer.headers["Allow"] = ", ".join(READING)
        return answer
    return None


def _known(method: str, known: Iterable[str] = ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")) -> str:
    return method if method in known else "strange"


def _add_headers(message: Message, milliseconds: float) -> None:
    headers = MutableHeaders(scope=message)
    is_picture = headers.get("content-type", "").startswith("image/svg")
    headers["Content-Security-Policy"] = PICTURE_POLICY if is_picture else PAGE_POLICY
    for name, text in HEADERS.items():
        headers[name] = text
    # Pages hold what was measured on patients: no browser keeps a copy, unless the answer itself says that it may.
    headers.setdefault("Cache-Control", "no-store")
    headers["Server-Timing"] = f"total;dur={milliseconds:.1f}"

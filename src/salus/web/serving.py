"""Listens on this machine only, says where, and ends quietly."""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from salus.errors import PortTaken
from salus.web.answers import prepare
from salus.web.application import workspace
from salus.web.library import check_library, find_usecases
from salus.web.standing import Shelf

HOST, PORT = "127.0.0.1", 8765
WAITING, SECONDS_TO_END, SECONDS_TO_READ = 64, 3, 1.0
"""Connections that may wait to be let in; seconds that open answers get when it is stopped; seconds that reading ahead
may keep people waiting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A workspace that listens: its address and the names of its use cases."""

    url: str
    usecases: tuple[str, ...]
    listener: socket.socket
    root: Path

    def lines(self) -> list[str]:
        """What a person is told at the start."""
        many = "use case" if len(self.usecases) == 1 else "use cases"
        return [
            f"the workspace: {self.url}",
            f"{len(self.usecases)} {many}: {', '.join(self.usecases)}",
            "only this machine can open it, and there is no sign-in yet; Ctrl-C stops it",
        ]

    def run(self, *, announce: Callable[[], None], open_browser: bool = True) -> None:
        """Say where it is, then answer until Ctrl-C."""
        shelf = Shelf()
        server = uvicorn.Server(
            uvicorn.Config(
                workspace(self.root, shelf=shelf),
                log_config=None,
                log_level="critical",
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=SECONDS_TO_END,
            )
        )
        try:
            reader = threading.Thread(target=_read_ahead, args=(self.root, shelf), daemon=True)
            reader.start()
            reader.join(SECONDS_TO_READ)
            announce()
            sys.stdout.flush()
            if open_browser and has_display(os.environ):
                threading.Thread(target=webbrowser.open, args=(self.url,), daemon=True).start()
            server.run(sockets=[self.listener])
        except KeyboardInterrupt:
            print("\nthe workspace is closed", file=sys.stderr, flush=True)
        finally:
            self.listener.close()


def open_workspace(root: Path, *, port: int = PORT) -> Opened:
    """Look for use cases and take the port. Raises NothingToServe (SAL-701), PortTaken (SAL-702)."""
    usecases = check_library(root)
    listener = _listen(root, port)
    return Opened(
        url=f"http://{HOST}:{listener.getsockname()[1]}/",
        usecases=tuple(usecases),
        listener=listener,
        root=root,
    )


def serve(root: Path, *, port: int = PORT, open_browser: bool = True) -> None:
    """Open the workspace on ``root``, say where, and answer until Ctrl-C."""
    opened = open_workspace(root, port=port)
    opened.run(announce=lambda: print("\n".join(opened.lines())), open_browser=open_browser)


def has_display(surroundings: Mapping[str, str], *, system: str = sys.platform) -> bool:
    """Whether a browser could be seen here.

    >>> has_display({"DISPLAY": ":0"}, system="linux"), has_display({}, system="linux")
    (True, False)
    """
    if system == "darwin" or system.startswith("win"):
        return "SSH_CONNECTION" not in surroundings
    return any(surroundings.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _read_ahead(root: Path, shelf: Shelf) -> None:
    """Read every use case before somebody asks, so that the first page is as quick as the others."""
    with suppress(Exception):  # the page itself meets the same trouble and says so
        prepare()
        for folder in find_usecases(root).values():
            shelf.standing(folder)


def _listen(root: Path, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # there it would let two programs share one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(WAITING)
    except OSError as problem:
        listener.close()
        why = "needs more rights" if problem.errno == errno.EACCES else "is taken by another program"
        if problem.errno not in (errno.EACCES, errno.EADDRINUSE):
            raise
        free = port + 1 if 1024 <= port < 65535 else PORT
        raise PortTaken(
            f"port {port} {why}",
            where=f"{HOST}:{port}",
            fix=f"end that program, or choose another port: salus serve {root} --port {free}",
        ) from problem
    return listener

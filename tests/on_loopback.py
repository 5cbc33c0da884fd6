"""Servers that tests start on this machine: a port for them, and the wait until they answer."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_until_it_answers(
    running: subprocess.Popen[bytes],
    answers: Callable[[], bool],
    *,
    refused: type[Exception],
    seconds: float = 60,
    log: Path | None = None,
) -> None:
    """Ask again and again; a server that ends, or does not answer in time, fails the test.

    ``answers``: asks once; it may raise ``refused`` while the server is not there yet. ``log``: what the server says.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if running.poll() is not None:
            break
        try:
            if answers():
                return
        except refused:
            pass
        time.sleep(0.2)
    what = "did not answer" if running.poll() is None else "ended at once"
    raise AssertionError(f"the server {what}: {log.read_text() if log else 'it keeps no log'}")

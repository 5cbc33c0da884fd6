"""``salus serve`` as a process of its own, for tests that need a real one."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

SECONDS = 60


class Served:
    """A running workspace on a free port, and what it said."""

    def __init__(self, root: Path, folder: Path, *options: str) -> None:
        self._said, self._complained = folder / "said", folder / "complained"
        command = [sys.executable, "-m", "salus", "serve", str(root), "--port", "0", "--no-browser", *options]
        with self._said.open("w") as out, self._complained.open("w") as err:
            self.process = subprocess.Popen(command, stdout=out, stderr=err)
        self.url = self._address()

    @property
    def said(self) -> str:
        return self._said.read_text()

    @property
    def complained(self) -> str:
        return self._complained.read_text()

    def _address(self) -> str:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            found = re.search(r"http://127\.0\.0\.1:\d+/", self.said)
            if found:
                return found[0]
            time.sleep(0.05)
        raise AssertionError(f"it did not say where it is: {self.said} {self.complained}")

    def interrupt(self) -> int:
        """Ctrl-C; its exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(SECONDS)

"""Listen: HL7 v2 messages that arrive over MLLP are on the disk before they are acknowledged."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from salus.errors import AddressRefused
from salus.intake.hl7v2_journal import Journal, check_folder
from salus.intake.mllp_listener import Limits, Listener

COUNTED = 10.0
"""Seconds between two lines of counts, where there is anything new to count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where a listener listens, and what it found in its folder."""

    host: str
    port: int
    known: int
    cut: int

    @property
    def is_open(self) -> bool:
        """Whether other machines can reach it."""
        return self.host not in ("127.0.0.1", "::1", "localhost")


def listen(
    address: tuple[str, int],
    to: Path,
    *,
    limits: Limits,
    announce: Callable[[Listening], None],
    tell: Callable[[Mapping[str, int]], None],
) -> Mapping[str, int]:
    """Listen until told to stop (Ctrl-C or SIGTERM); gives what was counted."""
    check_folder(to)
    journal = Journal(to)
    found = journal.open()

    async def run() -> Mapping[str, int]:
        listener = Listener(journal, limits=limits)
        host, port = await _started(listener, *address)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, listener.stop)
        announce(Listening(host=host, port=port, known=found.messages, cut=found.cut))
        telling = asyncio.create_task(_tell(listener, tell))
        await listener.serve()
        telling.cancel()
        return dict(sorted(listener.counts.items()))

    return asyncio.run(run())


async def _started(listener: Listener, host: str, port: int) -> tuple[str, int]:
    try:
        return await listener.start(host, port)
    except OSError as error:
        raise AddressRefused(
            f"nothing can listen at port {port} of that address: {error.strerror or 'it is not this machine’s'}",
            where="--mllp",
            fix="name an address of this machine and a port that is free; port 0 takes any",
        ) from error


async def _tell(listener: Listener, tell: Callable[[Mapping[str, int]], None]) -> None:
    told: dict[str, int] = {}
    while True:
        await asyncio.sleep(COUNTED)
        counts = dict(sorted(listener.counts.items()))
        if counts != told:
            tell(counts)
            told = counts

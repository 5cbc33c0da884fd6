"""Listen: HL7 v2 messages that arrive over MLLP are on the disk before they are acknowledged."""

from __future__ import annotations

import asyncio
import signal
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from salus.errors import AddressRefused
from salus.intake.hl7v2_journal import Journal, check_folder
from salus.intake.mllp_listener import Limits, Listener

COUNTED = 10.0
"""Seconds between two lines of counts, where there is anything new to count."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen (port 0: any free one); ``tls``: what to show and to ask (:mod:`salus.intake.mllp_tls`)."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where a listener listens, and what it found in its folder."""

    host: str
    port: int
    known: int
    cut: int
    encrypted: bool = False
    senders_known: bool = False

    @property
    def is_open(self) -> bool:
        """Whether other machines can reach it."""
        return self.host not in ("127.0.0.1", "::1", "localhost")


def listen(
    address: Address,
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
        host, port = await _started(listener, address)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, listener.stop)
        announce(
            Listening(
                host=host,
                port=port,
                known=found.messages,
                cut=found.cut,
                encrypted=address.tls is not None,
                senders_known=address.tls is not None and address.tls.verify_mode is ssl.CERT_REQUIRED,
            )
        )
        telling = asyncio.create_task(_tell(listener, tell))
        await listener.serve()
        telling.cancel()
        return dict(sorted(listener.counts.items()))

    return asyncio.run(run())


async def _started(listener: Listener, address: Address) -> tuple[str, int]:
    try:
        return await listener.start(address.host, address.port, address.tls)
    except OSError as error:
        why = error.strerror or "it is not this machine’s"
        raise AddressRefused(
            f"nothing can listen at port {address.port} of that address: {why}",
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

"""Listen for HL7 v2 messages over MLLP: what is acknowledged is on the disk, whatever happens next."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from salus.formats.hl7v2 import END, START
from salus.formats.hl7v2_acks import Header, Outcome, Refusal, acknowledgement, codes_to_send
from salus.intake.hl7v2_journal import Journal
from salus.intake.hl7v2_messages import CUT_SHORT, LARGEST_MESSAGE
from salus.intake.hl7v2_reception import Received, receive, refused
from salus.intake.mllp import KEPT, OUTSIDE, Frame, Framing
from salus.intake.mllp_tls import HANDSHAKE_SECONDS

READ = 1 << 16
AHEAD = 256
"""Messages of one connection that may wait for their acknowledgement before no more are read."""
TOGETHER = 1024
"""Messages that are written to the disk at once, at most."""
SLOW = "the frame did not end in time"
NOT_STORED = "it could not be stored: send it again later"
KEEP_ALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


HEARD_OUT = 5.0
UNANSWERED = (CUT_SHORT, OUTSIDE)
"""Bytes whose sender has gone or has begun anew: nobody waits for an answer."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a sender may ask of the listener, in bytes, connections and seconds."""

    largest: int = LARGEST_MESSAGE
    connections: int = 100
    silence: float = 30.0
    """Without a byte in the middle of a frame."""
    frame: float = 120.0
    """For one whole frame."""
    reply: float = 30.0
    """For a sender to take its acknowledgement."""
    linger: float = 1.0
    """After a start of the end, for the carriage return that some senders forget."""


DEFAULT = Limits()


@dataclass(slots=True)
class _Job:
    """A message on its way to the disk, and who waits for it."""

    received: Received
    stored: asyncio.Future[bool]


@dataclass(slots=True)
class _Answer:
    """What is owed to a sender once a message is stored."""

    received: Received
    stored: asyncio.Future[bool]


class Listener:
    """Takes messages from any number of connections, stores them together and answers each in its order."""

    def __init__(
        self, journal: Journal, *, limits: Limits = DEFAULT, now: Callable[[], datetime] = _now
    ) -> None:
        self.journal, self.limits, self.now = journal, limits, now
        self.counts: Counter[str] = Counter()
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue()
        self._waiting: dict[bytes, asyncio.Future[bool]] = {}
        self._open: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._named = f"{int(now().timestamp() * 1000):x}"
        self._answers = 0

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> tuple[str, int]:
        """Begin to listen; gives the address and port taken (port 0: any free one)."""
        patience = HANDSHAKE_SECONDS if tls else None
        self._server = await asyncio.start_server(
            self._connected, host, port, ssl=tls, ssl_handshake_timeout=patience
        )
        self._writer = asyncio.create_task(self._write())
        address: tuple[str, int] = self._server.sockets[0].getsockname()[:2]
        return address

    async def serve(self) -> None:
        """Listen until :meth:`stop`; then store and answer what was read whole, and let go."""
        await self._stopping.wait()
        self._server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._jobs.join()
        self._writer.cancel()
        await asyncio.gather(self._writer, return_exceptions=True)
        self.journal.close()

    def stop(self) -> None:
        """Ask the listener to end."""
        self._stopping.set()

    async def _write(self) -> None:
        """Store whatever has come since the disk was last waited for: one wait for all of it."""
        loop = asyncio.get_running_loop()
        while True:
            jobs = [await self._jobs.get()]
            while len(jobs) < TOGETHER and not self._jobs.empty():
                jobs.append(self._jobs.get_nowait())
            messages = [job.received for job in jobs]
            try:
                await loop.run_in_executor(None, partial(self.journal.store, messages, at=self.now()))
                done = True
            except OSError:
                done = False
            for job in jobs:
                self.counts[_tally(job.received, done)] += 1
                self._waiting.pop(job.received.key, None)
                job.stored.set_result(done)
                self._jobs.task_done()

    def _submit(self, received: Received) -> asyncio.Future[bool]:
        """Have a message stored, unless it is already or is about to be."""
        if received.key in self._waiting:
            self.counts["again"] += 1
            return self._waiting[received.key]
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self.journal.has(received):
            self.counts["again"] += 1
            future.set_result(True)
            return future
        self._waiting[received.key] = future
        self._jobs.put_nowait(_Job(received, future))
        return future

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._open) >= self.limits.connections:
            self.counts["connections turned away"] += 1
            writer.close()
            return
        self._open.add(task)
        self.counts["connections"] += 1
        _keep_alive(writer)
        owed: asyncio.Queue[_Answer | None] = asyncio.Queue(AHEAD)
        answering = asyncio.create_task(self._answer(owed, writer))
        try:
            given_up = await self._read(reader, owed)
            await owed.put(None)
            await answering
            if given_up:
                await _heard_out(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            while not answering.done():
                with contextlib.suppress(asyncio.QueueFull):
                    owed.put_nowait(None)
                    await answering
                    break
                await asyncio.sleep(0.01)
        finally:
            self._open.discard(task)
            with contextlib.suppress(ConnectionError, TimeoutError):
                writer.close()
                await asyncio.wait_for(writer.wait_closed(), self.limits.linger)

    async def _read(self, reader: asyncio.StreamReader, owed: asyncio.Queue[_Answer | None]) -> bool:
        """Take frames until the sender ends or is given up; gives whether it was."""
        framing, clock = Framing(self.limits.largest), asyncio.get_running_loop().time
        began = clock()
        while not framing.given_up:
            try:
                async with asyncio.timeout(self._patience(framing, clock() - began)):
                    data = await reader.read(READ)
            except TimeoutError:
                if not framing.ends_but_for_a_return:
                    await self._take(Frame(bytes(framing.waiting[:KEPT]), SLOW), owed)
                    return True
                data = END[1:]
            if not framing.inside:
                began = clock()
            frames = framing.feed(data) if data else framing.close()
            for frame in frames:
                began = clock()
                await self._take(frame, owed)
            if not data:
                return False
        return True

    def _patience(self, framing: Framing, elapsed: float) -> float | None:
        """Seconds to wait for the next byte; between frames a sender may be silent for as long as it likes."""
        if framing.ends_but_for_a_return:
            return self.limits.linger
        if not framing.inside:
            return None
        return max(0.0, min(self.limits.silence, self.limits.frame - elapsed))

    async def _take(self, frame: Frame, owed: asyncio.Queue[_Answer | None]) -> None:
        received = refused(frame.raw, frame.trouble) if frame.trouble else receive(frame.raw)
        if received.is_answer:
            self.counts["acknowledgements, which nobody answers"] += 1
            return
        stored = self._submit(received)
        if frame.trouble not in UNANSWERED:
            await owed.put(_Answer(received, stored))

    async def _answer(self, owed: asyncio.Queue[_Answer | None], writer: asyncio.StreamWriter) -> None:
        """Send acknowledgements in the order of the messages, as each is on the disk."""
        while (answer := await owed.get()) is not None:
            stored = await answer.stored
            for content in self._acknowledgements(answer.received, stored):
                writer.write(START + content + END)
            if owed.empty():
                await self._flushed(writer)
        await self._flushed(writer)

    async def _flushed(self, writer: asyncio.StreamWriter) -> None:
        """Wait until the sender takes what was sent; one that does not is cut off."""
        try:
            await asyncio.wait_for(writer.drain(), self.limits.reply)
        except TimeoutError:
            self.counts["senders that took no answer"] += 1
            writer.transport.abort()
        except ConnectionError:
            pass  # what was stored stays so; the sender asks again with the same control id

    def _acknowledgements(self, received: Received, stored: bool) -> list[bytes]:
        header = received.header or Header()
        refusal = received.refusal if stored else Refusal(Outcome.ERROR, "MSH", NOT_STORED, 207)
        outcome = refusal.outcome if refusal else Outcome.ACCEPTED
        found = []
        for code in codes_to_send(header, outcome):
            self._answers += 1
            control = f"{self._named}-{self._answers}"
            text = acknowledgement(header, code, refusal=refusal, now=self.now(), control=control)
            found.append(text.encode("latin-1", "replace"))
        return found


def _tally(received: Received, stored: bool) -> str:
    if not stored:
        return "not stored"
    return "refused" if received.refusal else "stored"


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """Have the system find out when a silent sender is no longer there."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, seconds in KEEP_ALIVE.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), seconds)


async def _heard_out(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read on for a moment without listening: a connection closed on unread bytes would lose its last answer."""
    with contextlib.suppress(ConnectionError, TimeoutError, OSError):
        if writer.can_write_eof():  # TLS has no half-closed connections
            writer.write_eof()
        async with asyncio.timeout(HEARD_OUT):
            while await reader.read(READ):
                pass

"""A sender of HL7 v2 messages over MLLP, and the real listener as a process: for tests and for `make bench-intake`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from salus.intake.hl7v2_messages import Message, messages_of

START, END = b"\x0b", b"\x1c\r"


@dataclass(slots=True)
class Process:
    """A listener in a process of its own."""

    child: subprocess.Popen[str]
    port: int

    def kill(self) -> None:
        """End it at once, wherever it is."""
        if self.child.poll() is None:
            os.kill(self.child.pid, signal.SIGKILL)
            self.child.wait()

    def stop(self) -> str:
        """Ask it to end; gives what it said on standard error."""
        self.child.send_signal(signal.SIGTERM)
        return self.child.communicate(timeout=30)[1]


def start_listener(folder: Path, *options: str) -> Process:
    """Start ``salus listen`` on a free port and wait until it says which."""
    words = [sys.executable, "-m", "salus", "listen", "--mllp", "127.0.0.1:0", "--to", str(folder), "--json"]
    quiet = os.environ | {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    child = subprocess.Popen(
        [*words, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=quiet
    )
    said = ""
    while child.stdout and (line := child.stdout.readline()):
        said += line
        if line.startswith("}"):
            return Process(child, int(json.loads(said)["port"]))
    raise RuntimeError(f"the listener did not start: {child.communicate()[1]}")


@dataclass(slots=True)
class Sent:
    """What a sender knows: which control ids were acknowledged, and how long each took."""

    acknowledged: set[str] = field(default_factory=set)
    milliseconds: list[float] = field(default_factory=list)


def control_of(message: str) -> str:
    """MSH-10 of a message, MSA-2 of an acknowledgement."""
    for segment in message.split("\r"):
        if segment.startswith("MSA|"):
            return segment.split("|")[2]
    return message.split("\r", 1)[0].split("|")[9]


async def send(
    port: int,
    messages: Sequence[str],
    *,
    ahead: int = 32,
    rate: float | None = None,
    heard: Callable[[int], None] = lambda _: None,
) -> Sent:
    """Send messages over one connection, ``ahead`` of them before their answers, at most ``rate`` a second.

    Ends when all are acknowledged with AA, or when the connection breaks. ``heard`` is told how many were, each time.
    """
    sent, begun = Sent(), dict[str, float]()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return sent
    room = asyncio.Semaphore(ahead)

    async def answers() -> None:
        try:
            for _ in messages:
                raw = await reader.readuntil(END)
                room.release()
                text = raw[1:-2].decode("latin-1")
                control = control_of(text)
                if "\rMSA|AA|" in text:
                    sent.acknowledged.add(control)
                    sent.milliseconds.append((time.perf_counter() - begun[control]) * 1000)
                    heard(len(sent.acknowledged))
        finally:
            room.release()

    listening = asyncio.create_task(answers())
    first = time.perf_counter()
    try:
        for number, message in enumerate(messages):
            await room.acquire()
            if listening.done():
                break
            if rate:
                await asyncio.sleep(max(0.0, first + number / rate - time.perf_counter()))
            begun[control_of(message)] = time.perf_counter()
            writer.write(START + message.encode() + END)
            await writer.drain()
        await listening
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        writer.close()
    return sent


def journal_of(folder: Path) -> Iterator[str]:
    """The control ids that are in a listener's journal, each as often as it is there."""
    for path in sorted((folder / "journal").glob("*.mllp")):
        with path.open("rb") as stream:
            for found in messages_of(stream):
                if isinstance(found, Message):
                    yield control_of(found.text)

"""A sender of HL7 v2 messages over MLLP, and the real listener as a process: for tests and for `make bench-intake`."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
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


def result_message(number: int) -> str:
    """A small ORU with a control id of its own."""
    return (
        f"MSH|^~\\&|LAB|HOSP|SALUS|HOSP|20260301091500+0000||ORU^R01|{number}|P|2.5.1\r"
        f"PID|1||{number % 7:04d}^^^HOSP^MR\r"
        f"OBX|1|NM|2823-3^Potassium^LN||{number % 9}.{number % 10}|mmol/L|||||F|||20260301080000+0000\r"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """What became of messages while their listener was killed again and again."""

    sent: int
    lost: int
    twice: int


def kill_trials(folder: Path, *, trials: int, seed: int, each: int = 300) -> Trials:
    """Send, kill the listener after some acknowledgements, start it again, send the rest again; then compare.

    Lost is what was acknowledged and is not in the journal after the kill, or is not there in the end.
    """
    chance, acknowledged, lost = random.Random(seed), set[str](), set[str]()
    waiting: list[str] = []
    for trial in range(trials):
        listener = start_listener(folder)
        waiting += [result_message(trial * each + place) for place in range(each)]
        last = chance.randrange(1, each - 50)
        sent = asyncio.run(send(listener.port, waiting, heard=_killing(listener, last)))
        if len(sent.acknowledged) == len(waiting):
            raise RuntimeError("the kill came too late to show anything")
        acknowledged |= sent.acknowledged
        waiting = [message for message in waiting if control_of(message) not in sent.acknowledged]
        lost |= acknowledged - set(journal_of(folder))
    listener = start_listener(folder)
    asyncio.run(send(listener.port, waiting))
    listener.stop()
    kept = Counter(journal_of(folder))
    everything = {str(number) for number in range(trials * each)}
    return Trials(
        sent=len(everything),
        lost=len(lost | (everything - kept.keys())),
        twice=sum(count - 1 for count in kept.values()),
    )


def _killing(listener: Process, last: int) -> Callable[[int], None]:
    return lambda count: listener.kill() if count >= last else None

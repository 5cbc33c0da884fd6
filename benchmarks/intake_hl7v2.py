"""HL7 v2: messages to events beside a bare split and other parsers, and the listener's pace, patience and memory."""

from __future__ import annotations

import asyncio
import platform
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

from benchmarks.intake_omop import Cost, cost_of
from benchmarks.mllp_sender import kill_trials, result_message, send, start_listener
from benchmarks.rows import Row, commit, is_met

MESSAGES = 60_000
PATIENTS = 5_000
SEED = 1
COMMAND = "make bench-intake"
PACE, SECONDS = 500.0, 20
TRIALS = 20
TESTS = (
    ("2823-3", "Potassium", "mmol/L", "3.5-5.1", 4.2, 0.5),
    ("2951-2", "Sodium", "mmol/L", "136-145", 140.0, 3.0),
    ("2160-0", "Creatinine", "mg/dL", "0.6-1.2", 1.0, 0.3),
    ("718-7", "Hemoglobin", "g/dL", "13-17", 14.0, 1.0),
    ("4544-3", "Hematocrit", "%", "40-52", 42.0, 4.0),
    ("777-3", "Platelets", "10*3/uL", "150-400", 250.0, 50.0),
    ("2345-7", "Glucose", "mg/dL", "70-99", 100.0, 20.0),
    ("3094-0", "Urea nitrogen", "mg/dL", "7-20", 14.0, 4.0),
    ("17861-6", "Calcium", "mg/dL", "8.5-10.2", 9.4, 0.4),
    ("2075-0", "Chloride", "mmol/L", "98-107", 102.0, 3.0),
)
OURS = """
import sys
from salus.intake.hl7v2_batches import read_batch
from salus.intake.hl7v2_segments import segment_batches
with open(sys.argv[1], "rb") as stream:
    read = (read_batch(batch, zone="UTC") for batch in segment_batches(stream))
    events = sum(facts.facts.height for batch in read for facts in batch.facts)
assert events == 20 * int(sys.argv[2]), events
"""
MESSAGES_OF = """
import sys
content = open(sys.argv[1], encoding="utf-8", newline="").read()
messages = ["MSH" + part for part in content.split("MSH|^")[1:]]
messages = ["MSH|^" + message[3:] for message in messages]
"""
SPLIT = MESSAGES_OF + "for message in messages: [segment.split('|') for segment in message.split(chr(13))]\n"
HL7KIT = MESSAGES_OF + "import hl7kit\nfor message in messages: hl7kit.parse(message)\n"
PYTHON_HL7 = MESSAGES_OF + "import hl7\nfor message in messages: hl7.parse(message)\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One number before it becomes a row."""

    name: str
    value: float
    unit: str
    direction: str
    target: float
    seconds: float
    cpu_seconds: float | None = None
    baseline: float | None = None


def write_messages(path: Path, count: int = MESSAGES) -> None:
    """Invented ORU messages of 25 segments, 20 of them results."""
    chance = random.Random(SEED)
    with path.open("w", encoding="utf-8", newline="") as out:
        for number in range(count):
            out.write(_message(number, chance))


def _message(number: int, chance: random.Random) -> str:
    drawn = datetime(2024, 1, 1) + timedelta(minutes=number)
    taken, told = (f"{time:%Y%m%d%H%M%S}" for time in (drawn, drawn + timedelta(minutes=70)))
    head = [
        f"MSH|^~\\&|LAB|HOSP|SALUS|HOSP|{told}+0100||ORU^R01^ORU_R01|M{number}|P|2.5.1",
        f"PID|1||P{number % PATIENTS}^^^HOSP^MR||Doe^Jane||19630815|F",
        f"PV1|1|I|W1^R2^B3||||1234^Doc^A|||||||||||V{number}",
        f"ORC|RE|O{number}|F{number}||CM",
        f"OBR|1|O{number}|F{number}|24323-8^CMP^LN|||{taken}|||||||||||||||{told}|||F",
    ]
    results = []
    for place in range(20):
        code, name, unit, span, mean, deviation = TESTS[place % len(TESTS)]
        value = chance.gauss(mean, deviation)
        results.append(f"OBX|{place + 1}|NM|{code}^{name}^LN||{value:.1f}|{unit}|{span}|N|||F|||{taken}")
    return "\r".join([*head, *results]) + "\r"


def parsing(folder: Path, count: int, say: Callable[[str], None]) -> list[Measured]:
    """Messages to events per CPU-second, and how many times as fast as the parsers that are installed."""
    path, few = folder / "oru.hl7", folder / "few.hl7"
    write_messages(path, count)
    write_messages(few, max(count // 20, 1))
    ours = _best(OURS, path, count)
    bare = _best(SPLIT, path, count)
    speed = count / ours.cpu_seconds
    say(f"HL7 v2: {speed:,.0f} ORU messages per CPU-second; a bare split {count / bare.cpu_seconds:,.0f}")
    found = [
        Measured(
            name="hl7v2_oru_messages_per_cpu_second",
            value=speed,
            unit="messages/CPU-s",
            direction="max",
            target=50_000.0,
            seconds=ours.seconds,
            cpu_seconds=ours.cpu_seconds,
            baseline=count / bare.cpu_seconds,
        )
    ]
    for module, program, target in (("hl7kit", HL7KIT, 1.0), ("hl7", PYTHON_HL7, 10.0)):
        if find_spec(module):
            peer = _best(program, few, max(count // 20, 1))
            theirs = max(count // 20, 1) / peer.cpu_seconds
            say(f"HL7 v2: {module} parses {theirs:,.0f} messages per CPU-second, to no events")
            name = f"hl7v2_times_{module}"
            found.append(
                Measured(
                    name=name,
                    value=speed / theirs,
                    unit="times",
                    direction="max",
                    target=target,
                    seconds=peer.seconds,
                    cpu_seconds=peer.cpu_seconds,
                    baseline=theirs,
                )
            )
    return found


def _best(program: str, path: Path, count: int) -> Cost:
    runs = [cost_of(program, str(path), str(count)) for _ in range(2)]
    return min(runs, key=lambda cost: cost.cpu_seconds)


def listening(folder: Path, say: Callable[[str], None], *, seconds: int = SECONDS) -> list[Measured]:
    """Messages a second that the real listener acknowledges, and how long the slowest hundredth waits."""
    listener = start_listener(folder)
    messages = [result_message(number) for number in range(int(PACE * seconds))]
    began = time.perf_counter()
    paced = asyncio.run(send(listener.port, messages, rate=PACE * 1.02))
    taken = time.perf_counter() - began
    waits = sorted(paced.milliseconds)
    pace, slow = len(waits) / taken, waits[int(len(waits) * 0.99)]
    more = [result_message(len(messages) + number) for number in range(len(messages))]
    again = time.perf_counter()
    free = asyncio.run(send(listener.port, more, ahead=256))
    most = len(free.acknowledged) / (time.perf_counter() - again)
    listener.stop()
    say(
        f"MLLP: {pace:,.0f} messages/s acknowledged on disk, p99 {slow:.1f} ms; as fast as it goes {most:,.0f}/s"
    )
    told = {"seconds": taken}
    return [
        Measured(
            name="mllp_messages_per_second",
            value=pace,
            unit="messages/s",
            direction="max",
            target=PACE,
            baseline=most,
            **told,
        ),
        Measured(name="mllp_p99_ms", value=slow, unit="ms", direction="min", target=50.0, **told),
    ]


def killing(folder: Path, say: Callable[[str], None]) -> list[Measured]:
    """Messages lost or kept twice while the listener was killed twenty times."""
    began = time.perf_counter()
    found = kill_trials(folder, trials=TRIALS, seed=SEED)
    say(
        f"MLLP: {found.lost} lost and {found.twice} kept twice of {found.sent:,} in {TRIALS} trials of kill -9"
    )
    taken = time.perf_counter() - began
    return [
        Measured(
            name=f"mllp_{name}_in_{TRIALS}_kills",
            value=float(count),
            unit="messages",
            direction="min",
            target=0.0,
            seconds=taken,
        )
        for name, count in (("lost", found.lost), ("twice", found.twice))
    ]


def rows(count: int = MESSAGES, *, say: Callable[[str], None] = print) -> list[Row]:
    """Every number that was asked of HL7 v2."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = parsing(folder, count, say)
        found += listening(folder / "paced", say) + killing(folder / "killed", say)
    return [
        Row(
            name=one.name,
            value=one.value,
            unit=one.unit,
            direction=one.direction,
            target=one.target,
            met=is_met(one.value, one.direction, one.target),
            baseline=one.baseline,
            command=COMMAND,
            seed=SEED,
            commit=commit(),
            hardware=f"{platform.machine()}, one thread",
            seconds=one.seconds,
            cpu_seconds=one.cpu_seconds,
        )
        for one in found
    ]


if __name__ == "__main__":
    rows()

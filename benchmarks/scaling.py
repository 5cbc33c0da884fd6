"""What a million patients cost to learn from and to draw at 1, 10 and 100 workers: measured at 1 and 2, then computed.

    python -m benchmarks.scaling --timeline build/demo/icu/timeline [--seconds 40]

Measured: facts learnt from with a step cut into one share and into two, what each step adds that is not shared out (for
1, 10 and 100 gradients, really added up), and facts drawn. Computed: steps of N shares on N workers, each gradient and
each copy of the weights crossing the wire once. Assumptions are arguments: the wire, and the price of a core-hour.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from benchmarks.rows import Row, commit, is_met, machine, write_rows
from salus.progress import QUIET
from salus.timeline.store import read_codes, read_settings, read_shards
from salus.trajectory.generating import draw_population
from salus.trajectory.network import Network
from salus.trajectory.reading import Lessons, Room, prepare_shards
from salus.trajectory.sizes import Scale, settings_for
from salus.trajectory.training import TrainSettings, fit

COMMAND = "python -m benchmarks.scaling --timeline build/demo/icu/timeline"
MILLION, PASSES, WORKERS = 1_000_000, 4, (1, 10, 100)
"""Patients; passes over them, the fewest that --size medium makes; workers that costs are computed for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """What nobody could measure here: bits a second between machines, and what a core costs an hour."""

    wire: float = 10e9
    price: float = 0.04


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One machine's figures. ``alone`` and ``pair``: facts learnt from a second of wall time with one and two workers.

    ``share_seconds``: processor seconds of a share; ``fixed``: wall seconds a step adds for so many gradients.
    """

    alone: float
    pair: float
    a_cpu_second: tuple[float, float]
    busy: tuple[float, float]
    share_facts: int
    share_seconds: float
    fixed: dict[int, float]
    weights: int
    facts_a_patient: float
    drawn: float

    def step_seconds(self, workers: int, assumed: Assumed) -> float:
        """A step of as many shares as workers: they compute at once, their gradients come one after another."""
        wire = 0.0 if workers == 1 else (workers + 1) * self.weights * 32 / assumed.wire
        return self.share_seconds + self.fixed[workers] + wire

    def hours_to_learn(self, workers: int, assumed: Assumed) -> float:
        """Wall hours of all passes over a million patients."""
        steps = PASSES * MILLION * self.facts_a_patient / (self.share_facts * workers)
        return steps * self.step_seconds(workers, assumed) / 3600

    def hours_to_draw(self, workers: int) -> float:
        """Wall hours of drawing a million patients; chunks know nothing of each other."""
        return MILLION * self.facts_a_patient / self.drawn / workers / 3600


def fixed_seconds(network: Network, shares: int) -> float:
    """What a step adds besides its shares: gradients added up, one step of Adam, the running average."""
    size = sum(value.numel() for value in network.parameters())
    rows, average = torch.zeros(shares, size), torch.zeros(size)
    flat = torch.nn.Parameter(torch.zeros(size))
    adam = torch.optim.AdamW([flat], fused=True)
    spent = []
    for _ in range(4):
        began = time.process_time()
        flat.grad = rows.sum(dim=0)
        torch.nn.utils.clip_grad_norm_([flat], 1.0)
        adam.step()
        average.lerp_(flat.detach(), 0.005)
        spent.append(time.process_time() - began)
    return min(spent)


def measure(lessons: Lessons, *, seconds: float) -> Measured:
    """Train for so long with one worker and with two, then draw."""
    base = settings_for(
        Scale.MEDIUM,
        TrainSettings(minutes=seconds / 60, most_gap=1.0),
        patients=lessons.train.patients,
        facts=lessons.train.facts,
    )
    rates, busy = [], []
    for workers in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            settings = TrainSettings(
                **{name: getattr(base, name) for name in base.__slots__} | {"workers": workers}
            )
            network, log = fit(lessons, settings=settings, checkpoint=Path(folder), progress=QUIET)
        rates.append((log.facts_seen / log.seconds, log.cpu_seconds / log.facts_seen))
        busy.append(log.cpu_seconds / log.seconds)
    torch.set_num_threads(1)
    fixed = {workers: fixed_seconds(network, workers) for workers in WORKERS}
    began = time.process_time()
    drawn = sum(
        len(moment.row)
        for moment in draw_population(network, lessons.vocabulary, patients=1_024, seed=1).drawn
    )
    return Measured(
        alone=rates[0][0],
        pair=rates[1][0],
        a_cpu_second=(1 / rates[0][1], 1 / rates[1][1]),
        busy=(busy[0], busy[1]),
        share_facts=base.share_facts,
        share_seconds=rates[0][1] * base.share_facts - fixed[1],
        fixed=fixed,
        weights=sum(value.numel() for value in network.parameters()),
        facts_a_patient=lessons.train.facts / lessons.train.patients,
        drawn=drawn / (time.process_time() - began),
    )


def rows(found: Measured, assumed: Assumed, *, seconds: float) -> list[Row]:
    """Measured figures, then computed ones; nothing was asked of them but to be said."""
    numbers = [
        ("icu, 1 worker: facts learnt from a second", found.alone, "facts/s"),
        ("icu, 1 worker: facts learnt from a CPU-second", found.a_cpu_second[0], "facts/CPU-s"),
        ("icu, 1 worker: processors kept busy", found.busy[0], "1"),
        ("icu, 2 workers: facts learnt from a second", found.pair, "facts/s"),
        ("icu, 2 workers: facts learnt from a CPU-second", found.a_cpu_second[1], "facts/CPU-s"),
        ("icu, 2 workers: processors kept busy", found.busy[1], "1"),
        ("icu: facts drawn a CPU-second", found.drawn, "facts/CPU-s"),
    ]
    for workers in WORKERS:
        learn, draw = found.hours_to_learn(workers, assumed), found.hours_to_draw(workers)
        said = f"a million icu stays at {workers} workers, computed"
        numbers += [
            (f"{said}: hours to learn from ({PASSES} passes)", learn, "h"),
            (f"{said}: cost of learning, {assumed.price} a core-hour", learn * workers * assumed.price, "1"),
            (f"{said}: hours to draw", draw, "h"),
            (f"{said}: cost of drawing, {assumed.price} a core-hour", draw * workers * assumed.price, "1"),
        ]
    return [
        Row(
            name=f"scaling: {name}",
            value=value,
            unit=unit,
            direction="max",
            target=0,
            met=is_met(value, "max", 0),
            command=COMMAND,
            seed=TrainSettings().seed,
            commit=commit(),
            hardware=machine(),
            seconds=seconds,
        )
        for name, value, unit in numbers
    ]


def main() -> None:
    """Measure, compute, print and keep."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--timeline", type=Path, required=True)
    asked.add_argument("--seconds", type=float, default=40.0)
    asked.add_argument("--wire", type=float, default=Assumed().wire, help="bits a second between machines")
    asked.add_argument("--price", type=float, default=Assumed().price, help="of a core-hour")
    given = asked.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        lessons = prepare_shards(
            partial(read_shards, given.timeline),
            read_codes(given.timeline),
            read_settings(given.timeline),
            room=Room(folder=Path(folder)),
        )
        found = measure(lessons, seconds=given.seconds)
    print(found)
    said = rows(found, Assumed(wire=given.wire, price=given.price), seconds=time.monotonic() - began)
    for row in said:
        print(f"{row.name:<90} {row.value:>12,.2f} {row.unit}")
    print(f"wrote {write_rows('peers-scaling', said)}")


if __name__ == "__main__":
    main()

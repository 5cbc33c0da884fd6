"""What binds: operations and memory traffic of training and drawing, beside what this processor can do.

Run: ``python -m benchmarks.roofline --model build/demo/icu/model --timeline build/demo/icu/timeline``. One thread,
since Salus uses processes and not threads; peaks are measured here, not looked up.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.rows import Row, commit, is_met, machine, write_rows
from salus.timeline.store import read_codes, read_settings, read_timeline
from salus.trajectory.artefact import load_model
from salus.trajectory.batches import make_batch
from salus.trajectory.encoding import Records
from salus.trajectory.generating import draw_population
from salus.trajectory.likelihood import groups_of
from salus.trajectory.network import Network
from salus.trajectory.reading import prepare
from salus.trajectory.vocabulary import Vocabulary

COMMAND = "python -m benchmarks.roofline --model build/demo/icu/model --timeline build/demo/icu/timeline"
SIDE = 2_048
"""Side of the square matrices whose product gives the peak."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """Peaks of one core, and what each job reaches of them."""

    peak_gflops_float32: float
    peak_gflops_bfloat16: float
    peak_gigabytes_per_second: float
    train_facts_per_cpu_second: float
    train_gflops: float
    draw_facts_per_cpu_second: float
    draw_gflops: float


def seconds_of(work: Callable[[], object], *, times: int = 5) -> float:
    """Processor seconds of one call, the least of several."""
    best = float("inf")
    for _ in range(times):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best


def peaks() -> tuple[float, float, float]:
    """GFLOP/s of square products in float32 and bfloat16, and GB/s of copying 400 MB (read and written)."""
    found = []
    for kind in (torch.float32, torch.bfloat16):
        a, b = (torch.randn(SIDE, SIDE).to(kind) for _ in range(2))
        a @ b
        found.append(2 * SIDE**3 / seconds_of(lambda a=a, b=b: a @ b) / 1e9)
    long, other = torch.zeros(100_000_000), torch.zeros(100_000_000)
    return found[0], found[1], 2 * 4 * len(long) / seconds_of(lambda: other.copy_(long)) / 1e9


def training(
    network: Network, records: Records, vocabulary: Vocabulary, *, facts: int
) -> tuple[float, float]:
    """Facts and GFLOP a processor second of forward and backward over shares of ``facts``."""
    network.train()
    groups = groups_of(records, facts, seed=1)[:6]

    def step(group: int) -> int:
        batch = make_batch(records.of(groups[group]), vocabulary)
        parts = network(batch)
        (parts["code"] + parts["value"] + parts["wait"]).backward()
        network.zero_grad(set_to_none=True)
        return batch.facts

    step(0)
    began = time.process_time()
    done = sum(step(group) for group in range(1, len(groups)))
    spent = time.process_time() - began
    with FlopCounterMode(display=False) as counter:
        for group in range(1, len(groups)):
            step(group)
    return done / spent, counter.get_total_flops() / spent / 1e9


def drawing(network: Network, vocabulary: Vocabulary, *, patients: int) -> tuple[float, float]:
    """Facts and GFLOP a processor second of drawing whole patients together."""
    network.eval()

    def draw() -> int:
        return sum(
            len(moment.row)
            for moment in draw_population(network, vocabulary, patients=patients, seed=1).drawn
        )

    draw()
    began = time.process_time()
    facts = draw()
    spent = time.process_time() - began
    with FlopCounterMode(display=False) as counter:
        draw()
    return facts / spent, counter.get_total_flops() / spent / 1e9


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--timeline", type=Path, required=True)
    parser.add_argument("--patients", type=int, default=4_096)
    given = parser.parse_args()
    began = time.monotonic()
    torch.set_num_threads(1)
    model = load_model(given.model)
    events, codes = read_timeline(given.timeline), read_codes(given.timeline)
    lessons = prepare(events, codes, read_settings(given.timeline))
    float32, bfloat16, traffic = peaks()
    trained = training(model.network, lessons.train, model.vocabulary, facts=model.settings.share_facts)
    drawn = drawing(model.network, model.vocabulary, patients=given.patients)
    found = Roofline(
        peak_gflops_float32=float32,
        peak_gflops_bfloat16=bfloat16,
        peak_gigabytes_per_second=traffic,
        train_facts_per_cpu_second=trained[0],
        train_gflops=trained[1],
        draw_facts_per_cpu_second=drawn[0],
        draw_gflops=drawn[1],
    )
    for name, value in asdict(found).items():
        print(f"{name:<28} {value:>12,.1f}")
    print(f"wrote {write_rows('peers-speed', rows(found, seconds=time.monotonic() - began))}")


def rows(found: Roofline, *, seconds: float) -> list[Row]:
    """What was asked of drawing; training and the peaks stand beside it with no wish of their own."""
    numbers = (
        ("icu: facts drawn per CPU-second, one core", found.draw_facts_per_cpu_second, 50_000, "facts/CPU-s"),
        ("icu: facts learnt from per CPU-second", found.train_facts_per_cpu_second, 0, "facts/CPU-s"),
        ("icu: GFLOP/s of drawing", found.draw_gflops, 0, "GFLOP/s"),
        ("icu: GFLOP/s of training", found.train_gflops, 0, "GFLOP/s"),
        ("this core: GFLOP/s of float32 products", found.peak_gflops_float32, 0, "GFLOP/s"),
        ("this core: GFLOP/s of bfloat16 products", found.peak_gflops_bfloat16, 0, "GFLOP/s"),
        ("this core: GB/s of copying", found.peak_gigabytes_per_second, 0, "GB/s"),
    )
    return [
        Row(
            name=name,
            value=value,
            unit=unit,
            direction="max",
            target=target,
            met=is_met(value, "max", target),
            command=COMMAND,
            seed=1,
            commit=commit(),
            hardware=machine(),
            seconds=seconds,
        )
        for name, value, target, unit in numbers
    ]


if __name__ == "__main__":
    main()

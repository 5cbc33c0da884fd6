"""Gradients of one training step, computed by one process a core and added in a fixed order.

At this size two one-thread processes beat one two-thread process, and a busy neighbour slows them far less. A step is
always cut into the same two shares, whether one process or two compute them, so that the result is the same.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import NamedTuple

import torch
import torch.multiprocessing as processes
from torch import Tensor

from salus.errors import WorkerLost
from salus.trajectory.batches import make_batch
from salus.trajectory.bins import IntArray
from salus.trajectory.encoding import Records
from salus.trajectory.network import Network
from salus.trajectory.vocabulary import Vocabulary

SHARES = 2
"""Shares a step is cut into. Part of the result: another number gives other sums."""


class Share(NamedTuple):
    """Patients of one share of a step, the seed of its dropout, and the extra weight of what seldom happens."""

    patients: IntArray
    seed: int
    emphasis: float = 0.0


class GradientPool:
    """Computes the gradient of each share of a step; shares beyond the first in other processes, given the cores."""

    def __init__(self, network: Network, records: Records, vocabulary: Vocabulary, *, cores: int) -> None:
        self.network, self.records, self.vocabulary = network, records, vocabulary
        size = sum(value.numel() for value in network.parameters())
        self.buffers = torch.zeros(SHARES, size)
        self.buffers.share_memory_()  # type: ignore[no-untyped-call]
        self.workers: list[tuple[BaseProcess, Connection]] = []
        self.threads = torch.get_num_threads()
        if cores >= SHARES:
            self._start()

    def _start(self) -> None:
        context = processes.get_context("spawn")
        self.network.share_memory()
        for share in range(1, SHARES):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_work,
                args=(theirs, self.network, self.records, self.vocabulary, self.buffers[share]),
                daemon=True,
            )
            process.start()
            theirs.close()
            self.workers.append((process, ours))

    def __enter__(self) -> GradientPool:
        torch.set_num_threads(1)
        return self

    def __exit__(self, *_: object) -> None:
        torch.set_num_threads(self.threads)
        for process, pipe in self.workers:
            pipe.close()
            process.join(timeout=5)
            if process.is_alive():
                process.kill()

    def step(self, shares: Sequence[Share]) -> dict[str, float]:
        """Set the gradients to the mean over all facts of the shares; give losses in nats per fact, and facts."""
        for (_, pipe), share in zip(self.workers, shares[1:], strict=False):
            _say(pipe, share)
        said = [_share_gradient(self.network, self.records, self.vocabulary, shares[0], self.buffers[0])]
        if self.workers:
            said += [_hear(*worker) for worker, _ in zip(self.workers, shares[1:], strict=False)]
        else:
            said += [
                _share_gradient(self.network, self.records, self.vocabulary, share, self.buffers[number])
                for number, share in enumerate(shares[1:], start=1)
            ]
        facts = max(sum(part["facts"] for part in said), 1.0)
        total = self.buffers[: len(shares)].sum(dim=0) / facts
        _spread(self.network, total)
        parts = {
            name: sum(part[name] for part in said) / facts for name in ("code", "value", "wait", "seldom")
        }
        return parts | {"facts": facts}


def _share_gradient(
    network: Network, records: Records, vocabulary: Vocabulary, share: Share, into: Tensor
) -> dict[str, float]:
    """Sum of gradients over the share's patients, written into ``into``; losses summed, in nats."""
    torch.manual_seed(share.seed)
    network.train()
    network.zero_grad(set_to_none=True)
    batch = make_batch(records.of(share.patients), vocabulary)
    parts = network(batch)
    loss: Tensor = parts["code"] + parts["value"] + parts["wait"] + share.emphasis * parts["seldom"]
    loss.backward()  # type: ignore[no-untyped-call]
    place = 0
    for value in network.parameters():
        count = value.numel()
        into[place : place + count] = 0.0 if value.grad is None else value.grad.reshape(-1)
        place += count
    return {name: float(value.detach()) for name, value in parts.items()} | {"facts": float(batch.facts)}


def _spread(network: Network, flat: Tensor) -> None:
    """Hand a flat gradient back to the parameters."""
    place = 0
    for value in network.parameters():
        count = value.numel()
        value.grad = flat[place : place + count].view_as(value).clone()
        place += count


def _work(pipe: Connection, network: Network, records: Records, vocabulary: Vocabulary, into: Tensor) -> None:
    """Answer shares until the other end closes. Ctrl-C is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            share = Share(*pipe.recv())
            pipe.send(_share_gradient(network, records, vocabulary, share, into))


def _say(pipe: Connection, share: Share) -> None:
    try:
        pipe.send(tuple(share))
    except (BrokenPipeError, ConnectionResetError) as error:
        raise _lost() from error


def _hear(process: BaseProcess, pipe: Connection) -> dict[str, float]:
    try:
        while not pipe.poll(1.0):
            if not process.is_alive():
                raise _lost()
        answer: dict[str, float] = pipe.recv()
    except (EOFError, ConnectionResetError, BrokenPipeError) as error:
        raise _lost() from error
    return answer


def _lost() -> WorkerLost:
    return WorkerLost(
        "a training process ended before its work was done",
        where="trajectory.gradients",
        fix="run the same command again: training resumes from its last check; if it recurs, free some memory",
    )


def cores_here() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

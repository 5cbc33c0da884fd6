"""Gradients of one training step: its shares computed side by side, then added in a fixed order.

A step is cut into as many shares as the settings say; where they are computed changes nothing. On this machine each
process has one thread: at this size two one-thread processes beat one two-thread process, and a busy neighbour slows
them far less. On a cluster each share goes to a member of a crew, with the weights, and comes back as a gradient.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import NamedTuple, Protocol

import torch
import torch.multiprocessing as processes
from torch import Tensor

from salus.compute.crew import Crew
from salus.compute.ray_cluster import current_cluster
from salus.errors import WorkerLost
from salus.trajectory.batches import make_batch
from salus.trajectory.bins import FloatArray, IntArray
from salus.trajectory.encoding import Records
from salus.trajectory.network import Network
from salus.trajectory.vocabulary import Vocabulary

SHARES = 2
"""Shares a step is cut into where nobody says otherwise."""


class Share(NamedTuple):
    """Patients of one share of a step, the seed of its dropout, and the extra weight of what seldom happens."""

    patients: IntArray
    seed: int
    emphasis: float = 0.0


class Places(Protocol):
    """Where shares are computed."""

    def compute(self, shares: Sequence[Share], into: Tensor) -> list[dict[str, float]]:
        """Write each share's gradient into its row of ``into``; give each share's losses, summed, and facts."""
        ...


class GradientPool:
    """Computes the gradient of a step from its ``shares``: on the cluster the command opened, or on ``cores`` here."""

    def __init__(
        self, network: Network, records: Records, vocabulary: Vocabulary, *, cores: int, shares: int = SHARES
    ) -> None:
        self.network, self.records, self.vocabulary = network, records, vocabulary
        size = sum(value.numel() for value in network.parameters())
        self.gradients = torch.zeros(shares, size)
        self.cores, self.threads, self.open = cores, torch.get_num_threads(), ExitStack()

    def __enter__(self) -> GradientPool:
        torch.set_num_threads(1)
        learnt_from = (self.network, self.records, self.vocabulary)
        cluster, most = current_cluster(), len(self.gradients)
        if cluster is None:
            near = _Processes(*learnt_from, gradients=self.gradients, number=min(self.cores, most))
            self.places: Places = self.open.enter_context(near)
        else:
            crew = self.open.enter_context(cluster.crew(_Far, *learnt_from, most=most))
            self.places = _Crew(self.network, crew)
        return self

    def __exit__(self, *_: object) -> None:
        torch.set_num_threads(self.threads)
        self.open.close()

    def step(self, shares: Sequence[Share]) -> dict[str, float]:
        """Set the gradients to the mean over all facts of the shares; give losses in nats per fact, and facts."""
        said = self.places.compute(shares, self.gradients)
        facts = max(sum(part["facts"] for part in said), 1.0)
        total = self.gradients[: len(shares)].sum(dim=0) / facts
        _spread(self.network, total)
        parts = {
            name: sum(part[name] for part in said) / facts for name in ("code", "value", "wait", "seldom")
        }
        return parts | {"facts": facts}


class _Processes:
    """This process and ``number`` - 1 others, which see the same weights and write into the same memory."""

    def __init__(
        self, network: Network, records: Records, vocabulary: Vocabulary, *, gradients: Tensor, number: int
    ) -> None:
        self.learnt_from = (network, records, vocabulary)
        self.workers: list[tuple[BaseProcess, Connection]] = []
        if number > 1:
            network.share_memory()
            gradients.share_memory_()  # type: ignore[no-untyped-call]
        context = processes.get_context("spawn")
        for _ in range(1, number):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, *self.learnt_from, gradients), daemon=True)
            process.start()
            theirs.close()
            self.workers.append((process, ours))

    def __enter__(self) -> _Processes:
        return self

    def __exit__(self, *_: object) -> None:
        for process, pipe in self.workers:
            pipe.close()
            process.join(timeout=5)
            if process.is_alive():
                process.kill()

    def compute(self, shares: Sequence[Share], into: Tensor) -> list[dict[str, float]]:
        """As many shares at a time as there are processes; the first of them here."""
        said = []
        for first in range(0, len(shares), 1 + len(self.workers)):
            together = range(first, min(first + 1 + len(self.workers), len(shares)))
            asked = [worker for worker, _ in zip(self.workers, together[1:], strict=False)]
            for (_, pipe), number in zip(asked, together[1:], strict=True):
                _say(pipe, number, shares[number])
            said.append(_share_gradient(*self.learnt_from, shares[first], into[first]))
            said += [_hear(*worker) for worker in asked]
        return said


class _Crew:
    """The members of a cluster's crew: weights go out with each step, gradients come back."""

    def __init__(self, network: Network, crew: Crew[Share, tuple[FloatArray, dict[str, float]]]) -> None:
        self.network, self.crew = network, crew

    def compute(self, shares: Sequence[Share], into: Tensor) -> list[dict[str, float]]:
        """Each share once, in order, whoever is lost on the way."""
        with torch.no_grad():
            weights = torch.cat([value.reshape(-1) for value in self.network.parameters()]).numpy()
        said = []
        for number, (gradient, parts) in enumerate(self.crew.answers(shares, weights)):
            into[number].numpy()[:] = gradient
            said.append(parts)
        return said


class _Far:
    """A member of a crew: holds network and records, computes shares with the weights it is sent."""

    def __init__(self, network: Network, records: Records, vocabulary: Vocabulary) -> None:
        torch.set_num_threads(1)
        self.learnt_from = (network, records, vocabulary)
        self.gradient = torch.zeros(sum(value.numel() for value in network.parameters()))

    def __call__(self, share: Share, weights: FloatArray) -> tuple[FloatArray, dict[str, float]]:
        network, told = self.learnt_from[0], torch.from_numpy(weights.copy())
        with torch.no_grad():
            for value, part in zip(network.parameters(), _parted(network, told), strict=True):
                value.copy_(part)
        said = _share_gradient(*self.learnt_from, share, self.gradient)
        return self.gradient.numpy(), said


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
    for value, row in zip(network.parameters(), _parted(network, into), strict=True):
        row.zero_() if value.grad is None else row.copy_(value.grad)
    return {name: float(value.detach()) for name, value in parts.items()} | {"facts": float(batch.facts)}


def _spread(network: Network, flat: Tensor) -> None:
    """Hand a flat gradient back to the parameters."""
    for value, part in zip(network.parameters(), _parted(network, flat), strict=True):
        value.grad = part.clone()


def _parted(network: Network, flat: Tensor) -> Iterator[Tensor]:
    """Views of a flat tensor in the shapes of the parameters, in their order."""
    place = 0
    for value in network.parameters():
        yield flat[place : place + value.numel()].view_as(value)
        place += value.numel()


def _work(
    pipe: Connection, network: Network, records: Records, vocabulary: Vocabulary, gradients: Tensor
) -> None:
    """Answer shares until the other end closes. Ctrl-C is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            number, share = pipe.recv()
            pipe.send(_share_gradient(network, records, vocabulary, Share(*share), gradients[number]))


def _say(pipe: Connection, number: int, share: Share) -> None:
    try:
        pipe.send((number, tuple(share)))
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

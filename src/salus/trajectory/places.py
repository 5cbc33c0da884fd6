"""Where the shares of a training step, and the looks at tuning patients, are computed: on this machine or a cluster."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Sequence
from copy import deepcopy
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

import torch
import torch.multiprocessing as processes
from torch import Tensor

from salus.compute.crew import Crew
from salus.errors import WorkerLost
from salus.trajectory.bins import FloatArray
from salus.trajectory.devices import device_of
from salus.trajectory.encoding import Records
from salus.trajectory.learner import Learner, Share, parted
from salus.trajectory.likelihood import PatientLikelihood, batch_likelihood
from salus.trajectory.network import Network
from salus.trajectory.vocabulary import Vocabulary

Question = Share | Records


class Places(Protocol):
    """Whom a step is given to. Nothing that is answered depends on who answers."""

    def gradients(self, shares: Sequence[Share]) -> list[dict[str, float]]:
        """Write each share's gradient into its row; give each share's losses, summed, and facts."""
        ...

    def likelihoods(self, pieces: Sequence[Records]) -> Iterator[PatientLikelihood]:
        """How likely the patients of each piece are under the present weights, in order."""
        ...


class Near:
    """This process and ``number`` - 1 others, which see the same weights and write into the same memory."""

    def __init__(self, learner: Learner, rows: Tensor, *, number: int) -> None:
        self.learner, self.rows = learner, rows
        self.workers: list[tuple[BaseProcess, Connection]] = []
        if number > 1:
            learner.network.share_memory()
            rows.share_memory_()  # type: ignore[no-untyped-call]
        context = processes.get_context("spawn")
        for _ in range(1, number):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, learner, rows), daemon=True)
            process.start()
            theirs.close()
            self.workers.append((process, ours))

    def __enter__(self) -> Near:
        return self

    def __exit__(self, *_: object) -> None:
        for process, pipe in self.workers:
            pipe.close()
            process.join(timeout=5)
            if process.is_alive():
                process.kill()

    def gradients(self, shares: Sequence[Share]) -> list[dict[str, float]]:
        """Every process writes into the same rows."""
        return list(self._answers(shares))

    def likelihoods(self, pieces: Sequence[Records]) -> Iterator[PatientLikelihood]:
        """As for shares."""
        return self._answers(pieces)

    def _answers(self, questions: Sequence[Question]) -> Iterator[Any]:
        """As many at a time as there are processes; the first of them here."""
        for first in range(0, len(questions), 1 + len(self.workers)):
            together = range(first, min(first + 1 + len(self.workers), len(questions)))
            asked = [worker for worker, _ in zip(self.workers, together[1:], strict=False)]
            for (_, pipe), number in zip(asked, together[1:], strict=True):
                _say(pipe, number, questions[number])
            said = [_answer(self.learner, questions[first], self.rows, first)]
            yield from said + [_hear(*worker) for worker in asked]


def _answer(learner: Learner, question: Question, rows: Tensor, number: int) -> object:
    if isinstance(question, Records):
        # Looks are computed on the processor: they are few, and a card would have to be told of every small tensor.
        network = (
            learner.network if device_of(learner.network).type == "cpu" else deepcopy(learner.network).cpu()
        )
        return batch_likelihood(network, question, learner.vocabulary)
    return learner.gradient(question, rows[number])


class Far:
    """The members of a cluster's crew: weights go out with each step, gradients come back."""

    def __init__(self, network: Network, rows: Tensor, crew: Crew[Question, Any]) -> None:
        self.network, self.rows, self.crew = network, rows, crew

    def gradients(self, shares: Sequence[Share]) -> list[dict[str, float]]:
        """Each share once, in order, whoever is lost on the way."""
        said = []
        for number, (parts, gradient) in enumerate(self.crew.answers(shares, self._weights())):
            self.rows[number].numpy()[:] = gradient
            said.append(parts)
        return said

    def likelihoods(self, pieces: Sequence[Records]) -> Iterator[PatientLikelihood]:
        """As for shares."""
        return self.crew.answers(pieces, self._weights())

    def _weights(self) -> FloatArray:
        with torch.no_grad():
            flat: FloatArray = torch.cat([value.reshape(-1) for value in self.network.parameters()]).numpy()
        return flat


class Member:
    """One of a crew: holds a network, answers with the weights it is sent about the records it is asked about."""

    def __init__(self, network: Network, vocabulary: Vocabulary) -> None:
        torch.set_num_threads(1)
        self.learner = Learner(network, vocabulary)
        self.row = torch.zeros(1, sum(value.numel() for value in network.parameters()))

    def __call__(self, question: Question, weights: FloatArray) -> object:
        """The answer with these weights; a share's gradient beside it."""
        network, told = self.learner.network, torch.from_numpy(weights.copy())
        with torch.no_grad():
            for value, part in zip(network.parameters(), parted(network, told), strict=True):
                value.copy_(part)
        answer = _answer(self.learner, question, self.row, 0)
        return answer if isinstance(question, Records) else (answer, self.row[0].numpy())


def _work(pipe: Connection, learner: Learner, rows: Tensor) -> None:
    """Answer until the other end closes. Ctrl-C is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            number, question = pipe.recv()
            pipe.send(_answer(learner, question, rows, number))


def _say(pipe: Connection, number: int, question: Question) -> None:
    try:
        pipe.send((number, question))
    except (BrokenPipeError, ConnectionResetError) as error:
        raise _lost() from error


def _hear(process: BaseProcess, pipe: Connection) -> object:
    try:
        while not pipe.poll(1.0):
            if not process.is_alive():
                raise _lost()
        answer: object = pipe.recv()
    except (EOFError, ConnectionResetError, BrokenPipeError) as error:
        raise _lost() from error
    return answer


def _lost() -> WorkerLost:
    return WorkerLost(
        "a training process ended before its work was done",
        where="trajectory.places",
        fix="run the same command again: training resumes from its last check; if it recurs, free some memory",
    )


def cores_here() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

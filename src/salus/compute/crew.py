"""Members on the nodes of a Ray cluster that answer questions; whoever dies is replaced, and asked again elsewhere."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from salus.errors import SalusError, WorkerLost

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

AHEAD = 4
"""Answers a seat that may wait for an earlier one: bounds what lies in memory while the first is slow."""
LOSSES = 3
"""Members that may die over one question, or over taking their seats, before the run gives up."""
PATIENCE_SECONDS = 120.0
"""How long to wait for the first member to take a seat, where none is left."""


@dataclass(slots=True)
class Tally:
    """What crews cost: processor seconds on the nodes, and members lost and replaced."""

    cpu_seconds: float = 0.0
    lost: int = 0


class Crew(Generic[Asked, Answer]):
    """Members, one a processor, who hold the same material. Who answers a question must not change its answer."""

    def __init__(
        self,
        ray: Any,
        make: Callable[..., Callable[[Asked, Any], Answer]],
        material: tuple[object, ...],
        *,
        seats: int,
        tally: Tally,
    ) -> None:
        self.ray, self.make, self.seats, self.tally = ray, make, seats, tally
        self.material = [ray.put(part) for part in material]
        self.member = ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(_Member)
        self.starting: dict[Any, Any] = {}
        self.free: deque[Any] = deque()
        self.busy: dict[Any, tuple[Any, int]] = {}
        self.losses: Counter[int | None] = Counter()

    def __enter__(self) -> Crew[Asked, Answer]:
        for _ in range(self.seats):
            self._seat()
        return self

    def __exit__(self, *_: object) -> None:
        seated = [*self.starting.values(), *self.free, *(member for member, _ in self.busy.values())]
        for member in seated:
            self.ray.kill(member, no_restart=True)

    def answers(self, questions: Sequence[Asked], shared: object = None) -> Iterator[Answer]:
        """Yield the answer to each question once, in order; ``shared`` is sent to each node once, not once a question.

        Raises WorkerLost (SAL-307) where members keep dying over one question or none takes a seat; what a member
        raises itself is raised here.
        """
        sent = self.ray.put(shared)
        waiting, done, told = deque(range(len(questions))), dict[int, Answer](), 0
        while told < len(questions):
            while self.free and waiting and waiting[0] < told + AHEAD * self.seats:
                member, number = self.free.popleft(), waiting.popleft()
                self.busy[member.answer.remote(questions[number], sent)] = (member, number)
            if told in done:
                yield done.pop(told)
                told += 1
                continue
            for number, found in self._heard():
                if found is None:
                    waiting.appendleft(number)
                else:
                    done[number] = found[0]

    def _heard(self) -> list[tuple[int, tuple[Answer] | None]]:
        """Wait until somebody has answered, died or taken a seat; None: the question must be asked again."""
        ready, _ = self.ray.wait(
            [*self.busy, *self.starting], num_returns=1, timeout=None if self.busy else PATIENCE_SECONDS
        )
        if not ready:
            raise _lost(f"no node took up the work within {PATIENCE_SECONDS:.0f} s")
        (promise,) = ready
        member, number = self.busy.pop(promise, (None, None))
        member = member or self.starting.pop(promise)
        try:
            answer, spent = self.ray.get(promise)
        except self.ray.exceptions.RayTaskError as error:
            self.free.append(member)
            raise error.cause if isinstance(error.cause, SalusError) else error from error
        except self.ray.exceptions.RayError:
            self._replace(member, number)
            return [] if number is None else [(number, None)]
        self.free.append(member)
        self.losses.pop(number, None)
        self.tally.cpu_seconds += spent
        return [] if number is None else [(number, (answer,))]

    def _seat(self) -> None:
        """Begin to seat a member; it waits for a free processor."""
        member = self.member.options(scheduling_strategy="SPREAD").remote()
        self.starting[member.take_seat.remote(self.make, *self.material)] = member

    def _replace(self, member: Any, number: int | None) -> None:
        """Let a dead member go and seat another."""
        self.tally.lost += 1
        self.losses[number] += 1
        if self.losses[number] > LOSSES:
            raise _lost("members keep dying over the same work")
        self.ray.kill(member, no_restart=True)
        self._seat()


def _lost(what: str) -> WorkerLost:
    return WorkerLost(
        f"the cluster does not finish the work: {what}",
        where="--ray",
        fix="see `ray status`, give the nodes memory or time, and run the same command again: training resumes",
    )


class _Member:
    """One process on a node. It writes nothing to disk and logs nothing: what it holds are patients' records."""

    def __init__(self) -> None:
        self.spent = 0.0

    def take_seat(
        self, make: Callable[..., Callable[[Any, Any], Any]], *material: object
    ) -> tuple[None, float]:
        self.work = make(*material)
        return None, self._cpu_seconds()

    def answer(self, question: Any, shared: Any) -> tuple[Any, float]:
        found = self.work(question, shared)
        return found, self._cpu_seconds()

    def _cpu_seconds(self) -> float:
        """Processor seconds since last asked."""
        before, self.spent = self.spent, time.process_time()
        return self.spent - before

"""Spread independent work over this machine's processes or a cluster: the same answers in the same order, wherever."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from typing import Generic, TypeVar

from salus.compute.ray_cluster import current_cluster
from salus.errors import WorkerLost

AHEAD = 3
"""Pieces of work a process that may be done before the first of them is taken."""
ONE_THREAD = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""What a process that is one of several is told before it begins: one core each."""

Job = TypeVar("Job")
Made = TypeVar("Made")


def spread_jobs(
    work: Callable[[Job], Made], jobs: Sequence[Job], *, processes: int | None = None
) -> Iterator[Made]:
    """Yield ``work(job)`` in order of ``jobs``; ``work`` and jobs must be picklable where there are several processes.

    ``processes`` None: on the cluster that the command opened, else here. Raises WorkerLost (SAL-307).
    """
    cluster = current_cluster()
    if cluster is not None and processes is None and len(jobs) > 1:
        with cluster.crew(_Asked[Job, Made], work, most=len(jobs)) as crew:
            yield from crew.answers(jobs)
        return
    count = min(processes or 1, len(jobs))
    if count <= 1:
        yield from map(work, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with _one_thread_each(), ProcessPoolExecutor(count, mp_context=context) as pool:
        try:
            yield from _in_order(pool, work, jobs, ahead=AHEAD * count)
        except BrokenProcessPool as error:
            raise WorkerLost(
                "a process ended before its work was done",
                where="compute.spreading",
                fix="run the same command again; if it recurs, free some memory or use fewer processes",
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """While processes are started, tell them to use one thread; then put back what was told before."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _in_order(
    pool: ProcessPoolExecutor, work: Callable[[Job], Made], jobs: Sequence[Job], *, ahead: int
) -> Iterator[Made]:
    """Results in order of jobs, never more than so many begun and not yet taken."""
    left, begun = iter(jobs), deque[Future[Made]]()
    while True:
        begun.extend(pool.submit(work, job) for job in islice(left, ahead - len(begun)))
        if not begun:
            return
        yield begun.popleft().result()


class _Asked(Generic[Job, Made]):
    """Does the work on whatever machine."""

    def __init__(self, work: Callable[[Job], Made]) -> None:
        self.work = work

    def __call__(self, job: Job, _: object) -> Made:
        return self.work(job)

"""Spread independent chunks of sampling over processes, one thread each; the same chunks give the same draws."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import torch

from salus.errors import WorkerLost
from salus.trajectory.gradients import cores_here

Job = TypeVar("Job")
Made = TypeVar("Made")


def spread(
    work: Callable[[Job], Made], jobs: Sequence[Job], *, processes: int | None = None
) -> Iterator[Made]:
    """Yield ``work(job)`` in order of ``jobs``; ``work`` and jobs must be picklable. Default: a process a core."""
    count = min(processes or cores_here(), len(jobs))
    if count <= 1:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield from map(work, jobs)
        finally:
            torch.set_num_threads(threads)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        count, mp_context=context, initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        try:
            yield from pool.map(work, jobs)
        except BrokenProcessPool as error:
            raise WorkerLost(
                "a sampling process ended before its work was done",
                where="trajectory.spreading",
                fix="run the same command again; if it recurs, free some memory",
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

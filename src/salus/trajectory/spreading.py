"""Spread independent chunks of sampling over processes or a cluster; the same chunks give the same draws."""

from __future__ import annotations

import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Generic, TypeVar

import torch

from salus.compute.ray_cluster import RayCluster, current_cluster
from salus.errors import WorkerLost
from salus.trajectory.places import cores_here

AHEAD = 3
"""Chunks a process that may be drawn before the first of them is taken: bounds what lies in memory."""
WORTH_SECONDS = 15.0
"""Starting a process takes some seconds of its processor; less work than this is sooner done here."""

Job = TypeVar("Job")
Made = TypeVar("Made")


def spread(
    work: Callable[[Job], Made], jobs: Sequence[Job], *, processes: int | None = None
) -> Iterator[Made]:
    """Yield ``work(job)`` in order of ``jobs``, one thread each; ``work`` and jobs must be picklable.

    Default: on the cluster that the command opened, or here; where the first job takes so long that starting others
    pays, in a process a core. Raises WorkerLost (SAL-307).
    """
    cluster = current_cluster()
    if cluster is not None and processes is None and len(jobs) > 1:
        yield from _spread_far(cluster, work, jobs)
        return
    done = 0
    if processes is None and jobs:
        began = time.monotonic()
        yield next(_here(work, jobs[:1]))
        done = 1
        if (time.monotonic() - began) * (len(jobs) - 1) < WORTH_SECONDS:
            processes = 1
    jobs = jobs[done:]
    count = min(processes or cores_here(), len(jobs))
    if count <= 1:
        yield from _here(work, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        count, mp_context=context, initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        try:
            yield from _in_order(pool, work, jobs, ahead=AHEAD * count)
        except BrokenProcessPool as error:
            raise WorkerLost(
                "a sampling process ended before its work was done",
                where="trajectory.spreading",
                fix="run the same command again; if it recurs, free some memory",
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _here(work: Callable[[Job], Made], jobs: Sequence[Job]) -> Iterator[Made]:
    """In this process, with one thread, so that the results are those of a process of their own."""
    for job in jobs:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            made = work(job)
        finally:
            torch.set_num_threads(threads)
        yield made


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


def _spread_far(cluster: RayCluster, work: Callable[[Job], Made], jobs: Sequence[Job]) -> Iterator[Made]:
    """The same on a cluster: ``work`` is sent to each node once."""
    with cluster.crew(_OneThread[Job, Made], work, most=len(jobs)) as crew:
        yield from crew.answers(jobs)


class _OneThread(Generic[Job, Made]):
    """Does the work with one thread, on whatever machine."""

    def __init__(self, work: Callable[[Job], Made]) -> None:
        torch.set_num_threads(1)
        self.work = work

    def __call__(self, job: Job, _: object) -> Made:
        return self.work(job)

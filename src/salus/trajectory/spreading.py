"""Spread independent chunks of sampling over processes or a cluster; the same chunks give the same draws."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

from salus.compute.ray_cluster import current_cluster
from salus.compute.spreading import spread_jobs
from salus.trajectory.places import cores_here

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
    alone = _OneThread(work)
    if processes is None and jobs and (current_cluster() is None or len(jobs) == 1):
        began = time.monotonic()
        made, jobs = alone(jobs[0]), jobs[1:]
        short = (time.monotonic() - began) * len(jobs) < WORTH_SECONDS
        processes = 1 if short else cores_here()
        yield made
    yield from spread_jobs(alone, jobs, processes=processes)


@dataclass(frozen=True, slots=True)
class _OneThread(Generic[Job, Made]):
    """Does the work with one thread, wherever it is done, so that the results are the same."""

    work: Callable[[Job], Made]

    def __call__(self, job: Job) -> Made:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return self.work(job)
        finally:
            torch.set_num_threads(threads)

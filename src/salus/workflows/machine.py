"""On what a result was computed: versions and hardware, never the machine's or a person's name."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import threading
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

import salus

NAMED = ("torch", "polars", "pyarrow", "numpy", "lightgbm", "scikit-learn", "meds")


def versions() -> dict[str, str]:
    """Versions of Salus, Python and the packages that decide results."""
    found = {"salus": salus.__version__, "python": platform.python_version()}
    for name in NAMED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def hardware() -> dict[str, str | int | float]:
    """Processor model, cores this process may use, memory, system."""
    return {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
    }


def cpu_model() -> str:
    """Name the processor as its maker does."""
    described = Path("/proc/cpuinfo")
    if described.exists():
        for line in described.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if platform.system() == "Darwin":
        asked = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"],
            capture_output=True,
            text=True,
            check=False,
        )
        return asked.stdout.strip() or platform.machine()
    return platform.processor() or platform.machine()


class MemoryWatch:
    """The most memory this process and its children held together, looked at four times a second.

    The system counts the highest point of each process only; several workers at once must be added up while they live.
    """

    def __init__(self) -> None:
        self.peak = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> MemoryWatch:
        """Begin to look."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Look a last time; never less than what the system says of this process."""
        self._over.set()
        self._thread.join()
        unit = 1 if sys.platform == "darwin" else 1024
        self.peak = max(self.peak, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)

    def _look(self) -> None:
        own = psutil.Process()
        while not self._over.wait(0.25):
            self.peak = max(
                self.peak, sum(_held(process) for process in [own, *own.children(recursive=True)])
            )


def _held(process: psutil.Process) -> int:
    """Memory of one process; pages that several share count once between them where the system can tell (Linux)."""
    try:
        full = process.memory_full_info()
        return int(getattr(full, "pss", full.uss))
    except psutil.Error:
        return 0

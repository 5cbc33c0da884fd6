"""Errors of commands and jobs: 5xx."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

from salus.errors.error import SalusError

PACKAGE = Path(__file__).parents[1]
ISSUES = "the project's issue tracker"


class RunError(SalusError):
    """A command or job could not run."""

    code = "SAL-500"


class DiskFull(RunError):
    """There is no room left where something had to be written."""

    code = "SAL-501"


class UsageProblem(RunError):
    """A command was typed wrongly: an unknown option, a missing or bad argument."""

    code = "SAL-502"


class UnknownCommand(UsageProblem):
    """There is no such command."""

    code = "SAL-503"


class FileTrouble(RunError):
    """A file or folder could not be read or written."""

    code = "SAL-504"


class OutOfMemory(RunError):
    """The machine ran out of memory."""

    code = "SAL-505"


class OccupiedFolder(RunError):
    """The output folder already holds something that this command did not make."""

    code = "SAL-506"


class UnknownExample(RunError):
    """There is no example of this name."""

    code = "SAL-507"


class RayMissing(RunError):
    """A cluster was named, but Ray is not installed here."""

    code = "SAL-508"


class ClusterUnreachable(RunError):
    """No Ray cluster answers at the address given."""

    code = "SAL-509"


class ClusterUnfit(RunError):
    """A node of the cluster has other versions than this machine, or the cluster has no processor."""

    code = "SAL-510"


class NothingToReport(RunError):
    """A folder holds no run to report on."""

    code = "SAL-521"


class Unexpected(RunError):
    """Something that Salus has no better word for: a bug to report."""

    code = "SAL-599"


def unexpected(problem: Exception) -> Unexpected:
    """Say what kind of error it is and where in our code; SALUS_DEBUG=1 prints the traceback too.

    Its message is left out: it could carry a patient's value.
    """
    frames = list(traceback.extract_tb(problem.__traceback__))
    ours = [frame for frame in frames if PACKAGE in Path(frame.filename).parents] or frames
    place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "unknown"
    if os.environ.get("SALUS_DEBUG") == "1":
        traceback.print_exception(problem)
    return Unexpected(
        f"Salus met an error it did not expect: {type(problem).__name__}",
        where=place,
        fix=f"report this line in {ISSUES}; SALUS_DEBUG=1 shows the traceback (it may hold patient data)",
    )

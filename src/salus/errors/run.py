"""Errors of commands and jobs: 5xx."""

from __future__ import annotations

from salus.errors.error import SalusError


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


class NothingToReport(RunError):
    """A folder holds no run to report on."""

    code = "SAL-521"


class Unexpected(RunError):
    """Something that Salus has no better word for: a bug to report."""

    code = "SAL-599"

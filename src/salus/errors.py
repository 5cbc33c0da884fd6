"""Every error a user can meet: what happened, where, and how to fix it.

    SalusError
    ├── SourceError        1xx  ways in and fetching
    ├── OutletError        15x  ways out
    ├── TimelineError      2xx  units, timeline, quality
    ├── ModelError         3xx  the trajectory model
    ├── TaskError          4xx  cohorts and tasks
    ├── EvidenceError      45x  findings
    └── RunError           5xx  commands and jobs

A code is never reused. Messages hold counts, file names and codes, never a patient's values or ids.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class SalusError(Exception):
    """What went wrong, where, and how to fix it."""

    code = "SAL-000"

    def __init__(self, what: str, *, where: str, fix: str) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        return f"[{self.code}] {self.what}\n  where: {self.where}\n  fix:   {self.fix}"


class SourceError(SalusError):
    """A way in could not be read."""

    code = "SAL-100"


class OutletError(SalusError):
    """A timeline could not be written in another form."""

    code = "SAL-150"


class TimelineError(SalusError):
    """A timeline folder is missing, incomplete or not valid."""

    code = "SAL-200"


class ModelError(SalusError):
    """A model could not be trained, read or used."""

    code = "SAL-300"


class TaskError(SalusError):
    """A task cannot be read or has no answer on these data."""

    code = "SAL-400"


class EvidenceError(SalusError):
    """A finding cannot be computed."""

    code = "SAL-450"


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


class Unexpected(RunError):
    """Something that Salus has no better word for: a bug to report."""

    code = "SAL-599"


class ModelMissing(ModelError):
    """A folder is not a model."""

    code = "SAL-301"


class ModelBroken(ModelError):
    """A model's file is missing, cut short or changed."""

    code = "SAL-302"


class LossNotFinite(ModelError):
    """Training met a loss that is not a number."""

    code = "SAL-303"


class ModelOtherVersion(ModelError):
    """A model was written in a form this version does not read."""

    code = "SAL-304"


class TooFewPatients(ModelError):
    """There are too few patients to train on or to forecast for."""

    code = "SAL-305"


class OtherTimeline(ModelError):
    """A timeline does not fit a model: another grain, anchor or code system."""

    code = "SAL-306"


class WorkerLost(ModelError):
    """A training or sampling process ended early."""

    code = "SAL-307"


class SettingsRefused(ModelError):
    """A setting of training, generation or forecasting is out of range."""

    code = "SAL-308"


class ModelNotWritten(ModelError):
    """A model folder could not be written."""

    code = "SAL-309"


def nearest(name: str, known: Iterable[str]) -> str:
    """Suggest the closest valid name: `` (did you mean 'x'?)`` or the empty string.

    >>> nearest("subjct", ["subject", "time"])
    " (did you mean 'subject'?)"
    """
    found = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean '{found[0]}'?)" if found else ""


class SourceFileError(SourceError):
    """A source.yaml is missing or is not YAML."""

    code = "SAL-101"


class SourceKeyError(SourceError):
    """A source.yaml holds a key that means nothing."""

    code = "SAL-102"


class SourceValueError(SourceError):
    """A source.yaml says something that cannot be so."""

    code = "SAL-103"


class InputMissing(SourceError):
    """The folder or a file to read is not there."""

    code = "SAL-104"


class InputUnreadable(SourceError):
    """A file is cut short, is not UTF-8 or is not a table."""

    code = "SAL-105"


class ColumnMissing(SourceError):
    """A file lacks a column that the source.yaml names."""

    code = "SAL-106"


class InputEmpty(SourceError):
    """There is nothing to read, or nothing of it was kept."""

    code = "SAL-107"


class BooksUnbalanced(SourceError):
    """Rows read are not rows kept plus rows rejected."""

    code = "SAL-108"


class FetchFailed(SourceError):
    """Example data could not be fetched."""

    code = "SAL-110"


class ChecksumWrong(SourceError):
    """A fetched file is not what its publisher says it is."""

    code = "SAL-111"


class TimelineMissing(TimelineError):
    """A folder is not a timeline, or part of it is not there."""

    code = "SAL-201"


class TimelineBroken(TimelineError):
    """A timeline's files contradict each other or the MEDS schema."""

    code = "SAL-202"


class TimelineNotWritten(TimelineError):
    """A timeline could not be written; nothing half-written is left."""

    code = "SAL-203"


class UnitUnknown(TimelineError):
    """A unit is not known, or does not convert to the one wanted."""

    code = "SAL-204"


class ExportUnbalanced(OutletError):
    """Events are not written events plus not expressible ones."""

    code = "SAL-151"


class NothingToExport(OutletError):
    """The timeline has no events."""

    code = "SAL-152"


class FolderTaken(OutletError):
    """The output folder is the input folder."""

    code = "SAL-153"


class OtherSource(OutletError):
    """A timeline is to be written in the form of a source it does not come from."""

    code = "SAL-154"


class TaskFileError(TaskError):
    """A task.yaml is missing or is not YAML."""

    code = "SAL-401"


class TaskValueError(TaskError):
    """A task.yaml holds a key that means nothing or says something that cannot be so."""

    code = "SAL-402"


class TaskCodeUnknown(TaskError):
    """A task names a code that the data do not have."""

    code = "SAL-403"


class FindingsFileError(EvidenceError):
    """A file of findings or forecasts is missing, broken or of another form."""

    code = "SAL-451"


class NothingToCompare(EvidenceError):
    """A population that evidence needs has no patient."""

    code = "SAL-452"


class NothingToReport(RunError):
    """A folder holds no run to report on."""

    code = "SAL-521"

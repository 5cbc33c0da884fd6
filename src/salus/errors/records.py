"""Errors of ways in, ways out and timelines: 1xx and 2xx."""

from __future__ import annotations

from salus.errors.error import SalusError


class SourceError(SalusError):
    """A way in could not be read."""

    code = "SAL-100"


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


class DriverMissing(SourceError):
    """A way in needs a package that is not installed."""

    code = "SAL-112"


class JournalTaken(SourceError):
    """Another listener writes to the folder."""

    code = "SAL-113"


class AddressRefused(SourceError):
    """Nothing can listen at the address given."""

    code = "SAL-114"


class ViewWrong(SourceError):
    """A view of what to take from FHIR resources says something that cannot be."""

    code = "SAL-115"


class ExpressionWrong(SourceError):
    """A FHIRPath expression cannot be read, or asks for what Salus does not know."""

    code = "SAL-116"


class ServerTrouble(SourceError):
    """A FHIR server does not answer, refuses, or says what cannot be. ``status``: of its answer, 0 where none came."""

    code = "SAL-117"
    status = 0


class KeyUnfit(SourceError):
    """A key or token that should open a server is missing, unfit, readable by others or refused."""

    code = "SAL-118"


class OtherServer(SourceError):
    """What was taken before came from another server."""

    code = "SAL-119"


class OtherSourceThere(SourceError):
    """The output holds the timeline of another source, which would be gone."""

    code = "SAL-120"


class OutletError(SalusError):
    """A timeline could not be written in another form."""

    code = "SAL-150"


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


class AnswerStrange(OutletError):
    """A FHIR server's answer does not fit what it was sent."""

    code = "SAL-155"


class JoinNotWritten(OutletError):
    """A source whose tables are joined cannot be written back as its files."""

    code = "SAL-156"


class LinkageError(SalusError):
    """Who is one patient in several systems could not be read, said or undone."""

    code = "SAL-160"


class IdentitiesExposed(LinkageError):
    """Who the patients are lies, or would lie, where others could read it."""

    code = "SAL-161"


class IdentitiesMissing(LinkageError):
    """Nobody's identity has been read yet."""

    code = "SAL-162"


class LedgerBroken(LinkageError):
    """A line of the ledger of links was changed, taken away or cannot be read."""

    code = "SAL-163"


class NoSuchLine(LinkageError):
    """The ledger has no such line, or it cannot be decided, shown or undone."""

    code = "SAL-164"


class ReasonTells(LinkageError):
    """A decision has no reason, or one that holds a value of the patient."""

    code = "SAL-165"


class TimelinesDiffer(LinkageError):
    """Timelines of several systems cannot be one."""

    code = "SAL-166"


class TimelineError(SalusError):
    """A timeline folder is missing, incomplete or not valid."""

    code = "SAL-200"


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


class AtRestError(SalusError):
    """What lies sealed on the disk could not be opened."""

    code = "SAL-229"


class SealBroken(AtRestError):
    """A sealed file was changed, cut short or is none."""

    code = "SAL-230"


class KeyRingTrouble(AtRestError):
    """The key ring is missing, exposed, of another master, or lacks a key."""

    code = "SAL-231"


class NothingToSeal(AtRestError):
    """A folder holds nothing that can be sealed, or what holds it is in use."""

    code = "SAL-232"


class ImageError(SalusError):
    """Images could not be de-identified."""

    code = "SAL-185"


class ImageRefused(ImageError):
    """A DICOM file does not pass, for what is in it cannot be judged or is not whole."""

    code = "SAL-186"


class ImageOptionsWrong(ImageError):
    """Options for images say something that cannot be so."""

    code = "SAL-187"


class ImagesTaken(ImageError):
    """The images' output is there already, or input and output lie inside each other."""

    code = "SAL-188"

"""Errors of the label "synthetic", of its lock, and of erasure: 475 to 479 and 607 to 611."""

from __future__ import annotations

from salus.errors.error import SalusError
from salus.errors.programme import ProgrammeError


class LabelError(SalusError):
    """Records or models may not be used as what they are not."""

    code = "SAL-475"


class LabelsMixed(LabelError):
    """Some of what is read carries the label synthetic and some does not, or two marks contradict each other."""

    code = "SAL-476"


class SyntheticLocked(LabelError):
    """Synthetic records, or a model that learnt from them alone, are not for care."""

    code = "SAL-477"


class Suspended(LabelError):
    """A patient is to be erased from what a folder holds: until then nobody uses it."""

    code = "SAL-478"


class ErasureError(ProgrammeError):
    """A patient cannot be erased."""

    code = "SAL-607"


class PatientUnknown(ErasureError):
    """No timeline holds the patient, and none did."""

    code = "SAL-608"


class ErasureRecordBroken(ErasureError):
    """A line of the record of erasures was changed, taken away or cannot be read."""

    code = "SAL-609"


class PatientAmbiguous(ErasureError):
    """Timelines that have nothing to do with each other hold a patient of this number."""

    code = "SAL-610"


class PatientStillThere(ErasureError):
    """A suspended model would be trained again on records that still hold the erased patient."""

    code = "SAL-611"

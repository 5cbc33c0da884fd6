"""Errors of de-identification: 17x."""

from __future__ import annotations

from salus.errors.error import SalusError


class DeidentifyError(SalusError):
    """Records could not be de-identified; nothing was written."""

    code = "SAL-170"


class PolicyMissing(DeidentifyError):
    """There is no policy of this name or at this path."""

    code = "SAL-171"


class PolicyNameUnknown(DeidentifyError):
    """A policy names a resource, table, segment, field or action that there is not."""

    code = "SAL-172"


class PolicyValueWrong(DeidentifyError):
    """A policy says something that cannot be so, or would let something pass unseen."""

    code = "SAL-173"


class PseudonymKeyMissing(DeidentifyError):
    """De-identification was asked for without a key."""

    code = "SAL-174"


class OutputTaken(DeidentifyError):
    """The output is there already, or input, output and key lie inside each other."""

    code = "SAL-175"


class ScrubberMissing(DeidentifyError):
    """A policy has free text scrubbed, and nothing here can do it."""

    code = "SAL-176"


class RiskTooHigh(DeidentifyError):
    """The groups that a policy asks for cannot be reached."""

    code = "SAL-177"

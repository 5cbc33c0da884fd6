"""Errors of gates, use cases and pages: 6xx and 7xx."""

from __future__ import annotations

from salus.errors.error import SalusError


class ProgrammeError(SalusError):
    """Evidence cannot be judged."""

    code = "SAL-600"


class ProtocolFileError(ProgrammeError):
    """A protocol.yaml is missing or is not YAML."""

    code = "SAL-601"


class ProtocolValueError(ProgrammeError):
    """A protocol.yaml holds a key that means nothing or says something that cannot be so."""

    code = "SAL-602"


class MetricUnknown(ProgrammeError):
    """A criterion asks for a metric that nobody measures."""

    code = "SAL-603"


class ProtocolChanged(ProgrammeError):
    """A protocol was edited after it was frozen."""

    code = "SAL-604"


class OtherSubject(ProgrammeError):
    """A finding is about another model, timeline or task than the use case holds."""

    code = "SAL-605"


class ProtocolFrozen(ProgrammeError):
    """A protocol cannot be frozen again under the same version."""

    code = "SAL-606"


class UseCaseError(SalusError):
    """A use case cannot be read or cannot do what was asked."""

    code = "SAL-650"


class UseCaseFileError(UseCaseError):
    """A folder is not a use case, or its usecase.yaml is not YAML."""

    code = "SAL-651"


class UseCaseValueError(UseCaseError):
    """A usecase.yaml holds a key that means nothing or says something that cannot be so."""

    code = "SAL-652"


class KindUnknown(UseCaseError):
    """There is no such kind of use case."""

    code = "SAL-653"


class ProposalBlocked(UseCaseError):
    """A proposal that a check blocks cannot be written."""

    code = "SAL-654"


class ReasonMissing(UseCaseError):
    """A warning can be overridden only with a reason."""

    code = "SAL-655"


class WorkspaceError(SalusError):
    """The workspace cannot show what was asked for."""

    code = "SAL-700"


class NothingToServe(WorkspaceError):
    """A folder holds no use case to show."""

    code = "SAL-701"


class PortTaken(WorkspaceError):
    """Another program listens where the workspace should."""

    code = "SAL-702"


class SheetBroken(WorkspaceError):
    """A page's content is missing, cut short or of another form."""

    code = "SAL-703"


class ReleaseRefused(ProgrammeError):
    """Synthetic patients cannot be judged for release: not synthetic, of unknown origin, or by too weak a protocol."""

    code = "SAL-612"


class SigningKeyTrouble(ProgrammeError):
    """A key to sign or to check with cannot be read, is open to others, or is of another kind."""

    code = "SAL-613"


class SignatureWrong(ProgrammeError):
    """A signed record was changed, or was signed by another key."""

    code = "SAL-614"


class ReleaseChanged(ProgrammeError):
    """Files of a release are not those that were signed."""

    code = "SAL-615"

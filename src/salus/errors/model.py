"""Errors of models, tasks and evidence: 3xx and 4xx."""

from __future__ import annotations

from salus.errors.error import SalusError


class ModelError(SalusError):
    """A model could not be trained, read or used."""

    code = "SAL-300"


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


class ConditionRefused(SettingsRefused):
    """A condition on drawn patients, or an intervention, cannot be read or contradicts another."""

    code = "SAL-310"


class ConditionUnmet(ModelError):
    """No patient the model draws meets all conditions together."""

    code = "SAL-311"


class LearntByHeart(ModelError):
    """Training knew its patients from others before it had learnt anything worth keeping."""

    code = "SAL-314"


class PrivacyRefused(SettingsRefused):
    """A privacy budget is no budget: ε or δ out of range, or given without asking for privacy."""

    code = "SAL-316"


class BudgetTooSmall(ModelError):
    """A privacy budget is too small for so few patients: nothing could be learnt."""

    code = "SAL-317"


class ValueNotFinite(ModelError):
    """A value of a timeline is infinite or not a number."""

    code = "SAL-315"


class TaskError(SalusError):
    """A task cannot be read or has no answer on these data."""

    code = "SAL-400"


class TaskFileError(TaskError):
    """A task.yaml is missing or is not YAML."""

    code = "SAL-401"


class TaskValueError(TaskError):
    """A task.yaml holds a key that means nothing or says something that cannot be so."""

    code = "SAL-402"


class TaskCodeUnknown(TaskError):
    """A task names a code that the data do not have."""

    code = "SAL-403"


class EvidenceError(SalusError):
    """A finding cannot be computed."""

    code = "SAL-450"


class FindingsFileError(EvidenceError):
    """A file of findings or forecasts is missing, broken or of another form."""

    code = "SAL-451"


class NothingToCompare(EvidenceError):
    """A population that evidence needs has no patient."""

    code = "SAL-452"


class BundleBroken(EvidenceError):
    """A file of a folder of evidence is missing, cut short or changed."""

    code = "SAL-453"


class AuditRefused(EvidenceError):
    """An audit could show nothing: too few canaries, or more than there are patients."""

    code = "SAL-470"


class NotAudited(EvidenceError):
    """A model was trained without an audit, or the file of its canaries is not there."""

    code = "SAL-471"


class AuditBroken(EvidenceError):
    """The file of a model's canaries was changed, cut short, or belongs to another model or timeline."""

    code = "SAL-472"


class AttackRefused(EvidenceError):
    """An attack on these data would say nothing, or something that is not so."""

    code = "SAL-460"


class HoldoutLeaked(AttackRefused):
    """Held-out patients stand among those trained on, so that they are no control."""

    code = "SAL-461"


class OtherModelTimeline(AttackRefused):
    """The model learnt from another timeline than the one it is attacked with."""

    code = "SAL-462"


class VocabulariesDisjoint(AttackRefused):
    """The synthetic and the real patients have no code in common: every attack would find nothing."""

    code = "SAL-463"


class TrainingCopied(EvidenceError):
    """The synthetic set holds copies of patients the model learnt from."""

    code = "SAL-464"

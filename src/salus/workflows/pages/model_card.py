"""What a model card says, as figures: everything a model's folder tells of how the model came about."""

from __future__ import annotations

from dataclasses import dataclass

from salus.trajectory.artefact import Audit, Lineage
from salus.trajectory.memorisation import Memorised
from salus.trajectory.privacy import Privacy
from salus.trajectory.training import TrainSettings
from salus.trajectory.vocabulary import Clock, Protection


@dataclass(frozen=True, slots=True, kw_only=True)
class VocabularyCounts:
    """How much the model can say: fields, their codes and levels, and how far a record goes at most."""

    fields: int
    static_fields: int
    codes: int
    numbers: int
    levels: int
    longest_moment: int
    longest_record: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """Nats a fact: on tuning patients at the weights kept (whole and by part), and where the curve ends.

    ``code``, ``value`` and ``wait`` add up to ``best``; None where the kept weights were never checked.
    """

    best: float | None
    best_epoch: float | None
    code: float | None
    value: float | None
    wait: float | None
    last_train: float | None
    last_tuning: float | None
    checks: int
    epochs: float
    stopped: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What training took; ``kwh`` follows from the processor seconds and the assumed watts of a busy core."""

    seconds: float
    cpu_seconds: float
    watts_per_core: float
    kwh: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """A model in figures. ``groups``: static fields, by which the model tells patients apart.

    ``files``: SHA-256 of each file; ``digest`` is that of model.json, which names the others. ``memorised_kept``: how
    much better training patients are known, with the weights kept, and at the last check. ``privacy``: what is
    proved of them; None: nothing. ``audit``: whether it was trained for one.
    """

    folder: str
    digest: str
    files: dict[str, str]
    lineage: Lineage
    clock: Clock
    parameters: int
    vocabulary: VocabularyCounts
    protection: Protection
    groups: tuple[str, ...]
    knows_death: bool
    differentially_private: bool
    privacy: Privacy | None
    audit: Audit | None
    settings: TrainSettings
    losses: Losses
    memorised_kept: Memorised | None
    memorised_last: Memorised | None
    suspended: bool = False
    cost: Cost

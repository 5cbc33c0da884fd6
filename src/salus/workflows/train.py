"""Train: a timeline becomes a model folder with its learning curve."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from salus import __version__
from salus.errors import ModelNotWritten, PatientStillThere, SettingsRefused
from salus.progress import Progress
from salus.timeline.settings import TimelineSettings
from salus.timeline.store import read_codes, read_settings, timeline_digest
from salus.timeline.suspension import timelines_with_patient
from salus.trajectory.artefact import ABOUT, Lineage, Model, save_model
from salus.trajectory.devices import Device, device_for
from salus.trajectory.learner import SHARES
from salus.trajectory.memorisation import MOST_TOLD_APART
from salus.trajectory.privacy import Privacy
from salus.trajectory.reading import Lessons, Room, prepare_shards
from salus.trajectory.shelf import WINDOW_FACTS
from salus.trajectory.sizes import Scale, settings_for
from salus.trajectory.training import TrainLog, TrainSettings, fit
from salus.workflows.canaries_file import AuditChoices, Plan, plan_audit, shards_of
from salus.workflows.code_version import code_commit
from salus.workflows.learning_curve import draw_learning_curve
from salus.workflows.machine import hardware, versions
from salus.workflows.train_private import PrivateChoices, check_budget, private_model

MOST_WORKERS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """What a training run gave. Losses in nats per fact on tuning patients.

    ``told_apart``: AUROC with which a patient's loss tells training from tuning patients, with the weights kept.
    """

    model: Path
    curve: Path | None
    patients: int
    facts: int
    codes: int
    size: str
    seconds: float
    cpu_seconds: float
    patients_per_second: float
    facts_per_second: float
    epochs: float
    best_loss: float | None
    told_apart: float | None
    told_apart_lower: float | None
    told_apart_upper: float | None
    stopped: str
    synthetic: bool = False
    privacy: Privacy | None = None
    canaries: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainChoices:
    """What is chosen by whoever trains: for how long at most, from which seed, in how many shares a step.

    ``size``: how large a model, and how it is trained. ``window_facts``: how many facts are held in memory together
    where there are more. ``device``: on what to compute. ``memorisation``: training stops when a patient's loss alone
    tells training from tuning patients with an AUROC surely above it; 1: never. ``private``: train with differential
    privacy within this budget; of the other choices only the seed then has a say. ``audit``: a fair coin decides for
    some patients whether they are learnt from, so that what the model gives away can be measured.
    """

    minutes: float = 5.5
    seed: int = 20260101
    workers: int = SHARES
    size: Scale = Scale.AUTO
    device: Device = Device.AUTO
    window_facts: int = WINDOW_FACTS
    memorisation: float = MOST_TOLD_APART
    private: PrivateChoices | None = None
    audit: AuditChoices | None = None


def train(timeline: Path, to: Path, *, choices: TrainChoices, progress: Progress) -> TrainResult:
    """Learn to generate the patients of ``timeline``; an interrupted run of the same settings goes on.

    Raises SettingsRefused (SAL-308), ModelNotWritten (SAL-309), TooFewPatients (SAL-305), LossNotFinite (SAL-303),
    AuditRefused (SAL-470).
    """
    _check(choices)
    _check_free(to)
    check_erased(timeline, to)
    device_for(choices.device)
    if choices.private is not None:
        check_budget(choices.private)
        plan = plan_audit(timeline, choices.audit, draft=None) if choices.audit else None
        model = private_model(timeline, choices.private, seed=choices.seed, progress=progress, audit=plan)
        _write(model, to, plan)
        return _result(model, to, model.log)
    digest = timeline_digest(timeline)
    settings, codes = read_settings(timeline), read_codes(timeline)
    checkpoint = to.with_name(f".{to.name}.training")
    plan = plan_audit(timeline, choices.audit, draft=checkpoint) if choices.audit else None
    with _room(checkpoint, choices) as room:
        with progress.step("Reading the timeline"):
            lessons = prepare_shards(shards_of(timeline, plan), codes, settings, room=room)
        wanted = settings_for(
            choices.size,
            TrainSettings(
                data=_data(digest, plan),
                seed=choices.seed,
                minutes=choices.minutes,
                workers=choices.workers,
                most_gap=choices.memorisation,
            ),
            patients=lessons.train.patients,
            facts=lessons.train.facts,
        )
        network, log = fit(
            lessons, settings=wanted, checkpoint=checkpoint, progress=progress, device=choices.device
        )
    model = Model(
        network=network,
        vocabulary=lessons.vocabulary,
        settings=wanted,
        log=log,
        lineage=_lineage(lessons, settings, digest),
        codes=codes.to_dicts(),
        audit=None if plan is None else plan.told,
    )
    _write(model, to, plan)
    shutil.rmtree(checkpoint, ignore_errors=True)
    return _result(model, to, log)


@contextmanager
def _room(checkpoint: Path, choices: TrainChoices) -> Iterator[Room]:
    """A folder beside the checkpoint for records too many for memory: patients' own, so nobody else may look in."""
    folder = checkpoint / "shards"
    try:
        yield Room(folder=folder, window_facts=choices.window_facts)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _data(digest: str, plan: Plan | None) -> str:
    """What is learnt from: the timeline, and whom the coins left out of it."""
    return digest if plan is None else sha256(f"{digest} {plan.told.digest}".encode()).hexdigest()


def _lineage(lessons: Lessons, settings: TimelineSettings, digest: str) -> Lineage:
    return Lineage(
        salus=__version__,
        commit=code_commit(),
        torch=versions()["torch"],
        trained=datetime.now(UTC).isoformat(timespec="seconds"),
        timeline_digest=digest,
        data_set=settings.name,
        licence=settings.licence,
        splits=settings.splits,
        patients_train=lessons.train.patients,
        patients_tuning=lessons.tuning.patients,
        patients_held_out=lessons.held_out,
        facts_train=lessons.train.facts,
        facts_tuning=lessons.tuning.facts,
        facts_after_death=lessons.after_death,
        hardware=hardware(),
        synthetic=settings.synthetic,
    )


def _check(choices: TrainChoices) -> None:
    if choices.audit is not None:
        choices.audit.check()
    minutes, workers = choices.minutes, choices.workers
    if not 0 < minutes <= 60 * 24 * 30:
        raise SettingsRefused(
            f"{minutes} minutes cannot be trained", where="--minutes", fix="give a number above 0, such as 5"
        )
    if not 1 <= workers <= MOST_WORKERS:
        raise SettingsRefused(
            f"a step cannot be cut into {workers} shares",
            where="--workers",
            fix=f"give 1 to {MOST_WORKERS}; {SHARES} where nothing else is said",
        )
    if not 0.5 <= choices.memorisation <= 1:
        raise SettingsRefused(
            f"{choices.memorisation} is no bound for an AUROC",
            where="--memorisation",
            fix="give 0.5 (nobody may be told from others) to 1 (never stop for it)",
        )


def _check_free(to: Path) -> None:
    """Refuse a folder that holds something else, before hours of work."""
    if to.exists() and (not to.is_dir() or (any(to.iterdir()) and not (to / ABOUT).exists())):
        raise ModelNotWritten(
            f"'{to.name}' holds something that is not a model",
            where=str(to),
            fix="choose a new folder with --to",
        )


def check_erased(timeline: Path, to: Path) -> None:
    """A suspended model is not trained on records that still hold the patient. Raises PatientStillThere (SAL-611)."""
    with_patient = timelines_with_patient(to)
    if with_patient and timeline_digest(timeline) in with_patient:
        raise PatientStillThere(
            f"'{to.name}' is suspended, and '{timeline.name}' still holds the patient who is to be erased from it",
            where=str(timeline),
            fix="run `salus erase` to its end, then train on the timeline that it wrote",
        )


def _write(model: Model, to: Path, plan: Plan | None) -> None:
    """Write the folder beside its place, then put it there: a model is whole or absent."""
    partial = to.with_name(f".{to.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        save_model(model, partial)
        if plan is not None:
            plan.write(partial)
        if model.log.curve:
            draw_learning_curve(model.log, partial / "learning_curve.svg")
        shutil.rmtree(to, ignore_errors=True)
        partial.rename(to)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _result(model: Model, to: Path, log: TrainLog) -> TrainResult:
    seconds, kept = max(log.seconds, 1e-9), log.kept()
    return TrainResult(
        model=to,
        curve=to / "learning_curve.svg" if log.curve else None,
        patients=model.lineage.patients_train,
        facts=log.facts_seen,
        codes=model.vocabulary.size,
        size=model.settings.size,
        seconds=log.seconds,
        cpu_seconds=log.cpu_seconds,
        patients_per_second=log.patients_seen / seconds,
        facts_per_second=log.facts_seen / seconds,
        epochs=log.epochs,
        best_loss=log.best_loss if log.curve else None,
        told_apart=kept.get("auroc"),
        told_apart_lower=kept.get("auroc_lower"),
        told_apart_upper=kept.get("auroc_upper"),
        stopped=log.stopped,
        synthetic=model.lineage.synthetic,
        privacy=model.privacy,
        canaries=None if model.audit is None else model.audit.canaries,
    )

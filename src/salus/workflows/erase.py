"""Erase: find all that patients' records reached, act as the policy says, keep a record of it, and prove it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import polars as pl

from salus.errors import ErasureError, InputMissing
from salus.findings import Finding
from salus.programme.erasures import BEGUN, DONE, PROVED, ErasureRecord, open_record
from salus.programme.lineage import Sort, find_lineage
from salus.progress import Progress
from salus.timeline.store import timeline_digest
from salus.timeline.suspension import is_suspended, suspend
from salus.trajectory.artefact import Model, load_model
from salus.trajectory.sizes import Scale
from salus.workflows.erase_plan import Action, Plan, Policy, Step, Wanted, make_plan, timeline_of
from salus.workflows.erase_proof import not_estimable, prove_erased
from salus.workflows.erase_rows import rewrite_without
from salus.workflows.train import TrainChoices, train
from salus.workflows.train_private import PrivateChoices

REWRITTEN = "rewritten"
ASIDE = ".erased-"
"""In the hidden name of a folder that is being deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseSettings:
    """Where to look, what becomes of models, where the record lies, and whether only to look."""

    roots: tuple[Path, ...]
    record: Path
    policy: Policy = Policy.SUSPEND
    dry_run: bool = False
    seed: int = 20260101


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What was found and done. ``proofs``: by model trained again; ``replaced``: timelines' digests, old to new.

    ``erased_before``: patients who had been erased earlier; ``untold``: places of which nobody can tell.
    """

    dry_run: bool
    policy: str
    patients: int
    erased_before: int
    steps: list[dict[str, str]]
    untold: int
    replaced: dict[str, str] = field(default_factory=dict)
    retrained: list[str] = field(default_factory=list)
    proofs: dict[str, Finding] = field(default_factory=dict)
    record_lines: int = 0


def erase(wanted: Wanted, settings: EraseSettings, *, progress: Progress) -> Erased:
    """Erase patients from everything under the roots; run again, it goes on where it was stopped, or has nothing to do.

    Raises PatientUnknown (SAL-608), ErasureRecordBroken (SAL-609), PatientAmbiguous (SAL-610), InputMissing (SAL-104).
    """
    for root in settings.roots:
        if not root.is_dir():
            raise InputMissing(
                f"there is no folder '{root.name}'", where=str(root), fix="name folders with --roots"
            )
    _check_apart(settings)
    record = open_record(settings.record, make=not settings.dry_run)
    with progress.step("Looking for what came of their records"):
        lineage = find_lineage(settings.roots, record.now_called())
        plan = make_plan(wanted, lineage, record, policy=settings.policy)
    if settings.dry_run:
        return _told(plan, wanted, settings)
    _sweep(settings.roots)
    record = _caught_up(record)
    waiting = _waiting(record)
    rows: dict[Path, pl.DataFrame] = {}
    if plan.of(Action.REWRITE):
        waiting += _pairs(plan)
        record = record.add(
            BEGUN,
            plan.commitments,
            {
                "policy": settings.policy.value,
                "steps": [step.as_json() for step in plan.steps],
                "retrain": [[str(model), str(timeline)] for model, timeline in waiting],
            },
        )
        with progress.step("Erasing", total=len(plan.steps), unit="places") as step:
            for one in plan.steps:
                record = _act(one, plan, record, rows)
                step.advance()
    pending = record.pending()
    if pending is not None:
        record = record.add(DONE, pending.patients, {"policy": settings.policy.value})
    proofs = {}
    for model, timeline in dict.fromkeys(waiting):
        if is_suspended(model) and timeline.is_dir():
            _train_again(model, timeline, progress)
            proofs[str(model)] = _prove(model, timeline, rows.get(timeline), seed=settings.seed)
    if proofs:
        told = {name: asdict(finding) for name, finding in proofs.items()}
        record = record.add(PROVED, plan.commitments, {"proofs": told})
    return _told(plan, wanted, settings, record=record, proofs=proofs)


def _check_apart(settings: EraseSettings) -> None:
    """The record outlives what is erased, so it does not lie in it. Raises ErasureError (SAL-607)."""
    for thing in find_lineage(
        [root for root in settings.roots if settings.record.is_relative_to(root)]
    ).things:
        if settings.record.resolve().is_relative_to(thing.path):
            raise ErasureError(
                f"the record would lie inside '{thing.path.name}', which may be erased",
                where=str(settings.record),
                fix="name a folder apart with --record DIR",
            )


def _pairs(plan: Plan) -> list[tuple[Path, Path]]:
    """Models to train again, each with its timeline."""
    held = [step.thing for step in plan.of(Action.REWRITE)]
    found = [(step.thing, timeline_of(step.thing, held)) for step in plan.of(Action.RETRAIN)]
    return [(model.path, timeline.path) for model, timeline in found if timeline is not None]


def _waiting(record: ErasureRecord) -> list[tuple[Path, Path]]:
    """Models that earlier runs were to train again and that are suspended still."""
    found = []
    for line in record.lines:
        pairs = line.told.get("retrain")
        for model, timeline in pairs if isinstance(pairs, list) else []:
            if is_suspended(Path(model)):
                found.append((Path(model), Path(timeline)))
    return found


def _act(step: Step, plan: Plan, record: ErasureRecord, rows: dict[Path, pl.DataFrame]) -> ErasureRecord:
    """Do one step; what is deleted or rewritten goes whole or stays."""
    path = step.thing.path
    if step.action is Action.DELETE:
        _delete(path)
    elif step.action in (Action.SUSPEND, Action.RETRAIN):
        suspend(path, with_patient=plan.with_patient)
    elif step.action is Action.REWRITE:
        rows[path] = rewrite_without(path, step.numbers)
        replaced = {step.thing.digest: timeline_digest(path)}
        return record.add(REWRITTEN, plan.commitments, {"replaced": replaced})
    if step.thing.sort is Sort.MODEL:
        shutil.rmtree(path.with_name(f".{path.name}.training"), ignore_errors=True)
    return record


def _delete(path: Path) -> None:
    """Out of sight at once, then gone: a stopped run leaves nothing that looks whole."""
    aside = path.with_name(f".{path.name}{ASIDE}{os.getpid()}")
    path.rename(aside)
    if aside.is_dir():
        shutil.rmtree(aside)
    else:
        aside.unlink()


def _sweep(roots: Sequence[Path]) -> None:
    """Finish deleting what a stopped run had put aside."""
    for root in roots:
        for path in root.rglob(f".*{ASIDE}*"):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _caught_up(record: ErasureRecord) -> ErasureRecord:
    """Note timelines that a stopped run rewrote just before it could say so."""
    pending = record.pending()
    steps = pending.told.get("steps") if pending is not None else None
    for step in steps if isinstance(steps, list) else []:
        path, before = Path(step["path"]), step["digest"]
        if step["action"] != Action.REWRITE.value or not path.is_dir() or before in record.now_called():
            continue
        now = timeline_digest(path)
        if now != before and pending is not None:
            record = record.add(REWRITTEN, pending.patients, {"replaced": {before: now}})
    return record


def _train_again(model: Path, timeline: Path, progress: Progress) -> None:
    """With the settings of the suspended model, from the records that are left; takes its place when whole."""
    before = load_model(model, although_suspended=True)
    train(timeline, model, choices=choices_of(before), progress=progress)


def choices_of(model: Model) -> TrainChoices:
    """The choices that a model was trained with, as far as it tells them."""
    settings, privacy = model.settings, model.privacy
    private = None
    if privacy is not None:
        private = PrivateChoices(epsilon=privacy.epsilon_asked, delta=privacy.delta)
    return TrainChoices(
        minutes=settings.minutes or TrainChoices().minutes,
        seed=settings.seed,
        workers=settings.workers,
        size=Scale(settings.size) if settings.size in list(Scale) else Scale.AUTO,
        memorisation=settings.most_gap,
        private=private,
    )


def _prove(model: Path, timeline: Path, erased: pl.DataFrame | None, *, seed: int) -> Finding:
    if erased is None:
        return not_estimable(
            "the run that erased them was stopped, and their records are gone: as they should be"
        )
    return prove_erased(model, timeline, erased, seed=seed)


def _told(
    plan: Plan,
    wanted: Wanted,
    settings: EraseSettings,
    *,
    record: ErasureRecord | None = None,
    proofs: Mapping[str, Finding] | None = None,
) -> Erased:
    old = plan.with_patient
    called = {} if record is None else record.now_called()
    return Erased(
        dry_run=settings.dry_run,
        policy=settings.policy.value,
        patients=len(wanted.patients),
        erased_before=plan.erased_before,
        steps=[step.as_json() for step in plan.steps],
        untold=len(plan.of(Action.UNTOLD)),
        replaced={digest: called[digest] for digest in old if digest in called},
        retrained=sorted(proofs or {}),
        proofs=dict(proofs or {}),
        record_lines=0 if record is None else len(record.lines),
    )

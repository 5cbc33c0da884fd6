"""Release: attack synthetic patients, judge what was found, and hand them out with a signed record, or refuse."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from salus.errors import OccupiedFolder, ReleaseChanged, SignatureWrong, UsageProblem
from salus.evidence.fidelity import fidelity
from salus.findings import Finding, file_digest, read_bundle, write_bundle
from salus.programme.gate import Judgement, Verdict, judge
from salus.programme.protocol import Protocol
from salus.programme.releasing import (
    PREDICATE,
    Handing,
    Origin,
    changed_files,
    check_origin,
    read_release_protocol,
    release_record,
)
from salus.programme.signing import opened, public_pem, read_public_key, read_signing_key, signed, statement
from salus.progress import QUIET, Progress
from salus.timeline.folder import whole_folder
from salus.timeline.store import read_settings, read_timeline
from salus.workflows.attack import AttackChoices, attack
from salus.workflows.attack_material import Target
from salus.workflows.export import ExportBooks, export
from salus.workflows.export_fhir import export_fhir
from salus.workflows.export_tables import export_meds, export_omop
from salus.workflows.pages.release_sheet import Told, release_sheet
from salus.workflows.pages.render import one_file

DATA, EVIDENCE, PAGE_FILE = "data", "evidence", "release.html"
RECORD, PUBLIC, JUDGED = "release.dsse.json", "release.pub", "judged.json"
UNSIGNED = (RECORD, PUBLIC)
"""The record holds the digests of all other files of a release."""
Export = Callable[..., ExportBooks]
FORMS: dict[str, Export] = {"fhir": export_fhir, "omop": export_omop, "meds": export_meds}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseChoices:
    """What shall leave, in which form (or ``like`` which source.yaml), under which protocol, signed with which key."""

    synthetic: Path
    model: Path
    real: Path
    protocol: Path
    key: Path
    handing: Handing
    form: str = "meds"
    like: Path | None = None
    seed: int = 20260101


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """What came of it. ``folder`` holds the data only where the verdict is PASS."""

    folder: Path
    judgement: Judgement
    patients: int
    files: int

    @property
    def passed(self) -> bool:
        """Whether they were released."""
        return self.judgement.verdict is Verdict.PASS


def release(to: Path, choices: ReleaseChoices, *, now: datetime, progress: Progress = QUIET) -> Released:
    """Measure, judge, and write into the new folder ``to`` what may leave; without PASS page and evidence alone.

    Raises ReleaseRefused (SAL-612), SigningKeyTrouble (SAL-613), OccupiedFolder (SAL-506) before anything is
    measured, and what :func:`salus.workflows.attack.attack` raises, TrainingCopied (SAL-464) among it.
    """
    choices.handing.check()
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise OccupiedFolder(
            f"'{to.name}' holds something already, and no release is overwritten",
            where="salus release --to",
            fix="name a new folder",
        )
    key = read_signing_key(choices.key)
    protocol = read_release_protocol(choices.protocol)
    origin = check_origin(choices.synthetic, choices.model, choices.real)
    with whole_folder(to, mark=PAGE_FILE) as folder:
        told = _measured(choices, protocol, origin, now=now, progress=progress)
        told = _with_evidence(folder, told, origin, now)
        patients, form = told.patients, "csv" if choices.like else choices.form
        if told.judgement.verdict is Verdict.PASS:
            _export(folder / DATA, choices, progress)
        _write(folder, told, choices.handing, now)
        if told.judgement.verdict is Verdict.PASS:
            released = {"form": form, "patients": patients, "seed": choices.seed}
            record = release_record(told.judgement, origin, choices.handing, released=released, at=now)
            (folder / RECORD).write_bytes(signed(statement(_digests(folder), PREDICATE, record), key))
            (folder / PUBLIC).write_bytes(public_pem(key.public_key()))
        files = len(_digests(folder / DATA)) if (folder / DATA).exists() else 0
    return Released(folder=to, judgement=told.judgement, patients=patients, files=files)


def _measured(
    choices: ReleaseChoices, protocol: Protocol, origin: Origin, *, now: datetime, progress: Progress
) -> Told:
    """Attack, measure likeness where the protocol asks for it, and judge."""
    found = attack(
        Target(what=choices.synthetic, real=choices.real),
        None,
        choices=AttackChoices(seed=choices.seed),
        made=now,
        progress=progress,
    )
    findings = found.findings
    if any(one.metric.startswith("fidelity.") for one in protocol.criteria):
        with progress.step("Comparing with real patients", total=1, unit="parts") as step:
            findings += tuple(_likeness(choices, origin, now))
            step.advance()
    return Told(
        judgement=judge(protocol, findings, now=now),
        findings=findings,
        sentences=found.sentences,
        patients=read_timeline(choices.synthetic)["subject_id"].n_unique(),
        seed=choices.seed,
        digest=origin.synthetic,
        not_judged=protocol.not_judged,
        by_name=origin.by_name,
    )


def _with_evidence(folder: Path, told: Told, origin: Origin, now: datetime) -> Told:
    """Write the findings, whose digest the judgement names."""
    subjects = {"synthetic": origin.synthetic, "model": origin.model, "timeline": origin.timeline}
    created = now.isoformat()
    bundle = write_bundle(folder / EVIDENCE, told.findings, tables={}, subjects=subjects, created=created)
    return replace(told, judgement=replace(told.judgement, bundle_digest=bundle.digest))


def _likeness(choices: ReleaseChoices, origin: Origin, now: datetime) -> list[Finding]:
    settings = read_settings(choices.real)
    found = fidelity(
        read_timeline(choices.real, "train"),
        read_timeline(choices.synthetic).drop("split"),
        real_held_out=read_timeline(choices.real, "held_out"),
        anchor=settings.anchor,
        seed=choices.seed,
    )
    digests = {"timeline": origin.timeline, "synthetic": origin.synthetic}
    return [
        replace(one, digests=digests, created=now.isoformat(), site=settings.name) for one in found.findings
    ]


def _export(to: Path, choices: ReleaseChoices, progress: Progress) -> ExportBooks:
    if choices.like is not None:
        return export(choices.synthetic, to, like=choices.like, progress=progress)
    if choices.form not in FORMS:
        raise UsageProblem(
            f"'{choices.form}' is no form of a release",
            where="salus release --as",
            fix=f"use {', '.join(FORMS)}",
        )
    return FORMS[choices.form](choices.synthetic, to, progress=progress)


def _write(folder: Path, told: Told, handing: Handing, now: datetime) -> None:
    """The page and the judgement, before they are signed."""
    (folder / JUDGED).write_text(json.dumps(told.judgement.as_json(), indent=1) + "\n", encoding="utf-8")
    sheet, pictures = release_sheet(told, handing, made=now.isoformat())
    (folder / PAGE_FILE).write_text(one_file(sheet, pictures), encoding="utf-8")


def _digests(folder: Path) -> dict[str, str]:
    """Every file below a folder by its name, with its SHA-256; not the record and its key."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: file_digest(path) for name, path in names.items() if name not in UNSIGNED}


def verify(folder: Path, *, public: Path | None = None) -> Mapping[str, object]:
    """The record of a release whose signature holds and whose files are those that were signed.

    ``public``: the key of whom it should be from; without it the one that lies in the folder, which says only that
    nothing was changed since it was put there. Raises SignatureWrong (SAL-614), SigningKeyTrouble (SAL-613),
    ReleaseChanged (SAL-615).
    """
    if not (folder / RECORD).is_file():
        raise SignatureWrong(
            f"'{folder.name}' has no signed record", where=str(folder), fix="ask whoever released it for one"
        )
    key = read_public_key(public or folder / PUBLIC)
    told = opened((folder / RECORD).read_bytes(), key, where=str(folder / RECORD))
    subjects = told["subject"]
    changed = changed_files(subjects if isinstance(subjects, list) else [], _digests(folder))
    if changed:
        raise ReleaseChanged(
            f"{len(changed)} files are not as they were signed: {', '.join(changed[:8])}",
            where=str(folder),
            fix="ask whoever released it for the folder as it was",
        )
    read_bundle(folder / EVIDENCE)
    predicate = told["predicate"]
    return predicate if isinstance(predicate, dict) else {}

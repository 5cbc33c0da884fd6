"""The lock: synthetic records, and models that learnt from them alone, say nothing about a patient.

It opens for a use case whose frozen protocol has passed on evidence measured on real records with the very model that
would be used. It can be opened a crack to measure that evidence: with a frozen protocol, on real records, and what is
made says that it may be measured only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from salus.errors import SyntheticLocked
from salus.findings import Bundle
from salus.programme.case import read_case, usecase_protocol
from salus.programme.gate import Judgement, Verdict
from salus.programme.usecase_folder import UseCaseFolder
from salus.timeline.answers import AnswerOrigin, what_is_synthetic
from salus.timeline.store import read_settings, timeline_digest

ABOUT_FORECASTS = "forecast"
"""The kind of finding that says how good forecasts are: others say nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """What whoever asks shows to the lock: a use case, and whether it is only to measure that use case."""

    usecase: Path | None = None
    only_to_measure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What would be used: on which route, which model, from where, and which of it is synthetic."""

    route: str
    model: str
    records_synthetic: bool
    model_synthetic: bool

    @property
    def synthetic(self) -> str:
        """What of it is synthetic; empty: nothing."""
        return what_is_synthetic(records=self.records_synthetic, model=self.model_synthetic)


NO_LEAVE = Leave()


def check_lock(used: Used, leave: Leave, *, now: datetime) -> None:
    """Refuse what is synthetic on a route to patients, unless ``leave`` opens it. Raises SyntheticLocked (SAL-477).

    What the use case's own files say wrongly is raised as :func:`salus.programme.case.read_case` does.
    """
    if not used.synthetic:
        return
    if leave.usecase is None:
        raise _locked(used, "no use case was named whose frozen protocol has passed on real records")
    folder = UseCaseFolder(leave.usecase)
    why = _to_measure(used, folder) if leave.only_to_measure else _to_use(used, folder, now)
    if why:
        raise _locked(used, why)


def answers_of(used: Used, leave: Leave, timeline: Path) -> AnswerOrigin:
    """What a file of answers says of its origin."""
    return AnswerOrigin(
        job=used.route,
        model=used.model,
        timeline=timeline_digest(timeline),
        synthetic=used.synthetic,
        only_to_measure=leave.only_to_measure,
    )


def why_not_cleared(
    judgement: Judgement, bundle: Bundle | None, *, real: bool, model: str, about: str = ABOUT_FORECASTS
) -> str:
    """Why evidence does not open the lock for a model; empty where it does.

    ``real``: whether the records that it was measured on are. ``about``: the kind of finding without which nothing
    opens; empty: any.
    """
    if not real:
        return "the evidence was measured on synthetic records"
    if judgement.verdict is not Verdict.PASS:
        return f"the gate {judgement.gate} answers {judgement.verdict}: {judgement.reason}"
    passed = {id(one.finding) for one in judgement.criteria if one.verdict is Verdict.PASS}
    found = [
        finding
        for finding in (bundle.findings if bundle else ())
        if about in ("", finding.kind) and id(finding) in passed
    ]
    if not found:
        return f"no criterion that passed is about the {about}"
    subjects = bundle.subjects if bundle else {}
    if any({**subjects, **finding.digests}.get("model") != model for finding in found):
        return "the evidence is about another model"
    if any("timeline" not in {**subjects, **finding.digests} for finding in found):
        return "the evidence does not say on which records it was measured"
    return ""


def _to_use(used: Used, folder: UseCaseFolder, now: datetime) -> str:
    case = read_case(folder)
    real = not read_settings(folder.timeline).synthetic
    return why_not_cleared(case.judge(now), case.bundle, real=real, model=used.model)


def _to_measure(used: Used, folder: UseCaseFolder) -> str:
    if used.records_synthetic:
        return "forecasts of synthetic records are no evidence about real patients"
    if usecase_protocol(folder).frozen_at is None:
        return "the protocol is not frozen: freeze it before anything is measured"
    return ""


def _locked(used: Used, why: str) -> SyntheticLocked:
    return SyntheticLocked(
        f"{used.route} is locked for {used.synthetic}: {why}",
        where=f"salus {used.route}" if " " not in used.route else used.route,
        fix="use real records and a model that learnt from them; or name with --protocol the use case whose frozen "
        "protocol this model has passed on real records",
    )
